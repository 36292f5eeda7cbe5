//! Clocks that may be wrong, order of passages, and what was paid before.

use tariff::{CLOCK_ERROR_MAX_MS, EXPLANATION_LINES_MAX, LENGTH_MAX_DAYS, Paid, QuoteError};

use super::support::{Rates, at, cents, check, passage};

#[test]
fn errors_are_the_payers_gain() {
    let hourly = &Rates::hourly();
    check(&[
        (
            "60 min 30 s, each clock 20 s off: at least 59 min 50 s, one hour has begun",
            hourly,
            "2026-01-10T10:00+01:00~20000",
            "2026-01-10T11:00:30+01:00~20000",
            "Hour 10:00-11:00 1x200=200; total 200",
        ),
        (
            "60 min 30 s, each clock 14 s off: at least 60 min 2 s, two hours have begun",
            hourly,
            "2026-01-10T10:00+01:00~14000",
            "2026-01-10T11:00:30+01:00~14000",
            "Hour 10:00-11:00 2x200=400; total 400",
        ),
        (
            "one minute with clocks that may be a minute off each: perhaps no time at all",
            hourly,
            "2026-01-10T10:00+01:00~60000",
            "2026-01-10T10:01+01:00~60000",
            "total 0",
        ),
        (
            "out ten seconds before in, which errors of five seconds each explain",
            hourly,
            "2026-01-10T10:00:10+01:00~5000",
            "2026-01-10T10:00+01:00~5000",
            "total 0",
        ),
        (
            "in ten seconds before 22:00, 15 s off: perhaps at night, 0.50",
            &Rates::day_and_night(),
            "2026-01-10T21:59:50+01:00~15000",
            "2026-01-10T22:30+01:00",
            "Night 22:00-22:30 1x50=50; total 50",
        ),
        (
            "out a second after midnight, 2 s off: perhaps the same day, 8.00",
            &Rates::hourly().day_cap(1_000),
            "2026-01-10T20:00+01:00",
            "2026-01-11T00:00:01+01:00~2000",
            "Hour 20:00-23:59 4x200=800; total 800",
        ),
    ]);
}

#[test]
fn what_no_clock_explains_is_refused() {
    let hourly = Rates::hourly();
    let (late, early) = ("2026-01-10T10:00:10.001Z~5000", "2026-01-10T10:00:00Z~5000");
    let backwards = QuoteError::ExitBeforeEntry {
        entry: at("2026-01-10T10:00:10.001Z"),
        exit: at("2026-01-10T10:00:00Z"),
    };
    assert_eq!(hourly.quote(late, early), Err(backwards));
    let error_ms = CLOCK_ERROR_MAX_MS + 1;
    let lost = format!("2026-01-10T10:00Z~{error_ms}");
    let clock = Err(QuoteError::Clock { error_ms });
    assert_eq!(hourly.quote(&lost, "2026-01-10T11:00Z"), clock);
    assert_eq!(hourly.quote("2026-01-10T11:00Z", &lost), clock);
    let longest = format!("2026-01-10T10:00Z~{CLOCK_ERROR_MAX_MS}");
    assert_eq!(hourly.billed(&longest, "2026-01-10T11:00Z"), "total 0");
}

#[test]
fn a_visit_is_as_long_as_its_tariff_says_and_no_longer() {
    let week = Rates::hourly().with(|rates| rates.length_max_days = 7);
    let quote = week
        .quote("2026-01-10T10:00Z", "2026-01-17T10:00Z")
        .unwrap();
    assert_eq!(quote.amount, cents(7 * 24 * 200));
    assert_eq!(
        week.quote("2026-01-10T10:00Z", "2026-01-17T10:00:00.001Z"),
        Err(QuoteError::TooLong { max_days: 7 })
    );
}

