//! What became of a permit: the terminal's results, its journal's answers, its fresh nonces.

use std::time::Duration;

use protocol::id::{BootId, PaymentId};
use protocol::message::{
    DeviceResult, Feedback, Finding, Ground, JournalAnswer, LinkageOutcome, LinkageResult,
    OffReason, PermitRequest, UncertainReason,
};
use protocol::money::Money;
use protocol::signed::Verified;
use serde_json::json;

use super::operator::Hand;
use super::order::Aim;
use super::payment::Payment;
use super::refund::{Refund, RefundReason};
use super::review::ReviewReason;
use super::transaction::{Ending, NonceLife, TransactionState};
use super::{Output, Sale, Turn, Word};
use crate::ledger;
use crate::rules::Rule;

impl Sale {
    /// Takes the terminal's result; `false` if it is not about this sale.
    pub(crate) fn handle_result(
        &mut self,
        result: &Verified<LinkageResult>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_own = result.terminal == self.facts.terminal
            && result.transaction == self.facts.transaction
            && (self.names_permit(result, turn) || !turn.holds(Rule::ResultNamesPermit));
        if is_own {
            self.take_result(result, turn);
            self.settle_if_waiting(turn);
        }
        self.drive(turn);
        is_own
    }

    /// Takes what the journal knows; `false` if it answers no inquiry of ours. A decided finding
    /// comes as a result of its own, verified by the shell.
    pub(crate) fn handle_journal_answer(
        &mut self,
        answer: &Verified<JournalAnswer>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_own = answer.terminal == self.facts.terminal
            && answer.transaction == self.facts.transaction
            && self.transaction.inquiry == Some(answer.nonce);
        let is_waiting = self.transaction.state == TransactionState::LinkageUnknown;
        if is_own && is_waiting {
            let detail = json!({ "finding": finding_name(&answer.finding) });
            self.event("journal_answered", detail, turn);
            self.transaction.has_answered = !matches!(answer.finding, Finding::Acting);
            self.take_finding(answer, turn);
        }
        self.drive(turn);
        is_own
    }

    /// A fresh nonce after a reboot (R9); `false` if none is taken.
    pub(crate) fn handle_permit_request(
        &mut self,
        request: &Verified<PermitRequest>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_taken = self.take_fresh_nonce(request, turn);
        if !is_taken {
            self.say_again();
        }
        self.drive(turn);
        is_taken
    }

    /// A restored store may have forgotten a fresh nonce of the same session.
    fn names_permit(&self, result: &LinkageResult, turn: &Turn<'_>) -> bool {
        let is_known = self.transaction.knows(result.nonce) || self.is_older_than_store(turn);
        result.session == self.facts.session && is_known
    }

    fn take_result(&mut self, result: &Verified<LinkageResult>, turn: &mut Turn<'_>) {
        let is_other_journal =
            result.journal != self.facts.journal && turn.holds(Rule::OtherJournalIsUncertain);
        let outcome = if turn.holds(Rule::SensorSettles) {
            settled_outcome(result, is_other_journal)
        } else {
            result.outcome
        };
        let detail = json!({"outcome": outcome, "said": result.outcome});
        let state = self.transaction.state;
        let was_permitted = self.transaction.was_permitted();
        let is_new = self.result.as_ref() != Some(result.jws());
        if is_new {
            self.event("result", detail, turn);
            self.transaction.outcome = Some(outcome);
            self.result = Some(result.jws().clone());
        }
        if !was_permitted {
            self.take_unpermitted(outcome, is_new, turn);
        } else if state.may_act() || self.awaits_person() {
            self.take_outcome(outcome, turn);
        } else if outcome == LinkageOutcome::Done && state != TransactionState::Done {
            self.take_late_done(turn);
        } else {
            self.say_again();
            self.say_end_again(true, turn);
        }
    }

