//! `tariff quote`: what a visit would cost at a site, and how that comes about.
//!
//! It reads one site file as the platform would and asks nobody, so an owner tries a tariff before
//! terminals have it.

mod table;
mod words;

use std::path::Path;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use process::config::ConfigError;
use process::exit::{Code, Failure};
use protocol::id::{PlaceId, SiteId};
use protocol::message::Passage;
use protocol::time::Utc;
use serde::Serialize;
use tariff::{VisitQuote, VisitTariff};

use crate::registry::{Registry, Terminal};
use crate::site;
use words::{Site, WordError};

/// A visit as a person writes it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The site's file.
    pub site: &'a Path,
    /// `T` or `T@PLACE`.
    pub entry: &'a str,
    pub exit: &'a str,
    /// `AMOUNT@T`.
    pub paid: Option<&'a str>,
    /// Of every clock.
    pub clock_error_ms: u64,
}

/// The price of a visit: a table for people by `Display`, or JSON.
#[derive(Debug, Serialize)]
pub struct Explained {
    site: SiteId,
    time_zone: String,
    entry: Spot,
    exit: Spot,
    clock_error_ms: u64,
    #[serde(flatten)]
    quote: VisitQuote,
    #[serde(skip)]
    zone: TimeZone,
}

/// What was said of a passage.
#[derive(Debug, Clone, Serialize)]
struct Spot {
    at: Utc,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<PlaceId>,
}

impl Explained {
    /// One JSON document: the quote's own fields beside those of the question.
    ///
    /// # Errors
    /// None that is known: all of it has a JSON form.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// Prices the visit.
///
/// # Errors
/// A [`ConfigError`] for the site file; [`Code::Usage`] for words that say nothing;
/// [`Code::Failed`] for a visit that has no price.
pub fn explain(question: &Question<'_>) -> Result<Explained, anyhow::Error> {
    let described = only(question.site)?;
    let registry = Registry::build(std::slice::from_ref(&described))?;
    let places = registry
        .terminals()
        .map(|terminal| terminal.place.id.clone());
    let places: Vec<PlaceId> = places.collect();
    let (Some(terminal), Some(visit)) = (registry.terminals().next(), &described.site.visit) else {
        return Err(without_visit(&described).into());
    };
    let site = Site {
        zone: &zone(terminal)?,
        zone_name: &terminal.site.time_zone,
        currency: terminal.site.tariff.currency,
        places: &places,
        needs_places: !visit.places.is_empty() || visit.other_places.is_some(),
    };
    let tariff = VisitTariff::new(&terminal.site.tariff)?;
    let usage = |error: WordError| Failure::new(Code::Usage, error.to_string());
    let spot = |text| words::spot(text, &site).map_err(usage);
    let (entry, exit) = (spot(question.entry)?, spot(question.exit)?);
    let paid = question
        .paid
        .map(|text| words::paid(text, &site, question.clock_error_ms));
    let paid = paid.transpose().map_err(usage)?;
    let passage = |spot: &Spot| Passage {
        // Where places have no price, any of them is as good.
        place: spot
            .place
            .clone()
            .unwrap_or_else(|| terminal.place.id.clone()),
        at: spot.at,
        clock_error_ms: question.clock_error_ms,
    };
    let quote = tariff
        .quote(&passage(&entry), &passage(&exit), paid.as_ref())
        .map_err(|error| Failure::new(Code::Failed, error.to_string()))?;
    Ok(Explained {
        site: terminal.site.id.clone(),
        time_zone: terminal.site.time_zone.clone(),
        entry,
        exit,
        clock_error_ms: question.clock_error_ms,
        quote,
        zone: site.zone.clone(),
    })
}

fn only(path: &Path) -> Result<site::Described, anyhow::Error> {
    let mut sites = site::read(path)?;
    match (sites.pop(), sites.is_empty()) {
        (Some(described), true) => Ok(described),
        _ => {
            let line = format!("{}: more than one site; name one file", path.display());
            Err(Failure::new(Code::Usage, line).into())
        }
    }
}

fn without_visit(described: &site::Described) -> ConfigError {
    ConfigError::Field {
        origin: described.origin.clone(),
        field: "visit".to_owned(),
        reason: "this site has no price for visits".to_owned(),
        fix: "add [visit]: see deploy/platform/parking.example.toml",
    }
}

fn zone(terminal: &Terminal) -> Result<TimeZone, jiff::Error> {
    TimeZoneDatabase::bundled().get(&terminal.site.time_zone)
}
