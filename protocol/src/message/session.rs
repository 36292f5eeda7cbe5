//! `up/session`: what happens at a terminal without an order.

use serde::{Deserialize, Serialize};

use crate::id::{Pseudonym, SessionId, TransactionId};
use crate::time::Utc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum SessionMessage {
    Opened(SessionOpened),
    Ended(SessionEnded),
    Identity(IdentityRegistration),
}

/// A phone's user agreed to be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    pub session: SessionId,
    pub opened_at: Utc,
}

/// A session is over. With a transaction it travels on `up/payment` and starts the closing of the
/// order at once (R5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    pub session: SessionId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    pub reason: EndReason,
    pub ended_at: Utc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The payer said so, before paying.
    Cancelled,
    /// The phone was silent for the heartbeat's limit.
    Idle,
    /// The lease reached its hard cap.
    Cap,
    /// The sale was completed or refused: nothing is left to do.
    Finished,
}

/// A payer's identity. It travels in this message and in no other (R15); everything else names the
/// pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRegistration {
    pub session: SessionId,
    pub pseudonym: Pseudonym,
    pub identity: String,
    /// Version of the consent text that the payer agreed to.
    pub consent: String,
    pub registered_at: Utc,
}
