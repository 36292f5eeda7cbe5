//! The refund of one payment. Its id is fixed when it is decided on, so that it happens once
//! however often it is asked for.

use std::time::Duration;

use protocol::id::{Nonce, PaymentId, RefundId};
use protocol::message::{GatewayRefusal, RefundStatus, RefundView};
use protocol::money::Money;
use protocol::time::{Tick, Utc};
use serde::{Deserialize, Serialize};

use super::Turn;
use super::call::{Calls, Question};
use super::policy::doubled;
use super::review::ReviewReason;
use crate::caps::CapClass;
use crate::rules::Rule;

/// Longest pause between two attempts.
const PAUSE_MAX_MS: u64 = 300_000;

/// Longest pause between two looks at a refund that the payment server works on: banks need days.
const PENDING_PAUSE_MAX_MS: u64 = 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundState {
    /// Decided, nothing sent. Only now it can still be cancelled.
    Requested,
    /// Sent, and not answered yet.
    Sent,
    /// The payment server works on it.
    Pending,
    Succeeded,
    /// Refused for good, or failed there: nothing went back, and a person must look.
    Failed,
}

impl RefundState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Sent => "sent",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// Why money goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundReason {
    Late,
    Duplicate,
    WrongAmount,
    WrongCurrency,
    Inconsistent,
    Ended,
    TooLate,
    LinkageRefused,
    LinkageFailed,
    LinkageUncertain,
    GaveUp,
    /// A person decided.
    Operator,
}

impl RefundReason {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::WrongAmount => "wrong_amount",
            Self::WrongCurrency => "wrong_currency",
            Self::Inconsistent => "inconsistent",
            Self::Ended => "ended",
            Self::TooLate => "too_late",
            Self::LinkageRefused => "linkage_refused",
            Self::LinkageFailed => "linkage_failed",
            Self::LinkageUncertain => "linkage_uncertain",
            Self::GaveUp => "gave_up",
            Self::Operator => "operator",
        }
    }

    /// The limit that it counts against, and the rule behind it (R13); none for what neither a
    /// terminal nor a payment server can bring about alone.
    pub(crate) const fn cap(self) -> Option<(CapClass, Rule)> {
        match self {
            Self::LinkageRefused
            | Self::LinkageFailed
            | Self::LinkageUncertain
            | Self::GaveUp
            | Self::Ended => Some((CapClass::Word, Rule::RefundCaps)),
            Self::Late
            | Self::Duplicate
            | Self::WrongAmount
            | Self::WrongCurrency
            | Self::Inconsistent => Some((CapClass::Mending, Rule::RefundBreaker)),
            Self::TooLate | Self::Operator => None,
        }
    }

    /// Whether a store that has lost commits may be the only reason for it: neither the terminal
    /// nor a person has said that nobody was served.
    pub(crate) const fn rests_on_store(self) -> bool {
        match self {
            Self::LinkageRefused | Self::LinkageFailed | Self::Operator => false,
            Self::Late
            | Self::Duplicate
            | Self::WrongAmount
            | Self::WrongCurrency
            | Self::Inconsistent
            | Self::Ended
            | Self::TooLate
            | Self::LinkageUncertain
            | Self::GaveUp => true,
        }
    }
}

/// What a refund wants done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Nothing,
    /// Send it under this nonce.
    Send(Nonce),
    /// Ask about the order: its view shows the refund, or that it is not there.
    Ask,
    /// A person must look from now on.
    Stuck,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: RefundId,
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
    pub(crate) reason: RefundReason,
    pub(crate) state: RefundState,
    /// Absent in sales of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decided_at: Option<Utc>,
    /// When the payment server's word of it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) succeeded_at: Option<Utc>,
    calls: Calls,
    /// Times it was sent or asked about.
    attempts: u32,
    /// Whether it may be sent: an ON that is still possible holds it back (I14).
    is_released: bool,
    /// Times it was sent since it was last known not to be there. Not zero: it may be done.
    sent: u32,
    /// One of several attempts was refused; what the others did, only a view can tell.
    refusal: Option<GatewayRefusal>,
    /// Questions about the order before it was last sent: only a later one can show its absence.
    asked_before: u32,
    stuck: Option<ReviewReason>,
    #[serde(skip)]
    next_at: Option<Tick>,
    /// When its key began to age; none after a restart, so that it is asked about first.
    #[serde(skip)]
    first_sent_at: Option<Tick>,
    /// When a person must look, however it stands.
    #[serde(skip)]
    due_at: Option<Tick>,
}

