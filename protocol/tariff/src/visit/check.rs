//! Whether rates hold together. What passes prices every visit within its bounds.

use protocol::message::{Band, Digest, PlacePrice, RECKONING, Tariff, Text, TimeRates, VisitRates};
use protocol::money::{Currency, Money, MoneyError};

use super::calendar::{self, Calendar};

/// Most bands of a day: morning, noon, afternoon, evening, night and one more. Each adds a line per
/// day to the explanation of a bill.
pub const BANDS_MAX: usize = 6;

/// Most prices of pairs: like items, they must fit one payload.
pub const PLACE_PAIRS_MAX: usize = 40;

/// Longest interval: a week.
pub const INTERVAL_MAX_MINUTES: u16 = 7 * 24 * 60;

/// Most free minutes, and longest time to leave: a day. More of them is another tariff.
pub const WAIT_MAX_MINUTES: u16 = 24 * 60;

/// Longest visit that is priced: a quarter of a year has at most 92 days, and a bill of so many days
/// has as many lines as anybody follows. What stays longer was forgotten, and is for a person.
pub const LENGTH_MAX_DAYS: u16 = 92;

/// What is wrong with the rates of a tariff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}; {fix}", named(.field))]
pub struct RatesError {
    /// Where in [`VisitRates`], such as `bands[1].from`. Empty for the rates as a whole.
    pub field: String,
    pub reason: String,
    pub fix: &'static str,
}

/// Rates that hold together, ready to price visits.
///
/// ```
/// use protocol::message::{Band, Passage, RECKONING, Tariff, Text, TimeRates, VisitRates};
/// use protocol::money::{Currency, Money};
/// use protocol::time::{TimeOfDay, Utc};
///
/// let currency: Currency = "EUR".parse().unwrap();
/// let hour = Band {
///     name: Text::english("Hour"),
///     from: TimeOfDay::MIDNIGHT,
///     price: Money::new(200, currency).unwrap(),
///     minutes: 60,
/// };
/// let visit = VisitRates {
///     reckoning: RECKONING,
///     name: Text::english("Parking"),
///     time_zone: "Europe/Berlin".to_owned(),
///     time: Some(TimeRates {
///         bands: vec![hour],
///         free: None,
///         day_cap: None,
///         day_starts: TimeOfDay::MIDNIGHT,
///         leave_minutes: 15,
///     }),
///     places: vec![],
///     other_places: None,
///     minimum: None,
///     visit_cap: None,
///     rounding: None,
///     length_max_days: 31,
/// };
/// let tariff = Tariff { currency, items: vec![], visit: Some(visit) };
/// let at_minute = |minute: i64| Passage {
///     place: "gate".parse().unwrap(),
///     at: Utc::from_millis(minute * 60_000).unwrap(),
///     clock_error_ms: 0,
/// };
///
/// let tariff = tariff::VisitTariff::new(&tariff).unwrap();
/// let quote = tariff.quote(&at_minute(0), &at_minute(61), None).unwrap();
/// assert_eq!(quote.amount.to_string(), "4.00 EUR");
/// assert!(tariff.quote(&at_minute(61), &at_minute(0), None).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct VisitTariff {
    pub(super) version: Digest,
    pub(super) currency: Currency,
    pub(super) rates: VisitRates,
    pub(super) calendar: Calendar,
}

impl VisitTariff {
    /// The visit's part of `tariff`.
    ///
    /// # Errors
    /// The first field that is wrong; also if the tariff has no rates for visits.
    pub fn new(tariff: &Tariff) -> Result<Self, RatesError> {
        let missing = || wrong("", "this tariff has no rate for visits", "add one");
        let rates = tariff.visit.clone().ok_or_else(missing)?;
        if rates.reckoning != RECKONING {
            let reason = format!("rules {} are not ours ({RECKONING})", rates.reckoning);
            return Err(wrong("reckoning", reason, "bring both ends to one version"));
        }
        let calendar = calendar(&rates)?;
        check_text("name", &rates.name)?;
        check_kind(&rates)?;
        if let Some(time) = &rates.time {
            check_time(time)?;
        }
        check_places(&rates)?;
        check_length(&rates)?;
        check_money(tariff.currency, &rates)?;
        check_limits(&rates)?;
        Ok(Self {
            version: tariff.version(),
            currency: tariff.currency,
            rates,
            calendar,
        })
    }
}

