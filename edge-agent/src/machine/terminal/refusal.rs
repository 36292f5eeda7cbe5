//! What follows a verified permit that is not acted on.

use protocol::id::{Entropy, TransactionId};
use protocol::message::{LinkageMessage, LinkageOutcome, Permit, RefusalReason, UncertainReason};
use protocol::signed::Verified;
use protocol::time::Now;

use super::linkage::Conclusion;
use super::{After, DeliveryId, Terminal};
use crate::journal::Durability;
use crate::machine::book::Absent;
use crate::machine::event::Event;
use crate::machine::record::{Post, Record};
use crate::machine::session::State;
use crate::rules::Rule;

impl Terminal {
    pub(super) fn refuse_permit(
        &mut self,
        (delivery, permit): (DeliveryId, &Verified<Permit>),
        reason: RefusalReason,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let transaction = permit.transaction;
        self.note(Event::PermitRefused {
            transaction,
            reason,
        });
        let is_other_journal = permit.journal != self.room.id;
        let outcome = match reason {
            // The other journal may hold an intent.
            _ if is_other_journal => LinkageOutcome::Uncertain {
                reason: UncertainReason::JournalLost,
            },
            RefusalReason::AlreadyDecided => {
                return self.repeat_result((delivery, permit), now, entropy);
            }
            // The payer may still be here and ask for a permit under a new nonce (R9); if not, the
            // platform's inquiry ends it.
            RefusalReason::NonceUnknown if self.awaits(transaction) => {
                return self.once_written(After::Acknowledge(delivery));
            }
            reason => LinkageOutcome::Refused { reason },
        };
        if self.is_closed(transaction) {
            return self.repeat_result((delivery, permit), now, entropy);
        }
        self.conclude_for((delivery, permit), outcome, now, entropy);
        if let Some(session) = self.session_of(transaction) {
            session.handle_outcome(outcome);
        }
        self.report_closed(transaction);
    }

    /// The platform may not have heard the result: it is said again.
    fn repeat_result(
        &mut self,
        (delivery, permit): (DeliveryId, &Verified<Permit>),
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let transaction = permit.transaction;
        let entry = self.book.entry(transaction);
        let is_buried = entry.is_some_and(|entry| entry.tombstone && entry.done.is_none());
        if is_buried {
            let outcome = LinkageOutcome::Refused {
                reason: RefusalReason::AlreadyDecided,
            };
            return self.conclude_for((delivery, permit), outcome, now, entropy);
        }
        self.resend_result(delivery, transaction, now, entropy);
    }

    pub(super) fn resend_result(
        &mut self,
        delivery: DeliveryId,
        transaction: TransactionId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let acknowledge = After::Acknowledge(delivery);
        let waiting = self.book.outbox().find(|posted| {
            posted.transaction == Some(transaction) && matches!(posted.body, Post::Linkage(_))
        });
        if let Some(sequence) = waiting.map(|posted| posted.sequence) {
            self.outbox.handle_asked(sequence, now.tick);
            return self.once_written(acknowledge);
        }
        let done = self
            .book
            .entry(transaction)
            .and_then(|entry| entry.done.clone());
        let Some(done) = done else {
            return self.once_written(acknowledge);
        };
        let message = Post::Linkage(LinkageMessage::Result(done.result));
        let posted = self.posted(Some(transaction), message, now, entropy);
        let after = vec![acknowledge, After::Queue(posted.sequence)];
        if self
            .write(vec![Record::Posted(posted)], Durability::Written, after)
            .is_err()
        {
            self.once_written(After::Acknowledge(delivery));
        }
    }

    fn conclude_for(
        &mut self,
        (delivery, permit): (DeliveryId, &Verified<Permit>),
        outcome: LinkageOutcome,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let conclusion = Conclusion {
            transaction: permit.transaction,
            session: permit.session,
            nonce: permit.nonce,
            outcome,
            devices: Vec::new(),
            decided_at: now.utc,
        };
        let after = vec![After::Acknowledge(delivery)];
        if self.conclude(conclusion, after, now, entropy).is_err() {
            self.once_written(After::Acknowledge(delivery));
        }
    }

    fn awaits(&self, transaction: TransactionId) -> bool {
        self.sessions.values().any(|session| {
            session.transaction == Some(transaction)
                && matches!(
                    session.state,
                    State::Paying { .. } | State::Verifying { .. }
                )
        })
    }

    /// Whether the journal holds, or may have held, what refuses every permit of it (R7).
    pub(super) fn is_closed(&self, transaction: TransactionId) -> bool {
        let is_closed = match self.book.entry(transaction) {
            Some(entry) => entry.is_closed(self.setup.rules),
            None => self.absent(transaction) == Absent::Pruned,
        };
        is_closed
            && (self.holds(Rule::FreshNonceOnlyIfOpen) || !self.requests.contains_key(&transaction))
    }
}
