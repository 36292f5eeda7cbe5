//! From what the payment server said to what we decide. A permit comes from one place only:
//! `confirm`, on an exact payment, before any refund.

use std::time::Duration;

use protocol::id::PaymentId;
use protocol::message::{GatewayRefusal, Ground, OffReason, OrderRefusal, Standing};
use serde_json::json;

use super::call::Question;
use super::judge::Verdict;
use super::order::{Aim, Flag, OrderState};
use super::payment::Payment;
use super::refund::RefundReason;
use super::review::ReviewReason;
use super::transaction::{Ending, TransactionState};
use super::{Sale, Turn, Word};
use crate::rules::Rule;

impl Sale {
    /// The order as it stands now; `is_final` if it was asked for after the order's end.
    pub(super) fn consider(&mut self, is_final: bool, turn: &mut Turn<'_>) {
        self.keep_unpermitted(turn);
        if self.transaction.state.is_undecided() {
            self.consider_undecided(is_final, turn);
        } else {
            self.consider_decided(turn);
        }
    }

    /// The payment server says that there is no such order. Nobody can have paid it yet.
    pub(super) fn consider_missing(&mut self, is_final: bool, turn: &mut Turn<'_>) {
        let lifetime = Duration::from_millis(self.facts.order_lifetime_ms);
        let is_closing = match self.transaction.state {
            TransactionState::Closing => true,
            TransactionState::Review => self.transaction.reviews.has(ReviewReason::GatewaySilent),
            _ => false,
        };
        if is_final && self.transaction.state.is_undecided() {
            self.close(turn);
        } else if !self.order.is_outlived(lifetime, turn.now.tick) {
            self.tell_off_early(turn);
        } else if self.order.aim() == Aim::Close {
            self.order.shut();
            if is_closing {
                self.expire_sale(self.end_reason(), turn);
            } else {
                self.shut_order(turn);
            }
        }
    }

    /// A definite refusal. Of a create it means that there is no order, and there will be none.
    pub(super) fn consider_refused(
        &mut self,
        question: Question,
        refusal: GatewayRefusal,
        turn: &mut Turn<'_>,
    ) {
        let state = self.transaction.state;
        if question != Question::Create || !self.order.pay_url.is_empty() {
            return;
        }
        if state == TransactionState::Created {
            self.say_refused(OrderRefusal::GatewayUnavailable, turn);
        }
        if state == TransactionState::Created || state == TransactionState::Closing {
            if refusal == GatewayRefusal::OrderDiffers {
                self.open_review(ReviewReason::OrderDiffers, turn);
            }
            self.order.shut();
            self.expire_sale(OffReason::Expired, turn);
        }
    }

    /// Ends the offer: a query asked from now on decides (R5).
    pub(super) fn begin_end(&mut self, reason: OffReason, is_withdrawn: bool, turn: &mut Turn<'_>) {
        self.transaction.ending = Some(Ending {
            reason,
            is_withdrawn,
        });
        let detail = json!({"reason": reason, "withdrawn": is_withdrawn});
        self.event("end_begun", detail, turn);
        if self.transaction.state == TransactionState::Created {
            self.close(turn);
        } else {
            self.arm_deadline(turn);
            self.order.set_aim(Aim::Final, turn);
        }
    }

    /// No permit will be signed: nobody may be able to pay any more.
    pub(super) fn close(&mut self, turn: &mut Turn<'_>) {
        if !self.order.is_sent() {
            self.expire_sale(self.end_reason(), turn);
            return;
        }
        self.go(TransactionState::Closing, turn);
        self.order.set_aim(Aim::Close, turn);
        if self.order.is_too_young(turn) {
            self.tell_off_early(turn);
        }
    }

    /// The order is shut, and no money came.
    pub(super) fn expire_sale(&mut self, reason: OffReason, turn: &mut Turn<'_>) {
        if self.transaction.is_off {
            self.say_standing(Standing::Closed, turn);
        }
        self.off(reason, turn);
        self.close_review(ReviewReason::GatewaySilent, turn);
        if self.transaction.reviews.is_empty() {
            self.go(TransactionState::Expired, turn);
        } else {
            self.enter_review(turn);
        }
        self.order.rest(false, turn);
        self.say_settled(turn);
    }

    /// Closing takes longer than the payer should wait for word.
    pub(super) fn tell_off_early(&mut self, turn: &mut Turn<'_>) {
        if self.transaction.state == TransactionState::Closing {
            self.off(self.end_reason(), turn);
        }
    }

    pub(super) fn review(&mut self, reason: ReviewReason, turn: &mut Turn<'_>) {
        self.open_review(reason, turn);
        self.enter_review(turn);
    }

    /// Waits for a person.
    pub(super) fn enter_review(&mut self, turn: &mut Turn<'_>) {
        let state = self.transaction.state;
        if state == TransactionState::Done || state == TransactionState::Review {
            return;
        }
        self.go(TransactionState::Review, turn);
        self.say_standing(Standing::Review, turn);
        self.shut_order(turn);
        if self.order.aim() == Aim::Rest {
            self.order.rest(false, turn);
        }
    }

