//! `down/config` and `down/visits`: what a site sells, to whom it pays, and who is inside.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Digest, VisitRates};
use crate::id::{DeviceId, ItemId, PayeeId, PlaceId, StoreEpoch, VisitId};
use crate::money::{Currency, Money};
use crate::signed::Audience;
use crate::time::Utc;

/// Most items of a site: the config must fit one payload.
pub const ITEMS_MAX: usize = 40;

/// A text in the site's languages, by BCP 47 tag: `{"en":"Short stay","zh":"短时停车"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(pub BTreeMap<String, String>);

impl Text {
    #[must_use]
    pub fn english(text: &str) -> Self {
        Self(BTreeMap::from([("en".to_owned(), text.to_owned())]))
    }

    /// The text in `language`, else in English, else in whatever there is.
    #[must_use]
    pub fn in_language(&self, language: &str) -> &str {
        let fallback = || self.0.get("en").or_else(|| self.0.values().next());
        self.0
            .get(language)
            .or_else(fallback)
            .map_or("", String::as_str)
    }
}

/// Signed by the platform for one terminal, cached there; without it nothing is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteConfig {
    pub aud: Audience,
    pub merchant: Merchant,
    pub payee: Payee,
    pub place: Place,
    /// IANA time zone, used for tariff bands and for what people read; never for deadlines.
    pub time_zone: String,
    pub tariff: Tariff,
    /// [`Tariff::version`] of `tariff`.
    pub tariff_version: Digest,
    /// Devices that a sale at this terminal switches; the first one decides. May be empty.
    pub devices: Vec<DeviceId>,
    pub order_lifetime_ms: u64,
    pub identity: IdentityPolicy,
    pub entry: EntryPolicy,
    pub store_epoch: StoreEpoch,
    /// Grows with every change; an older one never replaces a newer one of the same epoch.
    pub serial: u64,
    pub issued_at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    pub name: String,
    /// What is sold here, in a sentence.
    pub about: Text,
    /// Whom to call when it stays shut.
    pub help: String,
}

/// Who is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payee {
    pub id: PayeeId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub id: PlaceId,
    pub name: String,
}

/// What things cost: fixed items, a visit of two passages, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tariff {
    pub currency: Currency,
    pub items: Vec<Item>,
    /// Left out where nothing is sold by the visit, so that the version of such a tariff is the same
    /// for those who never heard of visits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit: Option<VisitRates>,
}

impl Tariff {
    /// SHA-256 of the JSON text, by which both ends know that they price alike.
    #[must_use]
    pub fn version(&self) -> Digest {
        // A tariff is plain data with text keys, so its JSON form always exists; an empty text
        // would only make the versions differ and refuse the sale.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub id: ItemId,
    pub name: Text,
    pub price: Money,
    /// Most of it in one sale.
    pub quantity_max: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityPolicy {
    Off,
    Optional,
    Required,
}

/// Whether a terminal may open for the first of two visits by itself (R12, R17).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryPolicy {
    None,
    Platform,
    Terminal,
}

/// Who is inside, shared with every terminal of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    pub open: Vec<OpenVisit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenVisit {
    pub visit: VisitId,
    pub place: PlaceId,
    pub entered_at: Utc,
    pub clock_error_ms: u64,
}
