//! One phone's stay, from accept to end. It knows no other session, no journal and no message: it
//! says what should be told, its owner tells it.
//!
//! ```text
//! Leased ─▶ Quoting ─▶ Quoted ─▶ Paying ⇄ Verifying ─▶ Actuating ─▶ Done
//!    └─────────┴─────────┴─▶ Cancelled, Expired, Unavailable    └─▶ Failed
//!                                  └──────┴─▶ NotConfirmed, Actuating
//! ```
//! From `Paying` on the order holds the session, not the phone's heartbeat.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::id::{SessionId, TransactionId};
use protocol::message::{EndReason, Item, LinkageOutcome, Quote, Standing};
use protocol::signed::Verified;
use protocol::time::Tick;

use super::limits::{Limits, NOTICES_MAX};
use super::token::{ReturnSecret, SessionToken};
use super::view::{NotConfirmedReason, StoredReceipt, View};

/// What a session wants to be told to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Output {
    /// The payer says that it has paid.
    Notice,
    /// The payer is here, and the nonce is not (R9).
    PermitRequest,
    /// It is over without a result.
    Ended(EndReason),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum State {
    Leased,
    Quoting { until: Tick },
    Quoted { until: Tick },
    Paying { since: Tick },
    Verifying { since: Tick },
    Actuating,
    Done,
    NotConfirmed(NotConfirmedReason),
    Expired,
    Cancelled,
    Failed(LinkageOutcome),
    Unavailable(&'static str),
}

/// Not possible in this state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Conflict;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) token: SessionToken,
    pub(crate) transaction: Option<TransactionId>,
    /// What the payment server's redirect back proves itself by.
    pub(crate) return_secret: Option<ReturnSecret>,
    pub(crate) quote: Option<Box<Verified<Quote>>>,
    pub(crate) receipt: Option<Box<StoredReceipt>>,
    pub(crate) state: State,
    standing: Option<Standing>,
    opened_at: Tick,
    seen_at: Tick,
    /// The order expires then.
    pay_until: Tick,
    /// No permit can come later than this.
    open_until: Tick,
    noticed_at: Option<Tick>,
    notices: u32,
    /// Restored after a reboot: there is no nonce until the payer is seen.
    wants_permit_request: bool,
    /// The end was reported to operators.
    pub(crate) is_reported: bool,
    outputs: VecDeque<Output>,
}

impl Session {
    pub(crate) const fn new(id: SessionId, token: SessionToken, now: Tick) -> Self {
        Self {
            id,
            token,
            transaction: None,
            return_secret: None,
            quote: None,
            receipt: None,
            state: State::Leased,
            standing: None,
            opened_at: now,
            seen_at: now,
            pay_until: now,
            open_until: now,
            noticed_at: None,
            notices: 0,
            wants_permit_request: false,
            is_reported: false,
            outputs: VecDeque::new(),
        }
    }

    /// A session whose payer was paying when the terminal stopped.
    pub(crate) fn restored(
        (id, token): (SessionId, SessionToken),
        quote: Verified<Quote>,
        state: State,
        (now, open_until): (Tick, Tick),
    ) -> Self {
        Self {
            pay_until: now + Duration::from_millis(quote.order_lifetime_ms),
            transaction: Some(quote.transaction),
            wants_permit_request: matches!(state, State::Paying { .. }),
            quote: Some(Box::new(quote)),
            state,
            open_until,
            ..Self::new(id, token, now)
        }
    }

    /// The phone is there.
    pub(crate) const fn handle_seen(&mut self, now: Tick) {
        self.seen_at = now;
    }

    /// The payer looks at the session's page: a notice, where a payment is awaited.
    pub(crate) fn handle_asked(&mut self, now: Tick, limits: &Limits) {
        self.seen_at = now;
        let away = match self.state {
            // The page may ask once more while the browser leaves it.
            State::Paying { since } => now.since(since) >= limits.notice_interval,
            State::Verifying { .. } => true,
            _ => false,
        };
        if away || self.wants_permit_request {
            self.handle_returned(now, limits);
        }
    }

