//! What all records of the journal come to: the index that decides whether a transaction may act.

use std::collections::{BTreeMap, VecDeque};

use protocol::id::{Nonce, TransactionId};
use protocol::message::{Digest, LinkageOutcome, LinkageResult, PaymentMessage, Quote, Receipt};
use protocol::signed::Jws;

use super::record::{IntentRecord, Mark, OrderRecord, Post, Posted, Record};
use crate::rules::{Rule, Rules};

/// Settled transactions that are remembered by id, so that a late question about them is answered
/// `uncertain` and not "never saw it": a busy day at one terminal, 35 bytes each.
pub(crate) const PRUNED_MAX: usize = 512;

/// Everything that is known of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Order in which transactions were first seen.
    pub(crate) serial: u64,
    pub(crate) order: Option<OrderRecord>,
    pub(crate) quote: Option<Jws<Quote>>,
    /// The newest nonce that a permit was asked for with.
    pub(crate) nonce: Option<Nonce>,
    pub(crate) intent: Option<IntentRecord>,
    pub(crate) done: Option<Done>,
    pub(crate) tombstone: bool,
    pub(crate) receipt: Option<Jws<Receipt>>,
    /// The platform was told that the session is over.
    pub(crate) ended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Done {
    pub(crate) outcome: LinkageOutcome,
    pub(crate) result: Jws<LinkageResult>,
}

impl Entry {
    /// Whether any later permit is to be refused (R7).
    pub(crate) fn is_closed(&self, rules: &dyn Rules) -> bool {
        (self.intent.is_some() && rules.holds(Rule::IntentRefusesLater))
            || (self.done.is_some() && rules.holds(Rule::DoneRefusesLater))
            || (self.tombstone && rules.holds(Rule::TombstoneRefusesLater))
    }

    /// Whether there is nothing more to come.
    pub(crate) const fn is_decided(&self) -> bool {
        self.done.is_some() || self.tombstone
    }

    /// A payer who was never sent to pay needs no protection by the journal.
    const fn is_bare(&self) -> bool {
        self.quote.is_none()
            && self.intent.is_none()
            && !self.is_decided()
            && self.receipt.is_none()
    }
}

/// What an index says of a transaction that it holds no entry of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// This journal has never seen it.
    NeverSeen,
    /// It was pruned, or may have been.
    Pruned,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Book {
    entries: BTreeMap<TransactionId, Entry>,
    outbox: BTreeMap<u64, Posted>,
    next_sequence: u64,
    next_serial: u64,
    pruned: VecDeque<TransactionId>,
    forgotten: bool,
    last_result: Option<Digest>,
}

