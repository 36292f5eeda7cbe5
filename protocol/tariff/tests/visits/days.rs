//! Days: caps, midnight, and days of 23 and 25 hours.

use super::support::{Rates, check};

#[test]
fn a_cap_per_day() {
    let capped = &Rates::hourly().day_cap(1_000);
    let ten = "2026-01-10T10:00+01:00";
    check(&[
        (
            "five hours are the cap and not above it: 5 x 2.00 = 10.00",
            capped,
            ten,
            "2026-01-10T15:00+01:00",
            "Hour 10:00-15:00 5x200=1000; total 1000",
        ),
        (
            "six hours are 12.00, of which 2.00 are above the cap: 10.00",
            capped,
            ten,
            "2026-01-10T16:00+01:00",
            "Hour 10:00-16:00 6x200=1200; cap 2026-01-10=-200; total 1000",
        ),
        (
            "three days of 14, 24 and 10 hours, each above its cap: 3 x 10.00",
            capped,
            ten,
            "2026-01-12T10:00+01:00",
            "Hour 10:00-00:00 14x200=2800; cap 2026-01-10=-1800; \
             Hour 00:00-00:00 24x200=4800; cap 2026-01-11=-3800; \
             Hour 00:00-10:00 10x200=2000; cap 2026-01-12=-1000; total 3000",
        ),
        (
            "the same with 25.00 as the most for a visit: 30.00 - 5.00",
            &capped.clone().visit_cap(2_500),
            ten,
            "2026-01-12T10:00+01:00",
            "Hour 10:00-00:00 14x200=2800; cap 2026-01-10=-1800; \
             Hour 00:00-00:00 24x200=4800; cap 2026-01-11=-3800; \
             Hour 00:00-10:00 10x200=2000; cap 2026-01-12=-1000; cap=-500; total 2500",
        ),
        (
            "16 hours by day 32.00 and two at night 1.00 are 33.00, the cap takes 23.00 off",
            &Rates::day_and_night().day_cap(1_000),
            "2026-01-10T06:00+01:00",
            "2026-01-11T00:00+01:00",
            "Day 06:00-22:00 16x200=3200; Night 22:00-00:00 2x50=100; cap 2026-01-10=-2300; \
             total 1000",
        ),
    ]);
}

#[test]
fn midnight() {
    let capped = &Rates::hourly().day_cap(1_000);
    check(&[
        (
            "six hours until midnight, capped: 10.00; 2 h 30 of the next day: 3 x 2.00; 16.00",
            capped,
            "2026-01-10T18:00+01:00",
            "2026-01-11T02:30+01:00",
            "Hour 18:00-00:00 6x200=1200; cap 2026-01-10=-200; Hour 00:00-02:30 3x200=600; \
             total 1600",
        ),
        (
            "out at midnight sharp: the next day has not begun, 4 x 2.00 = 8.00",
            capped,
            "2026-01-10T20:00+01:00",
            "2026-01-11T00:00+01:00",
            "Hour 20:00-00:00 4x200=800; total 800",
        ),
        (
            "a thousandth after midnight: an hour of the next day has begun, 8.00 + 2.00",
            capped,
            "2026-01-10T20:00+01:00",
            "2026-01-11T00:00:00.001+01:00",
            "Hour 20:00-00:00 4x200=800; Hour 00:00-00:00 1x200=200; total 1000",
        ),
        (
            "in at midnight sharp: nothing of the day before",
            capped,
            "2026-01-10T00:00+01:00",
            "2026-01-10T01:00+01:00",
            "Hour 00:00-01:00 1x200=200; total 200",
        ),
        (
            "with a cap per day a started hour ends at midnight: 2.00 + 2.00",
            capped,
            "2026-01-10T23:30+01:00",
            "2026-01-11T00:20+01:00",
            "Hour 23:30-00:00 1x200=200; Hour 00:00-00:20 1x200=200; total 400",
        ),
    ]);
}

