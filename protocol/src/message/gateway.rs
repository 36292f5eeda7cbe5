//! What platform and payment server say to each other. Every answer is bound to the nonce of the
//! request it answers; an event is a hint and moves nothing (R1, R2).

use serde::{Deserialize, Serialize};

use crate::id::{
    GatewayId, MessageId, Nonce, PayeeId, PaymentId, PlatformId, RefundId, TransactionId,
};
use crate::money::{Currency, Money};
use crate::signed::Audience;
use crate::time::Utc;

/// Most payments or refunds that one answer lists. An order is paid once; a payer who manages more
/// than this is a case for a person.
pub const PAYMENTS_MAX: usize = 8;

/// Most lines of a statement page: about 200 bytes each, within one payload.
pub const STATEMENT_LINES_MAX: u16 = 24;

/// Signed by the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayRequest {
    pub aud: Audience,
    pub platform: PlatformId,
    /// Made for this attempt; the answer repeats it.
    pub nonce: Nonce,
    pub operation: Operation,
    pub asked_at: Utc,
}

/// Orders are named by our transaction id, for ever (R3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum Operation {
    Create(CreateOrder),
    Query { order: TransactionId },
    Close { order: TransactionId },
    Refund(RefundOrder),
    Statement { after: u64, limit: u16 },
}

impl Operation {
    /// The name under which it is counted and logged.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Query { .. } => "query",
            Self::Close { .. } => "close",
            Self::Refund(_) => "refund",
            Self::Statement { .. } => "statement",
        }
    }

    /// The order it is about; a statement is about none.
    #[must_use]
    pub const fn order(&self) -> Option<TransactionId> {
        match self {
            Self::Create(create) => Some(create.order),
            Self::Query { order } | Self::Close { order } => Some(*order),
            Self::Refund(refund) => Some(refund.order),
            Self::Statement { .. } => None,
        }
    }
}

/// Idempotent by order number: the same content answers the order as it is, other content is
/// refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrder {
    pub order: TransactionId,
    pub amount: Money,
    pub payee: PayeeId,
    /// For the payer to read on the payment server's page.
    pub payee_name: String,
    pub place_name: String,
    pub description: String,
    pub return_url: String,
    pub lifetime_ms: u64,
}

/// Idempotent by refund id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOrder {
    pub refund: RefundId,
    pub order: TransactionId,
    pub payment: PaymentId,
    pub amount: Money,
    pub reason: String,
}

/// Signed by the payment server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAnswer {
    pub aud: Audience,
    pub gateway: GatewayId,
    /// The request's nonce.
    pub nonce: Nonce,
    /// The order it is about; none for a statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<TransactionId>,
    pub result: GatewayResult,
    pub answered_at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub enum GatewayResult {
    /// The order as it stands after create, query or close.
    Order(OrderView),
    Refund(RefundView),
    Statement(StatementPage),
    Refused(GatewayRefusal),
}

/// Named refusals; each is a definite answer, none is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayRefusal {
    OrderNotFound,
    /// The order number is taken by an order of other content.
    OrderDiffers,
    PayeeUnknown,
    CloseTooEarly,
    AlreadyPaid,
    PaymentNotFound,
    /// More than what is left of the payment.
    RefundExceedsPayment,
    /// The refund id is taken by a refund of other content.
    RefundDiffers,
    RefundWindowPassed,
    Malformed,
}

impl GatewayRefusal {
    /// The name under which it is counted and logged.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderNotFound => "order_not_found",
            Self::OrderDiffers => "order_differs",
            Self::PayeeUnknown => "payee_unknown",
            Self::CloseTooEarly => "close_too_early",
            Self::AlreadyPaid => "already_paid",
            Self::PaymentNotFound => "payment_not_found",
            Self::RefundExceedsPayment => "refund_exceeds_payment",
            Self::RefundDiffers => "refund_differs",
            Self::RefundWindowPassed => "refund_window_passed",
            Self::Malformed => "malformed",
        }
    }
}

/// An order as the payment server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    pub order: TransactionId,
    pub status: OrderStatus,
    pub amount: Money,
    pub payee: PayeeId,
    /// The hosted page for this order.
    pub pay_url: String,
    /// Every payment ever booked for it, oldest first.
    pub payments: Vec<PaymentView>,
    pub refunds: Vec<RefundView>,
    /// Attempts that were declined; the order stays open for another.
    pub declines: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    Open,
    /// The payer is at it.
    Paying,
    /// Authorised, to be captured or voided.
    Held,
    Paid,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    pub payment: PaymentId,
    pub amount: Money,
    pub payee: PayeeId,
    /// What of it went back, through us or outside.
    pub refunded: Money,
    pub disputed: bool,
    pub paid_at: Utc,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundView {
    pub refund: RefundId,
    pub payment: PaymentId,
    pub amount: Money,
    pub status: RefundStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

/// Lines in the order of booking; `next` is the cursor to ask on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementPage {
    pub lines: Vec<StatementLine>,
    pub next: u64,
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    pub sequence: u64,
    pub kind: StatementKind,
    pub order: TransactionId,
    pub payment: PaymentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundId>,
    pub minor: i64,
    pub currency: Currency,
    pub payee: PayeeId,
    pub booked_at: Utc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementKind {
    Payment,
    Refund,
    Dispute,
    Fee,
    Payout,
}

/// Something happened to an order: ask. Signed by the payment server, believed by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayEvent {
    pub aud: Audience,
    pub gateway: GatewayId,
    pub event: MessageId,
    pub order: TransactionId,
    pub happened_at: Utc,
}
