//! `down/linkage`, `down/inquiry` and `up/linkage`: permits, results, and what a journal knows.

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::id::{
    DeviceId, GatewayId, JournalId, Nonce, PayeeId, PaymentId, SessionId, StoreEpoch,
    TransactionId, VisitId,
};
use crate::money::Money;
use crate::signed::{Audience, Jws};
use crate::time::Utc;
use crate::topic::TerminalName;

/// Most devices that one terminal switches: what one relay board has.
pub const DEVICES_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum LinkageCommand {
    Permit(Jws<Permit>),
    Off(Jws<Off>),
}

/// The only ON there is. Good once, for one nonce, within the lifetime its terminal stated (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    pub aud: Audience,
    pub transaction: TransactionId,
    pub session: SessionId,
    pub nonce: Nonce,
    pub journal: JournalId,
    /// The first one decides whether the transaction is done.
    pub devices: Vec<DeviceId>,
    pub ground: Ground,
    pub store_epoch: StoreEpoch,
    pub issued_at: Utc,
}

/// Why a device may be switched on. There is no other reason (R12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ground {
    /// The payment server confirmed a payment equal in amount, currency and payee.
    Paid {
        gateway: GatewayId,
        payment: PaymentId,
        amount: Money,
        payee: PayeeId,
    },
    /// The platform priced the bill at nothing.
    ZeroBill { tariff_version: Digest },
    /// The first of two visits, journaled.
    EntryVisit { visit: VisitId },
    /// A person decided, by name and with a reason.
    Operator { name: String, reason: String },
}

/// Withdraws an open request. It never drops a gate on a car (R10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Off {
    pub aud: Audience,
    pub transaction: TransactionId,
    pub nonce: Nonce,
    pub devices: Vec<DeviceId>,
    pub reason: OffReason,
    pub issued_at: Utc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffReason {
    /// The payer was declined and the order is closed.
    Declined,
    /// Nobody paid before the deadline.
    Expired,
    /// The payer or the terminal ended the session.
    Ended,
    /// Paid, but after the order's end: refunded.
    Late,
    /// Paid, but not this amount: refunded.
    WrongAmount,
    /// Paid, but to somebody else: not ours to keep or refund.
    WrongPayee,
    /// Paid in another currency: refunded or reviewed.
    WrongCurrency,
    /// Paid twice or refunded elsewhere.
    Inconsistent,
    /// Too little of the nonce's life was left to act on a permit: refunded.
    TooLate,
    /// The operator withdrew it.
    Operator,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum LinkageMessage {
    Result(Jws<LinkageResult>),
    Answer(Jws<JournalAnswer>),
}

/// What became of a permit: the terminal's countersignature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkageResult {
    pub aud: Audience,
    pub terminal: TerminalName,
    pub transaction: TransactionId,
    pub session: SessionId,
    pub nonce: Nonce,
    pub journal: JournalId,
    pub outcome: LinkageOutcome,
    pub devices: Vec<DeviceResult>,
    pub decided_at: Utc,
    pub clock_error_ms: u64,
    /// SHA-256 of this terminal's result before this one: results form a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

/// The result as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LinkageOutcome {
    /// The deciding device moved.
    Done,
    /// Nothing moved and nothing will: the transaction has a tombstone.
    Refused { reason: RefusalReason },
    /// The deciding device said no: it did not move.
    Failed,
    /// Nobody can say whether it moved; a definite answer (R8).
    Uncertain { reason: UncertainReason },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    NonceUnknown,
    NonceExpired,
    /// Another transaction, session or journal than the nonce was born for.
    NonceMismatch,
    DevicesUnknown,
    GroundMismatch,
    AlreadyDecided,
    DeviceUnreachable,
    Interlock,
    JournalUnavailable,
    Withdrawn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UncertainReason {
    /// Power or process was lost between intent and done.
    IntentWithoutDone,
    /// The device took the write and its read-back or sensor says nothing.
    NoFeedback,
    /// The write was cut off: it may have been carried out.
    WriteInterrupted,
    /// The journal can't say: other id, or a damaged record.
    JournalLost,
    /// The journal had an end for it, was told that it is settled, and forgot it.
    Pruned,
    /// Some of the devices moved.
    Partial,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DeviceResult {
    pub device: DeviceId,
    pub outcome: DeviceOutcome,
    pub feedback: Feedback,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceOutcome {
    Done,
    /// It did not move.
    Failed,
    /// It may have moved.
    Uncertain,
    /// Not tried, because one before it did not move.
    Skipped,
}

/// What the device's end says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// The device has nothing that could tell.
    None,
    /// The output reads back as commanded.
    ReadBack,
    /// A sensor saw it move.
    Sensor,
    /// Read-back or sensor says that it did not move.
    Contradicts,
}

/// The platform asks what the journal knows; never having seen it, the terminal first writes a
/// tombstone (R8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    pub aud: Audience,
    pub transaction: TransactionId,
    pub nonce: Nonce,
    /// The journal that the platform believes the transaction to stand in.
    pub journal: JournalId,
    pub asked_at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalAnswer {
    pub aud: Audience,
    pub terminal: TerminalName,
    pub transaction: TransactionId,
    /// The inquiry's nonce.
    pub nonce: Nonce,
    /// The journal that answers; another one than asked for knows nothing of the transaction.
    pub journal: JournalId,
    pub finding: Finding,
    pub answered_at: Utc,
}

/// What a journal knows of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum Finding {
    /// No permit was ever accepted, and none will be: the tombstone is synced.
    Tombstone,
    /// A device is moving now; its result follows.
    Acting,
    /// The result that was sent, or would have been.
    Decided(Jws<LinkageResult>),
    Uncertain(UncertainReason),
}
