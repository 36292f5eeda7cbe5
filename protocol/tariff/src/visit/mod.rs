//! What a visit costs, from its entry to its exit.
//!
//! Time is cut at the places where a rate changes (bands, and days where a day has a cap), and in
//! each piece every started interval is paid. So the price of a visit never falls when the visit
//! covers more time, and the shortest stay that the clocks allow is the cheapest one: that is the
//! stay which is billed.

mod calendar;
mod check;
mod quote;
mod reckoning;
mod stay;

pub use check::{
    BANDS_MAX, INTERVAL_MAX_MINUTES, LENGTH_MAX_DAYS, PLACE_PAIRS_MAX, RatesError, VisitTariff,
    WAIT_MAX_MINUTES, is_time_zone,
};
pub use quote::{EXPLANATION_LINES_MAX, Effect, Line, QuoteError, VisitQuote, What};
pub use stay::{CLOCK_ERROR_MAX_MS, Paid};
