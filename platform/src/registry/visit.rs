//! From the `[visit]` that an owner wrote to rates that hold together.

use process::config::ConfigError;
use protocol::message::{
    Band, FreeMinutes, PlacePrice, RECKONING, Rounding, Tariff, TimeRates, VisitRates,
};
use protocol::money::Money;
use tariff::VisitTariff;

use super::build::field;
use super::price;
use crate::site::{Described, Visit};

/// Amounts of one site, each refused under its field's name.
struct Amounts<'a> {
    described: &'a Described,
}

pub(super) fn rates(described: &Described) -> Result<Option<VisitRates>, ConfigError> {
    let Some(visit) = &described.site.visit else {
        return Ok(None);
    };
    check_places(described, visit)?;
    let amounts = Amounts { described };
    let rounding = visit.rounding.as_ref().map(|rounding| {
        let step = amounts.read("rounding.step", &rounding.step)?;
        Ok(Rounding {
            step,
            direction: rounding.direction,
        })
    });
    Ok(Some(VisitRates {
        reckoning: RECKONING,
        name: visit.name.clone(),
        time_zone: described.site.time_zone.clone(),
        time: time(&amounts, visit)?,
        places: places(&amounts, visit)?,
        other_places: amounts.optional("other_places", visit.other_places.as_ref())?,
        minimum: amounts.optional("minimum", visit.minimum.as_ref())?,
        visit_cap: amounts.optional("visit_cap", visit.visit_cap.as_ref())?,
        rounding: rounding.transpose()?,
        length_max_days: visit.length_max_days,
    }))
}

/// What no field alone can tell, by the code that will price.
pub(super) fn check(described: &Described, tariff: &Tariff) -> Result<(), ConfigError> {
    if tariff.visit.is_none() {
        return Ok(());
    }
    let checked = VisitTariff::new(tariff);
    checked.map(drop).map_err(|error| {
        let name = match error.field.as_str() {
            "" => "visit".to_owned(),
            name => format!("visit.{name}"),
        };
        field(described, name, error.reason, error.fix)
    })
}

impl Amounts<'_> {
    fn read(&self, name: &str, text: &str) -> Result<Money, ConfigError> {
        price::parse(text, self.described.site.currency).map_err(|reason| {
            let name = format!("visit.{name}");
            field(self.described, name, reason, "write for example \"4.50\"")
        })
    }

    fn optional(&self, name: &str, text: Option<&String>) -> Result<Option<Money>, ConfigError> {
        text.map(|text| self.read(name, text)).transpose()
    }
}

fn time(amounts: &Amounts<'_>, visit: &Visit) -> Result<Option<TimeRates>, ConfigError> {
    if visit.bands.is_empty() {
        return no_time(amounts.described, visit).map(|()| None);
    }
    let bands = visit.bands.iter().enumerate().map(|(index, band)| {
        let price = amounts.read(&format!("bands[{index}].price"), &band.price)?;
        Ok(Band {
            name: band.name.clone(),
            from: band.from,
            price,
            minutes: band.minutes,
        })
    });
    let free = |minutes| FreeMinutes {
        minutes,
        stays: visit.free_stays,
    };
    Ok(Some(TimeRates {
        bands: bands.collect::<Result<_, ConfigError>>()?,
        free: visit.free_minutes.map(free),
        day_cap: amounts.optional("day_cap", visit.day_cap.as_ref())?,
        day_starts: visit.day_starts,
        leave_minutes: visit.leave_minutes,
    }))
}

/// Whoever writes these thinks that time costs something.
fn no_time(described: &Described, visit: &Visit) -> Result<(), ConfigError> {
    let of_time = [
        ("visit.free_minutes", visit.free_minutes.is_some()),
        ("visit.day_cap", visit.day_cap.is_some()),
    ];
    match of_time.into_iter().find(|(_, is_written)| *is_written) {
        None => Ok(()),
        Some((name, _)) => {
            let fix = "add [[visit.bands]] or remove it";
            Err(field(described, name, "time costs nothing here", fix))
        }
    }
}

fn places(amounts: &Amounts<'_>, visit: &Visit) -> Result<Vec<PlacePrice>, ConfigError> {
    let pairs = visit.places.iter().enumerate();
    pairs
        .map(|(index, pair)| {
            Ok(PlacePrice {
                from: pair.from.clone(),
                to: pair.to.clone(),
                price: amounts.read(&format!("places[{index}].price"), &pair.price)?,
            })
        })
        .collect()
}

