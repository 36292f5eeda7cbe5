//! What the platform keeps. Everything above this module sees these traits and rows, and no code
//! above it knows which database is behind them.
//!
//! One [`Writer`](Store) changes the store; any number of [`Reader`]s look at it. A commit is one
//! synced transaction however many changes it carries, so the price of a sync is shared by a group.

pub(crate) mod books;
pub(crate) mod memory;
pub(crate) mod reader;
pub(crate) mod sqlite;

use std::collections::BTreeMap;

use protocol::codec::Record;
use protocol::id::{
    ActId, BootId, GatewayId, JournalId, PayeeId, PaymentId, Pseudonym, RefundId, SessionId,
    StoreEpoch, TransactionId,
};
use protocol::message::Digest;
use protocol::money::Money;
use protocol::signed::KeyId;
use protocol::time::Utc;
use protocol::topic::{TerminalName, Topic};
use serde::Serialize;

use self::books::{BookNote, LineRow, OrderBook, Unlisted};
use self::reader::{EpochRow, HoldRow};
use crate::act::ActRow;
use crate::caps::{CapNote, Counted};
use crate::ledger::Posting;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Somebody else has changed the row since it was read; nothing was written.
    #[error("transaction {transaction} was changed by somebody else; nothing was written")]
    Conflict { transaction: TransactionId },
    /// The store can't be used; what was asked is not done, or not known to be done.
    #[error("the store failed to {action}")]
    Failed {
        action: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "{path}: written by a newer version of this program (schema {found}, this one knows \
         {known}): install that version, or restore a backup of before the upgrade"
    )]
    Newer {
        path: String,
        found: u32,
        known: u32,
    },
    #[error("{path}: can't open the store")]
    Open {
        path: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Everything that one commit writes: all of it, in this order, or nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Batch<'a> {
    /// First, so that a history reads: somebody did it, then this came of it.
    pub(crate) acts: &'a [ActRow],
    pub(crate) changes: &'a [Change],
    pub(crate) notes: &'a [TerminalNote],
    pub(crate) books: &'a [BookNote],
    pub(crate) caps: &'a [CapNote],
}

/// All effects of one step of one sale: written together or not at all.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) sale: SaleRow,
    /// The version that was read; `None` inserts.
    pub(crate) expected_version: Option<u64>,
    pub(crate) events: Vec<EventRow>,
    pub(crate) postings: Vec<Posting>,
    /// Written over an earlier row of the same payment.
    pub(crate) payments: Vec<PaymentRow>,
    /// Written over an earlier row of the same refund.
    pub(crate) refunds: Vec<RefundRow>,
    /// Written over an earlier row of the same key.
    pub(crate) outbox_put: Vec<OutboxRow>,
    /// Keys that leave the outbox; an unknown key is no error.
    pub(crate) outbox_done: Vec<String>,
    /// SHA-256 of the token of the payer's status page, with the first change of a sale. One that
    /// is known already stays with the sale that had it first.
    pub(crate) link: Option<Digest>,
}

/// A sale: the columns that are asked for, and the machine's own document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaleRow {
    pub(crate) transaction: TransactionId,
    pub(crate) terminal: TerminalName,
    pub(crate) session: SessionId,
    pub(crate) state: String,
    pub(crate) order_state: String,
    pub(crate) amount: Money,
    /// Whether anything is still to be done.
    pub(crate) open: bool,
    pub(crate) created_at: Utc,
    pub(crate) updated_at: Utc,
    /// Of this row as it will stand after the commit.
    pub(crate) version: u64,
    /// JSON of `sale::Sale`.
    pub(crate) document: String,
}

/// One line of a sale's history. No identity of a payer, ever (R15).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EventRow {
    pub(crate) at: Utc,
    pub(crate) kind: String,
    pub(crate) detail: serde_json::Value,
}

/// A message that is sent until its receiver's own message acknowledges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OutboxRow {
    pub(crate) key: String,
    pub(crate) transaction: TransactionId,
    pub(crate) topic: Topic,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PaymentRow {
    pub(crate) payment: PaymentId,
    pub(crate) transaction: TransactionId,
    pub(crate) gateway: GatewayId,
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
    /// What went back so far, in minor units of `amount`'s currency.
    pub(crate) refunded_minor: i64,
    pub(crate) received_at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct RefundRow {
    pub(crate) refund: RefundId,
    pub(crate) payment: PaymentId,
    pub(crate) transaction: TransactionId,
    pub(crate) amount: Money,
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) updated_at: Utc,
}

