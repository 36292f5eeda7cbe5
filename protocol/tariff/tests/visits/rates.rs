//! Rates that don't hold together, and what a version covers.

use protocol::message::{RoundingDirection::Down, Tariff, Text};
use protocol::money::{MINOR_MAX, Money};
use protocol::time::TimeOfDay;
use tariff::{BANDS_MAX, PLACE_PAIRS_MAX, VisitTariff};

use super::support::{Rates, euro, passage};

fn refused(rates: &Rates) -> String {
    VisitTariff::new(&rates.wire()).unwrap_err().to_string()
}

fn check_refused(cases: &[(Rates, &str)]) {
    for (rates, line) in cases {
        assert_eq!(refused(rates), *line);
    }
}

#[test]
fn a_wrong_field_is_one_line_with_its_fix() {
    let hourly = Rates::hourly;
    check_refused(&[
        (
            hourly().with(|rates| rates.reckoning = 2),
            "reckoning: rules 2 are not ours (1); bring both ends to one version",
        ),
        (
            hourly().zone("Europe/Berlino"),
            "time_zone: 'Europe/Berlino' is no IANA time zone; write for example Europe/Berlin",
        ),
        (
            hourly().with(|rates| rates.name = Text::default()),
            "name: is empty; write for example { en = \"Parking\" }",
        ),
        (
            hourly().band(" ", "08:00", (1, 1)),
            "bands[1].name: is empty; write for example { en = \"Parking\" }",
        ),
        (
            Rates::new(),
            "neither time nor places have a price; add bands, places or both",
        ),
        (
            Rates::new().day_cap(1),
            "bands: 0 bands are not 1 to 6; divide the day into fewer bands",
        ),
        (
            hourly()
                .band("Late", "20:00", (1, 60))
                .band("Early", "08:00", (1, 60)),
            "bands[2].from: 08:00 is not after the band before it; \
             list bands in the order of the day; each lasts until the next",
        ),
        (
            hourly().band("Again", "00:00", (1, 60)),
            "bands[1].from: 00:00 is not after the band before it; \
             list bands in the order of the day; each lasts until the next",
        ),
        (
            hourly().band("Late", "20:00", (1, 0)),
            "bands[1].minutes: 0 is not within 1 and 10080; 60 is an hour, 1440 a day",
        ),
        (
            hourly().band("Late", "20:00", (1, 10_081)),
            "bands[1].minutes: 10081 is not within 1 and 10080; 60 is an hour, 1440 a day",
        ),
        (
            hourly().with_time(|time| time.leave_minutes = 1_441),
            "leave_minutes: 1441 are more than 1440; write minutes of a day at most",
        ),
        (
            hourly().free(1_441, protocol::message::FreeStays::All),
            "free_minutes: 1441 are more than 1440; write minutes of a day at most",
        ),
        (
            Rates::new()
                .pair("a", "b", 1)
                .pair("b", "a", 1)
                .pair("a", "b", 2),
            "places[2]: 'a' to 'b' is listed twice; remove one",
        ),
    ]);
}

#[test]
fn limits_that_contradict_one_another_are_one_line() {
    let hourly = Rates::hourly;
    check_refused(&[
        (
            hourly().with(|rates| rates.length_max_days = 0),
            "length_max_days: 0 is not within 1 and 92; 31 is usual",
        ),
        (
            hourly().with(|rates| rates.length_max_days = 93),
            "length_max_days: 93 is not within 1 and 92; 31 is usual",
        ),
        (
            hourly().with(|rates| {
                rates.minimum = Some(Money::zero("CHF".parse().unwrap()));
            }),
            "minimum: 0.00 CHF is not in EUR; use the currency of the tariff",
        ),
        (
            hourly().band("Dear", "20:00", (MINOR_MAX / 100, 60)),
            "the longest visit would cost more than we count; lower prices or length_max_days",
        ),
        (
            hourly().minimum(500).visit_cap(499),
            "visit_cap: 4.99 EUR is less than the minimum of 5.00 EUR; lower the minimum",
        ),
        (
            hourly().minimum(500).day_cap(499),
            "day_cap: 4.99 EUR is less than the minimum of 5.00 EUR; lower the minimum",
        ),
        (
            hourly().rounding(0, Down),
            "rounding.step: nothing is a multiple of 0; write for example \"0.50\"",
        ),
        (
            hourly().rounding(50, Down).day_cap(1_980),
            "day_cap: 19.80 EUR is no multiple of rounding.step 0.50 EUR; \
             write one, or no bill could be it",
        ),
    ]);
}

