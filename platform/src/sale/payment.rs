//! Payments of one sale: booked once, judged again with every answer, earned or returned.

use protocol::id::{PayeeId, PaymentId};
use protocol::message::{GatewayRefusal, OrderView, PaymentView, RefundView};
use protocol::money::Money;
use protocol::time::{Tick, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::judge::{Expected, Verdict, judge};
use super::order::Flag;
use super::refund::{Refund, RefundReason, RefundState, Step};
use super::review::ReviewReason;
use super::transaction::TransactionState;
use super::{Output, Sale, Turn};
use crate::caps::CapClaim;
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
    /// What the payer was served for and has back, or will.
    pub(crate) lost_minor: i64,
    /// The payer's bank claims it back.
    pub(crate) is_disputed: bool,
    /// What of it was earned and stands in dispute.
    pub(crate) disputed_minor: i64,
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

    /// Whether a person may have it returned: earned or not, and not on its way back already.
    pub(crate) fn is_returnable(&self) -> bool {
        let is_waiting = self
            .refund
            .as_ref()
            .is_none_or(|refund| refund.stuck().is_some() || refund.is_unsent());
        self.verdict.is_ours() && !self.is_disputed && is_waiting && !self.owed().is_zero()
    }

    /// Whether no refund of it is under way.
    pub(crate) fn is_settled(&self) -> bool {
        self.refund.as_ref().is_none_or(Refund::is_settled)
    }

    pub(crate) fn refund_timeout(&self) -> Option<Tick> {
        self.refund.as_ref().and_then(Refund::timeout)
    }

    pub(super) fn returned_minor(&self) -> i64 {
        self.refund
            .as_ref()
            .filter(|refund| refund.may_be_done())
            .map_or(0, |refund| refund.amount.minor())
    }
}

impl Sale {
    /// Books what a view shows for the first time, and takes note of what has changed.
    /// `number` counts the question that it answers.
    pub(super) fn book(&mut self, view: &OrderView, number: u32, turn: &mut Turn<'_>) {
        let is_equal = view.amount == self.facts.amount && view.payee == *self.facts.payee_id();
        if !is_equal && !self.order.differs {
            self.order.differs = true;
            let detail = json!({"amount": view.amount, "payee": view.payee});
            self.event("order_differs", detail, turn);
        }
        for refund in &view.refunds {
            self.note_refund(refund, turn);
        }
        self.note_absent(view, number, turn);
        for payment in &view.payments {
            if self.payments.contains_key(&payment.payment) {
                self.judge_again(payment, turn);
            } else {
                self.book_new(payment, turn);
            }
        }
    }