    /// Without a permit a terminal says that it will not act: that acknowledges our OFF, or takes the
    /// offer back. If it says anything else, a restore may have made us forget a permit.
    fn take_unpermitted(&mut self, outcome: LinkageOutcome, is_new: bool, turn: &mut Turn<'_>) {
        self.withdraw_word(Word::Off);
        self.transaction.repeat_at = None;
        let has_acted = match outcome {
            LinkageOutcome::Done => true,
            LinkageOutcome::Uncertain { .. } => self.is_older_than_store(turn),
            LinkageOutcome::Refused { .. } | LinkageOutcome::Failed => false,
        };
        self.transaction.has_refused |= !has_acted || self.transaction.state.is_final() && is_new;
        if has_acted && is_new {
            self.take_acted_unpermitted(turn);
        } else if !has_acted && self.transaction.state.is_undecided() {
            self.withdraw(OffReason::Ended, turn);
        } else {
            self.say_end_again(true, turn);
        }
    }

    fn take_outcome(&mut self, outcome: LinkageOutcome, turn: &mut Turn<'_>) {
        match outcome {
            LinkageOutcome::Done => self.done(turn),
            LinkageOutcome::Refused { .. } => self.not_served(RefundReason::LinkageRefused, turn),
            LinkageOutcome::Failed => self.not_served(RefundReason::LinkageFailed, turn),
            LinkageOutcome::Uncertain { reason } => self.uncertain(reason, turn),
        }
    }

    fn take_finding(&mut self, answer: &JournalAnswer, turn: &mut Turn<'_>) {
        let is_other_journal =
            answer.journal != self.facts.journal && turn.holds(Rule::OtherJournalIsUncertain);
        match &answer.finding {
            Finding::Tombstone if is_other_journal => {
                self.uncertain(UncertainReason::JournalLost, turn);
            }
            Finding::Tombstone => self.not_served(RefundReason::LinkageRefused, turn),
            Finding::Uncertain(reason) => self.uncertain(*reason, turn),
            Finding::Acting | Finding::Decided(_) => {}
        }
    }

    pub(super) fn done(&mut self, turn: &mut Turn<'_>) {
        if let Some((id, owed)) = self.kept_owed() {
            self.earn(id, owed);
        }
        self.transaction.done_at = Some(turn.now.utc);
        self.close_review(ReviewReason::LinkageUncertain, turn);
        for word in [Word::Quote, Word::Permit, Word::Inquiry, Word::Standing] {
            self.withdraw_word(word);
        }
        self.go(TransactionState::Done, turn);
        if self.order.aim() != Aim::Close {
            self.order.rest(true, turn);
        }
        self.say_receipt(turn);
        self.say_settled(turn);
    }

    /// What is left of a payment is the merchant's; what went back before is our loss.
    pub(super) fn earn(&mut self, id: PaymentId, owed: Money) {
        let entry = ledger::earned(self.matter(id, owed));
        self.outputs.push_back(Output::Entry(entry));
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        payment.is_earned = true;
        let outside = payment.outside_minor;
        self.book_minor(id, outside, ledger::lost);
        self.book_dispute(id);
    }

    /// The terminal's word returns the money.
    pub(super) fn not_served(&mut self, reason: RefundReason, turn: &mut Turn<'_>) {
        self.withdraw_word(Word::Permit);
        self.withdraw_word(Word::Inquiry);
        self.close_review(ReviewReason::LinkageUncertain, turn);
        if self.transaction.kept.is_some() {
            self.give_back(OffReason::TooLate, Some(reason), turn);
        } else {
            // Nothing was paid, so nothing is to be returned; but a person may have opened while the
            // order could be paid.
            self.transaction.ending = Some(Ending {
                reason: OffReason::TooLate,
                is_withdrawn: true,
            });
            self.end_unpaid(turn);
        }
    }