impl Refund {
    pub(crate) fn new(
        payment: PaymentId,
        amount: Money,
        reason: RefundReason,
        turn: &mut Turn<'_>,
    ) -> Self {
        let mut refund = Self {
            id: RefundId::from_random(turn.entropy.bytes()),
            payment,
            amount,
            reason,
            state: RefundState::Requested,
            decided_at: Some(turn.now.utc),
            succeeded_at: None,
            calls: Calls::new(),
            attempts: 0,
            is_released: false,
            sent: 0,
            refusal: None,
            asked_before: 0,
            stuck: None,
            next_at: None,
            first_sent_at: None,
            due_at: None,
        };
        refund.arm(turn);
        refund
    }

    /// Lets it be sent.
    pub(crate) fn release(&mut self, turn: &Turn<'_>) {
        if !self.is_released && self.stuck.is_none() {
            self.is_released = true;
            self.next_at = Some(turn.now.tick);
        }
    }

    /// A person says: try again, or: do it in spite of the cap.
    pub(crate) fn release_by_hand(&mut self, turn: &Turn<'_>) {
        self.stuck = None;
        self.attempts = 0;
        self.reason = RefundReason::Operator;
        self.is_released = true;
        self.next_at = Some(turn.now.tick);
        self.arm(turn);
    }

    pub(crate) const fn stick(&mut self, reason: ReviewReason) {
        self.stuck = Some(reason);
        self.next_at = None;
        self.due_at = None;
    }

    /// Why a person must look at it, while one must.
    pub(crate) const fn stuck(&self) -> Option<ReviewReason> {
        self.stuck
    }

