//! Payments of one sale: booked once, judged again with every answer, earned or returned.

use protocol::id::{PayeeId, PaymentId};
use protocol::message::{OrderView, PaymentView, RefundView};
use protocol::money::Money;
use protocol::time::{Tick, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge::{Expected, Verdict, judge};
use super::order::Flag;
use super::refund::{Refund, RefundReason, RefundState};
use super::transaction::{ReviewReason, TransactionState};
use super::{Output, Sale, Turn};
use crate::ledger::{self, Matter};
use crate::rules::{Rule, Rules};
use crate::store::{PaymentRow, RefundRow};

/// One payment as the payment server booked it, and what we made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
    pub(crate) paid_at: Utc,
    pub(crate) verdict: Verdict,
    /// What went back without us.
    pub(crate) outside_minor: i64,
    pub(crate) is_earned: bool,
    /// The payer was served and has the money back.
    pub(crate) is_lost: bool,
    pub(crate) refund: Option<Refund>,
}

impl Payment {
    /// What of it is left to return.
    pub(crate) fn owed(&self) -> Money {
        let rest = self.amount.minor().saturating_sub(self.outside_minor);
        Money::new(rest, self.amount.currency())
            .unwrap_or_else(|_| Money::zero(self.amount.currency()))
    }

    /// Ours, and neither earned nor on its way back; a disputed one waits for a person.
    pub(crate) fn is_unsettled(&self, rules: &dyn Rules) -> bool {
        let is_earned = self.is_earned && rules.holds(Rule::EarnedStays);
        let is_returning = self.refund.is_some() && rules.holds(Rule::RefundOnce);
        self.verdict.is_ours()
            && self.verdict != Verdict::Disputed
            && !is_earned
            && !is_returning
            && !self.owed().is_zero()
    }

    /// Whether no refund of it is under way.
    pub(crate) fn is_settled(&self) -> bool {
        self.refund.as_ref().is_none_or(Refund::is_over)
    }

    pub(crate) fn refund_timeout(&self) -> Option<Tick> {
        self.refund.as_ref().and_then(Refund::timeout)
    }

    fn returned_minor(&self) -> i64 {
        self.refund
            .as_ref()
            .filter(|refund| refund.may_be_done())
            .map_or(0, |refund| refund.amount.minor())
    }
}

impl Sale {
    /// Books what a view shows for the first time, and takes note of what has changed.
    pub(super) fn book(&mut self, view: &OrderView, turn: &mut Turn<'_>) {
        let is_equal = view.amount == self.facts.amount && view.payee == *self.facts.payee_id();
        if !is_equal && !self.order.differs {
            self.order.differs = true;
            let detail = json!({"amount": view.amount, "payee": view.payee});
            self.event("order_differs", detail, turn);
        }
        for payment in &view.payments {
            if self.payments.contains_key(&payment.payment) {
                self.judge_again(payment, turn);
            } else {
                self.book_new(payment, turn);
            }
        }
        for refund in &view.refunds {
            self.note_refund(refund, turn);
        }
    }

    /// Decides to return whatever is owed of a payment.
    pub(super) fn refund(&mut self, id: PaymentId, reason: RefundReason, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let is_returning = payment.refund.is_some() && turn.holds(Rule::RefundOnce);
        let is_earned = payment.is_earned && turn.holds(Rule::EarnedStays);
        if is_returning || is_earned || payment.owed().is_zero() {
            return;
        }
        let refund = Refund::new(id, payment.owed(), reason, turn);
        let detail = refund_detail(&refund);
        payment.refund = Some(refund);
        self.event("refund", detail, turn);
        self.write_refund(id, turn);
    }

    pub(super) fn release_refunds(&mut self, turn: &Turn<'_>) {
        let is_mending = turn.policy.self_mending || !turn.holds(Rule::MendingWaits);
        for payment in self.payments.values_mut() {
            if let Some(refund) = &mut payment.refund
                && (is_mending || !refund.reason.rests_on_store())
            {
                refund.release(turn);
            }
        }
    }

    pub(super) fn drive_refunds(&mut self, turn: &mut Turn<'_>) {
        let ids: Vec<PaymentId> = self.payments.keys().copied().collect();
        for id in ids {
            self.drive_refund(id, turn);
        }
    }