#[test]
fn a_night_that_costs_the_same_however_long() {
    let flat = Rates::new()
        .band("Day", "06:00", (200, 60))
        .band("Night", "22:00", (500, 1_440))
        .day_cap(2_000);
    let from_6 = &flat.clone().day_starts("06:00");
    check(&[
        (
            "21 to 22 by day 2.00, the night 5.00, 6 to 7 by day 2.00: 9.00",
            from_6,
            "2026-01-10T21:00+01:00",
            "2026-01-11T07:00+01:00",
            "Day 21:00-22:00 1x200=200; Night 22:00-06:00 1x500=500; \
             Day 06:00-07:00 1x200=200; total 900",
        ),
        (
            "if days begin at midnight, two days have a night in this stay: 2 + 5 + 5 + 2",
            &flat,
            "2026-01-10T21:00+01:00",
            "2026-01-11T07:00+01:00",
            "Day 21:00-22:00 1x200=200; Night 22:00-00:00 1x500=500; \
             Night 00:00-06:00 1x500=500; Day 06:00-07:00 1x200=200; total 1400",
        ),
        (
            "a whole day from 6 to 6: 16 x 2.00 + 5.00 = 37.00, capped at 20.00",
            from_6,
            "2026-01-10T06:00+01:00",
            "2026-01-11T06:00+01:00",
            "Day 06:00-22:00 16x200=3200; Night 22:00-06:00 1x500=500; cap 2026-01-10=-1700; \
             total 2000",
        ),
        (
            "from 5 to 7: the night belongs to the day that began at 6 the morning before",
            &from_6.clone().day_cap(400),
            "2026-01-10T05:00+01:00",
            "2026-01-10T07:00+01:00",
            "Night 05:00-06:00 1x500=500; cap 2026-01-09=-100; Day 06:00-07:00 1x200=200; \
             total 600",
        ),
    ]);
}

#[test]
fn the_day_of_23_hours() {
    let (hourly, bands) = (&Rates::hourly(), &Rates::day_and_night());
    check(&[
        (
            "29 March 2026 in Berlin has 23 hours: 23 x 2.00 = 46.00",
            hourly,
            "2026-03-29T00:00+01:00",
            "2026-03-30T00:00+02:00",
            "Hour 00:00-00:00 23x200=4600; total 4600",
        ),
        (
            "half past one to half past three, while clocks skip an hour: one hour, 2.00",
            hourly,
            "2026-03-29T01:30+01:00",
            "2026-03-29T03:30+02:00",
            "Hour 01:30-03:30 1x200=200; total 200",
        ),
        (
            "the night from 22 to 6 has seven hours: 7 x 0.50 = 3.50",
            bands,
            "2026-03-28T22:00+01:00",
            "2026-03-29T06:00+02:00",
            "Night 22:00-06:00 7x50=350; total 350",
        ),
        (
            "with a cap of 48.00 its 46.00 are below the cap",
            &hourly.clone().day_cap(4_800),
            "2026-03-29T00:00+01:00",
            "2026-03-30T00:00+02:00",
            "Hour 00:00-00:00 23x200=4600; total 4600",
        ),
        (
            "the day before it ends at its own midnight: 2 x 2.00, then 22 hours until 23:00",
            &hourly.clone().day_cap(4_200),
            "2026-03-28T22:00+01:00",
            "2026-03-29T23:00+02:00",
            "Hour 22:00-00:00 2x200=400; Hour 00:00-23:00 22x200=4400; cap 2026-03-29=-200; \
             total 4600",
        ),
        (
            "a band from 2:30, which clocks skip, begins when they skip it: 1 to 2 and 3 to 4",
            &Rates::new()
                .band("Early", "00:00", (100, 60))
                .band("Late", "02:30", (10, 60)),
            "2026-03-29T01:00+01:00",
            "2026-03-29T04:00+02:00",
            "Early 01:00-03:00 1x100=100; Late 03:00-04:00 1x10=10; total 110",
        ),
    ]);
}

