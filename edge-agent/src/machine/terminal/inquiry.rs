//! `down/inquiry`: what the journal knows of a transaction (R8).

use protocol::id::{Entropy, MessageId, TransactionId};
use protocol::message::{Finding, Inquiry, JournalAnswer, LinkageMessage, UncertainReason};
use protocol::signed::{Jws, Verified, sign, verify};
use protocol::time::Now;

use super::{After, DeliveryId, JournalState, Terminal};
use crate::journal::Durability;
use crate::machine::book::Absent;
use crate::machine::event::Event;
use crate::machine::message::{Body, Message};
use crate::machine::record::Record;
use crate::machine::view::NotConfirmedReason;
use crate::rules::Rule;

impl Terminal {
    pub(super) fn handle_inquiry(
        &mut self,
        delivery: DeliveryId,
        jws: &Jws<Inquiry>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let inquiry = match verify(jws, &self.setup.keyring, &self.audience) {
            Ok(inquiry) => inquiry,
            Err(refusal) => return self.refuse(delivery, "inquiry", refusal.as_str()),
        };
        if self.room.state == JournalState::Failed {
            // The book says more than the disk may hold.
            return self.refuse(delivery, "inquiry", "journal");
        }
        let transaction = inquiry.transaction;
        let known = self.known(&inquiry);
        let finding = known.clone().unwrap_or(Finding::Tombstone);
        let Some(answer) = self.answer(&inquiry, finding, now, entropy) else {
            return self.refuse(delivery, "inquiry", "too_long");
        };
        if known.is_some() || !self.holds(Rule::TombstoneBeforeNeverSaw) {
            // Not before what it says is on the disk.
            self.once_written(After::Send(answer));
            return self.once_written(After::Acknowledge(delivery));
        }
        let after = vec![After::Send(answer), After::Acknowledge(delivery)];
        let tombstone = Record::Tombstone { transaction };
        let durability = if self.holds(Rule::TombstoneSyncedFirst) {
            Durability::Synced
        } else {
            Durability::Written
        };
        if self.write(vec![tombstone], durability, after).is_err() {
            return self.refuse(delivery, "inquiry", "journal");
        }
        if self.holds(Rule::TombstoneRefusesLater) {
            self.requests.remove(&transaction);
        }
        if let Some(session) = self.session_of(transaction) {
            session.handle_withdrawn(NotConfirmedReason::Withdrawn);
            self.changes += 1;
        }
        self.report_closed(transaction);
    }

    /// `None` if a tombstone is to be written first.
    fn known(&mut self, inquiry: &Verified<Inquiry>) -> Option<Finding> {
        let transaction = inquiry.transaction;
        let finding = self.find(inquiry);
        let name = match &finding {
            None | Some(Finding::Tombstone) => "tombstone",
            Some(Finding::Acting) => "acting",
            Some(Finding::Decided(_)) => "decided",
            Some(Finding::Uncertain(_)) => "uncertain",
        };
        self.note(Event::Inquired {
            transaction,
            finding: name,
        });
        finding
    }

    fn find(&self, inquiry: &Inquiry) -> Option<Finding> {
        let lost = Some(Finding::Uncertain(UncertainReason::JournalLost));
        if inquiry.journal != self.room.id && self.holds(Rule::OtherJournalIsUncertain) {
            return lost;
        }
        let transaction = inquiry.transaction;
        match self.book.entry(transaction) {
            Some(entry) => {
                if let Some(done) = &entry.done {
                    return Some(Finding::Decided(done.result.clone()));
                }
                if entry.intent.is_some() {
                    return Some(self.undone(transaction));
                }
                if entry.tombstone {
                    return Some(Finding::Tombstone);
                }
            }
            None if self.absent(transaction) == Absent::Pruned => {
                let is_sure = self.book.has_pruned(transaction);
                let pruned = Some(Finding::Uncertain(UncertainReason::Pruned));
                return if is_sure { pruned } else { lost };
            }
            None => {}
        }
        // What is missing from a damaged journal says nothing.
        if self.room.state == JournalState::Damaged {
            lost
        } else {
            None
        }
    }

    fn undone(&self, transaction: TransactionId) -> Finding {
        if self.actions.contains_key(&transaction) {
            Finding::Acting
        } else {
            Finding::Uncertain(UncertainReason::IntentWithoutDone)
        }
    }

    fn answer(
        &self,
        inquiry: &Verified<Inquiry>,
        finding: Finding,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Option<Message> {
        let answer = JournalAnswer {
            aud: self.setup.platform.clone(),
            terminal: self.setup.name.clone(),
            transaction: inquiry.transaction,
            nonce: inquiry.nonce,
            journal: self.room.id,
            finding,
            answered_at: now.utc,
        };
        let signed = sign(&self.setup.key, &answer).ok()?;
        Some(Message {
            id: MessageId::from_random(entropy.bytes()),
            at: now.utc,
            record: None,
            body: Body::Linkage(LinkageMessage::Answer(signed)),
        })
    }
}