    /// Decides to return whatever is owed of a payment; above a cap a person must agree (R13).
    pub(super) fn refund(&mut self, id: PaymentId, reason: RefundReason, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let is_returning = payment.refund.is_some() && turn.holds(Rule::RefundOnce);
        let is_earned = payment.is_earned && turn.holds(Rule::EarnedStays);
        if is_returning || is_earned || payment.owed().is_zero() {
            return;
        }
        let mut refund = Refund::new(id, payment.owed(), reason, turn);
        let claim = CapClaim {
            refund: refund.id,
            terminal: &self.facts.terminal,
            payer: self.facts.payer.as_ref(),
            amount: refund.amount,
        };
        if !turn.admits(reason, &claim) {
            refund.stick(ReviewReason::RefundCapped);
        }
        let detail = refund_detail(&refund);
        payment.refund = Some(refund);
        self.event("refund", detail, turn);
        self.write_refund(id, turn);
        self.review_refunds(turn);
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

    /// One attempt of a refund was refused.
    pub(super) fn refuse_refund(
        &mut self,
        id: PaymentId,
        refusal: GatewayRefusal,
        turn: &mut Turn<'_>,
    ) {
        let Some(refund) = self.payments.get_mut(&id).and_then(|p| p.refund.as_mut()) else {
            return;
        };
        let before = refund.state;
        if refund.handle_refusal(refusal, turn) {
            self.refund_changed(id, before, turn);
        }
    }

    /// Refunds that a view of the order, answered to the question `number`, does not show.
    fn note_absent(&mut self, view: &OrderView, number: u32, turn: &mut Turn<'_>) {
        let ids: Vec<PaymentId> = self.payments.keys().copied().collect();
        for id in ids {
            let Some(refund) = self.payments.get_mut(&id).and_then(|p| p.refund.as_mut()) else {
                continue;
            };
            let is_shown = view.refunds.iter().any(|shown| shown.refund == refund.id);
            let before = refund.state;
            if !is_shown && refund.handle_absence(number, turn) {
                self.refund_changed(id, before, turn);
            }
        }
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
        let taken = turn.taken.get(&view.payment);
        let is_taken = taken.is_some_and(|other| *other != self.facts.transaction);
        let verdict = if is_taken && turn.holds(Rule::PaymentOfOneSale) {
            Verdict::OtherSale
        } else {
            judge(self.expected(turn), view, 0)
        };
        let is_ours = verdict.is_ours();
        let payment = Payment {
            amount: view.amount,
            payee: view.payee.clone(),
            paid_at: view.paid_at,
            verdict,
            outside_minor: 0,
            is_earned: false,
            lost_minor: 0,
            is_disputed: false,
            disputed_minor: 0,
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
            self.note_dispute(view, turn);
        }
    }

    fn judge_again(&mut self, view: &PaymentView, turn: &mut Turn<'_>) {
        let expected = self.expected(turn);
        let Some(payment) = self.payments.get(&view.payment) else {
            return;
        };
        if !payment.verdict.is_ours() {
            return;
        }
        let verdict = judge(expected, view, payment.returned_minor());
        let is_touched = |verdict| matches!(verdict, Verdict::Disputed | Verdict::RefundedOutside);
        let is_news = verdict != payment.verdict && is_touched(verdict)
            || payment.verdict == Verdict::Disputed && !view.disputed;
        if is_news {
            if let Some(payment) = self.payments.get_mut(&view.payment) {
                payment.verdict = verdict;
            }
            self.flag(verdict);
            let detail = json!({"payment": view.payment, "verdict": verdict});
            self.event("payment_changed", detail, turn);
        }
        self.note_outside(view, turn);
        self.note_dispute(view, turn);
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
        if refund.state == RefundState::Failed {
            self.undo_loss(id, turn);
        }
        self.settle_refunds(turn);
    }

    /// Served, and the refund that made it a loss has failed for good: it is earned after all.
    fn undo_loss(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let lost = std::mem::take(&mut payment.lost_minor);
        if lost == 0 {
            return;
        }
        payment.refund = None;
        self.event("loss_undone", json!({ "payment": id }), turn);
        self.book_minor(id, lost, ledger::loss_undone);
        self.done(turn);
    }

    /// Where the sale stands once its refunds have moved.
    pub(super) fn settle_refunds(&mut self, turn: &mut Turn<'_>) {
        self.review_refunds(turn);
        let state = self.transaction.state;
        let is_waiting = matches!(
            state,
            TransactionState::RefundPending | TransactionState::Review
        );
        if self.has_stuck_refund() {
            if is_waiting || state == TransactionState::Refunded {
                self.enter_review(turn);
            }
        } else if is_waiting && self.is_all_returned() {
            self.finish_refunds(turn);
        }
    }

    pub(super) fn has_stuck_refund(&self) -> bool {
        let mut refunds = self.payments.values().filter_map(|p| p.refund.as_ref());
        refunds.any(|refund| refund.stuck().is_some())
    }

    /// Whether nothing that came to us is left with us, but what was earned.
    fn is_all_returned(&self) -> bool {
        self.payments.values().all(|payment| {
            let is_returned = payment.refund.as_ref().map_or_else(
                || payment.owed().is_zero(),
                |refund| refund.state == RefundState::Succeeded,
            );
            payment.is_earned || !payment.verdict.is_ours() || is_returned
        })
    }

    fn drive_refund(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let asked = self.order.asked();
        let Some(refund) = self.payments.get_mut(&id).and_then(|p| p.refund.as_mut()) else {
            return;
        };
        let before = refund.state;
        match refund.drive(asked, turn) {
            Step::Nothing => {}
            Step::Stuck => self.settle_refunds(turn),
            Step::Ask => self.order.hint(turn),
            Step::Send(nonce) => {
                if before != refund.state {
                    let detail = refund_detail(refund);
                    self.event("refund", detail, turn);
                    self.write_refund(id, turn);
                }
                if let Some(operation) = self.refund_operation(id) {
                    self.outputs.push_back(Output::Gateway { operation, nonce });
                }
            }
        }
    }

    /// What the payment server did not answer in time, and what has waited for too long.
    pub(super) fn expire_refunds(&mut self, turn: &mut Turn<'_>) {
        let mut is_stuck = false;
        for refund in self.payments.values_mut().filter_map(|p| p.refund.as_mut()) {
            refund.expire(turn);
            is_stuck |= refund.expire_wait(turn);
        }
        if is_stuck {
            self.settle_refunds(turn);
        }
    }

    fn write_refund(&mut self, id: PaymentId, turn: &Turn<'_>) {
        if let Some(refund) = self.payments.get(&id).and_then(|p| p.refund.clone()) {
            self.write_refund_as(&refund, refund.state.as_str(), turn);
        }
    }

    /// Nothing of it will be done any more; the books keep that it was wanted.
    pub(super) fn drop_refund(&mut self, id: PaymentId, turn: &Turn<'_>) {
        let dropped = self.payments.get_mut(&id).and_then(|p| p.refund.take());
        if let Some(refund) = dropped.filter(|refund| !refund.is_over()) {
            self.write_refund_as(&refund, "cancelled", turn);
        }
    }

    fn write_refund_as(&mut self, refund: &Refund, status: &str, turn: &Turn<'_>) {
        let row = RefundRow {
            refund: refund.id,
            payment: refund.payment,
            transaction: self.facts.transaction,
            amount: refund.amount,
            status: status.to_owned(),
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
            Verdict::OtherSale => Flag::OtherSale,
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
