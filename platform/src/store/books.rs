//! What is kept beside sales: lines of payment servers' statements, what a comparison with them
//! has found, and the work that waits for a person.

use std::fmt;
use std::str::FromStr;

use protocol::id::{GatewayId, PayeeId, PaymentId, RefundId, TransactionId};
use protocol::message::{Digest, StatementKind, StatementLine};
use protocol::money::Money;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use serde::{Deserialize, Serialize};

use super::{PaymentRow, RefundRow};
use crate::ledger::Entry;

/// Digits of a task's id: 64 bits would do, 128 are what every other id has.
const ID_DIGITS: usize = 32;

/// One effect on the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BookNote {
    /// Written over an earlier row of the same gateway and number.
    Line(LineRow),
    /// Booked from a line of a statement.
    Entry { at: Utc, entry: Entry },
    /// The reconciliation's own document; written over the one before.
    Reconciliation {
        gateway: GatewayId,
        document: String,
    },
    /// Opens a task. One that was ever opened under the same id stays as it is.
    Task(TaskRow),
    /// Closes a task; one that is closed or unknown stays as it is.
    Resolved {
        task: TaskId,
        resolution: Resolution,
    },
}

/// A line of a statement, and what it was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineRow {
    pub(crate) gateway: GatewayId,
    pub(crate) line: StatementLine,
    pub(crate) finding: String,
    /// Whether it must be looked at again.
    pub(crate) is_pending: bool,
}

/// Names a task by what it is about: the same matter has the same name however often it is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct TaskId(String);

/// What waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TaskRow {
    pub(crate) id: TaskId,
    pub(crate) kind: String,
    /// What it is about, as `kind:id` of the thing.
    pub(crate) subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transaction: Option<TransactionId>,
    /// Who has to see to it.
    pub(crate) owner: String,
    pub(crate) since: Utc,
    pub(crate) due_at: Utc,
    /// What was found, for a person to read.
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolved: Option<Resolution>,
}

/// Who closed a task, when, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resolution {
    pub(crate) by: String,
    pub(crate) at: Utc,
    pub(crate) note: String,
}

/// What our books hold of one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderBook {
    pub(crate) transaction: TransactionId,
    pub(crate) terminal: TerminalName,
    /// Who is to be paid; none if the sale's own document does not tell.
    pub(crate) payee: Option<PayeeId>,
    pub(crate) payments: Vec<PaymentRow>,
    pub(crate) refunds: Vec<RefundRow>,
    /// Payments that were ever claimed back by the payer's bank.
    pub(crate) disputed: Vec<PaymentId>,
    /// Lines of any statement that name the order.
    pub(crate) listed: Vec<Listed>,
}

/// What a line says, for telling a second one that says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) sequence: u64,
    pub(crate) kind: StatementKind,
    pub(crate) payment: PaymentId,
    pub(crate) refund: Option<RefundId>,
    pub(crate) minor: i64,
}

impl Listed {
    pub(crate) const fn of(line: &StatementLine) -> Self {
        Self {
            sequence: line.sequence,
            kind: line.kind,
            payment: line.payment,
            refund: line.refund,
            minor: line.minor,
        }
    }
}

/// A payment or a succeeded refund of ours that no line of a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unlisted {
    pub(crate) transaction: TransactionId,
    pub(crate) payment: PaymentId,
    pub(crate) refund: Option<RefundId>,
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
    pub(crate) at: Utc,
}

/// Which tasks are wanted, oldest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TaskQuery {
    /// Only open ones, only closed ones, or all.
    pub(crate) open: Option<bool>,
    pub(crate) limit: u32,
}

/// Why a text is no task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task id is {ID_DIGITS} hexadecimal digits in lower case")]
pub(crate) struct TaskIdError;

impl TaskId {
    pub(crate) fn of(kind: &str, subject: &str) -> Self {
        let digest = Digest::of(format!("{kind}\n{subject}").as_bytes());
        Self(digest.to_string().chars().take(ID_DIGITS).collect())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TaskId {
    type Err = TaskIdError;

    fn from_str(text: &str) -> Result<Self, TaskIdError> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == ID_DIGITS && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(TaskIdError)
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = TaskIdError;

    fn try_from(text: String) -> Result<Self, TaskIdError> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_is_read_back_and_depends_on_kind_and_subject() {
        let id = TaskId::of("missing_there", "payment:1");
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert_ne!(id, TaskId::of("missing_there", "payment:2"));
        assert_ne!(id, TaskId::of("missing_refund", "payment:1"));
        for bad in ["", "1", &"g".repeat(32), &"A".repeat(32), &"0".repeat(33)] {
            assert_eq!(bad.parse::<TaskId>(), Err(TaskIdError), "{bad}");
        }
    }
}
