//! Publishes that wait for their PUBACK, in the order they were sent.

use std::collections::VecDeque;

use protocol::time::Tick;

/// At most `room` publishes are counted from the oldest unacknowledged one on, also when later
/// ones were acknowledged before it. Packet ids are taken in a circle, so an id can't come round
/// to one that is still waiting: the library's packet-id collision has no way to arise.
#[derive(Debug)]
pub(crate) struct Window {
    room: usize,
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    sent_at: Tick,
    packet_id: Option<u16>,
    acknowledged: bool,
}

impl Window {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            room,
            slots: VecDeque::with_capacity(room),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.slots.len() < self.room
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// When the publish that has waited longest was sent.
    pub(crate) fn oldest(&self) -> Option<Tick> {
        self.slots.front().map(|slot| slot.sent_at)
    }

    pub(crate) fn push(&mut self, now: Tick) {
        self.slots.push_back(Slot {
            sent_at: now,
            packet_id: None,
            acknowledged: false,
        });
    }

    /// The next publish without a packet id has got one; the library numbers in order.
    pub(crate) fn number(&mut self, packet_id: u16) {
        let unnumbered = self.slots.iter_mut().find(|slot| slot.packet_id.is_none());
        if let Some(slot) = unnumbered {
            slot.packet_id = Some(packet_id);
        }
    }

    /// A PUBACK came. False if nothing waits for it.
    pub(crate) fn acknowledge(&mut self, packet_id: u16) -> bool {
        let waiting = |slot: &&mut Slot| !slot.acknowledged && slot.packet_id == Some(packet_id);
        let Some(slot) = self.slots.iter_mut().find(waiting) else {
            return false;
        };
        slot.acknowledged = true;
        while self.slots.front().is_some_and(|slot| slot.acknowledged) {
            self.slots.pop_front();
        }
        true
    }

    /// Forgets all; the number of those that were not acknowledged.
    pub(crate) fn clear(&mut self) -> usize {
        let open = self.slots.iter().filter(|slot| !slot.acknowledged).count();
        self.slots.clear();
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_of(ids: &[u16]) -> Window {
        let mut window = Window::new(3);
        for id in ids {
            window.push(Tick::from_millis(u64::from(*id)));
            window.number(*id);
        }
        window
    }

    #[test]
    fn room_counts_from_the_oldest_unacknowledged() {
        let mut window = window_of(&[1, 2, 3]);
        assert!(!window.has_room());
        assert!(window.acknowledge(2));
        assert!(window.acknowledge(3));
        assert!(!window.has_room());
        assert!(window.acknowledge(1));
        assert!(window.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_is_told() {
        let mut window = window_of(&[1, 2]);
        assert!(!window.acknowledge(3));
        assert!(window.acknowledge(2));
        assert!(!window.acknowledge(2));
    }

    #[test]
    fn the_oldest_is_the_one_still_waiting() {
        let mut window = window_of(&[5, 6]);
        assert!(window.acknowledge(5));
        assert_eq!(window.oldest(), Some(Tick::from_millis(6)));
        assert_eq!(window.clear(), 1);
        assert_eq!(window.oldest(), None);
    }
}
