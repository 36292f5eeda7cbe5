//! Instants, places and payments as people type them.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use protocol::id::{IdError, PlaceId};
use protocol::money::Currency;
use protocol::time::Utc;
use tariff::Paid;

use super::Spot;
use crate::registry::price;

/// Why words say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordError {
    #[error(
        "'{text}' is no instant: write 2026-03-01T10:00 as the site's clocks show it, or with an \
         offset, 2026-03-01T10:00+08:00"
    )]
    Instant { text: String },
    #[error("clocks of {zone} never show {text}: they skip it")]
    Skipped { text: String, zone: String },
    #[error("clocks of {zone} show {text} twice: write {text}{first} or {text}{second}")]
    Twice {
        text: String,
        zone: String,
        first: String,
        second: String,
    },
    #[error(transparent)]
    Place(#[from] IdError),
    #[error("no terminal of the site stands at '{place}': places are {places}")]
    NoSuchPlace { place: PlaceId, places: String },
    #[error("places have prices here: write '{text}@PLACE', one of {places}")]
    PlaceMissing { text: String, places: String },
    #[error("'{text}' is no payment ({reason}): write for example 4.50@2026-03-01T10:00")]
    Paid { text: String, reason: String },
}

/// What words are read by.
#[derive(Debug)]
pub(super) struct Site<'a> {
    pub(super) zone: &'a TimeZone,
    pub(super) zone_name: &'a str,
    pub(super) currency: Currency,
    pub(super) places: &'a [PlaceId],
    pub(super) needs_places: bool,
}

impl Site<'_> {
    fn listed(&self) -> String {
        let names: Vec<&str> = self.places.iter().map(PlaceId::as_str).collect();
        names.join(", ")
    }
}

/// `T` or `T@PLACE`.
pub(super) fn spot(text: &str, site: &Site<'_>) -> Result<Spot, WordError> {
    let Some((time, place)) = text.split_once('@') else {
        let at = instant(text, site)?;
        if site.needs_places {
            let (text, places) = (text.to_owned(), site.listed());
            return Err(WordError::PlaceMissing { text, places });
        }
        return Ok(Spot { at, place: None });
    };
    let at = instant(time, site)?;
    let place: PlaceId = place.parse()?;
    if !site.places.contains(&place) {
        let places = site.listed();
        return Err(WordError::NoSuchPlace { place, places });
    }
    let place = Some(place);
    Ok(Spot { at, place })
}

/// `AMOUNT@T`.
pub(super) fn paid(text: &str, site: &Site<'_>, clock_error_ms: u64) -> Result<Paid, WordError> {
    let refuse = |reason: String| WordError::Paid {
        text: shortened(text),
        reason,
    };
    let (amount, time) = text
        .split_once('@')
        .ok_or_else(|| refuse("there is no @".to_owned()))?;
    Ok(Paid {
        at: instant(time, site)?,
        clock_error_ms,
        amount: price::parse(amount, site.currency).map_err(refuse)?,
    })
}

/// With an offset, or as the site's clocks show it, if they show it once.
fn instant(text: &str, site: &Site<'_>) -> Result<Utc, WordError> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.into());
    }
    let refused = || WordError::Instant {
        text: shortened(text),
    };
    // A day alone is no instant, though it reads as one.
    let shown: DateTime = match text.contains(':') {
        true => text.parse().map_err(|_| refused())?,
        false => return Err(refused()),
    };
    let ambiguous = site.zone.to_ambiguous_timestamp(shown);
    let (text, zone) = (text.to_owned(), site.zone_name.to_owned());
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => {
            let instant = ambiguous.unambiguous().map_err(|_| refused())?;
            Ok(instant.into())
        }
        AmbiguousOffset::Gap { .. } => Err(WordError::Skipped { text, zone }),
        AmbiguousOffset::Fold { before, after } => Err(WordError::Twice {
            text,
            zone,
            first: offset(before),
            second: offset(after),
        }),
    }
}

/// `+02:00`.
fn offset(offset: jiff::tz::Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let minutes = seconds.abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
