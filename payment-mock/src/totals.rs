//! The books as a test reads them at its end.

use std::collections::BTreeMap;

use protocol::id::{PayeeId, PlatformId, TransactionId};
use protocol::message::{OrderStatus, PaymentView, RefundView};
use protocol::money::{Currency, Money};
use serde::Serialize;

use crate::ledger::{Order, Payment};
use crate::scenario::Outcome;

/// One order with all its money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderTotals {
    pub order: TransactionId,
    pub platform: PlatformId,
    /// The account that was to be paid.
    pub payee: PayeeId,
    pub amount: Money,
    pub status: OrderStatus,
    pub outcome: Outcome,
    /// Minor units that came in, to any account.
    pub received: BTreeMap<Currency, i64>,
    /// Minor units that went back.
    pub refunded: BTreeMap<Currency, i64>,
    /// Minor units that disputes took back.
    pub charged_back: BTreeMap<Currency, i64>,
    /// Minor units that the payment server kept for itself.
    pub fees: BTreeMap<Currency, i64>,
    pub payments: Vec<PaymentView>,
    pub refunds: Vec<RefundView>,
}

impl OrderTotals {
    pub(crate) fn of(order: &Order) -> Self {
        Self {
            order: order.create.order,
            platform: order.platform.clone(),
            payee: order.create.payee.clone(),
            amount: order.create.amount,
            status: order.status(),
            outcome: order.opening.outcome,
            received: sum(&order.payments, |payment| payment.amount),
            refunded: sum(&order.payments, |payment| payment.refunded),
            charged_back: sum(&order.payments, |payment| payment.charged_back),
            fees: sum(&order.payments, |payment| payment.fees),
            payments: order.payments.iter().map(Payment::view).collect(),
            refunds: order.refunds.iter().map(|refund| refund.view()).collect(),
        }
    }
}

/// At most eight payments, each far below an eighth of what an `i64` holds.
fn sum(payments: &[Payment], amount: impl Fn(&Payment) -> Money) -> BTreeMap<Currency, i64> {
    let mut sums = BTreeMap::new();
    for money in payments.iter().map(amount).filter(|money| !money.is_zero()) {
        *sums.entry(money.currency()).or_default() += money.minor();
    }
    sums
}