#[test]
fn the_dearest_visit_is_still_money() {
    // A visit of a day touches three days, each with two pieces, and is an interval long itself.
    let days = |price| {
        let rates = Rates::new().band("Day", "00:00", (price, 1_440));
        rates.with(|rates| rates.length_max_days = 1)
    };
    assert!(VisitTariff::new(&days(MINOR_MAX / 7).wire()).is_ok());
    let line = "the longest visit would cost more than we count; lower prices or length_max_days";
    assert_eq!(refused(&days(MINOR_MAX / 7 + 1)), line);
    assert_eq!(refused(&days(1).rounding(MINOR_MAX, Down)), line);
    assert_eq!(refused(&days(1).other_places(MINOR_MAX)), line);
}

#[test]
fn limits_may_be_equal() {
    let rates = Rates::hourly()
        .minimum(500)
        .day_cap(500)
        .visit_cap(500)
        .rounding(500, Down);
    let hour = rates.billed("2026-01-10T10:00+01:00", "2026-01-10T11:00+01:00");
    assert_eq!(hour, "Hour 10:00-11:00 1x200=200; minimum=300; total 500");
}

#[test]
fn there_are_so_many_bands_and_pairs_and_no_more() {
    let bands = |count: usize| {
        (0..count).fold(Rates::new(), |rates, hour| {
            rates.band("Band", &format!("{hour:02}:00"), (1, 60))
        })
    };
    assert!(VisitTariff::new(&bands(BANDS_MAX).wire()).is_ok());
    assert!(refused(&bands(BANDS_MAX + 1)).starts_with("bands: 7 bands are not 1 to 6"));
    let pairs = |count: usize| {
        (0..count).fold(Rates::new(), |rates, number| {
            rates.pair("a", &format!("p{number}"), 1)
        })
    };
    assert!(VisitTariff::new(&pairs(PLACE_PAIRS_MAX).wire()).is_ok());
    let line = refused(&pairs(PLACE_PAIRS_MAX + 1));
    assert_eq!(
        line,
        "places: 41 pairs are more than 40; price the rest by other_places"
    );
}

#[test]
fn a_tariff_without_visits_prices_none() {
    let tariff = Tariff {
        visit: None,
        ..Rates::hourly().wire()
    };
    let line = VisitTariff::new(&tariff).unwrap_err().to_string();
    assert_eq!(line, "this tariff has no rate for visits; add one");
    let text = serde_json::to_string(&tariff).unwrap();
    assert_eq!(text, "{\"currency\":\"EUR\",\"items\":[]}");
}

#[test]
fn whatever_changes_a_bill_changes_the_version() {
    let rates = Rates::hourly().day_cap(1_000);
    let others = [
        rates.clone().zone("Europe/Paris"),
        rates.clone().day_starts("06:00"),
        rates.clone().day_cap(1_001),
        rates.clone().with(|rates| rates.reckoning = 2),
        rates.clone().with_time(|time| time.leave_minutes = 16),
    ];
    let version = rates.wire().version();
    for other in others {
        assert_ne!(other.wire().version(), version);
    }
    let quote = rates
        .quote("2026-01-10T10:00Z", "2026-01-10T11:00Z")
        .unwrap();
    assert_eq!(quote.tariff_version, version);
}

#[test]
fn rates_survive_their_json_form() {
    let wire = Rates::day_and_night()
        .free(10, protocol::message::FreeStays::Short)
        .day_cap(1_000)
        .pair("a", "b", 300)
        .rounding(50, Down)
        .wire();
    let text = serde_json::to_string(&wire).unwrap();
    assert_eq!(serde_json::from_str::<Tariff>(&text).unwrap(), wire);
    assert!(text.contains("\"from\":\"22:00\""), "{text}");
    assert!(serde_json::from_str::<TimeOfDay>("\"6:00\"").is_err());
}

#[test]
fn a_bill_is_one_line_in_each_language() {
    let names = [("en", "Parking"), ("de", "Parken")];
    let rates = Rates::hourly().with(|rates| {
        rates.name = Text(
            names
                .map(|(tag, name)| (tag.to_owned(), name.to_owned()))
                .into(),
        );
    });
    let tariff = rates.tariff();
    let bill = |exit| {
        let quote = tariff.quote(&passage("2026-01-10T09:00Z"), &passage(exit), None);
        tariff.bill(&quote.unwrap())
    };
    let same_day = bill("2026-01-10T10:30Z");
    assert_eq!(same_day.amount, Money::new(400, euro()).unwrap());
    let [line] = &same_day.lines[..] else {
        panic!("not one line: {same_day:?}")
    };
    assert_eq!((line.quantity, line.amount), (1, same_day.amount));
    assert_eq!(
        line.text.in_language("en"),
        "Parking, 2026-01-10 10:00 – 11:30"
    );
    assert_eq!(
        line.text.in_language("de"),
        "Parken, 2026-01-10 10:00 – 11:30"
    );
    let next_day = bill("2026-01-10T23:30Z");
    assert_eq!(
        next_day.lines[0].text.in_language("en"),
        "Parking, 2026-01-10 10:00 – 2026-01-11 00:30"
    );
}
