//! What a visit costs: from one passage to another, by time, by the pair of places, or by both.
//!
//! Plain data, as it is signed and hashed. Whether it holds together is found by the crate `tariff`,
//! which alone reckons with it.

use serde::{Deserialize, Serialize};

use super::Text;
use crate::id::PlaceId;
use crate::money::Money;
use crate::time::TimeOfDay;

/// The rules by which this version reckons. They change only together with this number, so that two
/// ends with different rules have different tariff versions and no order is made.
pub const RECKONING: u16 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitRates {
    /// Always [`RECKONING`]; an end that reckons otherwise refuses the tariff.
    pub reckoning: u16,
    /// What is on the bill, such as "Parking".
    pub name: Text,
    /// IANA time zone of bands and days; that of the site. It is here because it changes bills.
    pub time_zone: String,
    /// Absent where time costs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeRates>,
    /// Prices of pairs, in the direction of travel. Empty where places cost nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PlacePrice>,
    /// Price of a pair that `places` does not list; absent: such a visit is not priced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_places: Option<Money>,
    /// The least that a visit costs which costs anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Money>,
    /// The most that a visit costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visit_cap: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
    /// Where time costs, a longer visit is not priced: a person has a look at it.
    pub length_max_days: u16,
}

/// What time costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRates {
    /// In the order of their beginning. Each lasts until the next one begins, the last one until the
    /// first one of the next day, so that they cover every day without gap and overlap.
    pub bands: Vec<Band>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<FreeMinutes>,
    /// The most that the time of one day costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day_cap: Option<Money>,
    /// When a day begins for `day_cap`.
    pub day_starts: TimeOfDay,
    /// How long after paying a payer may take to leave.
    pub leave_minutes: u16,
}

/// A part of every day with a rate of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    pub name: Text,
    pub from: TimeOfDay,
    /// For each interval that has begun.
    pub price: Money,
    /// Length of an interval.
    pub minutes: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeMinutes {
    pub minutes: u16,
    pub stays: FreeStays,
}

/// For whom the free minutes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeStays {
    /// For those who leave within them; who stays longer pays from the entry on.
    Short,
    /// For all: who stays longer pays from their end on.
    All,
}

/// A price from one place to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacePrice {
    pub from: PlaceId,
    pub to: PlaceId,
    pub price: Money,
}

/// Coins that are no more: the bill becomes a multiple of `step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounding {
    pub step: Money,
    pub direction: RoundingDirection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundingDirection {
    Down,
    /// To the nearest multiple; half a step goes down, to the payer.
    Nearest,
    Up,
}
