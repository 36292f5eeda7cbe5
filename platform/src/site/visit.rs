//! What a visit costs, as its owner writes it.

use protocol::id::PlaceId;
use protocol::message::{FreeStays, RoundingDirection, Text};
use protocol::time::TimeOfDay;
use serde::Deserialize;

/// From entry to exit: by time (`bands`), by the pair of places, or by both added up. Amounts are
/// decimal texts in the site's currency.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// On the bill, by language: `{ en = "Parking", zh = "停车" }`.
    pub name: Text,
    /// Parts of every day with rates of their own, in the order of the day.
    #[serde(default)]
    pub bands: Vec<Band>,
    /// Minutes that cost nothing. Default: none.
    pub free_minutes: Option<u16>,
    /// Whose they are: `short` stays that end within them (default), or `all`.
    #[serde(default = "free_stays")]
    pub free_stays: FreeStays,
    /// The most that the time of one day costs.
    pub day_cap: Option<String>,
    /// When a day begins for `day_cap`. Default `00:00`.
    #[serde(default = "day_starts")]
    pub day_starts: TimeOfDay,
    /// Minutes to leave after paying. Default 15.
    #[serde(default = "leave_minutes")]
    pub leave_minutes: u16,
    /// Prices from one place to another.
    #[serde(default)]
    pub places: Vec<PlacePair>,
    /// Price of pairs that are not listed. Without it such a visit has no price.
    pub other_places: Option<String>,
    /// The least that a visit costs which costs anything.
    pub minimum: Option<String>,
    /// The most that a visit costs.
    pub visit_cap: Option<String>,
    pub rounding: Option<Rounding>,
    /// Longest visit that is priced by time. Default 31.
    #[serde(default = "length_max_days")]
    pub length_max_days: u16,
}

/// It lasts until the next one begins, the last one until the first one of the next day.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    pub name: Text,
    /// Default `00:00`.
    #[serde(default = "day_starts")]
    pub from: TimeOfDay,
    /// For each interval that has begun.
    pub price: String,
    /// Length of an interval.
    pub minutes: u16,
}

/// In this direction; the way back is a pair of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlacePair {
    pub from: PlaceId,
    pub to: PlaceId,
    pub price: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// The bill becomes a multiple of it.
    pub step: String,
    /// Default `down`, to the payer's gain.
    #[serde(default = "direction")]
    pub direction: RoundingDirection,
}

const fn free_stays() -> FreeStays {
    FreeStays::Short
}

const fn day_starts() -> TimeOfDay {
    TimeOfDay::MIDNIGHT
}

const fn leave_minutes() -> u16 {
    15
}

const fn length_max_days() -> u16 {
    31
}

const fn direction() -> RoundingDirection {
    RoundingDirection::Down
}
