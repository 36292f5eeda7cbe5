//! When a message that waits for the platform's word is sent (again). What waits stands in the
//! book; this is only the timetable.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::time::Tick;

use super::limits::Limits;

/// Doublings of the first pause; the longest pause is reached long before.
const DOUBLINGS_MAX: u32 = 16;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Outbox {
    waiting: BTreeMap<u64, Due>,
    is_connected: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Due {
    at: Tick,
    sent: u32,
}

impl Outbox {
    /// A message was journaled.
    pub(crate) fn handle_added(&mut self, sequence: u64, now: Tick) {
        self.waiting.insert(sequence, Due { at: now, sent: 0 });
    }

    /// It should be sent now, if it is still here.
    pub(crate) fn handle_asked(&mut self, sequence: u64, now: Tick) {
        if let Some(due) = self.waiting.get_mut(&sequence) {
            due.at = due.at.min(now);
        }
    }

    /// Nothing of an earlier connection is on its way any more: everything is due.
    pub(crate) fn handle_connected(&mut self, now: Tick) {
        self.is_connected = true;
        for due in self.waiting.values_mut() {
            *due = Due { at: now, sent: 0 };
        }
    }

    pub(crate) const fn handle_disconnected(&mut self) {
        self.is_connected = false;
    }

    pub(crate) fn retain(&mut self, is_waiting: impl Fn(u64) -> bool) {
        self.waiting.retain(|sequence, _| is_waiting(*sequence));
    }

    /// The messages to send now, in their order.
    pub(crate) fn take_due(&mut self, now: Tick, limits: &Limits) -> Vec<u64> {
        if !self.is_connected {
            return Vec::new();
        }
        let mut due_now = Vec::new();
        for (sequence, due) in &mut self.waiting {
            if due.at <= now {
                due_now.push(*sequence);
                due.at = now + pause(due.sent, limits);
                due.sent = due.sent.saturating_add(1);
            }
        }
        due_now
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        let earliest = || self.waiting.values().map(|due| due.at).min();
        self.is_connected.then(earliest).flatten()
    }
}

fn pause(sent: u32, limits: &Limits) -> Duration {
    let factor = 1_u32 << sent.min(DOUBLINGS_MAX);
    limits
        .resend_first
        .saturating_mul(factor)
        .min(limits.resend_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_message_is_sent_at_once_and_again_with_growing_pauses() {
        let limits = Limits::default();
        let mut outbox = Outbox::default();
        outbox.handle_connected(at(0));
        outbox.handle_added(7, at(0));
        let mut sent = Vec::new();
        while let Some(due) = outbox.poll_timeout().filter(|due| *due < at(60)) {
            assert_eq!(outbox.take_due(due, &limits), [7]);
            sent.push(due.as_millis() / 1_000);
        }
        assert_eq!(sent, [0, 1, 3, 7, 15, 30, 45]);
        outbox.retain(|_| false);
        assert_eq!(
            (outbox.take_due(at(99), &limits), outbox.poll_timeout()),
            (vec![], None)
        );
    }

    #[test]
    fn without_a_connection_nothing_is_sent_and_with_it_everything_in_order() {
        let limits = Limits::default();
        let mut outbox = Outbox::default();
        outbox.handle_added(2, at(0));
        outbox.handle_added(1, at(0));
        assert_eq!(
            (outbox.take_due(at(9), &limits), outbox.poll_timeout()),
            (vec![], None)
        );
        outbox.handle_connected(at(10));
        assert_eq!(outbox.take_due(at(10), &limits), [1, 2]);
        outbox.handle_disconnected();
        outbox.handle_connected(at(10));
        assert_eq!(outbox.take_due(at(10), &limits), [1, 2]);
    }
}
