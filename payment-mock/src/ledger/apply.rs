//! Entries become state here, and nowhere else.

use std::time::Duration;

use protocol::id::{PayeeId, TransactionId};
use protocol::message::{RefundOrder, StatementKind};
use protocol::money::Currency;
use protocol::time::{Tick, Utc};

use super::entry::{Booking, Entry};
use super::order::{Order, Phase};
use super::{Ledger, statement};

impl Ledger {
    /// The only place where anything changes. An entry about an unknown order changes nothing.
    pub(super) fn apply(&mut self, entry: &Entry, tick: Tick) {
        match entry {
            Entry::OrderCreated {
                platform,
                create,
                opening,
                ..
            } => self.apply_created(Order::new(platform, create, *opening, tick)),
            Entry::OutcomeSet { order, outcome } => {
                self.apply_to(*order, tick, |found| found.opening.outcome = *outcome);
            }
            Entry::AttemptFailed { order, attempt } => {
                self.apply_to(*order, tick, |found| found.fail(*attempt));
            }
            Entry::PaymentPromised { order, booking } => {
                self.apply_to(*order, tick, |found| found.promise(booking));
            }
            Entry::OrderClosed { order, closing, .. } => {
                self.apply_to(*order, tick, |found| found.closed = Some(*closing));
            }
            Entry::PaymentBooked { order, booking, at } => {
                self.apply_booked(*order, booking, *at, tick);
            }
            Entry::Refunded { refund, at, .. } => self.apply_refunded(refund, *at, tick),
        }
    }

    fn apply_created(&mut self, order: Order) {
        let number = order.create.order;
        let created = order.created;
        self.checkouts.insert(order.opening.checkout, number);
        self.orders.insert(number, order);
        self.reschedule(number, created);
    }

    fn apply_to(&mut self, order: TransactionId, tick: Tick, change: impl FnOnce(&mut Order)) {
        if let Some(found) = self.orders.get_mut(&order) {
            change(found);
            self.reschedule(order, tick);
        }
    }

    fn apply_booked(&mut self, order: TransactionId, booking: &Booking, at: Utc, tick: Tick) {
        let Some(found) = self.orders.get(&order) else {
            return;
        };
        let platform = found.platform.clone();
        self.apply_to(order, tick, |found| found.book(booking, at, tick));
        *self.balance(&booking.payee, booking.amount.currency()) += booking.amount.minor();
        let moved = statement::Moved {
            kind: StatementKind::Payment,
            order,
            payment: booking.payment,
            refund: None,
            amount: booking.amount,
            payee: &booking.payee,
            at,
        };
        self.statements.append(&platform, moved);
    }

    fn apply_refunded(&mut self, refund: &RefundOrder, at: Utc, tick: Tick) {
        let Some(found) = self.orders.get(&refund.order) else {
            return;
        };
        let Some(payment) = found.payment(refund.payment) else {
            return;
        };
        let (platform, payee) = (found.platform.clone(), payment.payee.clone());
        self.refunds.insert(refund.refund, refund.clone());
        self.apply_to(refund.order, tick, |found| found.refund(refund));
        *self.balance(&payee, refund.amount.currency()) -= refund.amount.minor();
        let moved = statement::Moved {
            kind: StatementKind::Refund,
            order: refund.order,
            payment: refund.payment,
            refund: Some(refund.refund),
            amount: refund.amount,
            payee: &payee,
            at,
        };
        self.statements.append(&platform, moved);
    }

    fn balance(&mut self, payee: &PayeeId, currency: Currency) -> &mut i64 {
        self.balances.entry((payee.clone(), currency)).or_default()
    }

    /// An order has one deadline at a time: its lifetime while open, its late money once closed.
    fn reschedule(&mut self, order: TransactionId, tick: Tick) {
        let Some(found) = self.orders.get_mut(&order) else {
            return;
        };
        let deadline = match found.phase() {
            Phase::Open | Phase::Promised => {
                Some(found.created + Duration::from_millis(found.create.lifetime_ms))
            }
            Phase::Closed | Phase::Expired if found.promise.is_some() => {
                Some(tick + self.rules.late_booking)
            }
            Phase::Closed | Phase::Expired | Phase::Paid => None,
        };
        if let Some(old) = found.deadline.take() {
            self.deadlines.remove(&(old, order));
        }
        found.deadline = deadline;
        self.deadlines.extend(deadline.map(|tick| (tick, order)));
    }
}
