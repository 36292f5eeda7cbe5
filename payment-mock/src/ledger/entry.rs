//! What the ledger writes down. The ledger is the sum of its entries, in their order, and nothing
//! else of it is kept.

use protocol::id::{PayeeId, PaymentId, PlatformId, RefundId, TransactionId};
use protocol::message::{CreateOrder, RefundOrder, RefundStatus};
use protocol::money::Money;
use protocol::time::Utc;
use serde::{Deserialize, Serialize};

use super::token::{CheckoutToken, FormSeed};
use crate::scenario::Outcome;

/// One fact. JSON form in the store; members are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub(crate) enum Entry {
    OrderCreated {
        platform: PlatformId,
        create: CreateOrder,
        opening: Opening,
        at: Utc,
    },
    OutcomeSet {
        order: TransactionId,
        outcome: Outcome,
    },
    /// The payer pressed and no money moved.
    AttemptFailed {
        order: TransactionId,
        attempt: Attempt,
    },
    /// The payer pressed; the money comes once the order is closed.
    PaymentPromised {
        order: TransactionId,
        booking: Booking,
    },
    PaymentBooked {
        order: TransactionId,
        booking: Booking,
        at: Utc,
    },
    OrderClosed {
        order: TransactionId,
        closing: Closing,
        at: Utc,
    },
    /// Succeeded at once, for good.
    Refunded {
        platform: PlatformId,
        refund: RefundOrder,
        at: Utc,
    },
    /// A refund that does not simply succeed.
    RefundBegun {
        platform: PlatformId,
        refund: RefundOrder,
        course: RefundCourse,
        at: Utc,
    },
    /// The order's refund number `nth`, from 0, took its turn.
    RefundTurned {
        order: TransactionId,
        nth: usize,
        at: Utc,
    },
    /// The key was forgotten, and the platform created the order once more: a new page, a new life,
    /// and every payment of before.
    OrderReopened {
        order: TransactionId,
        opening: Opening,
    },
    /// The payer saw the page for the first time.
    PageOpened { order: TransactionId },
    /// Something will happen to a payment by itself.
    DeedPlanned {
        order: TransactionId,
        payment: PaymentId,
        deed: Deed,
        after_ms: u64,
    },
    /// Something happened to a payment that no platform asked for; `plan` is the number of the
    /// order's plan that it fulfils, from 0.
    DeedDone {
        order: TransactionId,
        payment: PaymentId,
        deed: Deed,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<usize>,
        at: Utc,
    },
    /// A plan that could not be fulfilled any more.
    DeedDropped { order: TransactionId, plan: usize },
    PaidOut {
        platform: PlatformId,
        payout: Payout,
        at: Utc,
    },
}

/// What the payment server adds to an order when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) checkout: CheckoutToken,
    pub(crate) form_seed: FormSeed,
    pub(crate) outcome: Outcome,
    /// It can't be found before its page was opened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) hidden: bool,
}

/// How a refund goes: as what it begins, and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundCourse {
    pub(crate) status: RefundStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<RefundTurn>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefundTurn {
    pub(crate) status: RefundStatus,
    pub(crate) after_ms: u64,
}

impl RefundCourse {
    pub(crate) const SUCCEEDS: Self = Self {
        status: RefundStatus::Succeeded,
        turn: None,
    };
}

/// What befalls a payment behind the platform's back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub(crate) enum Deed {
    /// The payer disputes it; no money moves yet.
    Dispute,
    /// A dispute that the payer has won: what is left of the payment is taken back.
    ChargeBack,
    /// Somebody gives money back by other means than this platform.
    RefundOutside { refund: RefundId, amount: Money },
    /// The payment server keeps something for itself.
    Fee { amount: Money },
}

impl Deed {
    /// The name under which it is counted and logged.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Dispute => "dispute",
            Self::ChargeBack => "charge_back",
            Self::RefundOutside { .. } => "refund_outside",
            Self::Fee { .. } => "fee",
        }
    }
}

/// Money of an account that went to its merchant's bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payout {
    /// The reference that its statement line carries in place of a payment's.
    pub(crate) reference: PaymentId,
    pub(crate) payee: PayeeId,
    pub(crate) amount: Money,
}

/// Money of one payment, to one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Booking {
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
}

/// How a press ended without money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Attempt {
    Declined,
    TryLater,
}

/// Who closed an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Closing {
    Platform,
    Lifetime,
}
