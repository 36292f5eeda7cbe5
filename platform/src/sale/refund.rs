//! The refund of one payment. Its id is fixed when it is decided on, so that it happens once
//! however often it is asked for.

use std::time::Duration;

use protocol::id::{Nonce, PaymentId, RefundId};
use protocol::message::{RefundStatus, RefundView};
use protocol::money::Money;
use protocol::time::{Tick, Utc};
use serde::{Deserialize, Serialize};

use super::Turn;
use super::call::{Calls, Question};
use super::policy::doubled;
use crate::rules::Rule;

/// Longest pause between two attempts.
const PAUSE_MAX_MS: u64 = 300_000;

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
    /// Refused for good, or out of attempts: a person must look.
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
    attempts: u32,
    /// Whether it may be sent: an ON that is still possible holds it back (I14).
    is_released: bool,
    #[serde(skip)]
    next_at: Option<Tick>,
}

impl Refund {
    pub(crate) fn new(
        payment: PaymentId,
        amount: Money,
        reason: RefundReason,
        turn: &mut Turn<'_>,
    ) -> Self {
        Self {
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
            next_at: None,
        }
    }

    /// Lets it be sent.
    pub(crate) fn release(&mut self, turn: &Turn<'_>) {
        if !self.is_released {
            self.is_released = true;
            self.next_at = Some(turn.now.tick);
        }
    }

    /// Whether nothing of it was ever sent.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(self.state, RefundState::Requested)
    }

    /// Whether the payment server may hold it as done: what a view shows as returned may be this.
    pub(crate) const fn may_be_done(&self) -> bool {
        !matches!(self.state, RefundState::Requested | RefundState::Failed) || self.attempts > 0
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, RefundState::Succeeded | RefundState::Failed)
    }

    /// The nonce to send it under now, if it is due.
    pub(crate) fn drive(&mut self, turn: &mut Turn<'_>) -> Option<Nonce> {
        let is_due = self.next_at.is_some_and(|at| at <= turn.now.tick);
        if !is_due || self.is_over() || self.calls.in_flight().is_some() {
            return None;
        }
        self.next_at = None;
        if self.is_exhausted(turn.policy.timeouts.refund_tries) {
            return None;
        }
        if !turn.holds(Rule::RefundKeyFixed) {
            self.id = RefundId::from_random(turn.entropy.bytes());
        }
        self.attempts = self.attempts.saturating_add(1);
        if self.state == RefundState::Requested {
            self.state = RefundState::Sent;
        }
        Some(self.calls.ask(Question::Refund, turn))
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
        let before = self.state;
        if is_ours {
            self.state = match view.status {
                RefundStatus::Pending if before == RefundState::Succeeded => before,
                RefundStatus::Pending => RefundState::Pending,
                RefundStatus::Succeeded => RefundState::Succeeded,
                RefundStatus::Failed
                    if before == RefundState::Succeeded
                        && !turn.holds(Rule::FailedRefundReopens) =>
                {
                    before
                }
                RefundStatus::Failed => RefundState::Failed,
            };
        }
        if self.state == RefundState::Succeeded && before != RefundState::Succeeded {
            self.succeeded_at = Some(turn.now.utc);
        }
        self.plan_next(turn);
        self.state != before
    }

    /// Refused for good.
    pub(crate) fn fail(&mut self) {
        self.state = RefundState::Failed;
        self.next_at = None;
    }

    /// Whether a question has just become overdue.
    pub(crate) fn expire(&mut self, turn: &Turn<'_>) -> bool {
        if self.calls.expire(turn.now.tick).is_none() {
            return false;
        }
        self.plan_next(turn);
        true
    }

    /// Whether it was asked for as often as makes sense. The order's watch still shows how it went.
    pub(crate) const fn is_exhausted(&self, attempts_max: u32) -> bool {
        self.attempts >= attempts_max
    }

    pub(crate) fn handle_restart(&mut self, turn: &Turn<'_>) {
        // In flight or not, the same refund under its own id may be asked for again.
        let _was_in_flight = self.calls.expire(turn.now.tick).is_some();
        if self.is_released && !self.is_over() {
            self.next_at = Some(turn.now.tick);
        }
    }

    pub(crate) fn timeout(&self) -> Option<Tick> {
        match self.calls.timeout() {
            Some(at) => Some(at),
            None => self.next_at,
        }
    }

    fn plan_next(&mut self, turn: &Turn<'_>) {
        self.next_at = None;
        let may_ask = !self.is_over() && !self.is_exhausted(turn.policy.timeouts.refund_tries);
        if self.is_released && may_ask && self.calls.in_flight().is_none() {
            let times = self.attempts.saturating_sub(1);
            let pause: Duration =
                doubled(turn.policy.timeouts.refund_retry_ms, times, PAUSE_MAX_MS);
            self.next_at = Some(turn.now.tick + pause);
        }
    }
}