    /// The payment server's word on a refund.
    pub(super) fn note_refund(&mut self, view: &RefundView, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&view.payment) else {
            return;
        };
        let Some(refund) = &mut payment.refund else {
            return;
        };
        let before = refund.state;
        if refund.handle_view(view, turn) {
            self.refund_changed(view.payment, before, turn);
        }
    }

    /// A refund was refused for good, or asked for as often as makes sense.
    pub(super) fn fail_refund(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let Some(refund) = self.payments.get_mut(&id).and_then(|p| p.refund.as_mut()) else {
            return;
        };
        let before = refund.state;
        // An attempt refused late does not take back what another one has returned: only the
        // payment server's own view of the refund can.
        if matches!(before, RefundState::Succeeded | RefundState::Failed) {
            return;
        }
        refund.fail();
        self.refund_changed(id, before, turn);
    }

    pub(super) fn matter(&self, id: PaymentId, amount: Money) -> Matter {
        Matter {
            transaction: self.facts.transaction,
            payment: id,
            amount,
        }
    }

    pub(super) fn write_payment(&mut self, id: PaymentId) {
        let Some(payment) = self.payments.get(&id) else {
            return;
        };
        let returned = payment
            .refund
            .as_ref()
            .filter(|refund| refund.state == RefundState::Succeeded)
            .map_or(0, |refund| refund.amount.minor());
        self.outputs.push_back(Output::Payment(PaymentRow {
            payment: id,
            transaction: self.facts.transaction,
            gateway: self.facts.gateway.clone(),
            amount: payment.amount,
            payee: payment.payee.clone(),
            refunded_minor: payment.outside_minor.saturating_add(returned),
            received_at: payment.paid_at,
        }));
    }

    fn book_new(&mut self, view: &PaymentView, turn: &mut Turn<'_>) {
        let verdict = judge(self.expected(turn), view, 0);
        let is_ours = verdict.is_ours();
        let payment = Payment {
            amount: view.amount,
            payee: view.payee.clone(),
            paid_at: view.paid_at,
            verdict,
            outside_minor: 0,
            is_earned: false,
            is_lost: false,
            refund: None,
        };
        self.payments.insert(view.payment, payment);
        self.flag(verdict);
        let detail = json!({
            "payment": view.payment, "amount": view.amount, "verdict": verdict,
        });
        self.event("payment_found", detail, turn);
        if is_ours {
            let entry = ledger::received(self.matter(view.payment, view.amount));
            self.outputs.push_back(Output::Entry(entry));
            self.write_payment(view.payment);
            self.note_outside(view, turn);
        }
    }

    fn judge_again(&mut self, view: &PaymentView, turn: &mut Turn<'_>) {
        let expected = self.expected(turn);
        let Some(payment) = self.payments.get(&view.payment) else {
            return;
        };
        let verdict = judge(expected, view, payment.returned_minor());
        let is_worse = verdict != payment.verdict
            && matches!(verdict, Verdict::Disputed | Verdict::RefundedOutside);
        if !is_worse || !payment.verdict.is_ours() {
            return;
        }
        if let Some(payment) = self.payments.get_mut(&view.payment) {
            payment.verdict = verdict;
        }
        self.flag(verdict);
        let detail = json!({"payment": view.payment, "verdict": verdict});
        self.event("payment_changed", detail, turn);
        self.note_outside(view, turn);
    }

    /// Money that went back without us is neither earned nor ours to return.
    fn note_outside(&mut self, view: &PaymentView, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&view.payment) else {
            return;
        };
        let returned = payment.returned_minor();
        let outside = view.refunded.minor().saturating_sub(returned);
        let outside = outside.min(payment.amount.minor().saturating_sub(returned));
        let more = outside.saturating_sub(payment.outside_minor);
        if more <= 0 || payment.is_earned {
            return;
        }
        payment.outside_minor = outside;
        let Ok(amount) = Money::new(more, payment.amount.currency()) else {
            return;
        };
        let detail = json!({"payment": view.payment, "amount": amount});
        self.event("refunded_outside", detail, turn);
        let entry = ledger::refunded_outside(self.matter(view.payment, amount));
        self.outputs.push_back(Output::Entry(entry));
        self.write_payment(view.payment);
    }

    fn refund_changed(&mut self, id: PaymentId, before: RefundState, turn: &mut Turn<'_>) {
        let Some(refund) = self.payments.get(&id).and_then(|p| p.refund.clone()) else {
            return;
        };
        self.event("refund", refund_detail(&refund), turn);
        self.write_refund(id, turn);
        let matter = self.matter(id, refund.amount);
        if refund.state == RefundState::Succeeded {
            let entry = ledger::refunded(matter, refund.id);
            self.outputs.push_back(Output::Entry(entry));
        } else if before == RefundState::Succeeded {
            let entry = ledger::refund_failed_later(matter, refund.id);
            self.outputs.push_back(Output::Entry(entry));
        }
        self.write_payment(id);
        self.settle_refunds(turn);
    }

    /// Where the sale stands once its refunds have moved.
    pub(super) fn settle_refunds(&mut self, turn: &mut Turn<'_>) {
        let refunds = || self.payments.values().filter_map(|p| p.refund.as_ref());
        if refunds().any(|refund| refund.state == RefundState::Failed) {
            self.review(ReviewReason::RefundFailed, turn);
            return;
        }
        let is_returned = refunds().all(|refund| refund.state == RefundState::Succeeded);
        let state = self.transaction.state;
        let has_failed_before = self
            .transaction
            .review
            .is_some_and(|review| review.reason == ReviewReason::RefundFailed);
        if state == TransactionState::Done {
            if has_failed_before && is_returned {
                self.transaction.review = None;
            }
            return;
        }
        let is_waiting = state == TransactionState::RefundPending
            || state == TransactionState::Review && has_failed_before;
        if is_waiting && is_returned {
            self.finish_refunds(has_failed_before, turn);
        }
    }

    fn drive_refund(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let Some(refund) = self.payments.get_mut(&id).and_then(|p| p.refund.as_mut()) else {
            return;
        };
        let before = refund.state;
        let Some(nonce) = refund.drive(turn) else {
            return;
        };
        let is_new = before == RefundState::Requested;
        let detail = refund_detail(refund);
        if is_new {
            self.event("refund", detail, turn);
            self.write_refund(id, turn);
        }
        if let Some(operation) = self.refund_operation(id) {
            self.outputs.push_back(Output::Gateway { operation, nonce });
        }
    }

    /// What the payment server did not answer in time; out of attempts, a person must look.
    pub(super) fn expire_refunds(&mut self, turn: &mut Turn<'_>) {
        let attempts_max = turn.policy.timeouts.refund_tries;
        let mut is_exhausted = false;
        for refund in self.payments.values_mut().filter_map(|p| p.refund.as_mut()) {
            if refund.expire(turn) {
                is_exhausted |= refund.is_exhausted(attempts_max);
            }
        }
        if is_exhausted {
            self.review(ReviewReason::RefundFailed, turn);
        }
    }

    fn write_refund(&mut self, id: PaymentId, turn: &Turn<'_>) {
        let Some(refund) = self.payments.get(&id).and_then(|p| p.refund.as_ref()) else {
            return;
        };
        let row = RefundRow {
            refund: refund.id,
            payment: id,
            transaction: self.facts.transaction,
            amount: refund.amount,
            status: refund.state.as_str().to_owned(),
            reason: refund.reason.as_str().to_owned(),
            updated_at: turn.now.utc,
        };
        self.outputs.push_back(Output::Refund(row));
    }

    fn expected(&self, turn: &Turn<'_>) -> Expected<'_> {
        Expected {
            amount: self.facts.amount,
            payee: self.facts.payee_id(),
            rules: turn.policy.rules,
        }
    }

    fn flag(&mut self, verdict: Verdict) {
        let flag = match verdict {
            Verdict::Exact => return,
            Verdict::Under => Flag::Partial,
            Verdict::Over => Flag::Over,
            Verdict::WrongCurrency => Flag::WrongCurrency,
            Verdict::WrongPayee => Flag::WrongPayee,
            Verdict::Disputed => Flag::Disputed,
            Verdict::RefundedOutside => Flag::RefundedOutside,
        };
        self.order.flags.insert(flag);
    }
}

fn refund_detail(refund: &Refund) -> Value {
    json!({
        "refund": refund.id,
        "payment": refund.payment,
        "amount": refund.amount,
        "reason": refund.reason,
        "to": refund.state,
    })
}
