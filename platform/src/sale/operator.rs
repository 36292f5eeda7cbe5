//! What a person does to a sale: by name, with a reason, and never around a rule.

use protocol::id::PaymentId;
use protocol::message::{Ground, OffReason, Standing};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::payment::Payment;
use super::refund::{Refund, RefundReason, RefundState};
use super::review::ReviewReason;
use super::transaction::TransactionState;
use super::{Sale, Turn, Word};
use crate::ledger;
use crate::rules::Rule;

/// Who acts, and why. Both stand in the sale's history, and in the permit of an ON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hand {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// How a person ends the reviews of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Give the money back, or try so again.
    Refund,
    /// The payer was served: the money is the merchant's.
    #[serde(rename = "earned")]
    KeepAsEarned,
    /// The payer was served, and the money is gone.
    #[serde(rename = "loss")]
    WriteOffAsLoss,
    /// The payer was not served, and has the money back without us.
    #[serde(rename = "returned")]
    ReturnedOutside,
}

/// Why nothing was done. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperatorRefusal {
    #[error(
        "nothing of this sale is left to return; a review of it ends by resolve --as earned, loss or returned"
    )]
    NothingToReturn,
    #[error("a permit is out: the device may still move")]
    PermitOut,
    #[error(
        "a refund was sent and only the payment server knows how it went: wait for its answer, or for its review"
    )]
    RefundSent,
    #[error("the payer's bank claims the money back: resolve --as earned, loss or returned")]
    Disputed,
    #[error("this sale was switched ON before")]
    PermittedBefore,
    #[error("the terminal was told OFF, or its nonce has too little life left")]
    TooLate,
    #[error(
        "not one payment in the sale's currency is here to be kept: refund what is too much first, or resolve --as loss"
    )]
    NotOnePayment,
    #[error("nothing of this sale waits for a person")]
    NothingToResolve,
}

impl Sale {
    /// Returns whatever is left of its payments, what was earned included; a refund that waits for
    /// a person is tried again.
    pub(crate) fn handle_operator_refund(
        &mut self,
        hand: &Hand,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        self.return_all(hand, |_| true, turn)
    }

    fn return_all(
        &mut self,
        hand: &Hand,
        is_wanted: impl Fn(&Payment) -> bool,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        if self.transaction.state.may_act() {
            return Err(OperatorRefusal::PermitOut);
        }
        let returnable: Vec<PaymentId> = self
            .payments
            .iter()
            .filter(|(_, payment)| payment.is_returnable() && is_wanted(payment))
            .map(|(id, _)| *id)
            .collect();
        if returnable.is_empty() {
            let is_disputed = self.payments.values().any(|payment| payment.is_disputed);
            return Err(if is_disputed {
                OperatorRefusal::Disputed
            } else {
                OperatorRefusal::NothingToReturn
            });
        }
        self.hand_event("operator_refund", hand, turn);
        for id in returnable {
            self.return_by_hand(id, turn);
        }
        for reason in [
            ReviewReason::LinkageUncertain,
            ReviewReason::DoneWithoutPermit,
        ] {
            self.close_review(reason, turn);
        }
        self.review_refunds(turn);
        // What was served stays so while the payment for it stays.
        let is_kept = self.payments.values().any(|payment| payment.is_earned);
        if self.transaction.state != TransactionState::Done || !is_kept {
            self.give_back(OffReason::Operator, Some(RefundReason::Operator), turn);
        }
        self.drive(turn);
        Ok(())
    }

    /// Switches ON by hand (R12): once, and never what was permitted or returned before (I4, I14).
    pub(crate) fn handle_operator_open(
        &mut self,
        hand: &Hand,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        if self.transaction.was_permitted() && turn.holds(Rule::OperatorOpensOnce) {
            return Err(OperatorRefusal::PermittedBefore);
        }
        if self.payments.values().any(|p| p.refund.is_some()) {
            return Err(OperatorRefusal::RefundSent);
        }
        let is_useful = self.transaction.is_useful(turn.now.tick, turn.policy);
        if self.transaction.is_off || !is_useful {
            return Err(OperatorRefusal::TooLate);
        }
        self.hand_event("operator_open", hand, turn);
        self.transaction.is_blocked = false;
        self.transaction.operator = Some(hand.clone());
        self.go(TransactionState::Confirmed, turn);
        self.withdraw_word(Word::Quote);
        let ground = Ground::Operator {
            name: hand.name.clone(),
            reason: hand.reason.clone(),
        };
        self.permit(ground, turn);
        self.shut_order(turn);
        self.drive(turn);
        Ok(())
    }

