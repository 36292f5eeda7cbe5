//! The only place that reads clocks. Machines are told the time, shells ask here.

use std::sync::Arc;
use std::time::Duration;

use protocol::time::{Now, Tick, Utc};
use tokio::sync::watch;

/// Longest single sleep: the runtime's timer does not count the time a machine was suspended,
/// `CLOCK_BOOTTIME` does, so a sleeper looks at the clock again at least this often.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Wall clock and boot-time clock, read together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<watch::Sender<Now>>),
}

impl Clock {
    /// The machine's own clocks. Ticks count from its boot and go on while it is suspended.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            source: Source::System,
        }
    }

    /// A clock that stands still until [`Clock::advance`] moves it.
    #[must_use]
    pub fn manual(start: Now) -> Self {
        Self {
            source: Source::Manual(Arc::new(watch::Sender::new(start))),
        }
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Now {
        match &self.source {
            Source::System => Now {
                utc: system_utc(),
                tick: system_tick(),
            },
            Source::Manual(time) => *time.borrow(),
        }
    }

    /// Moves a manual clock and all its clones; a system clock moves by itself and ignores this.
    pub fn advance(&self, duration: Duration) {
        if let Source::Manual(time) = &self.source {
            time.send_modify(|now| {
                now.utc = now.utc.saturating_add(duration);
                now.tick = now.tick + duration;
            });
        }
    }

    /// Returns once the clock shows `deadline` or later; never without a deadline. This is the one
    /// sleep of a shell: `clock.until(machine.poll_timeout())`. Cancel-safe.
    pub async fn until(&self, deadline: Option<Tick>) {
        let Some(deadline) = deadline else {
            return std::future::pending().await;
        };
        match &self.source {
            Source::System => system_until(deadline).await,
            Source::Manual(time) => manual_until(time, deadline).await,
        }
    }
}

async fn system_until(deadline: Tick) {
    loop {
        let rest = deadline.since(system_tick());
        if rest.is_zero() {
            return;
        }
        tokio::time::sleep(rest.min(SLEEP_MAX)).await;
    }
}

async fn manual_until(time: &watch::Sender<Now>, deadline: Tick) {
    let mut receiver = time.subscribe();
    // The sender lives in `self`, so waiting can't fail; it would end the wait, not hang it.
    if receiver.wait_for(|now| now.tick >= deadline).await.is_err() {
        tracing::debug!("manual clock is gone");
    }
}

fn system_tick() -> Tick {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Tick::from_millis(whole_millis(time.tv_sec, time.tv_nsec).unsigned_abs())
}

fn system_utc() -> Utc {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    // A clock outside the years -9999 to 9999 says nothing; records then carry the epoch.
    Utc::from_millis(whole_millis(time.tv_sec, time.tv_nsec)).unwrap_or(Utc::EPOCH)
}

fn whole_millis(seconds: i64, nanos: i64) -> i64 {
    seconds
        .saturating_mul(1_000)
        .saturating_add(nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Now {
        Now {
            utc: Utc::EPOCH,
            tick: Tick::from_millis(1_000),
        }
    }

    #[test]
    fn the_system_clock_goes_forward() {
        let clock = Clock::system();
        let earlier = clock.now();
        let later = clock.now();
        assert!(later.tick >= earlier.tick);
        // 2020-01-01: a machine that builds this is past it.
        assert!(earlier.utc.as_millis() > 1_577_836_800_000);
    }

    #[tokio::test]
    async fn a_system_deadline_is_not_early() {
        let clock = Clock::system();
        let deadline = clock.now().tick + Duration::from_millis(20);
        clock.until(Some(deadline)).await;
        assert!(clock.now().tick >= deadline);
    }

    #[tokio::test]
    async fn a_manual_clock_moves_by_hand_alone_and_wakes_sleepers() {
        let clock = Clock::manual(start());
        assert_eq!(clock.now(), start());
        let sleeper = clock.clone();
        let deadline = Tick::from_millis(1_500);
        let sleep = tokio::spawn(async move { sleeper.until(Some(deadline)).await });
        clock.advance(Duration::from_millis(499));
        tokio::task::yield_now().await;
        assert!(!sleep.is_finished());
        clock.advance(Duration::from_millis(1));
        sleep.await.unwrap();
        assert_eq!(clock.now().utc.as_millis(), 500);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_there_is_no_wake() {
        let clock = Clock::system();
        let woken = tokio::time::timeout(Duration::from_secs(3_600), clock.until(None)).await;
        assert!(woken.is_err());
    }
}