impl Book {
    pub(crate) const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            outbox: BTreeMap::new(),
            next_sequence: 1,
            next_serial: 0,
            pruned: VecDeque::new(),
            forgotten: false,
            last_result: None,
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (TransactionId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn entry(&self, transaction: TransactionId) -> Option<&Entry> {
        self.entries.get(&transaction)
    }

    /// Whether it was settled and forgotten lately enough to be sure.
    pub(crate) fn has_pruned(&self, transaction: TransactionId) -> bool {
        self.pruned.contains(&transaction)
    }

    pub(crate) fn absent(&self, transaction: TransactionId, rules: &dyn Rules) -> Absent {
        let may_be_pruned = self.forgotten || self.has_pruned(transaction);
        if may_be_pruned && rules.holds(Rule::PrunedIsUncertain) {
            Absent::Pruned
        } else {
            Absent::NeverSeen
        }
    }

    /// Messages that wait, in the order in which they were written.
    pub(crate) fn outbox(&self) -> impl Iterator<Item = &Posted> {
        self.outbox.values()
    }

    pub(crate) fn posted(&self, sequence: u64) -> Option<&Posted> {
        self.outbox.get(&sequence)
    }

    pub(crate) const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The result before the next one.
    pub(crate) const fn last_result(&self) -> Option<Digest> {
        self.last_result
    }

    pub(crate) fn apply(&mut self, record: &Record, rules: &dyn Rules) {
        match record {
            Record::Order(order) => {
                let entry = self.enter(order.transaction);
                entry.nonce = Some(order.nonce);
                entry.order = Some(order.clone());
            }
            Record::Paying { transaction, quote } => {
                self.enter(*transaction).quote = Some(quote.clone());
            }
            Record::Nonce { transaction, nonce } => {
                self.enter(*transaction).nonce = Some(*nonce);
            }
            Record::Intent(intent) => {
                self.enter(intent.transaction).intent = Some(intent.clone());
            }
            Record::Done {
                transaction,
                outcome,
                result,
            } => self.decide(*transaction, *outcome, result),
            Record::Tombstone { transaction } => self.enter(*transaction).tombstone = true,
            Record::Receipt {
                transaction,
                receipt,
            } => self.enter(*transaction).receipt = Some(receipt.clone()),
            Record::Posted(posted) => self.post(posted),
            Record::Taken { sequence } => {
                self.outbox.remove(sequence);
                self.sweep(rules);
            }
            Record::Acknowledged { through } => {
                self.outbox.retain(|sequence, _| sequence > through);
                self.sweep(rules);
            }
            Record::Ended { transaction } => self.enter(*transaction).ended = true,
            Record::Settled { transaction } => self.settle(*transaction),
            Record::Mark(mark) => self.restore(mark),
        }
    }

    /// Records that say the same as all that were applied.
    pub(crate) fn snapshot(&self) -> Vec<Record> {
        let mark = Record::Mark(Mark {
            next_sequence: self.next_sequence,
            pruned: self.pruned.iter().copied().collect(),
            forgotten: self.forgotten,
            last_result: self.last_result,
        });
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(_, entry)| entry.serial);
        let kept = entries
            .into_iter()
            .flat_map(|(transaction, entry)| entry_records(*transaction, entry));
        let posted = self.outbox.values().cloned().map(Record::Posted);
        // The mark comes last: it says what was last, whatever order the entries were written in.
        kept.chain(posted).chain(std::iter::once(mark)).collect()
    }

    fn enter(&mut self, transaction: TransactionId) -> &mut Entry {
        let next_serial = &mut self.next_serial;
        self.entries.entry(transaction).or_insert_with(|| {
            *next_serial += 1;
            Entry {
                serial: *next_serial,
                ..Entry::default()
            }
        })
    }

    fn decide(
        &mut self,
        transaction: TransactionId,
        outcome: LinkageOutcome,
        result: &Jws<LinkageResult>,
    ) {
        self.last_result = Some(result.digest());
        self.enter(transaction).done = Some(Done {
            outcome,
            result: result.clone(),
        });
    }

    fn post(&mut self, posted: &Posted) {
        self.next_sequence = self.next_sequence.max(posted.sequence.saturating_add(1));
        if let (Some(transaction), Post::Payment(PaymentMessage::Ended(_))) =
            (posted.transaction, &posted.body)
        {
            self.enter(transaction).ended = true;
        }
        self.outbox.insert(posted.sequence, posted.clone());
    }

    fn settle(&mut self, transaction: TransactionId) {
        self.entries.remove(&transaction);
        self.outbox
            .retain(|_, posted| posted.transaction != Some(transaction));
        if !self.pruned.contains(&transaction) {
            self.pruned.push_back(transaction);
        }
        if self.pruned.len() > PRUNED_MAX {
            self.pruned.pop_front();
            self.forgotten = true;
        }
    }

    /// Orders that ended before paying go once the platform knows that they ended.
    fn sweep(&mut self, rules: &dyn Rules) {
        let outbox = &self.outbox;
        let leaves_unsettled = !rules.holds(Rule::RecordsStayUntilSettled);
        self.entries.retain(|transaction, entry| {
            let waits = || {
                outbox
                    .values()
                    .any(|posted| posted.transaction == Some(*transaction))
            };
            let goes = (entry.ended && entry.is_bare()) || (leaves_unsettled && entry.is_decided());
            !goes || waits()
        });
    }

    fn restore(&mut self, mark: &Mark) {
        self.next_sequence = self.next_sequence.max(mark.next_sequence);
        self.pruned = mark.pruned.iter().copied().collect();
        self.forgotten = mark.forgotten;
        self.last_result = mark.last_result;
    }
}