    /// Nobody can say whether the device moved: a definite answer (R8).
    pub(super) fn uncertain(&mut self, reason: UncertainReason, turn: &mut Turn<'_>) {
        let is_partial = reason == UncertainReason::Partial && turn.holds(Rule::PartialIsReviewed);
        // It was settled by a store that knew more than this one.
        let is_pruned = reason == UncertainReason::Pruned && turn.holds(Rule::RestoredIsReviewed);
        let is_loss = (self.is_loss_accepted(turn) && !is_partial && !is_pruned)
            || !turn.holds(Rule::UncertainFollowsPolicy);
        if is_loss {
            self.not_served(RefundReason::LinkageUncertain, turn);
        } else {
            self.withdraw_word(Word::Permit);
            self.withdraw_word(Word::Inquiry);
            self.review(ReviewReason::LinkageUncertain, turn);
        }
    }

    /// Every permit is dead and the journal has not answered (R6, R8).
    pub(super) fn give_up(&mut self, turn: &mut Turn<'_>) {
        self.event("gave_up", json!({}), turn);
        if self.is_loss_accepted(turn) {
            self.not_served(RefundReason::GaveUp, turn);
        } else {
            self.uncertain(UncertainReason::NoFeedback, turn);
        }
    }

    /// Served although we had decided to return the money: cancelled if it is certain that nothing
    /// went back, else it is our loss (R8).
    fn take_late_done(&mut self, turn: &mut Turn<'_>) {
        let Some(id) = self.transaction.kept else {
            if self.facts.amount.is_zero() || self.transaction.operator.is_some() {
                self.done(turn);
            }
            return;
        };
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let may_cancel =
            |refund: &Refund| refund.is_void() || !turn.holds(Rule::LateDoneCancelsOnlyUnsent);
        if payment.refund.as_ref().is_none_or(may_cancel) {
            self.drop_refund(id, turn);
            self.event("refund_cancelled", json!({ "payment": id }), turn);
            self.done(turn);
            self.settle_refunds(turn);
        } else if payment.lost_minor == 0 && turn.holds(Rule::LateDoneIsLoss) {
            let lost = payment.amount.minor();
            payment.lost_minor = lost;
            self.book_minor(id, lost, ledger::lost);
            self.event("loss_booked", json!({ "payment": id }), turn);
        } else {
            self.say_end_again(true, turn);
        }
    }

    /// A reboot ends every permit of the run before it (R6), so the journal may be asked at once.
    /// A page that is still open gets its chance first (R9).
    pub(super) fn note_reboot(&mut self, boot: BootId, turn: &Turn<'_>) {
        let mut permitted = self.transaction.nonces.iter();
        let is_rebooted = permitted.all(|life| !life.is_permitted || life.boot != boot);
        if self.transaction.state == TransactionState::Commanded && is_rebooted {
            let grace = Duration::from_millis(turn.policy.timeouts.reboot_grace_ms);
            let at = turn.now.tick + grace;
            let deadline = self.transaction.deadline;
            self.transaction.deadline = Some(deadline.map_or(at, |deadline| deadline.min(at)));
        }
    }

    fn take_fresh_nonce(&mut self, request: &PermitRequest, turn: &mut Turn<'_>) -> bool {
        let timeouts = &turn.policy.timeouts;
        let is_own = request.terminal == self.facts.terminal
            && request.transaction == self.facts.transaction
            && request.session == self.facts.session
            && (request.journal == self.facts.journal || !turn.holds(Rule::FreshNonceOwnJournal));
        let is_new_boot =
            |life: &NonceLife| life.boot != request.boot || !turn.holds(Rule::BootDiffers);
        let is_rebooted = self.transaction.nonce().is_some_and(is_new_boot);
        let is_fresh = !self.transaction.knows(request.nonce)
            && request.nonce_lifetime_ms <= timeouts.nonce_lifetime_max_ms;
        let state = self.transaction.state;
        let may_serve = matches!(
            state,
            TransactionState::AwaitingPayment
                | TransactionState::Confirming
                | TransactionState::Commanded
                | TransactionState::LinkageUnknown
        ) || !turn.holds(Rule::NoFreshNonceAfterRefund);
        let has_refund = self
            .payments
            .values()
            .any(|payment| payment.refund.is_some());
        let has_refund = has_refund && turn.holds(Rule::NoFreshNonceAfterRefund);
        let may_take = is_own && is_rebooted && is_fresh && may_serve && !has_refund;
        if !may_take || self.transaction.ending.is_some() {
            return false;
        }
        let mut life = NonceLife::new(request.nonce, request.nonce_lifetime_ms, request.boot);
        life.arm(turn.now.tick, turn.policy);
        if !life.is_useful(turn.now.tick) || !self.transaction.take_nonce(life) {
            return false;
        }
        self.event("nonce_taken", json!({ "boot": request.boot }), turn);
        self.permit_again(turn);
        true
    }

