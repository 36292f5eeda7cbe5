//! Instants and durations. Wall clocks are for records, ticks are for guards.
//!
//! A stepped wall clock must change no money, so every deadline is a [`Tick`]; a [`Utc`] only ever
//! says when something happened.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
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

    /// Earlier by `duration`, or the first instant there is.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(
            self.0
                .saturating_sub(millis)
                .max(jiff::Timestamp::MIN.as_millisecond()),
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

/// A time on the clocks of a place, to the minute. JSON form: `08:30`.
///
/// ```
/// use protocol::time::TimeOfDay;
///
/// let opening: TimeOfDay = "08:30".parse().unwrap();
/// assert_eq!((opening.hour(), opening.minute()), (8, 30));
/// assert_eq!(opening.to_string(), "08:30");
/// for wrong in ["8:30", "24:00", "08:60", "08:30:00", "+8:30"] {
///     assert!(wrong.parse::<TimeOfDay>().is_err());
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay {
    hour: i8,
    minute: i8,
}

/// Why a text is no time of day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time of day: write for example 08:30")]
pub struct TimeOfDayError(String);

impl TimeOfDay {
    pub const MIDNIGHT: Self = Self { hour: 0, minute: 0 };

    /// 0 to 23.
    #[must_use]
    pub const fn hour(self) -> i8 {
        self.hour
    }

    /// 0 to 59.
    #[must_use]
    pub const fn minute(self) -> i8 {
        self.minute
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let part = |digits: &str| {
            let is_pair = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_pair.then(|| digits.parse().ok()).flatten()
        };
        let read = text
            .split_once(':')
            .and_then(|(hour, minute)| Some((part(hour)?, part(minute)?)))
            .filter(|(hour, minute)| *hour < 24 && *minute < 60);
        read.map(|(hour, minute)| Self { hour, minute })
            .ok_or_else(|| TimeOfDayError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = TimeOfDayError;

    fn try_from(text: String) -> Result<Self, TimeOfDayError> {
        text.parse()
    }
}

impl From<TimeOfDay> for String {
    fn from(time: TimeOfDay) -> Self {
        time.to_string()
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
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
