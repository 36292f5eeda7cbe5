//! Which records of a terminal's journal are committed here: `down/ack` says so, cumulatively.
//!
//! A terminal replaces messages that it has not sent yet, so numbers may be missing for good. A
//! gap is waited for as long as a terminal takes to send again what it still holds, and skipped
//! then. Losing this state costs a resend and nothing else: every effect is idempotent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::codec::Record;
use protocol::id::JournalId;
use protocol::time::Tick;
use protocol::topic::TerminalName;

/// How long a missing number is waited for: twice the longest pause between two sends of a
/// terminal (15 s).
const GAP_WAIT: Duration = Duration::from_secs(30);

/// Most numbers kept beyond a gap. A terminal serves one phone at a time: 64 messages are about
/// 15 sales; what is beyond is sent again.
const BEYOND_MAX: usize = 64;

/// Most journals of one terminal that are remembered. It has one, and another for each time that
/// its file was lost: above it the one heard of the longest ago is forgotten, which costs a resend.
/// The journal's id of a record is not signed, so its number must not depend on the sender.
const JOURNALS_MAX: usize = 4;

type Key = (TerminalName, JournalId);

#[derive(Debug, Clone, Default)]
pub(crate) struct Acks {
    journals: BTreeMap<Key, Progress>,
    /// Grows with every record: what is smallest is oldest.
    heard: u64,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    through: u64,
    beyond: BTreeSet<u64>,
    skip_at: Option<Tick>,
    heard: u64,
}

impl Acks {
    /// What the store knows.
    pub(crate) fn restore(&mut self, terminal: &TerminalName, journal: JournalId, through: u64) {
        let progress = self.progress(terminal, journal);
        progress.through = progress.through.max(through);
    }

    /// The effect of `record` is part of the next commit. Returns what may be acknowledged after
    /// it, and whether that is news for the store.
    pub(crate) fn take(
        &mut self,
        terminal: &TerminalName,
        record: Record,
        now: Tick,
    ) -> (Record, bool) {
        let progress = self.progress(terminal, record.journal);
        let before = progress.through;
        if record.sequence > before && progress.beyond.len() < BEYOND_MAX {
            progress.beyond.insert(record.sequence);
        }
        progress.close_ranks();
        progress.wait(now);
        (
            acknowledged(record.journal, progress),
            progress.through > before,
        )
    }

    /// Gaps that were waited for long enough.
    pub(crate) fn skip_due(&mut self, now: Tick) -> Vec<(TerminalName, Record)> {
        let mut skipped = Vec::new();
        for ((terminal, journal), progress) in &mut self.journals {
            if progress.skip_at.is_none_or(|at| at > now) {
                continue;
            }
            if let Some(first) = progress.beyond.first() {
                progress.through = first.saturating_sub(1);
            }
            progress.close_ranks();
            progress.skip_at = None;
            progress.wait(now);
            skipped.push((terminal.clone(), acknowledged(*journal, progress)));
        }
        skipped
    }

    fn progress(&mut self, terminal: &TerminalName, journal: JournalId) -> &mut Progress {
        let key = (terminal.clone(), journal);
        if !self.journals.contains_key(&key) {
            self.make_room(terminal);
        }
        self.heard = self.heard.saturating_add(1);
        let progress = self.journals.entry(key).or_default();
        progress.heard = self.heard;
        progress
    }

    fn make_room(&mut self, terminal: &TerminalName) {
        let lowest = (terminal.clone(), JournalId::from_random([0; 16]));
        let highest = (terminal.clone(), JournalId::from_random([u8::MAX; 16]));
        let of_terminal = || self.journals.range(lowest.clone()..=highest.clone());
        if of_terminal().count() < JOURNALS_MAX {
            return;
        }
        let oldest = of_terminal().min_by_key(|(_, progress)| progress.heard);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.journals.remove(&key);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Tick> {
        self.journals
            .values()
            .filter_map(|progress| progress.skip_at)
            .min()
    }
}

impl Progress {
    fn close_ranks(&mut self) {
        while self.beyond.first() == Some(&self.through.saturating_add(1)) {
            self.beyond.pop_first();
            self.through = self.through.saturating_add(1);
        }
    }

    fn wait(&mut self, now: Tick) {
        if self.beyond.is_empty() {
            self.skip_at = None;
        } else if self.skip_at.is_none() {
            self.skip_at = Some(now + GAP_WAIT);
        }
    }
}

const fn acknowledged(journal: JournalId, progress: &Progress) -> Record {
    Record {
        journal,
        sequence: progress.through,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1_000)
    }

    fn record(sequence: u64) -> Record {
        Record {
            journal: JournalId::from_random([1; 16]),
            sequence,
        }
    }

    #[test]
    fn what_is_committed_in_order_is_acknowledged_up_to_the_first_gap() {
        let gate: TerminalName = "north/gate-1".parse().unwrap();
        let mut acks = Acks::default();
        assert_eq!(acks.take(&gate, record(1), at(0)), (record(1), true));
        assert_eq!(acks.take(&gate, record(1), at(1)), (record(1), false));
        assert_eq!(acks.take(&gate, record(3), at(2)), (record(1), false));
        assert_eq!(acks.timeout(), Some(at(32)));
        assert_eq!(acks.take(&gate, record(2), at(3)), (record(3), true));
        assert_eq!(acks.timeout(), None);
    }

    #[test]
    fn made_up_journals_push_each_other_out_and_nobody_elses() {
        let gate: TerminalName = "north/gate-1".parse().unwrap();
        let other: TerminalName = "north/gate-2".parse().unwrap();
        let mut acks = Acks::default();
        acks.take(&other, record(1), at(0));
        acks.take(&gate, record(1), at(0));
        for number in 2..=u8::MAX {
            let made_up = Record {
                journal: JournalId::from_random([number; 16]),
                sequence: 9,
            };
            acks.take(&gate, made_up, at(0));
            // The real one is heard all the time, so it stays.
            assert_eq!(acks.take(&gate, record(1), at(0)), (record(1), false));
        }
        assert_eq!(acks.journals.len(), JOURNALS_MAX + 1);
        assert_eq!(acks.take(&other, record(2), at(0)), (record(2), true));
    }

    #[test]
    fn a_gap_that_stays_is_skipped() {
        let gate: TerminalName = "north/gate-1".parse().unwrap();
        let mut acks = Acks::default();
        acks.restore(&gate, record(0).journal, 4);
        assert_eq!(acks.take(&gate, record(6), at(0)), (record(4), false));
        assert_eq!(acks.skip_due(at(29)), vec![]);
        assert_eq!(acks.skip_due(at(30)), vec![(gate, record(6))]);
        assert_eq!(acks.timeout(), None);
    }
}
