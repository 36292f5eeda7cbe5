//! What must hold in every state, seen from outside and in the books.

use payment_mock::OrderTotals;

use crate::state::{Motion, State};

pub(crate) fn see_on(state: &mut State, motion: &Motion) {
    let transaction = motion.transaction;
    let orders = state.server.content().totals();
    let order = orders.iter().find(|order| order.order == transaction);
    if state.seen.ons.contains(&transaction) {
        state.seen.broken = Some("I4: a second ON of a transaction");
    } else if let Some(rule) = state.tap.switched_on(transaction, state.tick) {
        state.seen.broken = Some(rule);
    } else if !order.is_some_and(has_exact) {
        state.seen.broken = Some("I3: an ON without an exact payment that is still there");
    }
    state.seen.ons.push(transaction);
}

fn has_exact(order: &OrderTotals) -> bool {
    order.payments.iter().any(|payment| {
        payment.amount == order.amount && payment.payee == order.payee && payment.refunded.is_zero()
    })
}

/// What must hold in every state. `may_lose`: the policy takes a loss where nobody knows.
pub(crate) fn judge(state: &mut State, may_lose: bool) {
    if state.seen.broken.is_some() {
        return;
    }
    let server = state.server.content();
    for order in server.totals() {
        let is_excused = state.seen.excused.contains(&order.order);
        let is_served = state.seen.ons.contains(&order.order);
        let is_returned = order
            .payments
            .iter()
            .any(|payment| !payment.refunded.is_zero());
        let keeps_one = order
            .payments
            .iter()
            .any(|payment| payment.refunded.is_zero());
        if is_served && is_returned && !keeps_one && !is_excused && !may_lose {
            state.seen.broken = Some("I2: served, and the money went back");
        }
    }
    let platform = state.platform.content();
    for sale in platform.books() {
        let is_excused = state.seen.excused.contains(&sale.transaction);
        let is_served = state.seen.ons.contains(&sale.transaction);
        if sale.kept > 0 && !is_served && !is_excused {
            state.seen.broken = Some("I2: earned, and nothing moved");
        }
        if sale.suspense < 0 {
            state.seen.broken = Some("I6: suspense below zero");
        }
    }
    if !platform.violations().is_empty() {
        state.seen.broken = Some("the platform's own books");
    }
}