/// Whether bands and days can be told there. The host's own zones are not asked.
#[must_use]
pub fn is_time_zone(name: &str) -> bool {
    calendar::zone(name).is_some()
}

fn named(field: &str) -> String {
    if field.is_empty() {
        String::new()
    } else {
        format!("{field}: ")
    }
}

fn wrong(field: impl Into<String>, reason: impl Into<String>, fix: &'static str) -> RatesError {
    RatesError {
        field: field.into(),
        reason: reason.into(),
        fix,
    }
}

fn calendar(rates: &VisitRates) -> Result<Calendar, RatesError> {
    let zone = calendar::zone(&rates.time_zone).ok_or_else(|| {
        let reason = format!("'{}' is no IANA time zone", rates.time_zone);
        wrong("time_zone", reason, "write for example Europe/Berlin")
    })?;
    let time = rates.time.as_ref();
    let bands = time.into_iter().flat_map(|time| &time.bands);
    let days = time.filter(|time| time.day_cap.is_some());
    Ok(Calendar::new(
        zone,
        bands.map(|band| band.from),
        days.map(|time| time.day_starts),
    ))
}

fn check_text(field: &str, text: &Text) -> Result<(), RatesError> {
    if text.in_language("en").trim().is_empty() {
        let fix = "write for example { en = \"Parking\" }";
        return Err(wrong(field, "is empty", fix));
    }
    Ok(())
}

fn check_kind(rates: &VisitRates) -> Result<(), RatesError> {
    let has_places = !rates.places.is_empty() || rates.other_places.is_some();
    if rates.time.is_none() && !has_places {
        let reason = "neither time nor places have a price";
        return Err(wrong("", reason, "add bands, places or both"));
    }
    Ok(())
}

fn check_time(time: &TimeRates) -> Result<(), RatesError> {
    if time.bands.is_empty() || time.bands.len() > BANDS_MAX {
        let reason = format!("{} bands are not 1 to {BANDS_MAX}", time.bands.len());
        return Err(wrong("bands", reason, "divide the day into fewer bands"));
    }
    for (index, band) in time.bands.iter().enumerate() {
        check_band(index, band)?;
        if index > 0 && time.bands[index - 1].from >= band.from {
            let reason = format!("{} is not after the band before it", band.from);
            let fix = "list bands in the order of the day; each lasts until the next";
            return Err(wrong(format!("bands[{index}].from"), reason, fix));
        }
    }
    let waits = [
        ("free_minutes", time.free.map_or(0, |free| free.minutes)),
        ("leave_minutes", time.leave_minutes),
    ];
    for (field, minutes) in waits {
        if minutes > WAIT_MAX_MINUTES {
            let reason = format!("{minutes} are more than {WAIT_MAX_MINUTES}");
            return Err(wrong(field, reason, "write minutes of a day at most"));
        }
    }
    Ok(())
}

fn check_band(index: usize, band: &Band) -> Result<(), RatesError> {
    check_text(&format!("bands[{index}].name"), &band.name)?;
    if !(1..=INTERVAL_MAX_MINUTES).contains(&band.minutes) {
        let reason = format!(
            "{} is not within 1 and {INTERVAL_MAX_MINUTES}",
            band.minutes
        );
        let field = format!("bands[{index}].minutes");
        return Err(wrong(field, reason, "60 is an hour, 1440 a day"));
    }
    Ok(())
}

fn check_places(rates: &VisitRates) -> Result<(), RatesError> {
    let pairs = &rates.places;
    if pairs.len() > PLACE_PAIRS_MAX {
        let reason = format!("{} pairs are more than {PLACE_PAIRS_MAX}", pairs.len());
        return Err(wrong("places", reason, "price the rest by other_places"));
    }
    for (index, pair) in pairs.iter().enumerate() {
        let is_same = |other: &PlacePrice| other.from == pair.from && other.to == pair.to;
        if pairs[..index].iter().any(is_same) {
            let reason = format!("'{}' to '{}' is listed twice", pair.from, pair.to);
            return Err(wrong(format!("places[{index}]"), reason, "remove one"));
        }
    }
    Ok(())
}

