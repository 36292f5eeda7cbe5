//! One sale: three machines (the order as the payment server sees it, our decision, a refund per
//! payment) in one aggregate, which is one versioned row of the store.
//!
//! Pure. Every `handle_*` changes the sale and queues [`Output`]s; [`Sale::poll_output`] drains
//! them, [`Sale::poll_timeout`] names the next deadline. The shell commits what one step queued,
//! and sends only then.

mod answer;
mod call;
mod decide;
mod facts;
mod judge;
mod linkage;
#[allow(dead_code, reason = "the command line and the API are to call it")]
mod operator;
mod order;
mod output;
mod outside;
mod payer_view;
mod payment;
mod policy;
mod refund;
mod restored;
mod review;
mod timeout;
mod transaction;
mod words;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use protocol::id::{BootId, Entropy, PaymentId, StoreEpoch, TransactionId};
use protocol::message::{EndReason, LinkageResult, OffReason, OrderRequest, Receipt};
use protocol::signed::{Jws, Verified};
use protocol::time::{Now, Tick};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tariff::Bill;

pub(crate) use facts::{Facts, SiteFacts, admit};
pub use operator::Resolution;
pub(crate) use operator::{Hand, OperatorRefusal};
pub(crate) use output::{Output, Word};
pub(crate) use payer_view::{Journey, Paid, PayerView, Return, Stage};
pub(crate) use policy::{Capabilities, Policy};
pub use policy::{Timeouts, UncertainPolicy};
pub(crate) use refund::RefundReason;
pub(crate) use review::Review;
pub(crate) use transaction::TransactionState;

use order::{Aim, Order, OrderState};
use payment::Payment;
use review::ReviewReason;
use transaction::{NonceLife, Transaction};

use crate::caps::{CapClaim, Caps};
use crate::rules::Rule;

/// What a step may use beside the sale itself.
pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) policy: &'a Policy,
    /// The epoch in which the store is now.
    pub(crate) store_epoch: StoreEpoch,
    /// What was returned by itself lately (R13).
    pub(crate) caps: &'a mut Caps,
    /// Payments of which the store knows whose they are, as far as this step may meet them (I4).
    pub(crate) taken: &'a BTreeMap<PaymentId, TransactionId>,
}

