//! Tariffs in a few words, and bills as one line of text.

use protocol::message::{
    Band, FreeMinutes, FreeStays, Passage, PlacePrice, RECKONING, Rounding, RoundingDirection,
    Tariff, Text, TimeRates, VisitRates,
};
use protocol::money::{Currency, Money};
use protocol::time::{TimeOfDay, Utc};
use tariff::{Effect, Line, Paid, QuoteError, VisitQuote, VisitTariff, What};

pub(crate) fn euro() -> Currency {
    "EUR".parse().unwrap()
}

pub(crate) fn cents(minor: i64) -> Money {
    Money::new(minor, euro()).unwrap()
}

/// Rates of a car park in Berlin, added word by word.
#[derive(Debug, Clone)]
pub(crate) struct Rates(pub(crate) VisitRates);

impl Rates {
    pub(crate) fn new() -> Self {
        Self(VisitRates {
            reckoning: RECKONING,
            name: Text::english("Parking"),
            time_zone: "Europe/Berlin".to_owned(),
            time: None,
            places: Vec::new(),
            other_places: None,
            minimum: None,
            visit_cap: None,
            rounding: None,
            length_max_days: 31,
        })
    }

    /// Two euros for each started hour of the day, at all hours.
    pub(crate) fn hourly() -> Self {
        Self::new().band("Hour", "00:00", (200, 60))
    }

    /// Two euros an hour from 6 to 22, half a euro at night.
    pub(crate) fn day_and_night() -> Self {
        Self::new()
            .band("Day", "06:00", (200, 60))
            .band("Night", "22:00", (50, 60))
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut VisitRates)) -> Self {
        change(&mut self.0);
        self
    }

    pub(crate) fn with_time(self, change: impl FnOnce(&mut TimeRates)) -> Self {
        self.with(|rates| {
            change(rates.time.get_or_insert(TimeRates {
                bands: Vec::new(),
                free: None,
                day_cap: None,
                day_starts: TimeOfDay::MIDNIGHT,
                leave_minutes: 15,
            }));
        })
    }

    pub(crate) fn band(self, name: &str, from: &str, (price, minutes): (i64, u16)) -> Self {
        let band = Band {
            name: Text::english(name),
            from: from.parse().unwrap(),
            price: cents(price),
            minutes,
        };
        self.with_time(|time| time.bands.push(band))
    }

    pub(crate) fn zone(self, name: &str) -> Self {
        self.with(|rates| rates.time_zone = name.to_owned())
    }

    pub(crate) fn free(self, minutes: u16, stays: FreeStays) -> Self {
        self.with_time(|time| time.free = Some(FreeMinutes { minutes, stays }))
    }

    pub(crate) fn day_cap(self, minor: i64) -> Self {
        self.with_time(|time| time.day_cap = Some(cents(minor)))
    }

    pub(crate) fn day_starts(self, at: &str) -> Self {
        self.with_time(|time| time.day_starts = at.parse().unwrap())
    }

    pub(crate) fn visit_cap(self, minor: i64) -> Self {
        self.with(|rates| rates.visit_cap = Some(cents(minor)))
    }

    pub(crate) fn minimum(self, minor: i64) -> Self {
        self.with(|rates| rates.minimum = Some(cents(minor)))
    }

    pub(crate) fn rounding(self, step: i64, direction: RoundingDirection) -> Self {
        let step = cents(step);
        self.with(|rates| rates.rounding = Some(Rounding { step, direction }))
    }

    pub(crate) fn pair(self, from: &str, to: &str, minor: i64) -> Self {
        let price = PlacePrice {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            price: cents(minor),
        };
        self.with(|rates| rates.places.push(price))
    }

    pub(crate) fn other_places(self, minor: i64) -> Self {
        self.with(|rates| rates.other_places = Some(cents(minor)))
    }

    pub(crate) fn wire(&self) -> Tariff {
        Tariff {
            currency: euro(),
            items: Vec::new(),
            visit: Some(self.0.clone()),
        }
    }

    pub(crate) fn tariff(&self) -> VisitTariff {
        VisitTariff::new(&self.wire()).unwrap()
    }

    pub(crate) fn quote(&self, entry: &str, exit: &str) -> Result<VisitQuote, QuoteError> {
        self.tariff().quote(&passage(entry), &passage(exit), None)
    }

    /// All lines and the amount: `Hour 10:00-14:30 5x200=1000; total 1000`.
    pub(crate) fn billed(&self, entry: &str, exit: &str) -> String {
        self.told(&self.quote(entry, exit).unwrap())
    }

    pub(crate) fn billed_after(&self, entry: &str, exit: &str, paid: &Paid) -> String {
        let quote = self
            .tariff()
            .quote(&passage(entry), &passage(exit), Some(paid));
        self.told(&quote.unwrap())
    }

    fn told(&self, quote: &VisitQuote) -> String {
        let lines = quote.lines.iter().map(|line| self.told_line(line));
        let total = format!("total {}", quote.amount.minor());
        lines.chain([total]).collect::<Vec<_>>().join("; ")
    }

    fn told_line(&self, line: &Line) -> String {
        let what = match &line.what {
            What::Free { from, to, .. } => format!("free {}", self.clocks(*from, *to)),
            What::Time {
                band,
                from,
                to,
                count,
                price,
                ..
            } => {
                let period = self.clocks(*from, *to);
                let band = band.in_language("en");
                format!("{band} {period} {count}x{}", price.minor())
            }
            What::DayCap { day, .. } => format!("cap {day}"),
            What::Place {
                entry_place,
                exit_place,
            } => format!("{entry_place}>{exit_place}"),
            What::Minimum { .. } => "minimum".to_owned(),
            What::VisitCap { .. } => "cap".to_owned(),
            What::Rounding { .. } => "rounding".to_owned(),
            What::Paid { .. } => "paid".to_owned(),
        };
        format!("{what}={}", signed(line))
    }

    /// As clocks there show it.
    fn clocks(&self, from: Utc, to: Utc) -> String {
        let database = jiff::tz::TimeZoneDatabase::bundled();
        let zone = database.get(&self.0.time_zone).unwrap();
        let shown = |at: Utc| zone.to_datetime(at.into()).strftime("%H:%M").to_string();
        format!("{}-{}", shown(from), shown(to))
    }
}

/// Minor units, negative for what is taken off.
pub(crate) fn signed(line: &Line) -> i64 {
    match line.effect {
        Effect::Charge => line.amount.minor(),
        Effect::Reduction => -line.amount.minor(),
    }
}

pub(crate) fn at(text: &str) -> Utc {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

/// `2026-01-10T10:00+01:00`, with `@place` and `~error in ms` behind it where they matter.
pub(crate) fn passage(text: &str) -> Passage {
    let (text, clock_error_ms) = text.split_once('~').unwrap_or((text, "0"));
    let (time, place) = text.split_once('@').unwrap_or((text, "a"));
    Passage {
        place: place.parse().unwrap(),
        at: at(time),
        clock_error_ms: clock_error_ms.parse().unwrap(),
    }
}

/// The calculation by hand, the tariff, entry, exit, and all lines with the total.
pub(crate) type Case<'a> = (&'a str, &'a Rates, &'a str, &'a str, &'a str);

pub(crate) fn check(cases: &[Case<'_>]) {
    for (by_hand, rates, entry, exit, expected) in cases {
        assert_eq!(rates.billed(entry, exit), *expected, "{by_hand}");
    }
}
