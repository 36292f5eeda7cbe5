//! Looking at the store without a way to change it: for the API, for metrics and for audits.

use std::collections::BTreeMap;

use protocol::id::{ActId, PaymentId, RefundId, SessionId, StoreEpoch, TransactionId};
use protocol::message::Digest;
use protocol::money::{Currency, Money};
use protocol::signed::KeyId;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use serde::Serialize;

use super::books::{TaskId, TaskQuery, TaskRow};
use super::{EventRow, PaymentRow, RefundRow, SaleRow, StoreError, TerminalRow};
use crate::act::{ActRow, HoldScope};
use crate::audit::Audit;

/// Most events of one timeline: a sale has about 20, and a refund that is asked for every hour
/// for a month about 1,500.
pub(crate) const EVENTS_MAX: usize = 2_000;

/// Which transactions are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PageQuery {
    pub(crate) state: Option<String>,
    pub(crate) terminal: Option<TerminalName>,
    /// Only those made before this one: the cursor of the page before.
    pub(crate) before: Option<i64>,
    pub(crate) limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Page {
    pub(crate) transactions: Vec<Summary>,
    /// Ask for the next page with `before` set to it; none on the last page.
    pub(crate) next: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Summary {
    pub(crate) transaction: TransactionId,
    pub(crate) terminal: TerminalName,
    pub(crate) session: SessionId,
    pub(crate) state: String,
    pub(crate) order_state: String,
    pub(crate) amount: Money,
    pub(crate) open: bool,
    pub(crate) created_at: Utc,
    pub(crate) updated_at: Utc,
}

/// One transaction with all that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Detail {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    pub(crate) payments: Vec<PaymentRow>,
    pub(crate) refunds: Vec<RefundRow>,
    pub(crate) postings: Vec<LedgerLine>,
    /// Oldest first, at most [`EVENTS_MAX`].
    pub(crate) events: Vec<EventRow>,
}

/// One posting as it was booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LedgerLine {
    pub(crate) at: Utc,
    /// Why it was booked.
    pub(crate) kind: String,
    pub(crate) account: String,
    pub(crate) debit_minor: i64,
    pub(crate) credit_minor: i64,
    pub(crate) currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payment: Option<PaymentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund: Option<RefundId>,
}

/// Sums for gauges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) open_sales: u64,
    pub(crate) outbox: u64,
    pub(crate) open_tasks: u64,
    /// Money taken without service yet, in minor units.
    pub(crate) suspense_minor: Vec<(Currency, i64)>,
}

/// Acts of operators, newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ActPage {
    pub(crate) acts: Vec<ActRow>,
    /// Ask for the next page with `before` set to it; none on the last page.
    pub(crate) next: Option<i64>,
}

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct HoldRow {
    pub(crate) scope: HoldScope,
    pub(crate) since: Utc,
    pub(crate) name: String,
    pub(crate) reason: String,
    pub(crate) act: ActId,
}

/// What of a terminal's journal is known in this store epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Known {
    /// The store has forgotten nothing, or has learned it all again.
    NotNeeded,
    Unread,
    Read,
    /// A person has answered for it.
    Vouched,
    /// It has worked for an epoch that is unknown here.
    Strange(StoreEpoch),
}

/// The incarnation of the store, and what it has learned since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EpochRow {
    pub(crate) store_epoch: StoreEpoch,
    /// Whether it began with a restore, and journals are still unread.
    pub(crate) is_restored: bool,
    /// Epochs that this store has been in, or that a person has accepted.
    pub(crate) epochs: Vec<StoreEpoch>,
    /// Every terminal that was ever heard of, in any epoch.
    pub(crate) heard: Vec<TerminalName>,
    /// What was noted in this epoch.
    pub(crate) noted: BTreeMap<TerminalName, Known>,
}

impl EpochRow {
    /// Every terminal that is registered or was ever heard of.
    pub(crate) fn standings(
        &self,
        registered: impl Iterator<Item = TerminalName>,
    ) -> BTreeMap<TerminalName, Known> {
        let unnoted = if self.is_restored {
            Known::Unread
        } else {
            Known::NotNeeded
        };
        let all = registered.chain(self.heard.iter().cloned());
        let mut standings: BTreeMap<_, _> = all.map(|terminal| (terminal, unnoted)).collect();
        standings.extend(self.noted.clone());
        standings
    }
}

/// A view that never blocks the writer and never sees half a commit.
pub(crate) trait Reader: Send + 'static {
    fn page(&self, query: &PageQuery) -> Result<Page, StoreError>;

    fn transaction(&self, transaction: TransactionId) -> Result<Option<Detail>, StoreError>;

    /// The sale whose payer holds the token with this SHA-256. Only the digest is compared, so how
    /// long that takes tells nothing of any token.
    fn linked(&self, link: &Digest) -> Result<Option<SaleRow>, StoreError>;

    /// Ids of keys that people revoked.
    fn revoked_keys(&self) -> Result<Vec<KeyId>, StoreError>;

    /// Every terminal that was ever heard of, in the order of their names.
    fn terminals(&self) -> Result<Vec<TerminalRow>, StoreError>;

    /// The work list, oldest first: tasks, and sales under review under their transaction's id.
    fn tasks(&self, query: TaskQuery) -> Result<Vec<TaskRow>, StoreError>;
    fn acts(&self, before: Option<i64>, limit: u32) -> Result<ActPage, StoreError>;

    fn epoch_row(&self) -> Result<EpochRow, StoreError>;

    /// In the order of their scopes.
    fn holds(&self) -> Result<Vec<HoldRow>, StoreError>;

    /// One task; a sale under review is none.
    fn task(&self, task: &TaskId) -> Result<Option<TaskRow>, StoreError>;

    fn totals(&self) -> Result<Totals, StoreError>;

    /// Reads and checks everything: for tests and operators, not for every minute. `now` is for
    /// ages alone.
    fn audit(&self, now: Utc) -> Result<Audit, StoreError>;
}
