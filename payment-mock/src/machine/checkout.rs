//! What the payer sees and presses.

use protocol::id::{Entropy, PayeeId, PaymentId, PlatformId, TransactionId};
use protocol::money::Money;
use protocol::time::Now;

use super::scene::PageCall;
use super::{Machine, Note};
use crate::ledger::{
    ATTEMPTS_MAX, Attempt, Booking, CheckoutToken, Order, Phase, ReturnUrl, pay_url,
};
use crate::scenario::{Aspect, Payment, Step, Transfer};

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

/// Why there is no page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoView {
    UnknownOrder,
    /// An outage.
    Unavailable,
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
    /// Nobody on this side says what became of it.
    Unavailable,
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
    ) -> Result<CheckoutView, NoView> {
        self.handle_timeout(now, entropy);
        let found = self.ledger.order_at(checkout).ok_or(NoView::UnknownOrder)?;
        let (order, platform) = (found.create.order, found.platform.clone());
        let of = self.page_call(order, &platform, Step::Page, now);
        if self.is_unavailable(Aspect::Before, Step::Page, of) {
            return Err(NoView::Unavailable);
        }
        self.ledger.handle_page(order, now);
        self.drain_ledger(now, entropy);
        let found = self.ledger.order_at(checkout);
        found.map(CheckoutView::of).ok_or(NoView::UnknownOrder)
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
        let Some(found) = self.ledger.order_at(checkout) else {
            return self.pressed(press, "unknown_order", Pressed::UnknownOrder);
        };
        let fresh = form_token == found.form_token();
        if !fresh && !found.is_used_form_token(form_token) {
            return self.pressed(press, "wrong_form", Pressed::WrongForm);
        }
        let counts = fresh && found.phase() == Phase::Open && found.attempts < ATTEMPTS_MAX;
        let (order, platform) = (found.create.order, found.platform.clone());
        let of = self.page_call(order, &platform, Step::Pay, now);
        if self.is_unavailable(Aspect::Before, Step::Pay, of) {
            return self.pressed(press, "unavailable", Pressed::Unavailable);
        }
        self.ledger.handle_page(order, now);
        if counts {
            self.take(order, press, now, entropy);
        }
        self.drain_ledger(now, entropy);
        if self.is_unavailable(Aspect::Answer, Step::Pay, of) {
            return self.pressed(press, "unavailable", Pressed::Unavailable);
        }
        self.led_to(checkout, press)
    }

    fn page_call<'a>(
        &mut self,
        order: TransactionId,
        platform: &'a PlatformId,
        step: Step,
        now: Now,
    ) -> PageCall<'a> {
        PageCall {
            platform,
            order,
            n: self.count(Some(order), step),
            now,
        }
    }

    fn take(&mut self, order: TransactionId, press: Press, now: Now, entropy: &mut dyn Entropy) {
        let Some(found) = self.ledger.order(order) else {
            return;
        };
        let create = &found.create;
        let payment = match press {
            Press::Pay => found.opening.outcome.payment(create.amount, &create.payee),
            Press::Decline => Payment::Decline,
        };
        match payment {
            Payment::Book(transfers) => {
                for transfer in transfers {
                    let booking = booking(transfer, entropy);
                    self.ledger.handle_payment(order, booking, now);
                }
            }
            Payment::BookAfterClose(transfer) => {
                let booking = booking(transfer, entropy);
                self.ledger.handle_promise(order, booking, now);
            }
            Payment::Decline => {
                self.ledger
                    .handle_failed_attempt(order, Attempt::Declined, now);
            }
            Payment::TryLater => {
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
        let exact =
            |amount: Money, payee: &PayeeId| amount == create.amount && *payee == create.payee;
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
            refunded: order
                .payments
                .iter()
                .any(|payment| !payment.refunded.is_zero()),
            form_token: order.form_token(),
            return_url: ReturnUrl::parse(&create.return_url),
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
