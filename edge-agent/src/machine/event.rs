//! What happened that operators count. The machine names it; one place logs and counts it.

use protocol::id::TransactionId;
use protocol::message::{LinkageOutcome, OrderRefusal, RefusalReason};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    SessionOpened,
    SessionClosed {
        state: &'static str,
    },
    OrderRequested {
        transaction: TransactionId,
    },
    OrderRefused {
        transaction: TransactionId,
        reason: OrderRefusal,
    },
    PermitAccepted {
        transaction: TransactionId,
    },
    PermitRefused {
        transaction: TransactionId,
        reason: RefusalReason,
    },
    /// A message was not believed or not understood; `kind` is its topic's word.
    MessageRefused {
        kind: &'static str,
        reason: &'static str,
    },
    Withdrawn {
        transaction: TransactionId,
    },
    Decided {
        transaction: TransactionId,
        outcome: LinkageOutcome,
    },
    Inquired {
        transaction: TransactionId,
        finding: &'static str,
    },
    ConfigApplied {
        serial: u64,
    },
    /// Nothing more can be written until somebody makes room.
    JournalFull,
}