impl Turn<'_> {
    pub(crate) fn holds(&self, rule: Rule) -> bool {
        self.policy.holds(rule)
    }

    /// Whether a refund goes out by itself; asking counts it (R13).
    fn admits(&mut self, reason: RefundReason, claim: &CapClaim<'_>) -> bool {
        let Some((class, rule)) = reason.cap() else {
            return true;
        };
        !self.holds(rule) || self.caps.admit(class, claim, self.now.tick)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sale {
    facts: Facts,
    order: Order,
    transaction: Transaction,
    payments: BTreeMap<PaymentId, Payment>,
    /// The terminal's countersignature, once it is there.
    result: Option<Jws<LinkageResult>>,
    receipt: Option<Jws<Receipt>>,
    /// What stands in the outbox.
    words: BTreeSet<Word>,
    #[serde(skip)]
    outputs: VecDeque<Output>,
}

impl Sale {
    /// A new sale of a request that [`admit`] has let in. `is_blocked`: an earlier order of its
    /// terminal may still be paid, so its own is not made yet (R4).
    pub(crate) fn request(
        request: Verified<OrderRequest>,
        bill: Bill,
        site: SiteFacts,
        is_blocked: bool,
        turn: &mut Turn<'_>,
    ) -> Self {
        let digest = request.jws().digest();
        let request = request.into_claims();
        let mut nonce = NonceLife::new(request.nonce, request.nonce_lifetime_ms, request.boot);
        nonce.arm(turn.now.tick, turn.policy);
        let facts = Facts::new(request, bill, site, turn.now.utc);
        let detail = json!({"amount": facts.amount, "request_sha256": digest});
        let mut sale = Self {
            facts,
            order: Order::new(),
            transaction: Transaction::new(nonce),
            payments: BTreeMap::new(),
            result: None,
            receipt: None,
            words: BTreeSet::new(),
            outputs: VecDeque::new(),
        };
        sale.event("requested", detail, turn);
        if sale.facts.amount.is_zero() {
            sale.quote(turn);
            sale.permit_zero_bill(turn);
        } else {
            sale.arm_deadline(turn);
            if is_blocked {
                sale.transaction.is_blocked = true;
                sale.event("waiting_for_earlier_order", json!({}), turn);
            } else {
                sale.order.set_aim(Aim::Create, turn);
            }
        }
        sale.drive(turn);
        sale
    }

    /// The same order request again: the terminal has not heard our answer.
    pub(crate) fn handle_request_again(&mut self, turn: &mut Turn<'_>) {
        self.say_again();
        self.drive(turn);
    }

    /// No earlier order of its terminal can be paid any more (R4).
    pub(crate) fn handle_unblocked(&mut self, turn: &mut Turn<'_>) {
        if self.is_waiting() {
            self.transaction.is_blocked = false;
            self.arm_deadline(turn);
            self.order.set_aim(Aim::Create, turn);
        }
        self.drive(turn);
    }

    /// The phone says that it has paid (R1).
    pub(crate) fn handle_notice(&mut self, turn: &mut Turn<'_>) {
        // A page that asks every second is one line of the history.
        if !self.order.is_hinted() {
            self.event("noticed", json!({}), turn);
        }
        if self.transaction.state == TransactionState::AwaitingPayment {
            self.go(TransactionState::Confirming, turn);
        }
        if !self.transaction.state.is_undecided() {
            self.say_again();
        }
        if !turn.holds(Rule::NoticeIsHint) {
            self.order.state = OrderState::Paid;
        }
        if self.order.is_sent() && self.order.aim() != Aim::Create {
            self.order.notice(turn);
        }
        self.drive(turn);
    }

    /// The payment server says that something happened (R1).
    pub(crate) fn handle_event(&mut self, turn: &mut Turn<'_>) {
        if !self.order.is_hinted() {
            self.event("gateway_event", json!({}), turn);
        }
        self.order.hint(turn);
        self.drive(turn);
    }

    /// The session at the terminal is over (R5).
    pub(crate) fn handle_ended(&mut self, reason: EndReason, turn: &mut Turn<'_>) {
        let is_withdrawn = self
            .transaction
            .ending
            .is_some_and(|ending| ending.is_withdrawn);
        if !is_withdrawn {
            self.event("ended", json!({ "reason": reason }), turn);
        }
        if self.transaction.state.is_undecided() {
            let off = match reason {
                EndReason::Cap => OffReason::Expired,
                EndReason::Cancelled | EndReason::Idle | EndReason::Finished => OffReason::Ended,
            };
            self.withdraw(off, turn);
        } else if reason == EndReason::Finished && self.transaction.state.is_final() {
            self.forget_words();
        } else {
            self.say_again();
        }
        self.drive(turn);
    }

    /// Another session of the same terminal has begun: at most one order is open (R4).
    pub(crate) fn handle_superseded(&mut self, turn: &mut Turn<'_>) {
        if self.transaction.state.is_undecided() && turn.holds(Rule::OneOpenOrder) {
            self.event("superseded", json!({}), turn);
            self.withdraw(OffReason::Ended, turn);
        }
        self.drive(turn);
    }

    /// The terminal has connected, in the run `boot`; `is_listed` if its journal still holds this
    /// transaction.
    pub(crate) fn handle_hello(&mut self, is_listed: bool, boot: BootId, turn: &mut Turn<'_>) {
        self.note_reboot(boot, turn);
        if is_listed || !self.transaction.state.is_final() {
            self.say_again();
            self.say_end_again(is_listed, turn);
        } else {
            self.forget_words();
        }
        self.drive(turn);
    }

    /// The process has started again. Every wait starts again in full (R6).
    pub(crate) fn handle_restart(&mut self, turn: &mut Turn<'_>) {
        self.transaction.rearm_nonces(turn.now.tick, turn.policy);
        self.order.handle_restart(turn);
        for payment in self.payments.values_mut() {
            if let Some(refund) = &mut payment.refund {
                refund.handle_restart(turn);
            }
        }
        self.arm_deadline(turn);
        self.arm_repeat(turn);
        if self.is_ended() && !self.transaction.has_lingered {
            self.arm_linger(turn);
        }
        self.drive(turn);
    }

    /// Refunds go out by themselves again, or do not any more.
    pub(crate) fn handle_mending(&mut self, turn: &mut Turn<'_>) {
        self.drive(turn);
    }

    /// The late watch is due: the sale was not in memory, so nothing else can be.
    pub(crate) fn handle_watch(&mut self, turn: &mut Turn<'_>) {
        self.order.watch_now(turn);
        self.drive(turn);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        let refunds = self.payments.values().filter_map(Payment::refund_timeout);
        refunds
            .chain(self.order.timeout())
            .chain(self.transaction.timeout())
            .min()
    }

    pub(crate) fn has_payment(&self, payment: PaymentId) -> bool {
        self.payments.contains_key(&payment)
    }

    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) const fn transaction(&self) -> TransactionId {
        self.facts.transaction
    }

    pub(crate) const fn state(&self) -> TransactionState {
        self.transaction.state
    }

    /// Whether its order waits for an earlier one of its terminal.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.transaction.is_blocked && self.transaction.state.is_undecided()
    }

    /// Whether no other order may be made at its terminal (R4). One that was not shut in time
    /// waits for a person, and the terminal serves on.
    pub(crate) fn is_payable(&self) -> bool {
        self.order.is_payable() && !self.transaction.reviews.has(ReviewReason::GatewaySilent)
    }

    pub(crate) const fn order_state(&self) -> &'static str {
        self.order.state.as_str()
    }

    /// Whether an unpaid order is still on offer (R4).
    pub(crate) const fn is_undecided(&self) -> bool {
        self.transaction.state.is_undecided()
    }

    /// What waits for a person.
    #[allow(dead_code, reason = "the work list is to show it")]
    pub(crate) fn reviews(&self) -> impl Iterator<Item = &Review> {
        self.transaction.reviews.iter()
    }

    /// Whether anything is still to be done, the late watch included.
    pub(crate) fn is_open(&self) -> bool {
        let is_over =
            self.is_parked() && self.order.is_at_end() && self.transaction.state.is_final();
        !self.transaction.reviews.is_empty() || !is_over
    }

    /// Whether only the late watch is left: such a sale need not stay in memory.
    pub(crate) fn is_parked(&self) -> bool {
        let is_ended =
            self.is_ended() && self.transaction.has_lingered && !self.transaction.settle_waits;
        is_ended && self.order.is_resting() && self.payments.values().all(Payment::is_settled)
    }

    /// The receipt as it was signed, kept so that it can be given again.
    pub(crate) fn keep_receipt(&mut self, receipt: Jws<Receipt>) {
        self.receipt = Some(receipt);
    }

    /// Takes the offer back: a final query, then close (R5).
    fn withdraw(&mut self, off: OffReason, turn: &mut Turn<'_>) {
        if self
            .transaction
            .ending
            .is_some_and(|ending| ending.is_withdrawn)
        {
            return;
        }
        let reason = if self.order.declines > 0 {
            OffReason::Declined
        } else {
            off
        };
        self.begin_end(reason, true, turn);
    }

    /// Everything that is due at this instant, until nothing is.
    fn drive(&mut self, turn: &mut Turn<'_>) {
        if !self.transaction.state.may_act() || !turn.holds(Rule::NoRefundWhileActing) {
            self.release_refunds(turn);
        }
        self.drive_refunds(turn);
        if let Some(asked) = self.order.drive(turn) {
            let operation = self.operation(asked.question);
            self.outputs.push_back(Output::Gateway {
                operation,
                nonce: asked.nonce,
            });
        }
        if self.order.has_given_up() {
            self.open_review(ReviewReason::GatewaySilent, turn);
        }
    }

    fn go(&mut self, state: TransactionState, turn: &mut Turn<'_>) {
        let from = self.transaction.state;
        if from == state {
            return;
        }
        self.transaction.state = state;
        let detail = json!({"from": from, "to": state});
        self.event("state", detail, turn);
        // The order's deadline runs on, whatever a notice says.
        if !(from.is_offered() && state.is_offered()) {
            self.arm_deadline(turn);
        }
        self.arm_repeat(turn);
        if self.is_ended() {
            self.transaction.has_lingered = false;
            self.arm_linger(turn);
        } else {
            self.transaction.linger_until = None;
        }
    }

    const fn is_ended(&self) -> bool {
        self.transaction.state.is_final()
            || matches!(self.transaction.state, TransactionState::Review)
    }

    fn arm_linger(&mut self, turn: &Turn<'_>) {
        let linger = Duration::from_millis(turn.policy.timeouts.linger_ms);
        let until = turn.now.tick + linger;
        // An OFF is worth repeating as long as its terminal may wait for a permit.
        let dead_at = self
            .transaction
            .dead_at()
            .filter(|_| self.words.contains(&Word::Off) || self.transaction.settle_waits);
        self.transaction.linger_until = Some(dead_at.map_or(until, |dead| dead.max(until)));
    }
}
