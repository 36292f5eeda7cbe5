//! What the ledger writes down. The ledger is the sum of its entries, in their order, and nothing
//! else of it is kept.

use protocol::id::{PayeeId, PaymentId, PlatformId, TransactionId};
use protocol::message::{CreateOrder, RefundOrder};
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
    Refunded {
        platform: PlatformId,
        refund: RefundOrder,
        at: Utc,
    },
}

/// What the payment server adds to an order when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opening {
    pub(crate) checkout: CheckoutToken,
    pub(crate) form_seed: FormSeed,
    pub(crate) outcome: Outcome,
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
