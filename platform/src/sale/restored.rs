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
    fn is_older_than_store(&self, turn: &Turn<'_>) -> bool {
        self.facts.store_epoch != turn.store_epoch
    }

    /// Losses are accepted where they are rare. Of what a restored store still takes for open, most
    /// was served, settled and forgotten by its terminal: a person decides.
    pub(super) fn is_loss_accepted(&self, turn: &Turn<'_>) -> bool {
        let is_forgotten = self.is_older_than_store(turn) && turn.holds(Rule::RestoredIsReviewed);
        turn.policy.uncertain == UncertainPolicy::RefundAsLoss && !is_forgotten
    }

    /// The terminal has forgotten a sale that our store takes for open: it was settled after what a
    /// restore has taken back.
    pub(crate) fn handle_forgotten(&mut self, turn: &mut Turn<'_>) {
        let state = self.transaction.state;
        if !self.transaction.was_permitted() && !state.is_final() {
            self.event("forgotten_by_terminal", json!({}), turn);
            self.transaction.is_forgotten = true;
            if !self.payments.is_empty() {
                self.keep_unpermitted(turn);
            }
        }
        self.drive(turn);
    }

    /// The terminal has acted, or nobody knows whether it has, and we know of no permit. What was
    /// paid stays until a person has decided; but where a restore made us forget the permit, what was
    /// served is earned.
    pub(super) fn keep_unpermitted(&mut self, turn: &mut Turn<'_>) {
        let Some(reason) = self.unpermitted_end() else {
            return;
        };
        let paid = self.paid_and_not_sent_back();
        if let Some(id) = paid.filter(|_| turn.holds(Rule::ServedStays)) {
            if self.payments.get(&id).is_some_and(|it| it.refund.is_some()) {
                self.drop_refund(id, turn);
                self.event("refund_cancelled", json!({ "payment": id }), turn);
            }
            self.transaction.kept = Some(id);
            let is_served = reason == ReviewReason::DoneWithoutPermit;
            if is_served && self.is_older_than_store(turn) {
                self.close_review(ReviewReason::DoneWithoutPermit, turn);
                self.done(turn);
                return self.settle_refunds(turn);
            }
        }
        self.review(reason, turn);
    }

    /// For what a person is asked once money comes, if the terminal has done more than we know.
    pub(super) fn unpermitted_end(&self) -> Option<ReviewReason> {
        let transaction = &self.transaction;
        let is_open = transaction.kept.is_none() && transaction.state != TransactionState::Done;
        if !is_open || transaction.was_permitted() {
            return None;
        }
        match transaction.outcome {
            Some(LinkageOutcome::Done) => Some(ReviewReason::DoneWithoutPermit),
            Some(LinkageOutcome::Uncertain { .. }) => Some(ReviewReason::LinkageUncertain),
            _ => transaction
                .is_forgotten
                .then_some(ReviewReason::LinkageUncertain),
        }
    }

    fn paid_and_not_sent_back(&self) -> Option<PaymentId> {
        let is_here = |payment: &Payment| payment.refund.as_ref().is_none_or(Refund::is_void);
        let mut paid = self.payments.iter();
        paid.find(|(_, payment)| payment.verdict == Verdict::Exact && is_here(payment))
            .map(|(id, _)| *id)
    }
}