fn check_length(rates: &VisitRates) -> Result<(), RatesError> {
    if (1..=LENGTH_MAX_DAYS).contains(&rates.length_max_days) {
        return Ok(());
    }
    let reason = format!(
        "{} is not within 1 and {LENGTH_MAX_DAYS}",
        rates.length_max_days
    );
    Err(wrong("length_max_days", reason, "31 is usual"))
}

/// Every amount is of one currency, and the dearest visit is still money.
fn check_money(currency: Currency, rates: &VisitRates) -> Result<(), RatesError> {
    for (field, amount) in amounts(rates) {
        if amount.currency() != currency {
            let reason = format!("{amount} is not in {currency}");
            return Err(wrong(field, reason, "use the currency of the tariff"));
        }
    }
    dearest(currency, rates).map(drop).map_err(|_| {
        let reason = "the longest visit would cost more than we count";
        wrong("", reason, "lower prices or length_max_days")
    })
}

fn amounts(rates: &VisitRates) -> Vec<(String, Money)> {
    let mut amounts = Vec::new();
    let mut add = |field: String, amount: Option<Money>| {
        amounts.extend(amount.map(|amount| (field, amount)));
    };
    for (index, pair) in rates.places.iter().enumerate() {
        add(format!("places[{index}].price"), Some(pair.price));
    }
    let time = rates.time.as_ref();
    for (index, band) in time
        .into_iter()
        .flat_map(|time| time.bands.iter().enumerate())
    {
        add(format!("bands[{index}].price"), Some(band.price));
    }
    add("day_cap".to_owned(), time.and_then(|time| time.day_cap));
    add("other_places".to_owned(), rates.other_places);
    add("minimum".to_owned(), rates.minimum);
    add("visit_cap".to_owned(), rates.visit_cap);
    let step = rates.rounding.map(|rounding| rounding.step);
    add("rounding.step".to_owned(), step);
    amounts
}

/// More than any visit costs before its caps.
fn dearest(currency: Currency, rates: &VisitRates) -> Result<Money, MoneyError> {
    let days = i64::from(rates.length_max_days);
    let bands = rates.time.iter().flat_map(|time| &time.bands);
    let mut sum = Money::zero(currency);
    for band in bands {
        // On each day a band may be entered twice, and the days before and after count too; every
        // piece of it ends with an interval that is not full.
        let intervals = days * 24 * 60 / i64::from(band.minutes) + 2 * (days + 2);
        sum = sum.checked_add(band.price.checked_mul(intervals)?)?;
    }
    let places = rates.places.iter().map(|pair| pair.price);
    let dear = places.chain(rates.other_places).max_by_key(Money::minor);
    let step = rates.rounding.map(|rounding| rounding.step);
    for more in dear.into_iter().chain(step) {
        sum = sum.checked_add(more)?;
    }
    Ok(sum)
}

/// Limits that contradict one another would make a bill break one of them.
fn check_limits(rates: &VisitRates) -> Result<(), RatesError> {
    let caps = [
        ("day_cap", rates.time.as_ref().and_then(|time| time.day_cap)),
        ("visit_cap", rates.visit_cap),
    ];
    for (field, cap) in caps {
        if let (Some(cap), Some(minimum)) = (cap, rates.minimum)
            && cap.minor() < minimum.minor()
        {
            let reason = format!("{cap} is less than the minimum of {minimum}");
            return Err(wrong(field, reason, "lower the minimum"));
        }
    }
    let Some(rounding) = rates.rounding else {
        return Ok(());
    };
    if rounding.step.is_zero() {
        let fix = "write for example \"0.50\"";
        return Err(wrong("rounding.step", "nothing is a multiple of 0", fix));
    }
    for (field, limit) in caps.into_iter().chain([("minimum", rates.minimum)]) {
        if let Some(limit) = limit
            && limit.minor() % rounding.step.minor() != 0
        {
            let reason = format!("{limit} is no multiple of rounding.step {}", rounding.step);
            return Err(wrong(field, reason, "write one, or no bill could be it"));
        }
    }
    Ok(())
}