    /// Whether nothing of it was ever sent.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self.state, RefundState::Requested)
    }

    /// Whether it is certain that nothing went back: unsent, or failed for good.
    pub(crate) const fn is_void(&self) -> bool {
        matches!(self.state, RefundState::Requested | RefundState::Failed)
    }

    /// Whether the payment server may hold it as done: what a view shows as returned may be this.
    pub(crate) const fn may_be_done(&self) -> bool {
        !self.is_void()
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, RefundState::Succeeded | RefundState::Failed)
    }

    /// Whether nothing will happen to it by itself.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_over() || self.stuck.is_some() && self.timeout().is_none()
    }

    /// What is due now. `orders_asked` counts the questions about the order so far.
    pub(crate) fn drive(&mut self, orders_asked: u32, turn: &mut Turn<'_>) -> Step {
        let is_due = self.next_at.is_some_and(|at| at <= turn.now.tick);
        let is_busy = self.calls.in_flight().is_some();
        if !is_due || self.is_over() || self.stuck.is_some() || is_busy {
            return Step::Nothing;
        }
        self.next_at = None;
        if self.attempts >= turn.policy.timeouts.refund_tries && self.state != RefundState::Pending
        {
            self.stick(ReviewReason::RefundUnknown);
            return Step::Stuck;
        }
        self.attempts = self.attempts.saturating_add(1);
        if self.must_ask(turn) {
            self.plan_next(turn);
            return Step::Ask;
        }
        if self.is_key_old(turn) {
            self.stick(ReviewReason::RefundUnknown);
            return Step::Stuck;
        }
        if !turn.holds(Rule::RefundKeyFixed) {
            self.id = RefundId::from_random(turn.entropy.bytes());
        }
        self.state = RefundState::Sent;
        self.sent = self.sent.saturating_add(1);
        self.asked_before = orders_asked;
        self.first_sent_at.get_or_insert(turn.now.tick);
        Step::Send(self.calls.ask(Question::Refund, turn))
    }

    pub(crate) fn has_asked(&self, nonce: Nonce) -> bool {
        self.calls.has_asked(nonce)
    }

    /// The question under `nonce` is answered now.
    pub(crate) fn answered(&mut self, nonce: Nonce) {
        self.calls.answered(nonce);
    }

    /// Takes the payment server's word; whether the state has changed.
    pub(crate) fn handle_view(&mut self, view: &RefundView, turn: &Turn<'_>) -> bool {
        let is_ours =
            view.refund == self.id && view.payment == self.payment && view.amount == self.amount;
        if !is_ours {
            return false;
        }
        let before = self.state;
        let was_done = before == RefundState::Succeeded;
        self.state = match view.status {
            RefundStatus::Pending if was_done => before,
            RefundStatus::Pending => RefundState::Pending,
            RefundStatus::Succeeded => RefundState::Succeeded,
            RefundStatus::Failed if was_done && !turn.holds(Rule::FailedRefundReopens) => before,
            RefundStatus::Failed => RefundState::Failed,
        };
        match self.state {
            RefundState::Failed => self.stick(ReviewReason::RefundFailed),
            RefundState::Succeeded => self.stuck = None,
            RefundState::Requested | RefundState::Sent | RefundState::Pending => {}
        }
        if self.state == RefundState::Succeeded && before != RefundState::Succeeded {
            self.succeeded_at = Some(turn.now.utc);
        }
        self.plan_next(turn);
        self.state != before
    }

    /// An attempt was refused; whether that ends the refund. If another attempt may have been done,
    /// only a view of the order can tell.
    pub(crate) fn handle_refusal(&mut self, refusal: GatewayRefusal, turn: &Turn<'_>) -> bool {
        // An attempt refused late does not take back what another one has returned.
        if self.is_over() {
            return false;
        }
        self.refusal = Some(refusal);
        if self.sent <= 1 && self.state == RefundState::Sent {
            self.fail(refusal);
            return true;
        }
        self.plan_next(turn);
        false
    }

    /// A view of the order that does not show it, answered to the question `number`; whether that
    /// ends the refund.
    pub(crate) fn handle_absence(&mut self, number: u32, turn: &Turn<'_>) -> bool {
        let is_later = number > self.asked_before && self.calls.in_flight().is_none();
        if self.state != RefundState::Sent || self.sent == 0 || !is_later {
            return false;
        }
        self.sent = 0;
        match self.refusal {
            Some(refusal) => self.fail(refusal),
            None if self.stuck.is_none() => self.next_at = Some(turn.now.tick),
            None => {}
        }
        self.refusal.is_some()
    }

    /// Whether a question has just become overdue.
    pub(crate) fn expire(&mut self, turn: &Turn<'_>) -> bool {
        if self.calls.expire(turn.now.tick).is_none() {
            return false;
        }
        self.plan_next(turn);
        true
    }

    /// Whether it has just waited for too long.
    pub(crate) fn expire_wait(&mut self, turn: &Turn<'_>) -> bool {
        if self.due_at.is_none_or(|at| at > turn.now.tick) || self.is_over() {
            return false;
        }
        self.stick(match self.state {
            RefundState::Requested => ReviewReason::RefundHeld,
            RefundState::Pending => ReviewReason::RefundPending,
            RefundState::Sent | RefundState::Succeeded | RefundState::Failed => {
                ReviewReason::RefundUnknown
            }
        });
        true
    }

    pub(crate) fn handle_restart(&mut self, turn: &Turn<'_>) {
        let _was_in_flight = self.calls.expire(turn.now.tick).is_some();
        if self.is_over() || self.stuck.is_some() {
            return;
        }
        self.arm(turn);
        if self.is_released {
            self.next_at = Some(turn.now.tick);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Tick> {
        let next = match self.calls.timeout() {
            Some(at) => Some(at),
            None => self.next_at,
        };
        let due_at = self.due_at.filter(|_| !self.is_over());
        next.into_iter().chain(due_at).min()
    }

    fn arm(&mut self, turn: &Turn<'_>) {
        let wait = Duration::from_millis(turn.policy.timeouts.refund_wait_ms);
        self.due_at = Some(turn.now.tick + wait);
    }

    fn fail(&mut self, refusal: GatewayRefusal) {
        self.state = RefundState::Failed;
        self.stick(match refusal {
            GatewayRefusal::RefundWindowPassed => ReviewReason::RefundWindowPassed,
            _ => ReviewReason::RefundFailed,
        });
    }

    /// After silence ask first, by the order's number; and never repeat a call whose key may be
    /// forgotten (R3).
    fn must_ask(&self, turn: &Turn<'_>) -> bool {
        let is_unknown_age = self.first_sent_at.is_none() && turn.holds(Rule::KeyRetention);
        let asks_first =
            turn.holds(Rule::AskBeforeResend) || is_unknown_age || self.is_key_old(turn);
        self.state == RefundState::Pending || self.sent > 0 && asks_first
    }

    fn is_key_old(&self, turn: &Turn<'_>) -> bool {
        let retention = turn.policy.capabilities.key_retention;
        let is_old = |sent_at: Tick| turn.now.tick.since(sent_at) >= retention;
        self.first_sent_at.is_some_and(is_old) && turn.holds(Rule::KeyRetention)
    }

    fn plan_next(&mut self, turn: &Turn<'_>) {
        self.next_at = None;
        if self.is_released
            && !self.is_over()
            && self.stuck.is_none()
            && self.calls.in_flight().is_none()
        {
            let most_ms = match self.state {
                RefundState::Pending => PENDING_PAUSE_MAX_MS,
                _ => PAUSE_MAX_MS,
            };
            let times = self.attempts.saturating_sub(1);
            let pause = doubled(turn.policy.timeouts.refund_retry_ms, times, most_ms);
            self.next_at = Some(turn.now.tick + pause);
        }
    }
}
