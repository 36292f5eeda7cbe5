//! `up/payment` and `down/payment`: order request, quote, notice, end, standing, receipt.

use serde::{Deserialize, Serialize};

use super::{Digest, Payee, Place, Receipt, SessionEnded};
use crate::id::{
    BootId, GatewayId, ItemId, JournalId, Nonce, PlaceId, Pseudonym, SessionId, TransactionId,
    VisitId,
};
use crate::money::Money;
use crate::signed::{Audience, Jws};
use crate::time::Utc;
use crate::topic::TerminalName;

/// Most lines of one bill: what a payer can read on a phone before agreeing.
pub const LINES_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum PaymentMessage {
    OrderRequest(Jws<OrderRequest>),
    Notice(PaymentNotice),
    Ended(SessionEnded),
    PermitRequest(Jws<PermitRequest>),
}

/// A terminal asks for an order. The platform prices the same inputs and its own quote prevails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRequest {
    pub aud: Audience,
    pub terminal: TerminalName,
    /// Made by the terminal, journaled before the first send: the idempotency key of the sale.
    pub transaction: TransactionId,
    pub session: SessionId,
    pub boot: BootId,
    pub journal: JournalId,
    pub nonce: Nonce,
    /// How long after its birth the terminal will honour a permit for the nonce (R6).
    pub nonce_lifetime_ms: u64,
    pub charge: Charge,
    /// What the terminal showed; evidence, not authority.
    pub amount: Money,
    pub tariff_version: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Pseudonym>,
    /// Where the payment server sends the payer's browser afterwards: a page of the terminal.
    pub return_url: String,
    pub requested_at: Utc,
    /// How far off the terminal's wall clock may be.
    pub clock_error_ms: u64,
    /// SHA-256 of the token by which the payer finds this sale's status page after leaving. The
    /// token itself is known to terminal and phone alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_token_sha256: Option<Digest>,
}

/// What a bill is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum Charge {
    Items(Vec<ItemLine>),
    Visit(VisitCharge),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemLine {
    pub item: ItemId,
    pub quantity: u16,
}

/// A pair of an entry and an exit, as recorded by the terminals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitCharge {
    pub visit: VisitId,
    pub entry: Passage,
    pub exit: Passage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    pub place: PlaceId,
    pub at: Utc,
    pub clock_error_ms: u64,
}

/// The phone says that it has paid: a hint to ask now, without authority (R1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentNotice {
    pub transaction: TransactionId,
    pub session: SessionId,
    pub noticed_at: Utc,
}

/// After a reboot: a fresh nonce for a transaction of which the journal holds no intent (R9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermitRequest {
    pub aud: Audience,
    pub terminal: TerminalName,
    pub transaction: TransactionId,
    pub session: SessionId,
    pub boot: BootId,
    pub journal: JournalId,
    pub nonce: Nonce,
    pub nonce_lifetime_ms: u64,
    pub requested_at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum PaymentReply {
    Quote(Jws<Quote>),
    Refused(OrderRefused),
    Standing(PaymentStanding),
    Receipt(Jws<Receipt>),
    Settled(Settled),
}

/// The bill, binding for the platform until the order expires. It acknowledges the order request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub aud: Audience,
    pub transaction: TransactionId,
    pub session: SessionId,
    pub nonce: Nonce,
    pub lines: Vec<BillLine>,
    pub amount: Money,
    pub payee: Payee,
    pub place: Place,
    pub gateway: GatewayId,
    /// The payment server's page for this order; empty when nothing is to be paid.
    pub pay_url: String,
    pub tariff_version: Digest,
    /// Time to pay, counted from the receipt of this quote.
    pub order_lifetime_ms: u64,
    pub expires_at: Utc,
    pub issued_at: Utc,
    /// The payer's status page is at this address with the token behind it; absent when the
    /// platform serves none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_url: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillLine {
    pub text: super::Text,
    pub quantity: u16,
    pub amount: Money,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRefused {
    pub transaction: TransactionId,
    pub reason: OrderRefusal,
}

/// Why the platform makes no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderRefusal {
    /// The terminal is not registered, or not with this key.
    UnknownTerminal,
    /// The terminal priced by a tariff that is not in force; the current config follows.
    TariffVersion,
    /// The terminal's amount is not what the platform computes from the same inputs.
    Amount,
    /// Nothing of that name is sold here, or more of it than one sale may hold.
    Charge,
    /// The nonce's lifetime is too short to pay and act, or longer than any order may live.
    NonceLifetime,
    /// The transaction id belongs to another session or terminal.
    TransactionTaken,
    /// The payment server took no order in time.
    GatewayUnavailable,
    /// New orders are held by the operator.
    Held,
}

/// How the platform sees a payment that is under way. For the payer's page; it moves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStanding {
    pub transaction: TransactionId,
    pub standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The payer was declined and may try again on the same order.
    Declined,
    /// Money is on its way back.
    RefundPending,
    Refunded,
    /// A person looks at it.
    Review,
    /// Closed without any money.
    Closed,
}

/// The platform needs nothing more of this transaction: its journal records may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub transaction: TransactionId,
}
