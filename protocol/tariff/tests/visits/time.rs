//! By time: started intervals, bands, free minutes, minimum, rounding.

use protocol::message::FreeStays::{All, Short};
use protocol::message::RoundingDirection::{Down, Nearest, Up};

use super::support::{Rates, check};

#[test]
fn started_intervals() {
    let hourly = &Rates::hourly();
    check(&[
        (
            "no time has passed: nothing has begun",
            hourly,
            "2026-01-10T10:00+01:00",
            "2026-01-10T10:00+01:00",
            "total 0",
        ),
        (
            "a thousandth of a second: one hour has begun, 2.00",
            hourly,
            "2026-01-10T10:00+01:00",
            "2026-01-10T10:00:00.001+01:00",
            "Hour 10:00-10:00 1x200=200; total 200",
        ),
        (
            "exactly an hour: the second one has not begun, 2.00",
            hourly,
            "2026-01-10T10:00+01:00",
            "2026-01-10T11:00+01:00",
            "Hour 10:00-11:00 1x200=200; total 200",
        ),
        (
            "a thousandth more than an hour: 2 x 2.00 = 4.00",
            hourly,
            "2026-01-10T10:00+01:00",
            "2026-01-10T11:00:00.001+01:00",
            "Hour 10:00-11:00 2x200=400; total 400",
        ),
        (
            "four and a half hours: five have begun, 5 x 2.00 = 10.00",
            hourly,
            "2026-01-10T10:00+01:00",
            "2026-01-10T14:30+01:00",
            "Hour 10:00-14:30 5x200=1000; total 1000",
        ),
        (
            "fifty minutes over midnight; without a cap per day a day ends nothing: 2.00",
            hourly,
            "2026-01-10T23:30+01:00",
            "2026-01-11T00:20+01:00",
            "Hour 23:30-00:20 1x200=200; total 200",
        ),
        (
            "35 minutes by the quarter: 3 x 0.35 = 1.05",
            &Rates::new().band("Quarter", "00:00", (35, 15)),
            "2026-01-10T10:00+01:00",
            "2026-01-10T10:35+01:00",
            "Quarter 10:00-10:35 3x35=105; total 105",
        ),
    ]);
}

#[test]
fn bands() {
    let bands = &Rates::day_and_night();
    check(&[
        (
            "10:00 to 12:15 by day: three hours have begun, 6.00",
            bands,
            "2026-01-10T10:00+01:00",
            "2026-01-10T12:15+01:00",
            "Day 10:00-12:15 3x200=600; total 600",
        ),
        (
            "20 to 22 by day 2 x 2.00, 22 to 6 at night 8 x 0.50, 6 to 7:30 by day 2 x 2.00: 12.00",
            bands,
            "2026-01-10T20:00+01:00",
            "2026-01-11T07:30+01:00",
            "Day 20:00-22:00 2x200=400; Night 22:00-06:00 8x50=400; \
             Day 06:00-07:30 2x200=400; total 1200",
        ),
        (
            "a minute on each side of 22:00: one hour of each has begun, 2.00 + 0.50",
            bands,
            "2026-01-10T21:59+01:00",
            "2026-01-10T22:01+01:00",
            "Day 21:59-22:00 1x200=200; Night 22:00-22:01 1x50=50; total 250",
        ),
        (
            "the last hour of the day: the night has not begun at 22:00 sharp, 2.00",
            bands,
            "2026-01-10T21:00+01:00",
            "2026-01-10T22:00+01:00",
            "Day 21:00-22:00 1x200=200; total 200",
        ),
        (
            "the first hour of the night: the day is over at 22:00 sharp, 0.50",
            bands,
            "2026-01-10T22:00+01:00",
            "2026-01-10T23:00+01:00",
            "Night 22:00-23:00 1x50=50; total 50",
        ),
        (
            "after midnight it is still the night that began the day before: 3 x 0.50",
            bands,
            "2026-01-10T02:15+01:00",
            "2026-01-10T05:00+01:00",
            "Night 02:15-05:00 3x50=150; total 150",
        ),
        (
            "a band that is free of charge is on the bill: 2.00 and nothing",
            &Rates::hourly().band("Evening", "18:00", (0, 60)),
            "2026-01-10T17:00+01:00",
            "2026-01-10T20:00+01:00",
            "Hour 17:00-18:00 1x200=200; Evening 18:00-20:00 2x0=0; total 200",
        ),
    ]);
}

