//! What is true of every tariff and every visit.

use jiff::tz::TimeZoneDatabase;
use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use protocol::message::{FreeStays, Passage, RoundingDirection};
use protocol::time::Utc;
use tariff::{EXPLANATION_LINES_MAX, Paid, VisitQuote, What};

use super::support::{Rates, at, signed};

const HOUR_MS: i64 = 3_600_000;
const ZONES: [&str; 6] = [
    "Europe/Berlin",
    "UTC",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
];

/// Half of the tariffs round, so caps and minimum are multiples of each step.
const STEPS: [i64; 4] = [1, 5, 10, 50];

/// A tariff by time of `bands` that begin at these minutes of the day.
fn banded(minutes: std::collections::BTreeSet<u16>) -> impl Strategy<Value = Rates> {
    let intervals = select(vec![1_u16, 7, 15, 30, 60, 90, 480, 1_440, 10_080]);
    let bands = proptest::collection::vec((0_i64..500, intervals), minutes.len());
    bands.prop_map(move |rates| {
        minutes
            .iter()
            .zip(rates)
            .fold(Rates::new(), |sum, (minute, rate)| {
                sum.band("Band", &clock(*minute), rate)
            })
    })
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn free() -> impl Strategy<Value = Option<(u16, FreeStays)>> {
    let stays = select(vec![FreeStays::Short, FreeStays::All]);
    option::of((0_u16..120, stays))
}

fn limits() -> impl Strategy<Value = (Option<i64>, Option<i64>, Option<i64>)> {
    let (day, visit) = (option::of(10_i64..40), option::of(10_i64..150));
    (day, visit, option::of(0_i64..10))
}

fn rounding() -> impl Strategy<Value = Option<(i64, RoundingDirection)>> {
    use RoundingDirection::{Down, Nearest, Up};
    option::of((select(STEPS.to_vec()), select(vec![Down, Nearest, Up])))
}

fn rates() -> impl Strategy<Value = Rates> {
    let bands = btree_set(0_u16..1_440, 1..5).prop_flat_map(banded);
    let zone = select(ZONES.to_vec());
    (bands, zone, free(), limits(), rounding(), 0_u16..1_440).prop_map(
        |(rates, zone, free, (day, visit, least), rounding, day_starts)| {
            let rates = rates.zone(zone).day_starts(&clock(day_starts));
            let rates = free
                .into_iter()
                .fold(rates, |r, (minutes, stays)| r.free(minutes, stays));
            let rates = day
                .into_iter()
                .fold(rates, |r, units| r.day_cap(units * 50));
            let rates = visit
                .into_iter()
                .fold(rates, |r, units| r.visit_cap(units * 50));
            let rates = least
                .into_iter()
                .fold(rates, |r, units| r.minimum(units * 50));
            rounding
                .into_iter()
                .fold(rates, |r, (step, direction)| r.rounding(step, direction))
        },
    )
}

/// Milliseconds around the nights on which clocks somewhere change.
fn instant() -> impl Strategy<Value = i64> {
    let nights = [
        "2026-03-29",
        "2026-10-25",
        "2026-04-24",
        "2026-10-29",
        "2026-04-05",
    ];
    let nights: Vec<i64> = nights
        .iter()
        .map(|night| at(&format!("{night}T00:00Z")).as_millis())
        .collect();
    let on_the_minute = (-48 * 60_i64..48 * 60).prop_map(|minutes| minutes * 60_000);
    let anywhere = -48 * HOUR_MS..48 * HOUR_MS;
    (select(nights), prop_oneof![on_the_minute, anywhere]).prop_map(|(night, off)| night + off)
}

fn stay_ms() -> impl Strategy<Value = i64> {
    prop_oneof![
        (0_i64..6 * 60).prop_map(|minutes| minutes * 60_000),
        0..6 * HOUR_MS,
        0..144 * HOUR_MS
    ]
}

fn passage(millis: i64, clock_error_ms: u64) -> Passage {
    Passage {
        place: "a".parse().unwrap(),
        at: Utc::from_millis(millis).unwrap(),
        clock_error_ms,
    }
}

fn quote(rates: &Rates, entry: i64, exit: i64) -> VisitQuote {
    let tariff = rates.tariff();
    tariff
        .quote(&passage(entry, 0), &passage(exit, 0), None)
        .unwrap()
}

/// From minute to minute by what a clock on the wall shows: another way to the same sum, for bands
/// and days that begin at no time which clocks skip or show twice.
fn by_wall_clock(rates: &Rates, entry: i64, exit: i64) -> i64 {
    let zone = TimeZoneDatabase::bundled().get(&rates.0.time_zone).unwrap();
    let time = rates.0.time.as_ref().unwrap();
    let mut pieces: Vec<(usize, Option<jiff::civil::Date>, i64)> = Vec::new();
    for millis in (entry..exit).step_by(60_000) {
        let shown = zone.to_datetime(Utc::from_millis(millis).unwrap().into());
        let reached = |from: protocol::time::TimeOfDay| {
            (from.hour(), from.minute()) <= (shown.hour(), shown.minute())
        };
        let band = time.bands.iter().rposition(|band| reached(band.from));
        let band = band.unwrap_or(time.bands.len() - 1);
        let begun = reached(time.day_starts);
        let date = if begun {
            shown.date()
        } else {
            shown.date().yesterday().unwrap()
        };
        let day = time.day_cap.map(|_| date);
        match pieces.last_mut() {
            Some((last, on, minutes)) if (*last, *on) == (band, day) => *minutes += 1,
            _ => pieces.push((band, day, 1)),
        }
    }
    let cap = time.day_cap.map_or(i64::MAX, |cap| cap.minor());
    let days = pieces.chunk_by(|one, next| one.1 == next.1);
    days.map(|day| {
        day.iter()
            .map(|piece| price(time, piece))
            .sum::<i64>()
            .min(cap)
    })
    .sum()
}

fn price(
    time: &protocol::message::TimeRates,
    (band, _, minutes): &(usize, Option<jiff::civil::Date>, i64),
) -> i64 {
    let band = &time.bands[*band];
    (minutes + i64::from(band.minutes) - 1) / i64::from(band.minutes) * band.price.minor()
}

/// Dates that a stay touches.
fn dates(rates: &Rates, entry: i64, exit: i64) -> i64 {
    let zone = TimeZoneDatabase::bundled().get(&rates.0.time_zone).unwrap();
    let date = |millis| {
        zone.to_datetime(Utc::from_millis(millis).unwrap().into())
            .date()
    };
    let until = date(exit - 1).since(date(entry)).unwrap();
    i64::from(until.get_days()) + 1
}

proptest! {
    #[test]
    fn the_lines_are_the_bill(rates in rates(), entry in instant(), stay in stay_ms()) {
        let quote = quote(&rates, entry, entry + stay);
        let sum: i64 = quote.lines.iter().map(signed).sum();
        prop_assert_eq!(sum, quote.amount.minor());
        prop_assert!(quote.lines.len() <= EXPLANATION_LINES_MAX);
        prop_assert_eq!(rates.tariff().bill(&quote).amount, quote.amount);
        let mut end = quote.from;
        for line in &quote.lines {
            if let What::Free { from, to, .. } | What::Time { from, to, .. } = line.what {
                prop_assert_eq!(from, end);
                end = to;
            }
        }
        prop_assert_eq!(end, quote.to, "time is left out");
    }

    #[test]
    fn the_bill_is_the_same_in_json(rates in rates(), entry in instant(), stay in stay_ms()) {
        let quote = quote(&rates, entry, entry + stay);
        let text = serde_json::to_string(&quote).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        let minor = |value: &serde_json::Value| value["amount"]["minor"].as_i64().unwrap();
        let lines = read["lines"].as_array().unwrap();
        let sum: i64 = lines
            .iter()
            .map(|line| if line["effect"] == "charge" { minor(line) } else { -minor(line) })
            .sum();
        prop_assert_eq!((sum, minor(&read)), (quote.amount.minor(), quote.amount.minor()));
    }

    #[test]
    fn more_time_never_costs_less(
        rates in rates(), entry in instant(), stay in stay_ms(),
        later in 0..3 * HOUR_MS, earlier in 0..3 * HOUR_MS,
    ) {
        let amount = |entry, exit| quote(&rates, entry, exit).amount.minor();
        let own = amount(entry, entry + stay);
        prop_assert!(own <= amount(entry, entry + stay + later));
        prop_assert!(own <= amount(entry - earlier, entry + stay));
    }

    #[test]
    fn wider_errors_never_cost_more(
        rates in rates(), entry in instant(), stay in stay_ms(),
        errors in (0..2_000_000_u64, 0..2_000_000_u64), more in (0..2_000_000_u64, 0..2_000_000_u64),
    ) {
        let tariff = rates.tariff();
        let amount = |entry_error, exit_error| {
            let (entry, exit) = (passage(entry, entry_error), passage(entry + stay, exit_error));
            tariff.quote(&entry, &exit, None).unwrap().amount.minor()
        };
        let own = amount(errors.0, errors.1);
        prop_assert!(amount(errors.0 + more.0, errors.1 + more.1) <= own);
        prop_assert!(own <= amount(0, 0));
    }

    #[test]
    fn no_cap_is_passed(rates in rates(), entry in instant(), stay in stay_ms()) {
        let (rates, stay) = (rates.day_starts("00:00"), stay.max(1));
        let quote = quote(&rates, entry, entry + stay);
        if let Some(cap) = rates.0.visit_cap {
            prop_assert!(quote.amount.minor() <= cap.minor());
        }
        if let Some(cap) = rates.0.time.as_ref().unwrap().day_cap {
            let days = dates(&rates, entry, entry + stay);
            prop_assert!(quote.amount.minor() <= cap.minor() * days);
        }
    }

    #[test]
    fn what_was_paid_is_taken_off(
        rates in rates(), entry in instant(), stay in stay_ms(), later in 0..3 * HOUR_MS,
        error in 0..100_000_u64,
    ) {
        let tariff = rates.tariff();
        let (entry, exit) = (passage(entry, error), passage(entry + stay, error));
        let whole = |exit| tariff.quote(&entry, exit, None).unwrap().amount;
        let paid = Paid { at: exit.at, clock_error_ms: error, amount: whole(&exit) };
        let left = passage(exit.at.as_millis() + later, error);
        let due = tariff.quote(&entry, &left, Some(&paid)).unwrap().amount.minor();
        if later <= 15 * 60_000 {
            prop_assert_eq!(due, 0);
        }
        prop_assert!(due == 0 || due == whole(&left).minor() - paid.amount.minor());
    }

    #[test]
    fn another_way_comes_to_the_same(
        bands in btree_set(prop_oneof![Just(0_u16), 240_u16..1_440], 1..5).prop_flat_map(banded),
        day_cap in option::of(50_i64..2_000), day_starts in prop_oneof![Just(0_u16), 240_u16..1_440],
        from in -48 * 60_i64..48 * 60, minutes in 0_i64..72 * 60, night in 0_usize..2,
    ) {
        let rates = day_cap.into_iter().fold(bands.day_starts(&clock(day_starts)), Rates::day_cap);
        let night = ["2026-03-29T00:00Z", "2026-10-25T00:00Z"][night];
        let entry = at(night).as_millis() + from * 60_000;
        let exit = entry + minutes * 60_000;
        let expected = by_wall_clock(&rates, entry, exit);
        prop_assert_eq!(quote(&rates, entry, exit).amount.minor(), expected);
    }

    #[test]
    fn no_passage_makes_it_panic(
        rates in rates(), entry in any::<i64>(), exit in any::<i64>(), shift in 0_u32..40,
        errors in (any::<u64>(), any::<u64>()),
    ) {
        let instant = |millis: i64| Utc::from_millis(millis >> shift).unwrap_or(Utc::EPOCH);
        let of = |millis, error| Passage { at: instant(millis), ..passage(0, error >> shift) };
        let (entry, exit) = (of(entry, errors.0), of(exit, errors.1));
        if let Ok(quote) = rates.tariff().quote(&entry, &exit, None) {
            prop_assert_eq!(quote.lines.iter().map(signed).sum::<i64>(), quote.amount.minor());
        }
    }
}