    /// The same ground under the fresh nonce; before the payment there is nothing to permit.
    fn permit_again(&mut self, turn: &mut Turn<'_>) {
        if !self.transaction.state.may_act() {
            return;
        }
        if let Some(ground) = self.ground() {
            self.withdraw_word(Word::Inquiry);
            self.transaction.inquiry = None;
            self.permit(ground, turn);
        }
    }

    /// Why this sale may be served.
    pub(super) fn ground(&self) -> Option<Ground> {
        if let Some(Hand { name, reason }) = self.transaction.operator.clone() {
            return Some(Ground::Operator { name, reason });
        }
        if self.facts.amount.is_zero() {
            return Some(Ground::ZeroBill {
                tariff_version: self.facts.tariff_version,
            });
        }
        let id = self.transaction.kept?;
        let payment = self.payments.get(&id)?;
        Some(Ground::Paid {
            gateway: self.facts.gateway.clone(),
            payment: id,
            amount: payment.amount,
            payee: payment.payee.clone(),
        })
    }

    fn kept_owed(&self) -> Option<(PaymentId, Money)> {
        let id = self.transaction.kept?;
        let payment = self.payments.get(&id)?;
        (!payment.is_earned).then(|| (id, payment.owed()))
    }

    /// A person was asked because nobody knew, or the terminal knew more than we; a definite word about
    /// a permit answers the former.
    pub(super) fn awaits_person(&self) -> bool {
        let reviews = &self.transaction.reviews;
        let is_open = self.transaction.state == TransactionState::Review
            && (reviews.has(ReviewReason::LinkageUncertain)
                || reviews.has(ReviewReason::DoneWithoutPermit));
        let is_kept = |payment: &Payment| payment.refund.is_none();
        let kept = self.transaction.kept;
        is_open && kept.is_none_or(|id| self.payments.get(&id).is_some_and(is_kept))
    }
}

/// The sensor settles what the terminal could not (R8); another journal than the sale's can only
/// say what it did, never what it did not.
fn settled_outcome(result: &LinkageResult, is_other_journal: bool) -> LinkageOutcome {
    let deciding = result
        .devices
        .first()
        .map(|device: &DeviceResult| device.feedback);
    match (result.outcome, deciding) {
        (
            LinkageOutcome::Uncertain {
                reason: UncertainReason::Partial,
            },
            _,
        ) => result.outcome,
        (LinkageOutcome::Uncertain { .. }, Some(Feedback::Sensor)) => LinkageOutcome::Done,
        (LinkageOutcome::Uncertain { .. }, Some(Feedback::Contradicts)) if !is_other_journal => {
            LinkageOutcome::Failed
        }
        (LinkageOutcome::Refused { .. } | LinkageOutcome::Failed, _) if is_other_journal => {
            LinkageOutcome::Uncertain {
                reason: UncertainReason::JournalLost,
            }
        }
        (outcome, _) => outcome,
    }
}

const fn finding_name(finding: &Finding) -> &'static str {
    match finding {
        Finding::Tombstone => "tombstone",
        Finding::Acting => "acting",
        Finding::Decided(_) => "decided",
        Finding::Uncertain(_) => "uncertain",
    }
}
