//! What visits cost, by hand and by property.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clocks;
mod days;
mod places;
mod properties;
mod rates;
mod support;
mod time;
