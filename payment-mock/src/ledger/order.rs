//! One order with everything that ever happened to it.

use protocol::id::{PayeeId, PaymentId, PlatformId, RefundId};
use protocol::message::{
    CreateOrder, OrderStatus, OrderView, PaymentView, RefundOrder, RefundStatus, RefundView,
};
use protocol::money::Money;
use protocol::time::{Tick, Utc};

use super::entry::{Attempt, Booking, Closing, Opening};

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
    pub(crate) closed: Option<Closing>,
    pub(crate) payments: Vec<Payment>,
    pub(crate) refunds: Vec<Refund>,
    pub(crate) deadline: Option<Tick>,
}

#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
    pub(crate) refunded: Money,
    pub(crate) paid_at: Utc,
    /// In this process.
    pub(crate) booked: Tick,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Refund {
    pub(crate) refund: RefundId,
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
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
            closed: None,
            payments: Vec::new(),
            refunds: Vec::new(),
            deadline: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match (self.payments.is_empty(), self.closed, &self.promise) {
            (false, _, _) => Phase::Paid,
            (true, Some(Closing::Platform), _) => Phase::Closed,
            (true, Some(Closing::Lifetime), _) => Phase::Expired,
            (true, None, Some(_)) => Phase::Promised,
            (true, None, None) => Phase::Open,
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

    pub(super) fn book(&mut self, booking: &Booking, at: Utc, tick: Tick) {
        self.attempts += 1;
        self.payments.push(Payment {
            payment: booking.payment,
            amount: booking.amount,
            payee: booking.payee.clone(),
            refunded: Money::zero(booking.amount.currency()),
            paid_at: at,
            booked: tick,
        });
    }

    /// The refund was checked before it was recorded, so the sum always fits.
    pub(super) fn refund(&mut self, refund: &RefundOrder) {
        if let Some(payment) = self.payment_mut(refund.payment)
            && let Ok(refunded) = payment.refunded.checked_add(refund.amount)
        {
            payment.refunded = refunded;
        }
        self.refunds.push(Refund::of(refund));
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
        OrderView {
            order: self.create.order,
            status: self.status(),
            amount: self.create.amount,
            payee: self.create.payee.clone(),
            pay_url: pay_url(public_url, self),
            payments: self.payments.iter().map(Payment::view).collect(),
            refunds: self.refunds.iter().map(|refund| refund.view()).collect(),
            declines: self.declines,
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
            disputed: false,
            paid_at: self.paid_at,
        }
    }
}

impl Refund {
    pub(super) fn of(refund: &RefundOrder) -> Self {
        Self {
            refund: refund.refund,
            payment: refund.payment,
            amount: refund.amount,
        }
    }

    pub(crate) fn view(self) -> RefundView {
        RefundView {
            refund: self.refund,
            payment: self.payment,
            amount: self.amount,
            status: RefundStatus::Succeeded,
        }
    }
}

/// The hosted page of an order.
pub(crate) fn pay_url(public_url: &str, order: &Order) -> String {
    format!("{public_url}/pay/{}", order.opening.checkout)
}
