//! From what clocks recorded to the stay that is billed.

use std::time::Duration;

use protocol::message::{Passage, VisitRates};
use protocol::money::Money;
use protocol::time::Utc;

use super::quote::QuoteError;

/// Largest error of a clock that still recorded a time: with more than a day, a terminal has no
/// clock, and a payer must not get a stay for nothing because of it.
pub const CLOCK_ERROR_MAX_MS: u64 = 24 * 3_600_000;

const DAY_MS: i64 = 24 * 3_600_000;

/// A payment for this visit before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paid {
    /// Until when it paid: the exit of the quote that was paid.
    pub at: Utc,
    pub clock_error_ms: u64,
    /// The whole of what was paid for the visit until now.
    pub amount: Money,
}

/// The shortest stay that the clocks allow; what they recorded where time costs nothing. Empty if only their errors put the exit behind the
/// entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stay {
    pub(super) from: Utc,
    pub(super) to: Utc,
}

/// An instant with its error, as the earliest and the latest that it may be.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    earliest: Utc,
    latest: Utc,
}

impl Bounds {
    fn new(at: Utc, error_ms: u64) -> Self {
        let error = Duration::from_millis(error_ms);
        Self {
            earliest: at.saturating_sub(error),
            latest: at.saturating_add(error),
        }
    }
}

impl Stay {
    pub(super) fn new(
        rates: &VisitRates,
        entry: &Passage,
        exit: &Passage,
        paid: Option<&Paid>,
    ) -> Result<Self, QuoteError> {
        let from = Bounds::new(entry.at, entry.clock_error_ms);
        let mut to = Bounds::new(exit.at, exit.clock_error_ms);
        if to.latest < from.earliest {
            let (entry, exit) = (entry.at, exit.at);
            return Err(QuoteError::ExitBeforeEntry { entry, exit });
        }
        let Some(time) = &rates.time else {
            let (from, to) = (entry.at, exit.at.max(entry.at));
            return Ok(Self { from, to });
        };
        let errors = [entry.clock_error_ms, exit.clock_error_ms];
        let paid_error = paid.map(|paid| paid.clock_error_ms);
        for error_ms in errors.into_iter().chain(paid_error) {
            check_clock(error_ms)?;
        }
        if let Some(paid) = paid {
            let until = until(to, from, paid, time.leave_minutes);
            to.earliest = until.ok_or(QuoteError::PaidBeforeEntry {
                entry: entry.at,
                paid: paid.at,
            })?;
        }
        let stay = Self {
            from: from.latest,
            to: to.earliest.max(from.latest),
        };
        let max_days = rates.length_max_days;
        if stay.millis() > i64::from(max_days) * DAY_MS {
            return Err(QuoteError::TooLong { max_days });
        }
        Ok(stay)
    }

    pub(super) fn millis(&self) -> i64 {
        self.to.as_millis().saturating_sub(self.from.as_millis())
    }
}

fn check_clock(error_ms: u64) -> Result<(), QuoteError> {
    if error_ms > CLOCK_ERROR_MAX_MS {
        return Err(QuoteError::Clock { error_ms });
    }
    Ok(())
}

/// The earliest end of the stay: that of the payment, if the payer may have left in time after it.
/// `None` if the payment is before the entry.
fn until(exit: Bounds, entry: Bounds, paid: &Paid, leave_minutes: u16) -> Option<Utc> {
    let at = Bounds::new(paid.at, paid.clock_error_ms);
    if at.latest < entry.earliest {
        return None;
    }
    let leave = Duration::from_secs(u64::from(leave_minutes) * 60);
    if exit.earliest <= at.latest.saturating_add(leave) {
        Some(exit.earliest.min(at.earliest))
    } else {
        Some(exit.earliest)
    }
}
