//! Instants and durations. Wall clocks are for records, ticks are for guards.
//!
//! A stepped wall clock must change no money, so every deadline is a [`Tick`]; a [`Utc`] only ever
//! says when something happened.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// An instant in UTC, in milliseconds since 1970. JSON form: RFC 3339, `2026-03-01T08:30:00.250Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "jiff::Timestamp", into = "jiff::Timestamp")]
pub struct Utc(i64);

impl Utc {
    /// The first millisecond of 1970.
    pub const EPOCH: Self = Self(0);

    /// An instant from milliseconds since 1970, or `None` outside the years -9999 to 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(millis)
            .ok()
            .map(|_| Self(millis))
    }

    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Later by `duration`, or the last instant there is.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(
            self.0
                .saturating_add(millis)
                .min(jiff::Timestamp::MAX.as_millisecond()),
        )
    }
}

impl From<jiff::Timestamp> for Utc {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_millisecond())
    }
}

impl From<Utc> for jiff::Timestamp {
    fn from(utc: Utc) -> Self {
        // Both constructors keep the value in range, so the fallback is never taken.
        Self::from_millisecond(utc.0).unwrap_or(Self::UNIX_EPOCH)
    }
}

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", jiff::Timestamp::from(*self))
    }
}

/// A monotonic instant in milliseconds since an origin that only this process (platform) or this
/// boot (terminal) knows. It has no JSON form on purpose: it means nothing to anybody else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }
}

/// What a machine is told of time: both clocks, read together by its shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    pub utc: Utc,
    pub tick: Tick,
}