#[test]
fn the_longest_explanation_is_as_long_as_it_may_be() {
    let bands = ["01:00", "05:00", "09:00", "13:00", "17:00", "21:00"];
    let full = bands.iter().fold(Rates::new(), |rates, from| {
        rates.band("Band", from, (100, 60))
    });
    let full = full
        .day_cap(1_000)
        .day_starts("03:00")
        .free(10, protocol::message::FreeStays::All)
        .with(|rates| rates.length_max_days = LENGTH_MAX_DAYS);
    let quote = full
        .quote("2026-08-01T12:00+02:00", "2026-11-01T11:00+01:00")
        .unwrap();
    // Free minutes; 15 hours of the first day, capped, in five pieces; 91 days of seven pieces and a
    // cap; and eight hours of the last, from 3 to 11, which are below the cap, in three pieces.
    assert_eq!(quote.lines.len(), 1 + 6 + 91 * 8 + 3);
    assert_eq!(quote.amount, cents(1_000 + 91 * 1_000 + 800));
    assert!(quote.lines.len() <= EXPLANATION_LINES_MAX);
}

#[test]
fn an_instant_without_days_around_it_is_refused() {
    let entry = "-009999-01-02T01:59:59Z";
    assert_eq!(
        Rates::hourly().quote(entry, "-009999-01-02T02:59:59Z"),
        Err(QuoteError::Calendar)
    );
}

fn paid(until: &str, minor: i64) -> Paid {
    let until = passage(until);
    Paid {
        at: until.at,
        clock_error_ms: until.clock_error_ms,
        amount: cents(minor),
    }
}

#[test]
fn who_has_paid_has_time_to_leave() {
    let hourly = Rates::hourly();
    let ten = "2026-01-10T10:00+01:00";
    let an_hour = paid("2026-01-10T11:00+01:00", 200);
    let cases = [
        (
            "paid for an hour at 11:00, out within 15 minutes: nothing more",
            &an_hour,
            "2026-01-10T11:15+01:00",
            "Hour 10:00-11:00 1x200=200; paid=-200; total 0",
        ),
        (
            "a thousandth later: the second hour counts from the entry on, 4.00 - 2.00",
            &an_hour,
            "2026-01-10T11:15:00.001+01:00",
            "Hour 10:00-11:15 2x200=400; paid=-200; total 200",
        ),
        (
            "paid twice, 4.00 for an hour of 2.00: no more is taken off than there is",
            &paid("2026-01-10T11:00+01:00", 400),
            "2026-01-10T11:10+01:00",
            "Hour 10:00-11:00 1x200=200; paid=-200; total 0",
        ),
        (
            "10 s late by clocks that may be 5 s off each: in time",
            &paid("2026-01-10T11:00+01:00~5000", 200),
            "2026-01-10T11:15:10+01:00~5000",
            "Hour 10:00-10:59 1x200=200; paid=-200; total 0",
        ),
        (
            "out by a clock that is slow, before the payment: the earlier of both ends the stay",
            &paid("2026-01-10T11:00:10+01:00", 400),
            "2026-01-10T11:00+01:00",
            "Hour 10:00-11:00 1x200=200; paid=-200; total 0",
        ),
    ];
    for (by_hand, paid, exit, expected) in cases {
        assert_eq!(hourly.billed_after(ten, exit, paid), expected, "{by_hand}");
    }
}

#[test]
fn a_payment_before_the_entry_or_in_other_money_is_refused() {
    let hourly = Rates::hourly().tariff();
    let (entry, exit) = (passage("2026-01-10T10:00Z"), passage("2026-01-10T11:00Z"));
    let at_entry = hourly.quote(&entry, &exit, Some(&paid("2026-01-10T10:00Z", 0)));
    assert_eq!(at_entry.unwrap().amount, cents(200));
    let early = paid("2026-01-10T09:59:59.999Z", 200);
    assert_eq!(
        hourly.quote(&entry, &exit, Some(&early)),
        Err(QuoteError::PaidBeforeEntry {
            entry: entry.at,
            paid: early.at,
        })
    );
    let (francs, euro) = ("CHF".parse().unwrap(), cents(0).currency());
    let other = Paid {
        amount: protocol::money::Money::zero(francs),
        ..paid("2026-01-10T10:30Z", 0)
    };
    assert_eq!(
        hourly.quote(&entry, &exit, Some(&other)),
        Err(protocol::money::MoneyError::Mixed(euro, francs).into())
    );
}
