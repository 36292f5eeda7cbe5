//! What the payer sees and presses.

use protocol::id::{Entropy, PaymentId};
use protocol::money::Money;
use protocol::time::Now;

use super::{Machine, Note};
use crate::ledger::{
    ATTEMPTS_MAX, Attempt, Booking, CheckoutToken, Order, Phase, ReturnUrl, pay_url,
};
use crate::scenario::{Action, Case, Step, Transfer};

/// Everything a checkout page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckoutView {
    pub(crate) payee_name: String,
    pub(crate) payee: String,
    pub(crate) place_name: String,
    pub(crate) description: String,
    pub(crate) order: String,
    pub(crate) amount: Money,
    pub(crate) phase: Phase,
    pub(crate) last_attempt: Option<Attempt>,
    /// What was booked, if that is not one payment of exactly the amount to this payee.
    pub(crate) odd_payments: Vec<(Money, String)>,
    pub(crate) refunded: bool,
    pub(crate) form_token: String,
    pub(crate) return_url: Option<ReturnUrl>,
}

/// A button of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Press {
    Pay,
    Decline,
}

/// What a press led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// Paid: on to the merchant.
    Paid {
        return_url: String,
    },
    /// The page tells the rest.
    Back {
        pay_url: String,
    },
    UnknownOrder,
    /// The form is not from this order's page.
    WrongForm,
}

impl Press {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "pay" => Some(Self::Pay),
            "decline" => Some(Self::Decline),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Decline => "decline",
        }
    }
}

impl Machine {
    /// The page of a checkout token, as it stands now.
    pub(crate) fn handle_view(
        &mut self,
        checkout: CheckoutToken,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Option<CheckoutView> {
        self.handle_timeout(now, entropy);
        self.ledger.order_at(checkout).map(CheckoutView::of)
    }

    /// A press counts once: its form token is used up by it, and a second press of the same page
    /// leads to where the first one led.
    pub(crate) fn handle_press(
        &mut self,
        checkout: CheckoutToken,
        form_token: &str,
        press: Press,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Pressed {
        self.handle_timeout(now, entropy);
        let Some(order) = self.ledger.order_at(checkout) else {
            return self.pressed(press, "unknown_order", Pressed::UnknownOrder);
        };
        let fresh = form_token == order.form_token();
        if !fresh && !order.is_used_form_token(form_token) {
            return self.pressed(press, "wrong_form", Pressed::WrongForm);
        }
        if fresh && order.phase() == Phase::Open && order.attempts < ATTEMPTS_MAX {
            let order = order.create.order;
            self.take(order, press, now, entropy);
            self.drain_ledger(now, entropy);
        }
        self.led_to(checkout, press)
    }

    fn take(
        &mut self,
        order: protocol::id::TransactionId,
        press: Press,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let n = self.count(order, Step::Pay);
        let Some(found) = self.ledger.order(order) else {
            return;
        };
        let action = match press {
            Press::Pay => self.scenario.decide(Step::Pay, Case::of(found, now), n),
            Press::Decline => Action::Decline,
        };
        match action {
            Action::Book(transfers) => {
                for transfer in transfers {
                    let booking = booking(transfer, entropy);
                    self.ledger.handle_payment(order, booking, now);
                }
            }
            Action::BookAfterClose(transfer) => {
                let booking = booking(transfer, entropy);
                self.ledger.handle_promise(order, booking, now);
            }
            Action::Decline => {
                self.ledger
                    .handle_failed_attempt(order, Attempt::Declined, now);
            }
            Action::TryLater | Action::Answer { .. } | Action::StaySilent => {
                self.ledger
                    .handle_failed_attempt(order, Attempt::TryLater, now);
            }
        }
    }

    fn led_to(&mut self, checkout: CheckoutToken, press: Press) -> Pressed {
        let Some(order) = self.ledger.order_at(checkout) else {
            return self.pressed(press, "unknown_order", Pressed::UnknownOrder);
        };
        let pay_url = pay_url(&self.identity.public_url, order);
        match (order.phase(), ReturnUrl::parse(&order.create.return_url)) {
            (Phase::Paid, Some(url)) => {
                let return_url = url.as_str().to_owned();
                self.pressed(press, "paid", Pressed::Paid { return_url })
            }
            (Phase::Paid, None) => self.pressed(press, "paid", Pressed::Back { pay_url }),
            (Phase::Open | Phase::Promised | Phase::Closed | Phase::Expired, _) => {
                self.pressed(press, "not_paid", Pressed::Back { pay_url })
            }
        }
    }

    fn pressed(&mut self, press: Press, result: &'static str, pressed: Pressed) -> Pressed {
        let press = press.as_str();
        self.note(Note::Pressed { press, result });
        pressed
    }
}

impl CheckoutView {
    fn of(order: &Order) -> Self {
        let create = &order.create;
        let exact = |amount: Money, payee: &protocol::id::PayeeId| {
            amount == create.amount && *payee == create.payee
        };
        let as_ordered = match order.payments.as_slice() {
            [payment] => exact(payment.amount, &payment.payee),
            payments => payments.is_empty(),
        };
        let odd = order.payments.iter().filter(|_| !as_ordered);
        Self {
            payee_name: create.payee_name.clone(),
            payee: create.payee.to_string(),
            place_name: create.place_name.clone(),
            description: create.description.clone(),
            order: create.order.short(),
            amount: create.amount,
            phase: order.phase(),
            last_attempt: order.last_attempt,
            odd_payments: odd
                .map(|payment| (payment.amount, payment.payee.to_string()))
                .collect(),
            refunded: !order.refunds.is_empty(),
            form_token: order.form_token(),
            return_url: ReturnUrl::parse(&create.return_url),
        }
    }
}

impl<'a> Case<'a> {
    pub(super) fn of(order: &'a Order, now: Now) -> Self {
        let first = order.payments.first();
        Self {
            outcome: order.opening.outcome,
            amount: order.create.amount,
            payee: &order.create.payee,
            booked_for: first.map(|payment| now.tick.since(payment.booked)),
        }
    }
}

fn booking(transfer: Transfer, entropy: &mut dyn Entropy) -> Booking {
    Booking {
        payment: PaymentId::from_random(entropy.bytes()),
        amount: transfer.amount,
        payee: transfer.payee,
    }
}