    /// The payment server sent the browser back.
    pub(crate) fn handle_returned(&mut self, now: Tick, limits: &Limits) {
        self.seen_at = now;
        match self.state {
            State::Paying { .. } => self.state = State::Verifying { since: now },
            State::Verifying { .. } => {}
            _ => return,
        }
        if std::mem::take(&mut self.wants_permit_request) {
            self.outputs.push_back(Output::PermitRequest);
        }
        let recent = self
            .noticed_at
            .is_some_and(|at| now.since(at) < limits.notice_interval);
        if !recent && self.notices < NOTICES_MAX {
            self.noticed_at = Some(now);
            self.notices += 1;
            self.outputs.push_back(Output::Notice);
        }
    }

    /// The payer chose: an order request goes out.
    pub(crate) fn handle_order(
        &mut self,
        transaction: TransactionId,
        (now, limits): (Tick, &Limits),
        open_until: Tick,
    ) -> Result<(), Conflict> {
        if self.state != State::Leased {
            return Err(Conflict);
        }
        self.seen_at = now;
        self.transaction = Some(transaction);
        self.open_until = open_until;
        self.state = State::Quoting {
            until: now + limits.quote_timeout,
        };
        Ok(())
    }

    pub(crate) fn handle_quote(
        &mut self,
        quote: Verified<Quote>,
        now: Tick,
    ) -> Result<(), Conflict> {
        if !matches!(self.state, State::Quoting { .. }) {
            return Err(Conflict);
        }
        let until = now + Duration::from_millis(quote.order_lifetime_ms);
        self.pay_until = until.min(self.open_until);
        self.state = State::Quoted {
            until: self.pay_until,
        };
        self.quote = Some(Box::new(quote));
        Ok(())
    }

    /// The platform makes no order, or nothing can be sold any more before paying.
    pub(crate) fn handle_refused(&mut self, reason: &'static str) -> Result<(), Conflict> {
        if !self.is_before_paying() {
            return Err(Conflict);
        }
        self.state = State::Unavailable(reason);
        Ok(())
    }

    pub(crate) fn handle_paying(&mut self, now: Tick) -> Result<(), Conflict> {
        match self.state {
            State::Quoted { .. } | State::Verifying { .. } => {
                self.state = State::Paying { since: now };
            }
            State::Paying { .. } => {}
            _ => return Err(Conflict),
        }
        self.seen_at = now;
        Ok(())
    }

    pub(crate) fn handle_cancel(&mut self) -> Result<(), Conflict> {
        if !self.is_before_paying() {
            return Err(Conflict);
        }
        self.state = State::Cancelled;
        self.outputs.push_back(Output::Ended(EndReason::Cancelled));
        Ok(())
    }

    /// A new nonce was told to the platform.
    pub(crate) const fn handle_reopened(&mut self, open_until: Tick) {
        self.open_until = open_until;
    }

    /// A permit was accepted.
    pub(crate) const fn handle_acting(&mut self) {
        if !self.is_settled() {
            self.state = State::Actuating;
        }
    }

    /// The transaction has its result.
    pub(crate) const fn handle_outcome(&mut self, outcome: LinkageOutcome) {
        self.state = match outcome {
            LinkageOutcome::Done => State::Done,
            other => State::Failed(other),
        };
    }

    /// No permit will be accepted any more.
    pub(crate) const fn handle_withdrawn(&mut self, reason: NotConfirmedReason) {
        if !self.is_settled() {
            self.state = State::NotConfirmed(reason);
        }
    }

    /// For the payer to read; it moves nothing.
    pub(crate) const fn handle_standing(&mut self, standing: Standing) {
        self.standing = Some(standing);
    }

    pub(crate) fn handle_receipt(&mut self, receipt: StoredReceipt) {
        self.receipt = Some(Box::new(receipt));
    }