/// Something learned of a terminal, beside any sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TerminalNote {
    Hello {
        terminal: TerminalName,
        at: Utc,
        boot: BootId,
        /// Registered by this note, if it is new.
        journal: JournalId,
        agent_version: String,
    },
    Presence {
        terminal: TerminalName,
        at: Utc,
        online: bool,
    },
    /// Everything up to and including this record is committed. Never goes back.
    Acknowledged {
        terminal: TerminalName,
        record: Record,
    },
    /// It has worked for an epoch that this store does not know.
    StrangeEpoch {
        terminal: TerminalName,
        epoch: StoreEpoch,
    },
    /// Its journal has answered everything that was open before this store epoch.
    JournalRead { terminal: TerminalName, at: Utc },
    /// Nothing more is to be learned of what was before this store epoch.
    AllJournalsRead { at: Utc },
    /// The newest receipt, which the next one names as its predecessor.
    Receipt {
        terminal: TerminalName,
        digest: Digest,
    },
}

/// What is known of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TerminalRow {
    pub(crate) terminal: TerminalName,
    pub(crate) online: bool,
    pub(crate) presence_at: Option<Utc>,
    pub(crate) hello_at: Option<Utc>,
    pub(crate) boot: Option<BootId>,
    pub(crate) agent_version: Option<String>,
    pub(crate) last_receipt: Option<Digest>,
    /// Every journal it ever had, with the last record of it that we have committed.
    pub(crate) journals: BTreeMap<JournalId, u64>,
    pub(crate) current_journal: Option<JournalId>,
    pub(crate) open_sales: u64,
}

/// A payer's identity behind the pseudonym; the only place that holds it (R15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityRow {
    pub(crate) pseudonym: Pseudonym,
    pub(crate) identity: String,
    pub(crate) consent: String,
    pub(crate) registered_at: Utc,
}

/// The one writer. Every method blocks; a commit returns once it is on the disk.
pub(crate) trait Store: Send + 'static {
    fn commit_all(&mut self, batch: Batch<'_>) -> Result<(), StoreError>;

    #[cfg(test)]
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.commit_all(Batch {
            changes,
            ..Batch::default()
        })
    }

    fn sale(&self, transaction: TransactionId) -> Result<Option<SaleRow>, StoreError>;

    /// Open sales with a larger id than `after`, in the order of their ids.
    fn open_sales(
        &self,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<SaleRow>, StoreError>;

    /// What is to be sent, of one sale or of all, in the order in which it was put.
    fn outbox(&self, transaction: Option<TransactionId>) -> Result<Vec<OutboxRow>, StoreError>;

    /// The transaction for which a payment is booked (I4).
    fn payment_owner(
        &self,
        gateway: &GatewayId,
        payment: PaymentId,
    ) -> Result<Option<TransactionId>, StoreError>;

    fn terminal(&self, terminal: &TerminalName) -> Result<Option<TerminalRow>, StoreError>;

    /// The last [`BookNote::Reconciliation`] of a gateway.
    fn reconciliation(&self, gateway: &GatewayId) -> Result<Option<String>, StoreError>;

    /// What we hold of these orders, in the order of their ids; unknown ones are left out.
    fn order_books(&self, orders: &[TransactionId]) -> Result<Vec<OrderBook>, StoreError>;

    /// Lines that must be looked at again, numbered above `after`, in the order of their numbers.
    fn pending_lines(
        &self,
        gateway: &GatewayId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LineRow>, StoreError>;

    /// Payments of a gateway received, and refunds of it succeeded, from the first instant of
    /// `window` and before its second, that neither a line nor a task (kind `missing_there` or `missing_refund`, subject
    /// `payment:ID` or `refund:ID`) names. At most `limit` of each, oldest first.
    fn unlisted(
        &self,
        gateway: &GatewayId,
        window: (Utc, Utc),
        limit: usize,
    ) -> Result<Vec<Unlisted>, StoreError>;
    /// An act of an operator, if one was done under this id.
    fn act(&self, id: ActId) -> Result<Option<ActRow>, StoreError>;

    /// Every hold that stands, in the order of their scopes.
    fn holds(&self) -> Result<Vec<HoldRow>, StoreError>;

    fn revoked_keys(&self) -> Result<Vec<KeyId>, StoreError>;

    /// Refunds that were let out by themselves and count against a cap, in the order of their ids.
    fn capped(&self) -> Result<Vec<Counted>, StoreError>;

    fn epoch_row(&self) -> Result<EpochRow, StoreError>;

    /// Written over an earlier row of the same pseudonym.
    fn put_identity(&mut self, row: &IdentityRow) -> Result<(), StoreError>;

    #[cfg(test)]
    fn identity(&self, pseudonym: Pseudonym) -> Result<Option<IdentityRow>, StoreError>;

    /// Forgets who the pseudonym is, in every file; whether there was anything to forget.
    fn erase_identity(&mut self, pseudonym: Pseudonym) -> Result<bool, StoreError>;

    /// Which incarnation of the store this is: made with the store, the same for ever after.
    fn epoch(&self) -> StoreEpoch;

    /// How often this store was opened for writing: larger at every start, so it numbers what is
    /// issued per start, such as site configs.
    fn starts(&self) -> u64;
}
