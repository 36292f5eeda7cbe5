//! By the pair of places, alone and beside time.

use protocol::message::FreeStays::Short;
use tariff::QuoteError;

use super::support::{Rates, check};

#[test]
fn pairs() {
    let road = &Rates::new().pair("a", "b", 300).pair("b", "a", 400);
    let (ten, noon) = ("2026-01-10T10:00+01:00", "2026-01-10T12:00+01:00");
    let [to_b, to_a, from_b] = ["@b", "@a", "@b"];
    check(&[
        (
            "from a to b: 3.00, whatever the time",
            road,
            &format!("{ten}@a"),
            &format!("{noon}{to_b}"),
            "a>b=300; total 300",
        ),
        (
            "the way back has its own price: 4.00",
            road,
            &format!("{ten}{from_b}"),
            &format!("{noon}{to_a}"),
            "b>a=400; total 400",
        ),
        (
            "a pair that is not listed: the price of all others, 5.00",
            &road.clone().other_places(500),
            &format!("{ten}@a"),
            &format!("{noon}@c"),
            "a>c=500; total 500",
        ),
        (
            "a pair that costs nothing: a bill of nothing",
            &Rates::new().pair("a", "a", 0).minimum(100),
            &format!("{ten}@a"),
            &format!("{noon}@a"),
            "a>a=0; total 0",
        ),
        (
            "time and places: 2 x 2.00 + 3.00 = 7.00",
            &Rates::hourly().pair("a", "b", 300),
            &format!("{ten}@a"),
            &format!("{noon}{to_b}"),
            "Hour 10:00-12:00 2x200=400; a>b=300; total 700",
        ),
        (
            "the most for a visit holds for both together: 7.00 - 1.00",
            &Rates::hourly().pair("a", "b", 300).visit_cap(600),
            &format!("{ten}@a"),
            &format!("{noon}{to_b}"),
            "Hour 10:00-12:00 2x200=400; a>b=300; cap=-100; total 600",
        ),
        (
            "a cap per day holds for time alone: 2.50 + 3.00",
            &Rates::hourly().pair("a", "b", 300).day_cap(250),
            &format!("{ten}@a"),
            &format!("{noon}{to_b}"),
            "Hour 10:00-12:00 2x200=400; cap 2026-01-10=-150; a>b=300; total 550",
        ),
        (
            "free minutes are of time alone: 3.00 for the way",
            &Rates::hourly().free(120, Short).pair("a", "b", 300),
            &format!("{ten}@a"),
            &format!("{noon}{to_b}"),
            "free 10:00-12:00=0; a>b=300; total 300",
        ),
    ]);
}

#[test]
fn a_pair_without_a_price_is_refused() {
    let road = Rates::new().pair("a", "b", 300);
    let quote = road.quote("2026-01-10T10:00Z@b", "2026-01-10T12:00Z@a");
    let missing = QuoteError::NoPlacePrice {
        from: "b".parse().unwrap(),
        to: "a".parse().unwrap(),
    };
    assert_eq!(quote, Err(missing));
}

#[test]
fn where_time_costs_nothing_clocks_and_length_matter_little() {
    let road = Rates::new().pair("a", "b", 300);
    let entry = format!("2026-01-10T10:00Z@a~{}", u64::MAX);
    let exit = "2027-01-10T10:00Z@b";
    assert_eq!(road.billed(&entry, exit), "a>b=300; total 300");
}
