//! A bill of a visit, and how it came about.

use jiff::civil::Date;
use protocol::id::PlaceId;
use protocol::message::{Digest, Text};
use protocol::money::{Currency, Money, MoneyError};
use protocol::time::Utc;
use serde::Serialize;

use super::calendar::CalendarEnd;
use super::check::{BANDS_MAX, LENGTH_MAX_DAYS};

/// Most lines of an explanation: on each day of the longest visit, and on the days that it begins
/// and ends in, every band once, one of them twice, and the day's cap; then free minutes, places,
/// minimum, cap, rounding, and what was paid before.
pub const EXPLANATION_LINES_MAX: usize = (LENGTH_MAX_DAYS as usize + 2) * (BANDS_MAX + 2) + 6;

/// Why a visit has no price. Each of them is for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// Not even within the errors of both clocks.
    #[error("the exit ({exit}) is before the entry ({entry})")]
    ExitBeforeEntry { entry: Utc, exit: Utc },
    #[error("a payment ({paid}) is before the entry ({entry})")]
    PaidBeforeEntry { entry: Utc, paid: Utc },
    #[error("a clock may be {error_ms} ms off: it has recorded no time")]
    Clock { error_ms: u64 },
    #[error("the visit is longer than {max_days} days")]
    TooLong { max_days: u16 },
    #[error("a visit from '{from}' to '{to}' has no price")]
    NoPlacePrice { from: PlaceId, to: PlaceId },
    #[error("no calendar has days around the visit")]
    Calendar,
    #[error(transparent)]
    Money(#[from] MoneyError),
}

impl From<CalendarEnd> for QuoteError {
    fn from(_: CalendarEnd) -> Self {
        Self::Calendar
    }
}

/// What a visit costs. The lines that charge minus those that reduce are exactly the amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisitQuote {
    /// The tariff that it was made from.
    pub tariff_version: Digest,
    /// The stay that is billed: the shortest that the clocks allow.
    pub from: Utc,
    pub to: Utc,
    /// At most [`EXPLANATION_LINES_MAX`].
    pub lines: Vec<Line>,
    /// What is to be paid now.
    pub amount: Money,
}

/// One step of the way to the amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub what: What,
    pub effect: Effect,
    pub amount: Money,
}

/// Whether a line adds to the bill or takes away from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    Charge,
    Reduction,
}

/// What a line is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// Time that costs nothing.
    Free {
        from: Utc,
        to: Utc,
        minutes: u16,
    },
    /// `count` intervals have begun between `from` and `to`, at `price` each.
    Time {
        band: Text,
        from: Utc,
        to: Utc,
        minutes: u16,
        count: i64,
        price: Money,
    },
    /// The time of the day that began on `day` costs `cap`, not more.
    DayCap {
        day: Date,
        cap: Money,
    },
    Place {
        entry_place: PlaceId,
        exit_place: PlaceId,
    },
    /// A visit that costs anything costs this.
    Minimum {
        minimum: Money,
    },
    /// A visit costs this, not more.
    VisitCap {
        cap: Money,
    },
    Rounding {
        step: Money,
    },
    /// Paid for this visit before.
    Paid {
        at: Utc,
        paid: Money,
    },
}

/// Adds lines up as they come, so that no sum is ever computed beside them.
#[derive(Debug)]
pub(super) struct Explanation {
    lines: Vec<Line>,
    amount: Money,
}

impl Explanation {
    pub(super) fn new(currency: Currency) -> Self {
        Self {
            lines: Vec::new(),
            amount: Money::zero(currency),
        }
    }

    pub(super) fn amount(&self) -> Money {
        self.amount
    }

    pub(super) fn charge(&mut self, what: What, amount: Money) -> Result<(), MoneyError> {
        self.amount = self.amount.checked_add(amount)?;
        self.push(what, Effect::Charge, amount);
        Ok(())
    }

    /// More than there is can't be taken away.
    pub(super) fn reduce(&mut self, what: What, amount: Money) -> Result<(), MoneyError> {
        self.amount = self.amount.checked_sub(amount)?;
        self.push(what, Effect::Reduction, amount);
        Ok(())
    }

    pub(super) fn into_parts(self) -> (Vec<Line>, Money) {
        (self.lines, self.amount)
    }

    fn push(&mut self, what: What, effect: Effect, amount: Money) {
        self.lines.push(Line {
            what,
            effect,
            amount,
        });
    }
}
