//! The books of a data folder, read from outside: what came in, what went back, what was kept,
//! and whether the invariants of the ledger hold.

use std::path::Path;

use protocol::id::TransactionId;
use protocol::money::Currency;
use protocol::topic::TerminalName;
use serde::Serialize;

use crate::store::reader::Reader as _;
use crate::store::sqlite::SqliteReader;

/// Why the books could not be read.
#[derive(Debug, thiserror::Error)]
#[error("can't audit {folder}")]
pub struct AuditError {
    folder: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Everything, in the order in which the transactions were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    pub transactions: Vec<AuditedTransaction>,
    /// I1: debits equal credits, per currency and per transaction, and the running balances are
    /// the sums of the ledger.
    pub balanced: bool,
    /// I8: every event is as it was written and none is missing.
    pub chain_intact: bool,
    /// Every other rule of the ledger that is broken, one line each; empty when all hold: I4 (a
    /// payment belongs to one transaction), I5 (0 <= refunded <= received), I6 (0 <= suspense <=
    /// received, and 0 once nothing is to be done).
    pub violations: Vec<String>,
}

impl Audit {
    /// Whether every rule holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.balanced && self.chain_intact && self.violations.is_empty()
    }
}

/// One transaction's money, in minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditedTransaction {
    pub transaction: TransactionId,
    pub terminal: TerminalName,
    pub state: String,
    pub open: bool,
    /// That of the sale. Money that came in another one is counted here too: it must go back, and
    /// kept it is a violation.
    pub currency: Currency,
    /// Booked as ours when the payment server said that it was paid.
    pub received: i64,
    /// Given back, through us or outside.
    pub refunded: i64,
    /// Earned by the merchant, less what was lost.
    pub kept: i64,
    /// Taken without service yet.
    pub suspense: i64,
}

/// Reads the store of a data folder, also while a platform is running on it.
pub fn read(data: impl AsRef<Path>) -> Result<Audit, AuditError> {
    let folder = data.as_ref();
    SqliteReader::open(folder)
        .and_then(|reader| reader.audit())
        .map_err(|error| AuditError {
            folder: folder.display().to_string(),
            source: Box::new(error),
        })
}