    /// The money is back.
    pub(super) fn finish_refunds(&mut self, turn: &mut Turn<'_>) {
        if !self.transaction.reviews.is_empty() {
            self.enter_review(turn);
            return;
        }
        self.go(TransactionState::Refunded, turn);
        self.say_standing(Standing::Refunded, turn);
        self.say_settled(turn);
        if self.order.aim() == Aim::Rest {
            self.order.rest(true, turn);
        }
    }

    /// Returns everything that came in, and says OFF if nothing else was said yet.
    pub(super) fn give_back(
        &mut self,
        off: OffReason,
        reason: Option<RefundReason>,
        turn: &mut Turn<'_>,
    ) {
        self.off(off, turn);
        let unsettled: Vec<(PaymentId, RefundReason)> = self
            .payments
            .iter()
            .filter(|(_, payment)| payment.is_unsettled(turn.policy.rules))
            .map(|(id, payment)| (*id, reason.unwrap_or_else(|| reason_of(payment.verdict))))
            .collect();
        for (id, reason) in &unsettled {
            self.refund(*id, *reason, turn);
        }
        self.shut_order(turn);
        self.open_review_of_payments(turn);
        let is_under_way = |payment: &Payment| {
            let refund = payment.refund.as_ref();
            refund.is_some_and(|refund| !refund.is_over() && refund.stuck().is_none())
        };
        if self.has_stuck_refund() {
            self.enter_review(turn);
        } else if self.payments.values().any(is_under_way) {
            self.go(TransactionState::RefundPending, turn);
            self.say_standing(Standing::RefundPending, turn);
        } else if self.transaction.reviews.is_empty() {
            self.go(TransactionState::RefundPending, turn);
            self.finish_refunds(turn);
        } else {
            self.enter_review(turn);
        }
    }

    pub(super) fn end_reason(&self) -> OffReason {
        let unended = if self.order.declines > 0 {
            OffReason::Declined
        } else {
            OffReason::Expired
        };
        self.transaction
            .ending
            .map_or(unended, |ending| ending.reason)
    }

    fn consider_undecided(&mut self, is_final: bool, turn: &mut Turn<'_>) {
        let ending = self.transaction.ending;
        let is_withdrawn =
            ending.is_some_and(|ending| ending.is_withdrawn) && turn.holds(Rule::WithdrawnNeverOn);
        if !self.payments.is_empty() {
            match self.exact_payment(turn) {
                Some(_) if is_withdrawn => {
                    self.give_back(self.end_reason(), Some(RefundReason::Ended), turn);
                }
                Some(payment) => self.confirm(payment, turn),
                None => self.give_back(self.worst_verdict().off_reason(), None, turn),
            }
        } else if self.order.state == OrderState::Closed {
            self.expire_sale(self.end_reason(), turn);
        } else if self.order.differs {
            self.transaction.ending = Some(Ending {
                reason: OffReason::Inconsistent,
                is_withdrawn: true,
            });
            self.close(turn);
        } else if is_final && ending.is_some() {
            if turn.holds(Rule::ClosedBeforeExpired) {
                self.close(turn);
            } else {
                self.expire_sale(self.end_reason(), turn);
            }
        } else {
            self.progress(turn);
        }
    }

    /// No money yet, and time left.
    fn progress(&mut self, turn: &mut Turn<'_>) {
        match self.transaction.state {
            TransactionState::Created if !self.order.pay_url.is_empty() => {
                self.quote(turn);
                self.order.set_aim(Aim::Watch, turn);
            }
            TransactionState::Confirming if !self.order.is_noticed() => {
                self.go(TransactionState::AwaitingPayment, turn);
            }
            _ => {}
        }
        if self.order.declines > self.transaction.declines_told {
            self.transaction.declines_told = self.order.declines;
            self.event("declined", json!({ "times": self.order.declines }), turn);
            self.say_standing(Standing::Declined, turn);
        }
    }

    fn consider_decided(&mut self, turn: &mut Turn<'_>) {
        let kept = self
            .transaction
            .kept
            .filter(|_| turn.holds(Rule::EarnedStays));
        let late: Vec<PaymentId> = self
            .payments
            .iter()
            .filter(|(id, _)| Some(**id) != kept)
            .filter(|(_, payment)| payment.is_unsettled(turn.policy.rules))
            .map(|(id, _)| *id)
            .collect();
        let state = self.transaction.state;
        let is_served = state.may_act() || state == TransactionState::Done;
        // A person decides about the kept payment alone (R8).
        let is_kept = self.transaction.kept.is_some() && self.awaits_person();
        if is_served || is_kept {
            self.return_surplus(&late, turn);
            if self.order.aim() == Aim::Close {
                self.shut_order(turn);
            }
        } else if let Some(payment) = late.first() {
            self.find_late(*payment, turn);
        } else {
            self.consider_shut(turn);
        }
    }

