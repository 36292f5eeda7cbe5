//! What the journal remembers. The journal stores bytes; what they mean is said here.

use std::hash::{Hash, Hasher};

use protocol::id::{DeviceId, MessageId, Nonce, SessionId, TransactionId};
use protocol::message::{
    Digest, LinkageMessage, LinkageOutcome, LinkageResult, PaymentMessage, Quote, Receipt,
    SessionMessage,
};
use protocol::signed::Jws;
use protocol::time::Utc;
use serde::{Deserialize, Serialize};

use super::token::{ReturnSecret, SessionToken};

/// One fact, written once and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub(crate) enum Record {
    /// A sale was begun; before its order request was sent.
    Order(OrderRecord),
    /// The payer was about to be sent to the payment server.
    Paying {
        transaction: TransactionId,
        quote: Jws<Quote>,
    },
    /// A permit was asked for again, under this nonce (R9).
    Nonce {
        transaction: TransactionId,
        nonce: Nonce,
    },
    /// A permit was accepted: the devices may have moved (R7).
    Intent(IntentRecord),
    /// The transaction has its result, whatever it is; no permit is accepted any more.
    Done {
        transaction: TransactionId,
        outcome: LinkageOutcome,
        result: Jws<LinkageResult>,
    },
    /// No permit was accepted, and none will be (R8).
    Tombstone { transaction: TransactionId },
    Receipt {
        transaction: TransactionId,
        receipt: Jws<Receipt>,
    },
    /// A message that waits for the platform's own word.
    Posted(Posted),
    /// The message of this sequence needs no more sending.
    Taken { sequence: u64 },
    /// No message up to this sequence needs more sending.
    Acknowledged { through: u64 },
    /// The platform was told that the session is over, and has said so.
    Ended { transaction: TransactionId },
    /// The platform needs nothing more of this transaction.
    Settled { transaction: TransactionId },
    /// Last record of a compaction: what pruned records leave behind.
    Mark(Mark),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct OrderRecord {
    pub(crate) transaction: TransactionId,
    pub(crate) session: SessionId,
    pub(crate) token: SessionToken,
    /// Absent in records of before there was one: then no return is believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) return_secret: Option<ReturnSecret>,
    pub(crate) nonce: Nonce,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct IntentRecord {
    pub(crate) transaction: TransactionId,
    pub(crate) session: SessionId,
    pub(crate) nonce: Nonce,
    pub(crate) devices: Vec<DeviceId>,
    /// SHA-256 of the permit.
    pub(crate) permit: Digest,
}

/// A message in the outbox. Its id and its instant stay the same on every resend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posted {
    pub(crate) sequence: u64,
    pub(crate) id: MessageId,
    pub(crate) at: Utc,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transaction: Option<TransactionId>,
    pub(crate) body: Post,
}

/// What waits in an outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "topic", content = "message", rename_all = "snake_case")]
pub(crate) enum Post {
    Session(SessionMessage),
    Payment(PaymentMessage),
    Linkage(LinkageMessage),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) next_sequence: u64,
    /// Settled transactions, oldest first.
    pub(crate) pruned: Vec<TransactionId>,
    /// Even older ones are not remembered: an unknown transaction may be one of them.
    pub(crate) forgotten: bool,
    pub(crate) last_result: Option<Digest>,
}

impl Hash for Posted {
    /// The random id stands for the body.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.sequence, self.id).hash(state);
    }
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Records are plain data with text keys and always have a JSON form; an empty record
        // would be refused by the journal.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
