//! The payment server's own notion of time: the machine's clocks, and what an operator put them
//! ahead. Ages, lifetimes, outage windows and delays count by it; nothing outside knows of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use process::clock::Clock;
use protocol::time::{Now, Tick};

/// Furthest ahead: two years are longer than any refund window or key retention, and far from the
/// last year that an instant can name.
pub(crate) const AHEAD_MS_MAX: u64 = 2 * 366 * 24 * 60 * 60 * 1_000;

/// Cheap to clone; all clones share.
#[derive(Debug, Clone)]
pub(crate) struct OwnClock {
    clock: Clock,
    ahead_ms: Arc<AtomicU64>,
}

impl OwnClock {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            ahead_ms: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let (now, ahead) = (self.clock.now(), self.ahead());
        Now {
            utc: now.utc.saturating_add(ahead),
            tick: now.tick + ahead,
        }
    }

    pub(crate) fn ahead_ms(&self) -> u64 {
        self.ahead_ms.load(Ordering::Relaxed)
    }

    /// How far ahead it is then; none if that were too far, and nothing changes.
    pub(crate) fn advance(&self, by_ms: u64) -> Option<u64> {
        let further = |ahead: u64| ahead.checked_add(by_ms).filter(|ms| *ms <= AHEAD_MS_MAX);
        let before = self
            .ahead_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, further);
        before.ok().map(|before| before + by_ms)
    }

    /// Sleeps until this clock shows `deadline`, as far as nobody advances it meanwhile.
    pub(crate) async fn until(&self, deadline: Option<Tick>) {
        let real = deadline.map(|deadline| {
            Tick::from_millis(deadline.as_millis().saturating_sub(self.ahead_ms()))
        });
        self.clock.until(real).await;
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms())
    }
}

#[cfg(test)]
mod tests {
    use protocol::time::Utc;

    use super::*;

    #[tokio::test]
    async fn an_advanced_clock_shows_it_and_its_deadlines_are_due() {
        let start = Now {
            utc: Utc::EPOCH,
            tick: Tick::from_millis(1_000),
        };
        let clock = OwnClock::new(Clock::manual(start));
        let deadline = Tick::from_millis(61_000);
        assert_eq!(clock.advance(60_000), Some(60_000));
        assert_eq!(clock.now().tick, deadline);
        assert_eq!(clock.now().utc.as_millis(), 60_000);
        clock.until(Some(deadline)).await;
    }

    #[test]
    fn it_goes_only_so_far_ahead() {
        let clock = OwnClock::new(Clock::system());
        assert_eq!(clock.advance(AHEAD_MS_MAX), Some(AHEAD_MS_MAX));
        assert_eq!(clock.advance(1), None);
        assert_eq!(clock.advance(u64::MAX), None);
        assert_eq!(clock.ahead_ms(), AHEAD_MS_MAX);
    }
}