    /// A second payment of a sale that is being served (R4).
    fn return_surplus(&mut self, surplus: &[PaymentId], turn: &mut Turn<'_>) {
        let returned = if turn.holds(Rule::DuplicateRefunded) {
            surplus
        } else {
            &[]
        };
        for id in returned {
            self.order.flags.insert(Flag::Duplicate);
            self.refund(*id, RefundReason::Duplicate, turn);
        }
    }

    fn find_late(&mut self, payment: PaymentId, turn: &mut Turn<'_>) {
        if !turn.holds(Rule::LateNeverOn) {
            self.confirm(payment, turn);
        } else if turn.holds(Rule::LateRefunded) {
            self.return_late(turn);
        }
    }

    /// Money that came after our decision: back with it, never ON (R5).
    fn return_late(&mut self, turn: &mut Turn<'_>) {
        self.order.flags.insert(Flag::Late);
        self.close_review(ReviewReason::GatewaySilent, turn);
        let is_withdrawn = self
            .transaction
            .ending
            .is_some_and(|ending| ending.is_withdrawn);
        let reason = if is_withdrawn {
            RefundReason::Ended
        } else {
            RefundReason::Late
        };
        self.give_back(OffReason::Late, Some(reason), turn);
    }

    fn consider_shut(&mut self, turn: &mut Turn<'_>) {
        let is_waiting = match self.transaction.state {
            TransactionState::Closing => true,
            TransactionState::Review => self.transaction.reviews.has(ReviewReason::GatewaySilent),
            _ => false,
        };
        if !self.payments.is_empty() && is_waiting {
            // Money that is not ours to return: a person must see it.
            self.give_back(self.worst_verdict().off_reason(), None, turn);
        } else if self.order.state == OrderState::Closed && is_waiting {
            self.expire_sale(self.end_reason(), turn);
        } else {
            self.shut_order(turn);
        }
    }

    /// Expires once nobody can pay.
    pub(super) fn end_unpaid(&mut self, turn: &mut Turn<'_>) {
        if self.order.is_shut() {
            self.expire_sale(self.end_reason(), turn);
        } else {
            self.close(turn);
        }
    }

    /// Closes the order unless it is shut, paid, or was never made.
    pub(super) fn shut_order(&mut self, turn: &mut Turn<'_>) {
        if self.order.is_sent() && !self.order.is_shut() {
            self.order.set_aim(Aim::Close, turn);
        } else if self.order.aim() != Aim::Rest {
            self.order.rest(true, turn);
        }
    }

    /// The payment counts (R2): the only way to ground `paid`.
    fn confirm(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get(&id) else {
            return;
        };
        let ground = Ground::Paid {
            gateway: self.facts.gateway.clone(),
            payment: id,
            amount: payment.amount,
            payee: payment.payee.clone(),
        };
        self.transaction.kept = Some(id);
        self.go(TransactionState::Confirmed, turn);
        if self.transaction.is_useful(turn.now.tick, turn.policy) {
            self.withdraw_word(Word::Quote);
            self.permit(ground, turn);
            self.consider_decided(turn);
            self.order.rest(true, turn);
        } else {
            self.transaction.kept = None;
            self.give_back(OffReason::TooLate, Some(RefundReason::TooLate), turn);
        }
    }

    /// The oldest payment that is as it must be, in an order that is as we made it.
    fn exact_payment(&self, turn: &Turn<'_>) -> Option<PaymentId> {
        if self.order.differs && turn.holds(Rule::OrderAsMade) {
            return None;
        }
        self.payments
            .iter()
            .filter(|(_, payment)| payment.refund.is_none())
            .filter(|(_, payment)| {
                payment.verdict == Verdict::Exact || !turn.holds(Rule::GroundExact)
            })
            .min_by_key(|(id, payment)| (payment.paid_at, **id))
            .map(|(id, _)| *id)
    }

    fn worst_verdict(&self) -> Verdict {
        self.payments
            .values()
            .map(|payment| payment.verdict)
            .max()
            .unwrap_or(Verdict::Exact)
    }

    /// Payments that are not ours to return.
    fn open_review_of_payments(&mut self, turn: &mut Turn<'_>) {
        let reasons: Vec<ReviewReason> = self.payments.values().filter_map(review_of).collect();
        for reason in reasons {
            self.open_review(reason, turn);
        }
    }
}

fn review_of(payment: &Payment) -> Option<ReviewReason> {
    match payment.verdict {
        Verdict::WrongPayee => Some(ReviewReason::WrongPayee),
        Verdict::OtherSale => Some(ReviewReason::PaymentOfAnotherSale),
        Verdict::Disputed => Some(ReviewReason::Disputed),
        Verdict::Exact
        | Verdict::Under
        | Verdict::Over
        | Verdict::WrongCurrency
        | Verdict::RefundedOutside => None,
    }
}

const fn reason_of(verdict: Verdict) -> RefundReason {
    match verdict {
        Verdict::Under | Verdict::Over => RefundReason::WrongAmount,
        Verdict::WrongCurrency => RefundReason::WrongCurrency,
        Verdict::Exact
        | Verdict::WrongPayee
        | Verdict::OtherSale
        | Verdict::Disputed
        | Verdict::RefundedOutside => RefundReason::Inconsistent,
    }
}