#[test]
fn the_day_of_25_hours() {
    let (hourly, bands) = (&Rates::hourly(), &Rates::day_and_night());
    check(&[
        (
            "25 October 2026 in Berlin has 25 hours: 25 x 2.00 = 50.00",
            hourly,
            "2026-10-25T00:00+02:00",
            "2026-10-26T00:00+01:00",
            "Hour 00:00-00:00 25x200=5000; total 5000",
        ),
        (
            "from the first half past two to the second: one hour, 2.00",
            hourly,
            "2026-10-25T02:30+02:00",
            "2026-10-25T02:30+01:00",
            "Hour 02:30-02:30 1x200=200; total 200",
        ),
        (
            "from the first 2:50 to the second 2:10, which a clock takes for the past: 20 minutes",
            hourly,
            "2026-10-25T02:50+02:00",
            "2026-10-25T02:10+01:00",
            "Hour 02:50-02:10 1x200=200; total 200",
        ),
        (
            "the night from 22 to 6 has nine hours: 9 x 0.50 = 4.50",
            bands,
            "2026-10-24T22:00+02:00",
            "2026-10-25T06:00+01:00",
            "Night 22:00-06:00 9x50=450; total 450",
        ),
        (
            "with a cap of 48.00 its 50.00 are 2.00 above the cap",
            &hourly.clone().day_cap(4_800),
            "2026-10-25T00:00+02:00",
            "2026-10-26T00:00+01:00",
            "Hour 00:00-00:00 25x200=5000; cap 2026-10-25=-200; total 4800",
        ),
        (
            "a band from 2:30 begins at the first of two: 1 h 30 early, 2 h 30 late",
            &Rates::new()
                .band("Early", "00:00", (100, 60))
                .band("Late", "02:30", (10, 60)),
            "2026-10-25T01:00+02:00",
            "2026-10-25T04:00+01:00",
            "Early 01:00-02:30 2x100=200; Late 02:30-04:00 3x10=30; total 230",
        ),
    ]);
}

#[test]
fn days_of_other_zones() {
    let capped = |zone| Rates::hourly().day_cap(1_000).zone(zone);
    check(&[
        (
            "in Cairo 24 April 2026 begins at 1:00: half an hour of each day, 2.00 + 2.00",
            &capped("Africa/Cairo"),
            "2026-04-23T23:30+02:00",
            "2026-04-24T01:30+03:00",
            "Hour 23:30-01:00 1x200=200; Hour 01:00-01:30 1x200=200; total 400",
        ),
        (
            "and 29 October has two hours from 23:00: from the first 23:30 to 0:30 are 2 hours, \
             90 minutes of them that day: 2 x 2.00 + 2.00",
            &capped("Africa/Cairo"),
            "2026-10-29T23:30+03:00",
            "2026-10-30T00:30+02:00",
            "Hour 23:30-00:00 2x200=400; Hour 00:00-00:30 1x200=200; total 600",
        ),
        (
            "in Shanghai midnight is 16:00 UTC: an hour of each day",
            &capped("Asia/Shanghai"),
            "2026-07-01T15:00Z",
            "2026-07-01T17:00Z",
            "Hour 23:00-00:00 1x200=200; Hour 00:00-01:00 1x200=200; total 400",
        ),
        (
            "in Kathmandu it is 18:15 UTC: 15 minutes of one day, 45 of the next",
            &capped("Asia/Kathmandu"),
            "2026-07-01T18:00Z",
            "2026-07-01T19:00Z",
            "Hour 23:45-00:00 1x200=200; Hour 00:00-00:45 1x200=200; total 400",
        ),
        (
            "Samoa skipped 30 December 2011: a day of the 29th, none of the 30th, one hour of the 31st",
            &capped("Pacific/Apia"),
            "2011-12-29T22:00-10:00",
            "2011-12-31T01:00+14:00",
            "Hour 22:00-00:00 2x200=400; Hour 00:00-01:00 1x200=200; total 600",
        ),
    ]);
}