    /// Ends what waits for a person.
    pub(crate) fn handle_operator_resolve(
        &mut self,
        resolution: Resolution,
        hand: &Hand,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        if self.transaction.reviews.is_empty() {
            return Err(OperatorRefusal::NothingToResolve);
        }
        if self.transaction.state.may_act() {
            return Err(OperatorRefusal::PermitOut);
        }
        if resolution == Resolution::Refund {
            // What was earned waits for nobody.
            return self.return_all(hand, |payment| !payment.is_earned, turn);
        }
        self.check_resolvable(resolution)?;
        let detail = json!({
            "name": hand.name, "reason": hand.reason, "resolution": resolution,
        });
        self.event("operator_resolved", detail, turn);
        let ids: Vec<PaymentId> = self.payments.keys().copied().collect();
        for id in ids {
            self.resolve_payment(id, resolution, turn);
        }
        self.end_reviews(resolution, turn);
        self.drive(turn);
        Ok(())
    }

    /// Whether a person may say so while refunds stand as they do.
    fn check_resolvable(&self, resolution: Resolution) -> Result<(), OperatorRefusal> {
        let keeps = resolution == Resolution::KeepAsEarned;
        let may_be_back = |refund: &Refund| {
            let is_stuck = refund.stuck().is_some();
            is_under_way(refund) && (keeps || !is_stuck)
        };
        let mut refunds = self.payments.values().filter_map(|it| it.refund.as_ref());
        if refunds.any(may_be_back) {
            return Err(OperatorRefusal::RefundSent);
        }
        let ours = || self.payments.values().filter(|it| it.verdict.is_ours());
        if keeps && ours().next().is_some() {
            let mut kept = ours().filter(|it| !is_returned(it) && !it.owed().is_zero());
            let first = kept.next();
            let is_own =
                first.is_some_and(|it| it.amount.currency() == self.facts.amount.currency());
            if !is_own || kept.next().is_some() {
                return Err(OperatorRefusal::NotOnePayment);
            }
        }
        Ok(())
    }

    /// Makes a payment one that is to be returned.
    fn return_by_hand(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        match &mut payment.refund {
            // The payment server knows the id of a failed one, and would only say so again.
            Some(refund) if refund.is_over() => payment.refund = None,
            Some(refund) => refund.release_by_hand(turn),
            None => {}
        }
        let owed = payment.owed().minor();
        if std::mem::take(&mut payment.is_earned) {
            self.book_minor(id, owed, ledger::unearned);
        }
        self.refund(id, RefundReason::Operator, turn);
    }

    fn resolve_payment(&mut self, id: PaymentId, resolution: Resolution, turn: &Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        if !payment.verdict.is_ours() {
            return;
        }
        if is_returned(payment) {
            if resolution == Resolution::WriteOffAsLoss && payment.lost_minor == 0 {
                let lost = payment.amount.minor();
                payment.lost_minor = lost;
                self.book_minor(id, lost, ledger::lost);
            }
            return;
        }
        self.drop_refund(id, turn);
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        payment.is_disputed = false;
        let (owed, claimed, is_earned) =
            (payment.owed(), payment.disputed_minor, payment.is_earned);
        let minor = owed.minor();
        if resolution == Resolution::KeepAsEarned {
            if is_earned {
                self.book_dispute(id);
            } else {
                self.earn(id, owed);
            }
        } else if is_earned {
            payment.disputed_minor = 0;
            payment.outside_minor = payment.outside_minor.saturating_add(claimed);
            self.book_minor(id, claimed, ledger::dispute_lost);
        } else {
            payment.outside_minor = payment.outside_minor.saturating_add(minor);
            self.book_minor(id, minor, ledger::refunded_outside);
            if resolution == Resolution::WriteOffAsLoss {
                self.book_minor(id, minor, ledger::lost);
            }
        }
        self.write_payment(id);
    }

    fn end_reviews(&mut self, resolution: Resolution, turn: &mut Turn<'_>) {
        let reasons: Vec<ReviewReason> = self
            .transaction
            .reviews
            .iter()
            .map(|review| review.reason)
            .collect();
        let is_silent = reasons.contains(&ReviewReason::GatewaySilent);
        for reason in reasons {
            self.close_review(reason, turn);
        }
        if self.transaction.state != TransactionState::Done {
            let has_money = self.payments.values().any(|p| p.verdict.is_ours());
            let is_served = resolution != Resolution::ReturnedOutside;
            self.off(OffReason::Operator, turn);
            if has_money && is_served {
                self.go(TransactionState::Done, turn);
            } else if has_money {
                self.go(TransactionState::Refunded, turn);
                self.say_standing(Standing::Refunded, turn);
            } else {
                self.go(TransactionState::Expired, turn);
            }
            self.say_settled(turn);
        }
        if is_silent {
            // The person says so in the payment server's place; money that comes is late money.
            self.order.shut();
            self.order.rest(false, turn);
        } else {
            self.shut_order(turn);
        }
    }

    fn hand_event(&mut self, kind: &str, hand: &Hand, turn: &Turn<'_>) {
        let detail = json!({ "name": hand.name, "reason": hand.reason });
        self.event(kind, detail, turn);
    }
}

fn is_returned(payment: &Payment) -> bool {
    let refund = payment.refund.as_ref();
    refund.is_some_and(|refund| refund.state == RefundState::Succeeded)
}

/// Whether the payment server may return it yet.
const fn is_under_way(refund: &Refund) -> bool {
    !refund.is_over() && !refund.is_unsent()
}