/// A price for a place where no terminal stands is a misspelt price.
fn check_places(described: &Described, visit: &Visit) -> Result<(), ConfigError> {
    let terminals = &described.site.terminals;
    for (index, pair) in visit.places.iter().enumerate() {
        for (end, place) in [("from", &pair.from), ("to", &pair.to)] {
            if terminals.iter().all(|terminal| terminal.place.id != *place) {
                let name = format!("visit.places[{index}].{end}");
                let reason = format!("no terminal stands at '{place}'");
                let fix = "write the id of a terminal's place";
                return Err(field(described, name, reason, fix));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::message::{FreeStays, RoundingDirection};
    use protocol::time::TimeOfDay;

    use super::super::Registry;
    use super::*;
    use crate::site::Site;

    /// Without [`VISIT`], which follows its first table.
    const SITE: &str = r#"
        id = "north"
        currency = "CNY"
        time_zone = "Asia/Shanghai"
        gateway = "mock"
        merchant = { name = "North", about = { en = "Parking" }, help = "Call 1" }
        payee = { id = "north", name = "North Ltd" }
        [[terminals]]
        id = "gate-1"
        place = { id = "entry", name = "Entry" }
        public_key = "oJql9HpnWYAv-VX43C0qFKXJnSO-l_hkEn_5ODRVpPA"
    "#;

    const VISIT: &str = r#"
        [visit]
        name = { en = "Parking" }
        free_minutes = 10
        day_cap = "20.00"
        minimum = "1.00"
        other_places = "0"
        rounding = { step = "0.50" }
        [[visit.bands]]
        name = { en = "Day" }
        price = "2.00"
        minutes = 60
        [[visit.places]]
        from = "entry"
        to = "entry"
        price = "3"
    "#;

    fn tariff(visit: &str) -> Result<Tariff, ConfigError> {
        let origin = "north.toml".to_owned();
        let site: Site = process::config::parse(&origin, &format!("{SITE}{visit}"))?;
        let registry = Registry::build(&[Described { origin, site }])?;
        let terminal = registry.terminals().next().unwrap();
        Ok(terminal.site.tariff.clone())
    }

    fn yuan(minor: i64) -> Money {
        Money::new(minor, "CNY".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_visit_becomes_rates_with_defaults() {
        let tariff = tariff(VISIT).unwrap();
        assert!(tariff.items.is_empty());
        let rates = tariff.visit.unwrap();
        assert_eq!(rates.time_zone, "Asia/Shanghai");
        assert_eq!((rates.reckoning, rates.length_max_days), (RECKONING, 31));
        assert_eq!(rates.other_places, Some(yuan(0)));
        assert_eq!((rates.minimum, rates.visit_cap), (Some(yuan(100)), None));
        let rounding = Rounding {
            step: yuan(50),
            direction: RoundingDirection::Down,
        };
        assert_eq!(rates.rounding, Some(rounding));
        assert_eq!(rates.places[0].price, yuan(300));
        let time = rates.time.unwrap();
        let free = FreeMinutes {
            minutes: 10,
            stays: FreeStays::Short,
        };
        assert_eq!((time.free, time.day_cap), (Some(free), Some(yuan(2_000))));
        assert_eq!(
            (time.day_starts, time.leave_minutes),
            (TimeOfDay::MIDNIGHT, 15)
        );
        let band = &time.bands[0];
        assert_eq!(
            (band.from, band.price, band.minutes),
            (TimeOfDay::MIDNIGHT, yuan(200), 60)
        );
    }

    #[test]
    fn a_site_sells_items_or_visits() {
        let line = tariff("").unwrap_err().to_string();
        let expected =
            "north.toml: items: 0 items are not 1 to 40; sell less kinds of things, or any";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_fault_is_one_line_with_file_field_and_fix() {
        let cases = [
            (
                "\"2.00\"",
                "\"2.005\"",
                "north.toml: visit.bands[0].price: 2.005 has more decimals than CNY has (2); write for example \"4.50\"",
            ),
            (
                "\"20.00\"",
                "20.00",
                "north.toml: visit.day_cap: invalid type: floating point `20.0`, expected a string; correct the value",
            ),
            (
                "\"20.00\"",
                "\"20.10\"",
                "north.toml: visit.day_cap: 20.10 CNY is no multiple of rounding.step 0.50 CNY; write one, or no bill could be it",
            ),
            (
                "step = \"0.50\"",
                "step = \"-1\"",
                "north.toml: visit.rounding.step: '-1' is no price; write for example \"4.50\"",
            ),
            (
                "name = { en = \"Day\" }",
                "name = { en = \"Day\" }\nfrom = \"6:00\"",
                "north.toml: visit.bands[0].from: '6:00' is no time of day: write for example 08:30; correct the value",
            ),
            (
                "minutes = 60",
                "minutes = 0",
                "north.toml: visit.bands[0].minutes: 0 is not within 1 and 10080; 60 is an hour, 1440 a day",
            ),
            (
                "to = \"entry\"",
                "to = \"exit\"",
                "north.toml: visit.places[0].to: no terminal stands at 'exit'; write the id of a terminal's place",
            ),
            (
                "free_minutes = 10",
                "free_minuts = 10",
                "north.toml: visit.free_minuts: unknown field `free_minuts`, expected one of `name`, `bands`, `free_minutes`, `free_stays`, `day_cap`, `day_starts`, `leave_minutes`, `places`, `other_places`, `minimum`, `visit_cap`, `rounding`, `length_max_days`; correct its name or remove it",
            ),
            (
                "free_minutes = 10",
                "free_stays = \"long\"",
                "north.toml: visit.free_stays: unknown variant `long`, expected `short` or `all`; correct the value",
            ),
            (
                "[[visit.bands]]\n        name = { en = \"Day\" }\n        price = \"2.00\"\n        minutes = 60",
                "",
                "north.toml: visit.free_minutes: time costs nothing here; add [[visit.bands]] or remove it",
            ),
            (
                "name = { en = \"Parking\" }",
                "name = { en = \"\" }",
                "north.toml: visit.name: is empty; write for example { en = \"Parking\" }",
            ),
        ];
        for (from, to, line) in cases {
            assert!(VISIT.contains(from), "{from}");
            let error = tariff(&VISIT.replace(from, to)).unwrap_err();
            assert_eq!(error.to_string(), line);
        }
        let neither = tariff("[visit]\nname = { en = \"Parking\" }\n").unwrap_err();
        assert_eq!(
            neither.to_string(),
            "north.toml: visit: neither time nor places have a price; add bands, places or both"
        );
    }

    #[test]
    fn rates_that_fit_no_message_are_found_at_the_start() {
        let long = format!("en = \"{}\"", "Parking ".repeat(1_000));
        let error = tariff(&VISIT.replace("en = \"Parking\"", &long)).unwrap_err();
        let line = error.to_string();
        assert!(
            line.starts_with("north.toml: visit: a signed paylatch.site_config.v1"),
            "{line}"
        );
    }
}
