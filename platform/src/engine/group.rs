//! What one round of the engine wants committed together, and sent only then.

use std::collections::BTreeMap;

use protocol::id::TransactionId;
use protocol::message::Digest;
use protocol::time::Utc;

use super::speak::Parcel;
use crate::act::ActRow;
use crate::caps::CapNote;
use crate::ledger::Posting;
use crate::sale::{Sale, Word};
use crate::store::books::BookNote;
use crate::store::{
    Batch, Change, EventRow, IdentityRow, OutboxRow, PaymentRow, RefundRow, SaleRow, TerminalNote,
};

/// One commit and what follows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(crate) acts: Vec<ActRow>,
    pub(crate) changes: Vec<Change>,
    pub(crate) notes: Vec<TerminalNote>,
    pub(crate) identities: Vec<IdentityRow>,
    pub(crate) books: Vec<BookNote>,
    pub(crate) caps: Vec<CapNote>,
    pub(crate) parcels: Vec<Parcel>,
}

impl Group {
    /// What the store commits at once; identities go before it.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch {
            acts: &self.acts,
            changes: &self.changes,
            notes: &self.notes,
            books: &self.books,
            caps: &self.caps,
        }
    }

    /// Whether anything of it must be on the disk before anything is sent.
    pub(crate) const fn needs_commit(&self) -> bool {
        !self.acts.is_empty()
            || !self.changes.is_empty()
            || !self.notes.is_empty()
            || !self.identities.is_empty()
            || !self.books.is_empty()
            || !self.caps.is_empty()
    }
}

/// A sale in memory, with what its last steps have queued for the store.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) sale: Sale,
    /// As it stands in the store; none before its first commit.
    version: Option<u64>,
    /// Of the document as it stands in the store.
    committed: Option<Digest>,
    pub(crate) outbox: BTreeMap<Word, Parcel>,
    pub(crate) draft: Draft,
}

/// Rows of one sale that wait for the commit of the group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) events: Vec<EventRow>,
    pub(crate) postings: Vec<Posting>,
    pub(crate) payments: Vec<PaymentRow>,
    pub(crate) refunds: Vec<RefundRow>,
    put: BTreeMap<Word, Parcel>,
    done: Vec<Word>,
}

impl Kept {
    pub(crate) fn new(sale: Sale) -> Self {
        Self::restored(sale, None, None, BTreeMap::new())
    }

    pub(crate) fn restored(
        sale: Sale,
        version: Option<u64>,
        committed: Option<Digest>,
        outbox: BTreeMap<Word, Parcel>,
    ) -> Self {
        Self {
            sale,
            version,
            committed,
            outbox,
            draft: Draft::default(),
        }
    }

    /// The newest of a kind replaces the one before it.
    pub(crate) fn put(&mut self, word: Word, parcel: Parcel) {
        self.draft.done.retain(|done| *done != word);
        self.draft.put.insert(word, parcel.clone());
        self.outbox.insert(word, parcel);
    }

    pub(crate) fn withdraw(&mut self, word: Word) {
        self.outbox.remove(&word);
        self.draft.put.remove(&word);
        self.draft.done.push(word);
    }

    /// The change to commit, if anything has changed. The machine's document tells: a step that
    /// only sent something again leaves it as it was.
    pub(crate) fn take_change(&mut self, at: Utc) -> Result<Option<Change>, serde_json::Error> {
        let document = serde_json::to_string(&self.sale)?;
        let digest = Digest::of(document.as_bytes());
        let draft = std::mem::take(&mut self.draft);
        if self.committed == Some(digest) && draft.is_empty() {
            return Ok(None);
        }
        let expected_version = self.version;
        let version = expected_version.map_or(1, |version| version.saturating_add(1));
        self.version = Some(version);
        self.committed = Some(digest);
        let transaction = self.sale.transaction();
        let link = self
            .sale
            .facts()
            .link
            .filter(|_| expected_version.is_none());
        let row = self.row(version, document, at);
        Ok(Some(Change {
            link,
            ..draft.into_change(transaction, row, expected_version)
        }))
    }

    fn row(&self, version: u64, document: String, at: Utc) -> SaleRow {
        let facts = self.sale.facts();
        SaleRow {
            transaction: facts.transaction,
            terminal: facts.terminal.clone(),
            session: facts.session,
            state: self.sale.state().as_str().to_owned(),
            order_state: self.sale.order_state().to_owned(),
            amount: facts.amount,
            open: self.sale.is_open(),
            created_at: facts.created_at,
            updated_at: at,
            version,
            document,
        }
    }
}

impl Draft {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.postings.is_empty()
            && self.payments.is_empty()
            && self.refunds.is_empty()
            && self.put.is_empty()
            && self.done.is_empty()
    }

    fn into_change(
        self,
        transaction: TransactionId,
        sale: SaleRow,
        expected_version: Option<u64>,
    ) -> Change {
        let put = |(word, parcel): (Word, Parcel)| OutboxRow {
            key: outbox_key(transaction, word),
            transaction,
            topic: parcel.topic,
            payload: parcel.payload,
        };
        let done = |word: &Word| outbox_key(transaction, *word);
        Change {
            sale,
            expected_version,
            events: self.events,
            postings: self.postings,
            payments: self.payments,
            refunds: self.refunds,
            outbox_done: self.done.iter().map(done).collect(),
            outbox_put: self.put.into_iter().map(put).collect(),
            link: None,
        }
    }
}

fn outbox_key(transaction: TransactionId, word: Word) -> String {
    format!("{transaction}/{}", word.as_str())
}

/// The word of an outbox row.
pub(crate) fn word_of(row: &OutboxRow) -> Option<Word> {
    let (_, name) = row.key.split_once('/')?;
    Word::ALL.into_iter().find(|word| word.as_str() == name)
}
