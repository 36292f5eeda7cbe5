//! Deliveries that their owner has not acknowledged, in the order of arrival.

use std::collections::VecDeque;

/// Owners finish in any order, PUBACKs must leave in order (MQTT 3.1.1, section 4.6; a broker may
/// close the connection otherwise).
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    next_sequence: u64,
    open: VecDeque<Arrival>,
}

#[derive(Debug)]
struct Arrival {
    sequence: u64,
    /// Absent at QoS 0, where no PUBACK is owed.
    packet_id: Option<u16>,
    settled: bool,
}

impl Arrivals {
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// A message came; the number under which it will be settled.
    pub(crate) fn push(&mut self, packet_id: Option<u16>) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.open.push_back(Arrival {
            sequence,
            packet_id,
            settled: false,
        });
        sequence
    }

    /// Whether `sequence` belongs to this connection and was not settled yet.
    pub(crate) fn is_open(&self, sequence: u64) -> bool {
        let found = self
            .position(sequence)
            .and_then(|index| self.open.get(index));
        found.is_some_and(|arrival| !arrival.settled)
    }

    /// The owner is done with a message; the packet ids whose turn has come.
    pub(crate) fn settle(&mut self, sequence: u64) -> Vec<u16> {
        let position = self.position(sequence);
        if let Some(arrival) = position.and_then(|index| self.open.get_mut(index)) {
            arrival.settled = true;
        }
        let mut due = Vec::new();
        while self.open.front().is_some_and(|arrival| arrival.settled) {
            due.extend(self.open.pop_front().and_then(|arrival| arrival.packet_id));
        }
        due
    }

    /// Forgets all; numbers go on, so that a late word about an old message hits nothing.
    pub(crate) fn clear(&mut self) -> usize {
        let open = self.open.len();
        self.open.clear();
        open
    }

    fn position(&self, sequence: u64) -> Option<usize> {
        let found = self
            .open
            .binary_search_by_key(&sequence, |arrival| arrival.sequence);
        found.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_leave_in_the_order_of_arrival() {
        let mut arrivals = Arrivals::default();
        let [a, b, c] = [11, 12, 13].map(|id| arrivals.push(Some(id)));
        assert!(arrivals.settle(c).is_empty());
        assert!(arrivals.settle(b).is_empty());
        assert_eq!(arrivals.settle(a), [11, 12, 13]);
        assert_eq!(arrivals.len(), 0);
    }

    #[test]
    fn quality_zero_owes_nothing_and_blocks_nothing() {
        let mut arrivals = Arrivals::default();
        let first = arrivals.push(None);
        let second = arrivals.push(Some(7));
        assert!(arrivals.settle(second).is_empty());
        assert_eq!(arrivals.settle(first), [7]);
    }

    #[test]
    fn a_late_word_about_an_old_connection_hits_nothing() {
        let mut arrivals = Arrivals::default();
        let old = arrivals.push(Some(1));
        assert_eq!(arrivals.clear(), 1);
        let new = arrivals.push(Some(1));
        assert!(arrivals.settle(old).is_empty());
        assert!(!arrivals.is_open(old));
        assert!(arrivals.is_open(new));
        assert_eq!(arrivals.settle(new), [1]);
        assert!(arrivals.settle(new).is_empty());
    }
}
