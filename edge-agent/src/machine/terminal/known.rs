//! What this process knows of intents whose result is not on the disk. A journal that failed takes
//! nothing, and says "uncertain" of them when it is opened anew; but the devices' word is still here,
//! and is written again then. It is said only once it is on the disk: what a crash could unsay was
//! never said.

use protocol::id::TransactionId;
use protocol::message::{LinkageOutcome, RefusalReason};
use protocol::time::Now;

use super::linkage::Conclusion;
use super::{After, Terminal};

impl Terminal {
    /// `conclusion` stays known until [`After::Forget`].
    pub(super) fn know(&mut self, conclusion: Conclusion) {
        self.known.insert(conclusion.transaction, conclusion);
    }

    /// Intents that the journal did not promise to keep: none of their devices was told to move.
    pub(super) fn know_unmoved(&mut self, now: Now) {
        let afters = self.tickets.values().flatten();
        let acts = afters.filter_map(|after| match after {
            After::Act(transaction) => Some(*transaction),
            _ => None,
        });
        for transaction in acts.collect::<Vec<_>>() {
            if let Some(action) = self.actions.remove(&transaction) {
                let reason = RefusalReason::JournalUnavailable;
                let outcome = LinkageOutcome::Refused { reason };
                self.know(action.concluded(outcome, Vec::new(), now));
            }
        }
    }

    /// What `before` knew, as far as this journal holds an intent without a result. Without an
    /// intent there is nothing to settle: a permit that comes again is judged anew (R9).
    pub(super) fn know_as(&mut self, before: &Self) {
        let book = &self.book;
        let is_open = |transaction: &TransactionId| {
            let entry = book.entry(*transaction);
            entry.is_some_and(|entry| entry.intent.is_some() && !entry.is_decided())
        };
        let known = before.known.iter();
        let open = known.filter(|(transaction, _)| is_open(transaction));
        self.known = open.map(|(id, known)| (*id, known.clone())).collect();
    }

    #[cfg(test)]
    pub(crate) fn known_count(&self) -> usize {
        self.known.len()
    }
}
