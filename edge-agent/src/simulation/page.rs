//! What a phone does at the terminal's page, and what it is told there.

use protocol::id::{Entropy, ItemId, TransactionId};
use protocol::message::{ItemLine, LinkageOutcome, Quote, Standing};
use protocol::money::Money;
use protocol::time::Now;

use super::{Output, Terminal};
use crate::machine::token::SessionToken;
use crate::machine::view::{LandingState, NotConfirmedReason, StoredReceipt, View};

/// A phone with the address of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phone(SessionToken);

/// The screens of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Screen {
    Choose,
    Quoting,
    Bill,
    Paying,
    Verifying,
    Actuating,
    Done,
    NotConfirmed,
    Expired,
    Cancelled,
    Failed,
    Unavailable,
}

/// What a phone is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub screen: Screen,
    /// Once something was ordered.
    pub transaction: Option<TransactionId>,
    pub amount: Option<Money>,
    pub pay_url: Option<String>,
    /// The last attempt to pay was declined.
    pub declined: bool,
    /// Why the payer was not served, where the devices said so.
    pub outcome: Option<LinkageOutcome>,
    /// Whether it was the platform that withdrew the request.
    pub is_off: bool,
    pub refund: Option<Standing>,
    /// JWS compact form.
    pub receipt: Option<String>,
}

impl Terminal {
    /// Whether the landing page invites the next phone.
    #[must_use]
    pub fn is_free(&self, now: Now) -> bool {
        self.is_serving() && self.machine.landing(now).state == LandingState::Free
    }

    /// Takes the one lease, if it is to be had.
    pub fn accept(&mut self, now: Now, entropy: &mut dyn Entropy) -> Option<Phone> {
        if !self.is_serving() {
            return None;
        }
        let accepted = self.machine.handle_accept(now, entropy);
        self.settle(now, entropy);
        accepted.ok().map(Phone)
    }

    /// Orders one of `item`; false if that is not possible.
    pub fn choose(
        &mut self,
        phone: Phone,
        item: ItemId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let lines = vec![ItemLine { item, quantity: 1 }];
        if !self.is_serving() {
            return false;
        }
        let chosen = self.machine.handle_choose((phone.0, lines), now, entropy);
        self.settle(now, entropy);
        chosen.is_ok()
    }

    /// Asks for the payment server's page; the answer is an [`Output::PayPage`].
    pub fn go_paying(&mut self, phone: Phone, now: Now, entropy: &mut dyn Entropy) {
        if !self.is_serving() {
            let pay_url = None;
            return self.outputs.push_back(Output::PayPage { phone, pay_url });
        }
        let call = self.next_call;
        self.next_call += 1;
        self.calls.insert(call, phone);
        self.machine.handle_go_paying((phone.0, call), now, entropy);
        self.settle(now, entropy);
    }

    /// The payment server sent a browser to the `return_url` of an order request.
    pub fn returned(
        &mut self,
        return_url: &str,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Option<Phone> {
        let path = return_url.strip_prefix(&self.setup.page_url)?;
        let names = path.strip_prefix("/return/")?;
        let (transaction, secret) = names.split_once('/')?;
        let names = (transaction.parse().ok()?, secret.parse().ok()?);
        if !self.is_serving() {
            return None;
        }
        let returned = self.machine.handle_returned(names, now, entropy);
        self.settle(now, entropy);
        returned.ok().map(Phone)
    }

    /// The phone loads the session's page; none if there is no such session, or no answer.
    pub fn look(&mut self, phone: Phone, now: Now, entropy: &mut dyn Entropy) -> Option<Look> {
        if !self.is_serving() {
            return None;
        }
        let view = self.machine.handle_view(phone.0, now, entropy);
        self.settle(now, entropy);
        let transaction = self.machine.transaction_of(phone.0);
        Some(look_of(&view.ok()?, transaction))
    }

    /// The heartbeat of an open page.
    pub fn keep(&mut self, phone: Phone, now: Now) {
        if self.is_serving() && self.machine.handle_keep(phone.0, now).is_err() {
            self.calls.retain(|_, waiting| *waiting != phone);
        }
    }

    /// False once it is too late.
    pub fn cancel(&mut self, phone: Phone, now: Now, entropy: &mut dyn Entropy) -> bool {
        if !self.is_serving() {
            return false;
        }
        let cancelled = self.machine.handle_cancel(phone.0, now, entropy);
        self.settle(now, entropy);
        cancelled.is_ok()
    }

    pub(super) fn answer(&mut self, call: u64, pay_url: Option<String>) {
        if let Some(phone) = self.calls.remove(&call) {
            self.outputs.push_back(Output::PayPage { phone, pay_url });
        }
    }
}

fn look_of(view: &View, transaction: Option<TransactionId>) -> Look {
    let plain = Look {
        screen: screen_of(view),
        transaction,
        amount: None,
        pay_url: None,
        declined: false,
        outcome: None,
        is_off: false,
        refund: None,
        receipt: None,
    };
    let billed = |quote: &Quote| Some(quote.amount);
    match view {
        View::Bill { quote, .. } => Look {
            amount: billed(quote),
            ..plain
        },
        View::Paying {
            quote,
            pay_url,
            declined,
            ..
        }
        | View::Verifying {
            quote,
            pay_url,
            declined,
            ..
        } => Look {
            amount: billed(quote),
            pay_url: Some(pay_url.clone()),
            declined: *declined,
            ..plain
        },
        View::Done { quote, receipt } => Look {
            amount: quote.as_deref().and_then(billed),
            receipt: receipt.as_deref().map(signed),
            ..plain
        },
        View::NotConfirmed { reason, refund } => Look {
            is_off: matches!(reason, NotConfirmedReason::Off(_)),
            refund: *refund,
            ..plain
        },
        View::Failed { outcome, refund } => Look {
            outcome: Some(*outcome),
            refund: *refund,
            ..plain
        },
        View::Choose { .. }
        | View::Quoting
        | View::Actuating
        | View::Expired
        | View::Cancelled
        | View::Unavailable { .. } => plain,
    }
}

const fn screen_of(view: &View) -> Screen {
    match view {
        View::Choose { .. } => Screen::Choose,
        View::Quoting => Screen::Quoting,
        View::Bill { .. } => Screen::Bill,
        View::Paying { .. } => Screen::Paying,
        View::Verifying { .. } => Screen::Verifying,
        View::Actuating => Screen::Actuating,
        View::Done { .. } => Screen::Done,
        View::NotConfirmed { .. } => Screen::NotConfirmed,
        View::Expired => Screen::Expired,
        View::Cancelled => Screen::Cancelled,
        View::Failed { .. } => Screen::Failed,
        View::Unavailable { .. } => Screen::Unavailable,
    }
}

fn signed(receipt: &StoredReceipt) -> String {
    receipt.signed.clone()
}
