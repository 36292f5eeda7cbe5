//! The books of a data folder, read from outside: what came in, what went back, what was kept,
//! and whether the invariants of the ledger hold.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use protocol::id::TransactionId;
use protocol::money::Currency;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use serde::Serialize;

use crate::store::StoreError;
use crate::store::reader::Reader as _;
use crate::store::sqlite::{Checker, SqliteReader};

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
    /// Lines of payment servers' statements, by what they were found to be.
    pub lines: BTreeMap<String, u64>,
    /// Every row that breaks an invariant, or can't be read; empty when all hold.
    pub violations: Vec<Violation>,
}

impl Audit {
    /// Whether every rule holds.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.balanced && self.chain_intact && self.violations.is_empty()
    }
}

/// A row that breaks an invariant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// `I1` to `I14`, or `unreadable`.
    pub invariant: &'static str,
    /// What is broken.
    pub rule: &'static str,
    /// A transaction, a session, a line of a statement, or an account.
    pub subject: String,
    /// What was found.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invariant,
            rule,
            subject,
            detail,
        } = self;
        write!(f, "{invariant}: {subject}: {rule}: {detail}")
    }
}

/// What [`check`] has looked at, and what it has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    pub transactions: u64,
    pub violations: Vec<Violation>,
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
        .and_then(|reader| reader.audit(now()))
        .map_err(|error| audit_error(folder, error))
}

/// Checks every invariant over the whole store of a data folder, also while a platform is running
/// on it, and keeps none of it in memory but what is wrong.
///
/// # Errors
/// When the store can't be opened or read at all; a single row that can't be read is a violation.
pub fn check(data: impl AsRef<Path>) -> Result<Report, AuditError> {
    let folder = data.as_ref();
    let found = Checker::open(folder).and_then(|checker| checker.everything(now()));
    let found = found.map_err(|error| audit_error(folder, error))?;
    Ok(Report {
        transactions: found.transactions,
        violations: found.violations,
    })
}

fn now() -> Utc {
    process::clock::Clock::system().now().utc
}

fn audit_error(folder: &Path, error: StoreError) -> AuditError {
    AuditError {
        folder: folder.display().to_string(),
        source: Box::new(error),
    }
}
