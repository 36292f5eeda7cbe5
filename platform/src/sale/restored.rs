//! What a restored store has forgotten of a sale: the permit, and all that followed it.

use protocol::id::PaymentId;
use protocol::message::LinkageOutcome;
use serde_json::json;

use super::judge::Verdict;
use super::payment::Payment;
use super::refund::Refund;
use super::review::ReviewReason;
use super::transaction::TransactionState;
use super::{Sale, Turn, UncertainPolicy};
use crate::rules::Rule;

impl Sale {
    pub(super) fn is_older_than_store(&self, turn: &Turn<'_>) -> bool {
        self.facts.store_epoch != turn.store_epoch
    }

    /// Losses are accepted where they are rare. Of what a restored store still takes for open, most
    /// was served, settled and forgotten by its terminal: a person decides.
    pub(super) fn is_loss_accepted(&self, turn: &Turn<'_>) -> bool {
        let is_rule = self.is_older_than_store(turn) && turn.holds(Rule::RestoredIsReviewed);
        turn.policy.uncertain == UncertainPolicy::RefundAsLoss && !is_rule
    }

    /// The terminal can't say what became of a sale that our store takes for open: it was settled
    /// after what a restore has taken back, or its records are lost.
    pub(crate) fn handle_unaccounted(&mut self, turn: &mut Turn<'_>) {
        if !self.transaction.was_permitted() && !self.transaction.state.is_final() {
            self.event("unaccounted_by_terminal", json!({}), turn);
            self.transaction.is_unaccounted = true;
            self.keep_unpermitted(turn);
        }
        self.drive(turn);
    }

    /// The terminal's journal has no record of it and will refuse it.
    pub(crate) fn handle_tombstone(&mut self) {
        self.transaction.has_refused = true;
    }

    /// The terminal has acted, or nobody knows whether it has, and we know of no permit. What was
    /// paid stays until a person has decided; but where a restore made us forget the permit, what was
    /// served is earned.
    pub(super) fn keep_unpermitted(&mut self, turn: &mut Turn<'_>) {
        let Some(reason) = self.unpermitted_review(turn) else {
            return;
        };
        let is_open = |payment: &Payment| payment.is_unsettled(turn.policy.rules);
        let paid = self.paid_and_not_sent_back();
        if paid.is_none() && !self.payments.values().any(is_open) {
            // Nothing to decide about.
            return;
        }
        if let Some(id) = paid.filter(|_| turn.holds(Rule::ServedStays)) {
            let is_earned = self.is_earned_by_word(id, reason, turn);
            if self.payments.get(&id).is_some_and(|it| it.refund.is_some()) {
                self.drop_refund(id, turn);
                self.event("refund_cancelled", json!({ "payment": id }), turn);
            }
            self.transaction.kept = Some(id);
            if is_earned {
                self.event("earned_without_permit", json!({ "payment": id }), turn);
                self.close_review(ReviewReason::DoneWithoutPermit, turn);
                self.done(turn);
                return self.settle_refunds(turn);
            }
        }
        self.review(reason, turn);
    }

    /// The terminal says for the first time that it has, or may have: a person sees it though nothing
    /// was paid.
    pub(super) fn take_acted_unpermitted(&mut self, turn: &mut Turn<'_>) {
        let reason = self.unpermitted_review(turn);
        self.keep_unpermitted(turn);
        match reason.filter(|_| self.transaction.kept.is_none()) {
            Some(reason) => self.review(reason, turn),
            None => self.say_end_again(true, turn),
        }
    }

    /// Whether the terminal's "done" is enough: the store has forgotten the permit, and nothing
    /// speaks against it.
    fn is_earned_by_word(&self, id: PaymentId, reason: ReviewReason, turn: &Turn<'_>) -> bool {
        let refund = self.payments.get(&id).and_then(|it| it.refund.as_ref());
        let is_stuck = refund.is_some_and(|refund| refund.stuck().is_some());
        reason == ReviewReason::DoneWithoutPermit
            && self.is_older_than_store(turn)
            && !self.transaction.has_refused
            && !self.order.differs
            && !is_stuck
    }

    /// For what a person is asked once there is money, if the terminal has done more than we know.
    pub(super) fn unpermitted_review(&self, turn: &Turn<'_>) -> Option<ReviewReason> {
        let transaction = &self.transaction;
        let is_open = transaction.kept.is_none() && transaction.state != TransactionState::Done;
        if !is_open || transaction.was_permitted() {
            return None;
        }
        let doubt = Some(ReviewReason::LinkageUncertain);
        match transaction.outcome {
            Some(LinkageOutcome::Done) => Some(ReviewReason::DoneWithoutPermit),
            Some(LinkageOutcome::Uncertain { .. }) if self.is_older_than_store(turn) => doubt,
            _ => doubt.filter(|_| transaction.is_unaccounted),
        }
    }

    fn paid_and_not_sent_back(&self) -> Option<PaymentId> {
        let is_here = |payment: &Payment| payment.refund.as_ref().is_none_or(Refund::is_void);
        let paid = self.payments.iter();
        paid.filter(|(_, payment)| payment.verdict == Verdict::Exact && is_here(payment))
            .min_by_key(|(id, payment)| (payment.paid_at, **id))
            .map(|(id, _)| *id)
    }
}
