//! How long to wait before the next connection.

use std::time::Duration;

use protocol::id::Entropy;

/// First ceiling: a broker that only restarted is back by then, and ten thousand clients that lost
/// it together are already spread.
const FIRST: Duration = Duration::from_millis(500);

/// Last ceiling: a payer who has paid must be served within 30 s of the broker's return, and half
/// of that belongs to the rest of the way.
const LAST: Duration = Duration::from_secs(8);

/// A connection that lived this long was no accident of a broker that fails right after CONNACK.
const STABLE: Duration = Duration::from_secs(60);

/// Exponential ceilings with full jitter: the wait is uniform between nothing and the ceiling.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection ended after `lived` of being ready, or was never ready.
    pub(crate) fn next(&mut self, lived: Option<Duration>, entropy: &mut dyn Entropy) -> Duration {
        if lived.is_some_and(|lived| lived >= STABLE) {
            self.failures = 0;
        }
        let ceiling = FIRST.saturating_mul(1 << self.failures.min(8)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        jitter(ceiling, entropy)
    }
}

fn jitter(ceiling: Duration, entropy: &mut dyn Entropy) -> Duration {
    let [a, b, c, d, ..] = entropy.bytes();
    let share = u64::from(u32::from_be_bytes([a, b, c, d]));
    let ceiling_ms = u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ceiling_ms.saturating_mul(share) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(backoff: &mut Backoff, byte: u8, count: usize) -> Vec<u128> {
        let mut entropy = || [byte; 16];
        let wait = |_| backoff.next(None, &mut entropy).as_millis();
        (0..count).map(wait).collect()
    }

    #[test]
    fn ceilings_double_up_to_the_last() {
        let waits = waits(&mut Backoff::default(), 0xff, 7);
        assert_eq!(waits, [499, 999, 1_999, 3_999, 7_999, 7_999, 7_999]);
    }

    #[test]
    fn jitter_is_full() {
        assert_eq!(waits(&mut Backoff::default(), 0, 3), [0, 0, 0]);
        assert_eq!(waits(&mut Backoff::default(), 0x80, 3), [250, 501, 1_003]);
    }

    #[test]
    fn only_a_stable_connection_starts_over() {
        let mut backoff = Backoff::default();
        waits(&mut backoff, 0xff, 4);
        let mut entropy = || [0xff; 16];
        let unstable = backoff.next(Some(STABLE - Duration::from_millis(1)), &mut entropy);
        assert_eq!(unstable.as_millis(), 7_999);
        let stable = backoff.next(Some(STABLE), &mut entropy);
        assert_eq!(stable.as_millis(), 499);
    }
}