#[test]
fn free_minutes() {
    let (short, all) = (
        &Rates::hourly().free(10, Short),
        &Rates::hourly().free(30, All),
    );
    check(&[
        (
            "ten minutes are within ten minutes: nothing",
            short,
            "2026-01-10T10:00+01:00",
            "2026-01-10T10:10+01:00",
            "free 10:00-10:10=0; total 0",
        ),
        (
            "a thousandth more: the whole stay is paid, 2.00",
            short,
            "2026-01-10T10:00+01:00",
            "2026-01-10T10:10:00.001+01:00",
            "Hour 10:00-10:10 1x200=200; total 200",
        ),
        (
            "65 minutes, of which ten would have been free: two hours have begun, 4.00",
            short,
            "2026-01-10T10:00+01:00",
            "2026-01-10T11:05+01:00",
            "Hour 10:00-11:05 2x200=400; total 400",
        ),
        (
            "half an hour is free, 75 minutes are left: 2 x 2.00",
            all,
            "2026-01-10T10:00+01:00",
            "2026-01-10T11:45+01:00",
            "free 10:00-10:30=0; Hour 10:30-11:45 2x200=400; total 400",
        ),
        (
            "twenty minutes of the half hour: nothing",
            all,
            "2026-01-10T10:00+01:00",
            "2026-01-10T10:20+01:00",
            "free 10:00-10:20=0; total 0",
        ),
        (
            "free until 22:15, then a quarter of an hour at night: 0.50",
            &Rates::day_and_night().free(30, All),
            "2026-01-10T21:45+01:00",
            "2026-01-10T22:30+01:00",
            "free 21:45-22:15=0; Night 22:15-22:30 1x50=50; total 50",
        ),
    ]);
}

#[test]
fn minimum_and_rounding() {
    let quarters = |price| Rates::new().band("Quarter", "00:00", (price, 15));
    let night = &Rates::day_and_night().minimum(100);
    let free = &Rates::hourly().free(10, Short).minimum(100);
    let (at_10, at_10_40) = ("2026-01-10T10:00+01:00", "2026-01-10T10:40+01:00");
    check(&[
        (
            "an hour at night is 0.50, the least is 1.00: 0.50 more",
            night,
            "2026-01-10T22:00+01:00",
            "2026-01-10T23:00+01:00",
            "Night 22:00-23:00 1x50=50; minimum=50; total 100",
        ),
        (
            "what costs nothing stays free, whatever the least",
            free,
            at_10,
            "2026-01-10T10:05+01:00",
            "free 10:00-10:05=0; total 0",
        ),
        (
            "1.05 down to a multiple of 0.10: 1.00",
            &quarters(35).rounding(10, Down),
            at_10,
            at_10_40,
            "Quarter 10:00-10:40 3x35=105; rounding=-5; total 100",
        ),
        (
            "1.05 is as far from 1.00 as from 1.10: the half is the payer's, 1.00",
            &quarters(35).rounding(10, Nearest),
            at_10,
            at_10_40,
            "Quarter 10:00-10:40 3x35=105; rounding=-5; total 100",
        ),
        (
            "3 x 0.32 = 0.96 is nearer to 1.00",
            &quarters(32).rounding(10, Nearest),
            at_10,
            at_10_40,
            "Quarter 10:00-10:40 3x32=96; rounding=4; total 100",
        ),
        (
            "3 x 0.31 = 0.93 up to a multiple of 0.10: 1.00",
            &quarters(31).rounding(10, Up),
            at_10,
            at_10_40,
            "Quarter 10:00-10:40 3x31=93; rounding=7; total 100",
        ),
        (
            "3 x 0.30 = 0.90 is one already: no line",
            &quarters(30).rounding(10, Up),
            at_10,
            at_10_40,
            "Quarter 10:00-10:40 3x30=90; total 90",
        ),
    ]);
}
