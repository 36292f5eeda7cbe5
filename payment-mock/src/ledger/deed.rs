//! What happens to money without any platform asking: disputes, refunds by other hands, fees,
//! payouts.

use protocol::id::{PaymentId, PlatformId, TransactionId};
use protocol::message::PAYMENTS_MAX;
use protocol::money::Money;
use protocol::time::Now;

use super::entry::{Deed, Payout};
use super::order::Order;
use super::{Entry, Ledger};

/// Most plans of one order: each of its payments may have one of each kind.
const PLANS_MAX: usize = 4 * PAYMENTS_MAX;

/// Why something can't happen to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeedRefusal {
    #[error("there is no such order")]
    OrderUnknown,
    #[error("the order has no such payment")]
    PaymentUnknown,
    #[error("the amount is zero, of another currency, or more than what is left of the payment")]
    Amount,
    #[error("the order has as many refunds or plans as it can have")]
    Full,
    #[error("there is no such account")]
    PayeeUnknown,
    #[error("there is no such platform")]
    PlatformUnknown,
}

impl Ledger {
    pub(crate) fn handle_deed(
        &mut self,
        order: TransactionId,
        payment: PaymentId,
        deed: Deed,
        now: Now,
    ) -> Result<(), DeedRefusal> {
        let found = self.orders.get(&order).ok_or(DeedRefusal::OrderUnknown)?;
        check(found, payment, &deed)?;
        self.record_deed(order, payment, deed, None, now);
        Ok(())
    }

    /// Lets it happen later; then as far as it still can.
    pub(crate) fn handle_plan(
        &mut self,
        order: TransactionId,
        payment: PaymentId,
        deed: Deed,
        after_ms: u64,
        now: Now,
    ) -> Result<(), DeedRefusal> {
        let found = self.orders.get(&order).ok_or(DeedRefusal::OrderUnknown)?;
        check(found, payment, &deed)?;
        if found.plans.len() >= PLANS_MAX {
            return Err(DeedRefusal::Full);
        }
        self.record(
            Entry::DeedPlanned {
                order,
                payment,
                deed,
                after_ms,
            },
            now,
        );
        Ok(())
    }

    /// An account may be paid out below zero: real ones are, after refunds.
    pub(crate) fn handle_payout(&mut self, platform: &PlatformId, payout: Payout, now: Now) {
        let (platform, at) = (platform.clone(), now.utc);
        self.record(
            Entry::PaidOut {
                platform,
                payout,
                at,
            },
            now,
        );
    }

    pub(super) fn fulfil_plans(&mut self, order: TransactionId, now: Now) {
        while let Some((plan, payment, deed)) = self.due_plan(order, now) {
            let found = self.orders.get(&order);
            let possible = found.is_some_and(|found| check(found, payment, &deed).is_ok());
            if possible {
                self.record_deed(order, payment, deed, Some(plan), now);
            } else {
                self.record(Entry::DeedDropped { order, plan }, now);
            }
        }
    }

    fn due_plan(&self, order: TransactionId, now: Now) -> Option<(usize, PaymentId, Deed)> {
        let mut plans = self.orders.get(&order)?.plans.iter().enumerate();
        let (nth, plan) = plans.find(|(_, plan)| plan.due.is_some_and(|due| due <= now.tick))?;
        Some((nth, plan.payment, plan.deed.clone()))
    }

    fn record_deed(
        &mut self,
        order: TransactionId,
        payment: PaymentId,
        deed: Deed,
        plan: Option<usize>,
        now: Now,
    ) {
        let tells = !matches!(deed, Deed::Fee { .. });
        let at = now.utc;
        self.record(
            Entry::DeedDone {
                order,
                payment,
                deed,
                plan,
                at,
            },
            now,
        );
        if tells {
            self.changed(order, now);
        }
    }
}

fn check(order: &Order, payment: PaymentId, deed: &Deed) -> Result<(), DeedRefusal> {
    let found = order.payment(payment).ok_or(DeedRefusal::PaymentUnknown)?;
    let left = order.left_of(payment).ok_or(DeedRefusal::PaymentUnknown)?;
    let fits = |amount: Money, within: Money| {
        (!amount.is_zero() && within.checked_sub(amount).is_ok())
            .then_some(())
            .ok_or(DeedRefusal::Amount)
    };
    match deed {
        Deed::Dispute => Ok(()),
        Deed::ChargeBack => fits(left, found.amount),
        Deed::Fee { amount } => {
            let sum = found.fees.checked_add(*amount);
            sum.map_err(|_| DeedRefusal::Amount)?;
            fits(*amount, found.amount)
        }
        Deed::RefundOutside { amount, .. } => {
            if order.refunds.len() >= PAYMENTS_MAX {
                return Err(DeedRefusal::Full);
            }
            fits(*amount, left)
        }
    }
}