fn entry_records(transaction: TransactionId, entry: &Entry) -> Vec<Record> {
    let order = entry.order.clone().map(Record::Order);
    let quote = entry.quote.clone();
    let paying = quote.map(|quote| Record::Paying { transaction, quote });
    let nonce = entry
        .nonce
        .filter(|nonce| {
            entry
                .order
                .as_ref()
                .is_none_or(|order| order.nonce != *nonce)
        })
        .map(|nonce| Record::Nonce { transaction, nonce });
    let intent = entry.intent.clone().map(Record::Intent);
    let done = entry.done.clone().map(|done| Record::Done {
        transaction,
        outcome: done.outcome,
        result: done.result,
    });
    let tombstone = entry.tombstone.then_some(Record::Tombstone { transaction });
    let receipt = entry.receipt.clone().map(|receipt| Record::Receipt {
        transaction,
        receipt,
    });
    let ended = entry.ended.then_some(Record::Ended { transaction });
    [
        order, paying, nonce, intent, done, tombstone, receipt, ended,
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use protocol::id::{MessageId, SessionId};
    use protocol::message::{EndReason, SessionEnded};
    use protocol::time::Utc;

    use super::*;
    use crate::machine::token::SessionToken;
    use crate::rules::Sound;

    fn id(number: u16) -> TransactionId {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        TransactionId::from_random(bytes)
    }

    fn order(number: u16) -> Record {
        Record::Order(OrderRecord {
            transaction: id(number),
            session: SessionId::from_random([1; 16]),
            token: SessionToken::from_random([2; 16]),
            return_secret: None,
            nonce: Nonce::from_random([3; 16]),
        })
    }

    fn ended(number: u16, sequence: u64) -> Record {
        Record::Posted(Posted {
            sequence,
            id: MessageId::from_random([4; 16]),
            at: Utc::EPOCH,
            transaction: Some(id(number)),
            body: Post::Payment(PaymentMessage::Ended(SessionEnded {
                session: SessionId::from_random([1; 16]),
                transaction: Some(id(number)),
                reason: EndReason::Cancelled,
                ended_at: Utc::EPOCH,
            })),
        })
    }

    fn done(number: u16, result: &str) -> Record {
        Record::Done {
            transaction: id(number),
            outcome: LinkageOutcome::Done,
            result: result.parse().unwrap(),
        }
    }

    fn book(records: &[Record]) -> Book {
        let mut book = Book::new();
        records.iter().for_each(|record| book.apply(record, &Sound));
        book
    }

    #[test]
    fn a_snapshot_says_the_same_as_its_records() {
        let quote = "a.b.c".parse().unwrap();
        let transaction = id(2);
        let before = book(&[
            order(2),
            order(1),
            Record::Paying { transaction, quote },
            done(1, "first"),
            done(2, "second"),
            done(1, "third"),
            ended(2, 1),
            ended(1, 2),
            Record::Taken { sequence: 1 },
            Record::Settled { transaction: id(9) },
        ]);
        let after = book(&before.snapshot());
        assert_eq!(after, before);
        assert_eq!(after.next_sequence(), 3);
        let third = "third".parse::<Jws<LinkageResult>>().unwrap();
        assert_eq!(after.last_result(), Some(third.digest()));
    }

    #[test]
    fn an_order_that_ended_before_paying_goes_with_its_acknowledgement() {
        let mut book = book(&[order(1), ended(1, 1)]);
        assert!(book.entry(id(1)).is_some());
        book.apply(&Record::Acknowledged { through: 1 }, &Sound);
        assert_eq!(book.entry(id(1)), None);
        assert_eq!(book.absent(id(1), &Sound), Absent::NeverSeen);
    }

    #[test]
    fn what_was_settled_is_never_called_unseen() {
        let mut book = book(&[
            order(1),
            done(1, "x"),
            Record::Settled { transaction: id(1) },
        ]);
        assert_eq!(
            (book.entry(id(1)), book.absent(id(1), &Sound)),
            (None, Absent::Pruned)
        );
        assert_eq!(book.absent(id(2), &Sound), Absent::NeverSeen);
        for number in 0..=u16::try_from(PRUNED_MAX).unwrap() {
            let transaction = id(1_000 + number);
            book.apply(&Record::Settled { transaction }, &Sound);
        }
        assert_eq!(
            book.absent(id(2), &Sound),
            Absent::Pruned,
            "older ids are forgotten"
        );
    }
}