    pub(crate) fn handle_timeout(&mut self, now: Tick, limits: &Limits) {
        if self.deadline(limits).is_none_or(|deadline| now < deadline) {
            return;
        }
        let (state, reason) = match self.state {
            State::Quoting { until } if now >= until => (
                State::Unavailable("The payment service does not answer. Nothing was charged."),
                EndReason::Cap,
            ),
            State::Quoted { until } if now >= until => (State::Expired, EndReason::Cap),
            State::Paying { .. } | State::Verifying { .. } => (
                State::NotConfirmed(NotConfirmedReason::NoAnswer),
                EndReason::Cap,
            ),
            _ if now >= self.opened_at + limits.lease_cap => (State::Expired, EndReason::Cap),
            _ => (State::Expired, EndReason::Idle),
        };
        self.state = state;
        self.outputs.push_back(Output::Ended(reason));
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Session::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Tick> {
        let phone = (self.seen_at + limits.heartbeat).min(self.opened_at + limits.lease_cap);
        match self.state {
            State::Leased => Some(phone),
            State::Quoting { until } | State::Quoted { until } => Some(phone.min(until)),
            State::Paying { .. } | State::Verifying { .. } => Some(self.open_until),
            _ => None,
        }
    }

    /// Whether it keeps other phones away.
    pub(crate) const fn holds_lease(&self) -> bool {
        !self.is_settled()
    }

    pub(crate) const fn is_before_paying(&self) -> bool {
        matches!(
            self.state,
            State::Leased | State::Quoting { .. } | State::Quoted { .. }
        )
    }

    const fn is_settled(&self) -> bool {
        matches!(
            self.state,
            State::Done
                | State::NotConfirmed(_)
                | State::Expired
                | State::Cancelled
                | State::Failed(_)
                | State::Unavailable(_)
        )
    }

    pub(crate) fn view(&self, items: &[Item], now: Tick, limits: &Limits) -> View {
        let seconds_to = |tick: Tick| tick.since(now).as_secs();
        let left = self.deadline(limits).map_or(0, seconds_to);
        let shown = |quote: &Verified<Quote>| Box::new(Quote::clone(quote));
        match (self.state, &self.quote) {
            (State::Leased, _) => View::Choose {
                items: items.to_vec(),
                seconds_left: left,
            },
            (State::Quoted { until }, Some(quote)) => View::Bill {
                quote: shown(quote),
                seconds_left: seconds_to(until),
            },
            (State::Paying { .. }, Some(quote)) => View::Paying {
                quote: shown(quote),
                pay_url: quote.pay_url.clone(),
                seconds_left: seconds_to(self.pay_until),
                declined: self.is_declined(),
            },
            (State::Verifying { since }, Some(quote)) => View::Verifying {
                quote: shown(quote),
                pay_url: quote.pay_url.clone(),
                seconds: now.since(since).as_secs(),
                declined: self.is_declined(),
            },
            _ => self.view_without_bill(),
        }
    }

    fn view_without_bill(&self) -> View {
        let refund = self.standing;
        match self.state {
            State::Done => View::Done {
                quote: self
                    .quote
                    .as_ref()
                    .map(|quote| Box::new(Quote::clone(quote))),
                receipt: self.receipt.clone(),
            },
            State::NotConfirmed(reason) => View::NotConfirmed { reason, refund },
            State::Failed(outcome) => View::Failed { outcome, refund },
            State::Expired => View::Expired,
            State::Cancelled => View::Cancelled,
            State::Unavailable(reason) => View::Unavailable {
                reason: reason.to_owned(),
            },
            State::Actuating => View::Actuating,
            State::Leased
            | State::Quoting { .. }
            | State::Quoted { .. }
            | State::Paying { .. }
            | State::Verifying { .. } => View::Quoting,
        }
    }

    /// The word for its state.
    pub(crate) const fn name(&self) -> &'static str {
        match self.state {
            State::Leased => "leased",
            State::Quoting { .. } => "quoting",
            State::Quoted { .. } => "quoted",
            State::Paying { .. } => "paying",
            State::Verifying { .. } => "verifying",
            State::Actuating => "actuating",
            State::Done => "done",
            State::NotConfirmed(_) => "not_confirmed",
            State::Expired => "expired",
            State::Cancelled => "cancelled",
            State::Failed(_) => "failed",
            State::Unavailable(_) => "unavailable",
        }
    }

    pub(crate) const fn opened_at(&self) -> Tick {
        self.opened_at
    }

    const fn is_declined(&self) -> bool {
        matches!(self.standing, Some(Standing::Declined))
    }
}
