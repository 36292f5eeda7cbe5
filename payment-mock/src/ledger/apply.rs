//! Entries become state here, and nowhere else.

use std::time::Duration;

use protocol::id::{PayeeId, PaymentId, PlatformId, RefundId, TransactionId};
use protocol::message::{RefundOrder, RefundStatus, StatementKind};
use protocol::money::{Currency, Money};
use protocol::time::{Tick, Utc};

use super::entry::{Booking, Deed, Entry, Payout, RefundCourse};
use super::order::{Order, Phase};
use super::statement::{Moved, Way};
use super::{KnownRefund, Ledger};

/// An account's money that moved because of one payment.
struct Movement {
    order: TransactionId,
    payment: PaymentId,
    kind: StatementKind,
    refund: Option<RefundId>,
    amount: Money,
    way: Way,
}

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
            Entry::OrderReopened { order, opening } => {
                self.checkouts.insert(opening.checkout, *order);
                self.apply_to(*order, |found| found.reopen(*opening, tick));
            }
            Entry::OutcomeSet { order, outcome } => {
                self.apply_to(*order, |found| found.opening.outcome = *outcome);
            }
            Entry::PageOpened { order } => {
                self.apply_to(*order, |found| found.seen = true);
            }
            Entry::AttemptFailed { order, attempt } => {
                self.apply_to(*order, |found| found.fail(*attempt));
            }
            Entry::PaymentPromised { order, booking } => {
                self.apply_to(*order, |found| found.promise(booking));
            }
            Entry::OrderClosed { order, closing, .. } => {
                let late = tick + self.rules.late_booking;
                self.apply_to(*order, |found| found.close(*closing, late));
            }
            Entry::PaymentBooked { order, booking, at } => {
                self.apply_booked(*order, booking, *at, tick);
            }
            Entry::Refunded { refund, at, .. } => {
                self.apply_refund(refund, RefundCourse::SUCCEEDS, *at, tick);
            }
            Entry::RefundBegun {
                refund, course, at, ..
            } => self.apply_refund(refund, *course, *at, tick),
            Entry::RefundTurned { order, nth, at } => self.apply_turn(*order, *nth, *at),
            Entry::DeedPlanned {
                order,
                payment,
                deed,
                after_ms,
            } => {
                let due = tick + Duration::from_millis(*after_ms);
                self.apply_to(*order, |found| found.plan(*payment, deed, due));
            }
            Entry::DeedDone {
                order,
                payment,
                deed,
                plan,
                at,
            } => {
                self.apply_to(*order, |found| found.fulfil(*plan));
                self.apply_deed(*order, *payment, deed, *at);
            }
            Entry::DeedDropped { order, plan } => {
                self.apply_to(*order, |found| found.fulfil(Some(*plan)));
            }
            Entry::PaidOut {
                platform,
                payout,
                at,
            } => self.apply_payout(platform, payout, *at),
        }
    }

    fn apply_created(&mut self, order: Order) {
        let number = order.create.order;
        self.checkouts.insert(order.opening.checkout, number);
        self.orders.insert(number, order);
        self.reschedule(number);
    }

    fn apply_to(&mut self, order: TransactionId, change: impl FnOnce(&mut Order)) {
        if let Some(found) = self.orders.get_mut(&order) {
            let before = found.shown();
            change(found);
            found.remember(before);
            self.reschedule(order);
        }
    }

    fn apply_booked(&mut self, order: TransactionId, booking: &Booking, at: Utc, tick: Tick) {
        self.apply_to(order, |found| found.book(booking, at, tick));
        let movement = Movement {
            order,
            payment: booking.payment,
            kind: StatementKind::Payment,
            refund: None,
            amount: booking.amount,
            way: Way::In,
        };
        self.apply_movement(&movement, at);
    }

    fn apply_refund(&mut self, refund: &RefundOrder, course: RefundCourse, at: Utc, tick: Tick) {
        let known = KnownRefund {
            asked: refund.clone(),
            since: tick,
        };
        self.refunds.insert(refund.refund, known);
        self.apply_to(refund.order, |found| {
            found.begin_refund(refund, course, tick);
        });
        if course.status == RefundStatus::Succeeded {
            self.apply_movement(&Movement::of_refund(refund, Way::Out), at);
        }
    }

    /// Money leaves with a success, and comes back when a success fails afterwards.
    fn apply_turn(&mut self, order: TransactionId, nth: usize, at: Utc) {
        let mut turned = None;
        self.apply_to(order, |found| turned = found.turn_refund(nth));
        let Some((refund, before)) = turned else {
            return;
        };
        let way = match (before, refund.status) {
            (RefundStatus::Pending, RefundStatus::Succeeded) => Way::Out,
            (RefundStatus::Succeeded, RefundStatus::Failed) => Way::In,
            _ => return,
        };
        let movement = Movement {
            order,
            payment: refund.payment,
            kind: StatementKind::Refund,
            refund: Some(refund.refund),
            amount: refund.amount,
            way,
        };
        self.apply_movement(&movement, at);
    }

    fn apply_deed(&mut self, order: TransactionId, payment: PaymentId, deed: &Deed, at: Utc) {
        let mut moved = None;
        self.apply_to(order, |found| moved = found.befall(payment, deed));
        let Some(amount) = moved else {
            return;
        };
        let (kind, refund) = match deed {
            Deed::Dispute => return,
            Deed::ChargeBack => (StatementKind::Dispute, None),
            Deed::RefundOutside { refund, .. } => (StatementKind::Refund, Some(*refund)),
            Deed::Fee { .. } => (StatementKind::Fee, None),
        };
        let movement = Movement {
            order,
            payment,
            kind,
            refund,
            amount,
            way: Way::Out,
        };
        self.apply_movement(&movement, at);
    }

    /// A payout is about no order: its line names the order number of zeros, and its own reference
    /// where others name a payment.
    fn apply_payout(&mut self, platform: &PlatformId, payout: &Payout, at: Utc) {
        *self.balance(&payout.payee, payout.amount.currency()) -= payout.amount.minor();
        let moved = Moved {
            kind: StatementKind::Payout,
            order: TransactionId::from_random([0; 16]),
            payment: payout.reference,
            refund: None,
            amount: payout.amount,
            way: Way::Out,
            payee: &payout.payee,
            at,
        };
        self.statements.append(platform, moved);
    }

    fn apply_movement(&mut self, movement: &Movement, at: Utc) {
        let Some(found) = self.orders.get(&movement.order) else {
            return;
        };
        let Some(payment) = found.payment(movement.payment) else {
            return;
        };
        let (platform, payee) = (found.platform.clone(), payment.payee.clone());
        let signed = movement.way.signed(movement.amount);
        *self.balance(&payee, movement.amount.currency()) += signed;
        let moved = Moved {
            kind: movement.kind,
            order: movement.order,
            payment: movement.payment,
            refund: movement.refund,
            amount: movement.amount,
            way: movement.way,
            payee: &payee,
            at,
        };
        self.statements.append(&platform, moved);
    }

    fn balance(&mut self, payee: &PayeeId, currency: Currency) -> &mut i64 {
        self.balances.entry((payee.clone(), currency)).or_default()
    }

    /// An order has one deadline at a time: the first of what it waits for.
    pub(super) fn reschedule(&mut self, order: TransactionId) {
        let Some(found) = self.orders.get_mut(&order) else {
            return;
        };
        let deadline = found.next_due();
        if let Some(old) = found.deadline.take() {
            self.deadlines.remove(&(old, order));
        }
        found.deadline = deadline;
        self.deadlines.extend(deadline.map(|tick| (tick, order)));
    }
}

impl Movement {
    fn of_refund(refund: &RefundOrder, way: Way) -> Self {
        Self {
            order: refund.order,
            payment: refund.payment,
            kind: StatementKind::Refund,
            refund: Some(refund.refund),
            amount: refund.amount,
            way,
        }
    }
}

impl Order {
    /// The end of its lifetime while it is open, its late money once it is closed, the turns of its
    /// refunds, and what will befall its payments.
    pub(super) fn next_due(&self) -> Option<Tick> {
        let own = match self.phase() {
            Phase::Open | Phase::Promised => Some(self.lifetime_end()),
            Phase::Closed | Phase::Expired => self.promise.as_ref().and(self.late),
            Phase::Paid => None,
        };
        let turns = self.refunds.iter().filter_map(|refund| refund.turn_due());
        let plans = self.plans.iter().filter_map(|plan| plan.due);
        own.into_iter().chain(turns).chain(plans).min()
    }
}
