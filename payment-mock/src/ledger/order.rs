//! One order with everything that ever happened to it.

use std::time::Duration;

use protocol::id::{PayeeId, PaymentId, PlatformId, RefundId};
use protocol::message::{
    CreateOrder, OrderStatus, OrderView, PaymentView, RefundOrder, RefundStatus, RefundView,
};
use protocol::money::{Money, MoneyError};
use protocol::time::{Tick, Utc};

use super::entry::{Attempt, Booking, Closing, Deed, Opening, RefundCourse};

#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) platform: PlatformId,
    pub(crate) create: CreateOrder,
    pub(crate) opening: Opening,
    /// In this process; after a restart the order's lifetime is counted anew.
    pub(crate) created: Tick,
    /// Presses that were taken; it numbers the form tokens.
    pub(crate) attempts: u32,
    pub(crate) declines: u32,
    pub(crate) last_attempt: Option<Attempt>,
    pub(crate) promise: Option<Booking>,
    /// When promised money comes, once the order is closed.
    pub(super) late: Option<Tick>,
    pub(crate) closed: Option<Closing>,
    /// Whether its page was ever opened.
    pub(crate) seen: bool,
    pub(crate) payments: Vec<Payment>,
    /// How many of the payments came before the order was created once more.
    pub(super) earlier_payments: usize,
    pub(crate) refunds: Vec<Refund>,
    pub(super) plans: Vec<Plan>,
    pub(super) deadline: Option<Tick>,
    /// As it was shown before the last change that shows; none before the first.
    previous: Option<Box<Shown>>,
}

/// What will befall a payment.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) payment: PaymentId,
    pub(super) deed: Deed,
    /// None once it was fulfilled or dropped.
    pub(super) due: Option<Tick>,
}

/// The part of a view that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    status: OrderStatus,
    payments: Vec<PaymentView>,
    refunds: Vec<RefundView>,
    declines: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
    pub(crate) refunded: Money,
    /// What a dispute took back.
    pub(crate) charged_back: Money,
    /// What the payment server kept for itself.
    pub(crate) fees: Money,
    pub(crate) disputed: bool,
    pub(crate) paid_at: Utc,
    /// In this process.
    pub(crate) booked: Tick,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Refund {
    pub(crate) refund: RefundId,
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
    pub(crate) status: RefundStatus,
    turn: Option<(RefundStatus, Tick)>,
}

/// How an order stands for its payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The payer has paid, the money is not there yet.
    Promised,
    Paid,
    /// By the platform.
    Closed,
    /// Its lifetime has passed.
    Expired,
}

impl Order {
    pub(crate) fn new(
        platform: &PlatformId,
        create: &CreateOrder,
        opening: Opening,
        created: Tick,
    ) -> Self {
        Self {
            platform: platform.clone(),
            create: create.clone(),
            opening,
            created,
            attempts: 0,
            declines: 0,
            last_attempt: None,
            promise: None,
            late: None,
            closed: None,
            seen: false,
            payments: Vec::new(),
            earlier_payments: 0,
            refunds: Vec::new(),
            plans: Vec::new(),
            deadline: None,
            previous: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        let paid = self.payments.len() > self.earlier_payments;
        match (paid, self.closed, &self.promise) {
            (true, _, _) => Phase::Paid,
            (false, Some(Closing::Platform), _) => Phase::Closed,
            (false, Some(Closing::Lifetime), _) => Phase::Expired,
            (false, None, Some(_)) => Phase::Promised,
            (false, None, None) => Phase::Open,
        }
    }

    /// Any booked money makes it `Paid`, also too little, too much, too late or to somebody else:
    /// the payments tell, and the platform must look at them (R2).
    pub(crate) fn status(&self) -> OrderStatus {
        match self.phase() {
            Phase::Open => OrderStatus::Open,
            Phase::Promised => OrderStatus::Paying,
            Phase::Paid => OrderStatus::Paid,
            Phase::Closed | Phase::Expired => OrderStatus::Closed,
        }
    }

    /// The token that a press must carry now.
    pub(crate) fn form_token(&self) -> String {
        self.opening.form_seed.token(self.attempts)
    }

    /// Whether `token` was good for an earlier press: the payer pressed twice.
    pub(crate) fn is_used_form_token(&self, token: &str) -> bool {
        (0..self.attempts).any(|attempt| self.opening.form_seed.token(attempt) == token)
    }

    pub(super) fn fail(&mut self, attempt: Attempt) {
        self.attempts += 1;
        self.last_attempt = Some(attempt);
        if attempt == Attempt::Declined {
            self.declines += 1;
        }
    }

    pub(super) fn promise(&mut self, booking: &Booking) {
        self.attempts += 1;
        self.promise = Some(booking.clone());
    }

    pub(super) const fn close(&mut self, closing: Closing, late: Tick) {
        self.closed = Some(closing);
        self.late = Some(late);
    }

    /// Its payments stay, and it can be paid once more.
    pub(super) fn reopen(&mut self, opening: Opening, tick: Tick) {
        self.opening = opening;
        self.created = tick;
        self.seen = false;
        self.closed = None;
        self.promise = None;
        self.earlier_payments = self.payments.len();
    }

    pub(super) fn lifetime_end(&self) -> Tick {
        self.created + Duration::from_millis(self.create.lifetime_ms)
    }

    /// Hidden from the platform until the payer has opened the page.
    pub(crate) const fn is_hidden(&self) -> bool {
        self.opening.hidden && !self.seen
    }

    pub(super) fn book(&mut self, booking: &Booking, at: Utc, tick: Tick) {
        self.attempts += 1;
        self.payments.push(Payment {
            payment: booking.payment,
            amount: booking.amount,
            payee: booking.payee.clone(),
            refunded: Money::zero(booking.amount.currency()),
            charged_back: Money::zero(booking.amount.currency()),
            fees: Money::zero(booking.amount.currency()),
            disputed: false,
            paid_at: at,
            booked: tick,
        });
    }

    /// The refund was checked before it was recorded, so the sum always fits.
    pub(super) fn begin_refund(&mut self, refund: &RefundOrder, course: RefundCourse, tick: Tick) {
        if course.status == RefundStatus::Succeeded {
            self.move_refunded(refund.payment, |refunded| {
                refunded.checked_add(refund.amount)
            });
        }
        let turn = course.turn;
        self.refunds.push(Refund {
            refund: refund.refund,
            payment: refund.payment,
            amount: refund.amount,
            status: course.status,
            turn: turn.map(|turn| (turn.status, tick + Duration::from_millis(turn.after_ms))),
        });
    }

    /// The refund after its turn, and the status that it had before.
    pub(super) fn turn_refund(&mut self, nth: usize) -> Option<(Refund, RefundStatus)> {
        let refund = self.refunds.get_mut(nth)?;
        let (status, _) = refund.turn.take()?;
        let before = std::mem::replace(&mut refund.status, status);
        let refund = *refund;
        match (before, status) {
            (RefundStatus::Pending, RefundStatus::Succeeded) => {
                self.move_refunded(refund.payment, |sum| sum.checked_add(refund.amount));
            }
            (RefundStatus::Succeeded, RefundStatus::Failed) => {
                self.move_refunded(refund.payment, |sum| sum.checked_sub(refund.amount));
            }
            _ => {}
        }
        Some((refund, before))
    }

    pub(super) fn plan(&mut self, payment: PaymentId, deed: &Deed, due: Tick) {
        self.plans.push(Plan {
            payment,
            deed: deed.clone(),
            due: Some(due),
        });
    }

    pub(super) fn fulfil(&mut self, plan: Option<usize>) {
        if let Some(plan) = plan.and_then(|nth| self.plans.get_mut(nth)) {
            plan.due = None;
        }
    }

    /// What it moves, if it moves money.
    pub(super) fn befall(&mut self, payment: PaymentId, deed: &Deed) -> Option<Money> {
        let left = self.left_of(payment)?;
        let found = self.payment_mut(payment)?;
        match deed {
            Deed::Dispute => {
                found.disputed = true;
                None
            }
            Deed::ChargeBack => {
                found.disputed = true;
                found.charged_back = found.charged_back.checked_add(left).ok()?;
                Some(left)
            }
            Deed::RefundOutside { refund, amount } => {
                left.checked_sub(*amount).ok()?;
                found.refunded = found.refunded.checked_add(*amount).ok()?;
                self.refunds.push(Refund {
                    refund: *refund,
                    payment,
                    amount: *amount,
                    status: RefundStatus::Succeeded,
                    turn: None,
                });
                Some(*amount)
            }
            Deed::Fee { amount } => {
                found.fees = found.fees.checked_add(*amount).ok()?;
                Some(*amount)
            }
        }
    }

    /// What of a payment neither went back, nor is on its way back.
    pub(crate) fn left_of(&self, payment: PaymentId) -> Option<Money> {
        let found = self.payment(payment)?;
        let pending =
            |refund: &&Refund| refund.payment == payment && refund.status == RefundStatus::Pending;
        let mut left = found.amount.checked_sub(found.refunded).ok()?;
        left = left.checked_sub(found.charged_back).ok()?;
        for refund in self.refunds.iter().filter(pending) {
            left = left.checked_sub(refund.amount).ok()?;
        }
        Some(left)
    }

    /// A ledger that contradicts itself returns no more than came.
    fn move_refunded(
        &mut self,
        payment: PaymentId,
        change: impl FnOnce(Money) -> Result<Money, MoneyError>,
    ) {
        if let Some(found) = self.payment_mut(payment)
            && let Ok(refunded) = change(found.refunded)
            && let Ok(away) = refunded.checked_add(found.charged_back)
            && away.minor() <= found.amount.minor()
        {
            found.refunded = refunded;
        }
    }

    fn payment_mut(&mut self, payment: PaymentId) -> Option<&mut Payment> {
        self.payments
            .iter_mut()
            .find(|booked| booked.payment == payment)
    }

    pub(crate) fn payment(&self, payment: PaymentId) -> Option<&Payment> {
        self.payments
            .iter()
            .find(|booked| booked.payment == payment)
    }

    pub(crate) fn view(&self, public_url: &str) -> OrderView {
        self.view_of(self.shown(), public_url)
    }

    /// As it was before the last change; none if it did not exist then.
    pub(crate) fn stale_view(&self, public_url: &str) -> Option<OrderView> {
        let previous = self.previous.as_deref()?;
        Some(self.view_of(previous.clone(), public_url))
    }

    fn view_of(&self, shown: Shown, public_url: &str) -> OrderView {
        OrderView {
            order: self.create.order,
            status: shown.status,
            amount: self.create.amount,
            payee: self.create.payee.clone(),
            pay_url: pay_url(public_url, self),
            payments: shown.payments,
            refunds: shown.refunds,
            declines: shown.declines,
        }
    }

    pub(super) fn shown(&self) -> Shown {
        Shown {
            status: self.status(),
            payments: self.payments.iter().map(Payment::view).collect(),
            refunds: self.refunds.iter().map(|refund| refund.view()).collect(),
            declines: self.declines,
        }
    }

    pub(super) fn remember(&mut self, before: Shown) {
        if before != self.shown() {
            self.previous = Some(Box::new(before));
        }
    }
}

impl Payment {
    pub(crate) fn view(&self) -> PaymentView {
        PaymentView {
            payment: self.payment,
            amount: self.amount,
            payee: self.payee.clone(),
            refunded: self.refunded,
            disputed: self.disputed,
            paid_at: self.paid_at,
        }
    }
}

impl Refund {
    pub(super) fn turn_due(&self) -> Option<Tick> {
        self.turn.map(|(_, due)| due)
    }

    pub(crate) const fn view(&self) -> RefundView {
        RefundView {
            refund: self.refund,
            payment: self.payment,
            amount: self.amount,
            status: self.status,
        }
    }
}

/// The hosted page of an order.
pub(crate) fn pay_url(public_url: &str, order: &Order) -> String {
    format!("{public_url}/pay/{}", order.opening.checkout)
}
