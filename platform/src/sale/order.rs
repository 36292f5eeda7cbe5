//! The order as the payment server sees it. Only answers to our own questions move it (R1).

mod pace;

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::message::{GatewayRefusal, OrderStatus, OrderView};
use protocol::time::Tick;
use serde::{Deserialize, Serialize};

use super::Turn;
use super::call::{Asked, Calls, Question};
use crate::rules::Rule;

/// Attempts to close until only the late watch and a person are left: a day of minutes.
const CLOSE_ATTEMPTS_MAX: u32 = 1_440;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderState {
    /// The payment server has not taken it, or says that it does not exist.
    Unsent,
    Open,
    /// The payer is at it.
    Paying,
    /// Authorised, to be captured or voided.
    Held,
    Paid,
    Closed,
    /// Asked and not answered: only a definite answer ends this (R3).
    Unknown,
}

impl OrderState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Open => "open",
            Self::Paying => "paying",
            Self::Held => "held",
            Self::Paid => "paid",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// What is remarkable about an order. Flags stay once they are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flag {
    Late,
    Partial,
    Over,
    WrongPayee,
    OtherSale,
    WrongCurrency,
    Duplicate,
    Disputed,
    RefundedOutside,
}

/// What the questions are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    /// That the order exists.
    Create,
    /// To see a payment soon.
    Watch,
    /// To know how it stands after its end.
    Final,
    /// That nobody can pay any more.
    Close,
    /// Nothing but the late watch and hints.
    Rest,
}

/// A definite answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    View,
    NotFound,
    /// It was asked for before something that came later.
    Stale,
    CloseTooEarly,
    AlreadyPaid,
    Refused(GatewayRefusal),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) state: OrderState,
    pub(crate) flags: BTreeSet<Flag>,
    pub(crate) pay_url: String,
    pub(crate) declines: u32,
    /// The payment server shows other content under our number.
    pub(crate) differs: bool,
    aim: Aim,
    calls: Calls,
    /// A hint came while a question was in flight: ask once more after it.
    hint_pending: bool,
    /// The next question follows a hint and is no step of the late watch.
    is_hinted: bool,
    /// The payment server did not say that the order is closed: look before closing again.
    query_next: bool,
    /// Questions in a row without an answer.
    unanswered: u32,
    /// How far the queries after a payment notice have got.
    notice_step: Option<usize>,
    /// Questions asked since the order is to be closed.
    close_attempts: u32,
    watch_step: usize,
    /// Whether the short watch is enough, because the sale is done.
    is_short_watch: bool,
    /// Whether a create was ever sent.
    is_sent: bool,
    /// Of the newest create, among the questions.
    #[serde(default)]
    create_number: u32,
    #[serde(skip)]
    next_at: Option<Tick>,
    #[serde(skip)]
    queried_at: Option<Tick>,
    /// When the first create was sent; after a restart nobody knows how old its key is.
    #[serde(skip)]
    keyed_at: Option<Tick>,
    /// When a create was sent last, or this process began: the order is not older.
    #[serde(skip)]
    made_at: Option<Tick>,
}

impl Order {
    pub(crate) const fn new() -> Self {
        Self {
            state: OrderState::Unsent,
            flags: BTreeSet::new(),
            pay_url: String::new(),
            declines: 0,
            differs: false,
            aim: Aim::Rest,
            calls: Calls::new(),
            hint_pending: false,
            is_hinted: false,
            query_next: false,
            unanswered: 0,
            notice_step: None,
            close_attempts: 0,
            watch_step: 0,
            is_short_watch: false,
            is_sent: false,
            create_number: 0,
            next_at: None,
            queried_at: None,
            keyed_at: None,
            made_at: None,
        }
    }

    pub(crate) const fn aim(&self) -> Aim {
        self.aim
    }

    /// Whether the payment server was ever asked for it.
    pub(crate) const fn is_sent(&self) -> bool {
        self.is_sent
    }

    /// How many questions about it were asked so far.
    pub(crate) const fn asked(&self) -> u32 {
        self.calls.count()
    }

    /// Whether a hint is still to be followed.
    pub(crate) const fn is_hinted(&self) -> bool {
        self.is_hinted || self.hint_pending
    }

    /// Whether somebody may be able to pay it: then no other order is made beside it (R4).
    pub(crate) fn is_payable(&self) -> bool {
        let is_creating = self
            .calls
            .in_flight()
            .is_some_and(|asked| asked.question == Question::Create);
        self.is_sent
            && match self.state {
                OrderState::Paid | OrderState::Closed => false,
                OrderState::Unsent => {
                    is_creating || self.aim == Aim::Create || !self.pay_url.is_empty()
                }
                OrderState::Open | OrderState::Paying | OrderState::Held | OrderState::Unknown => {
                    true
                }
            }
    }

    /// Whether "no such order" is the end of it: none that was asked for is younger than its own
    /// lifetime.
    pub(crate) fn is_outlived(&self, lifetime: Duration, now: Tick) -> bool {
        self.made_at.is_none_or(|made_at| now >= made_at + lifetime)
    }

    /// Whether the payment server would say "too early" to a close.
    pub(crate) fn is_too_young(&self, turn: &Turn<'_>) -> bool {
        self.closable_at(turn).is_some_and(|at| turn.now.tick < at)
    }

    /// Closing was tried as often as makes sense.
    pub(crate) const fn has_given_up(&self) -> bool {
        matches!(self.aim, Aim::Close) && self.close_attempts >= CLOSE_ATTEMPTS_MAX
    }

    /// There is none, and there will be none.
    pub(crate) const fn shut(&mut self) {
        if !matches!(self.state, OrderState::Paid) {
            self.state = OrderState::Closed;
        }
    }

    /// Whether it is paid, or nobody can pay it any more.
    pub(crate) const fn is_shut(&self) -> bool {
        matches!(self.state, OrderState::Paid | OrderState::Closed)
    }

    /// Whether the queries that follow a payment notice are still going on.
    pub(crate) const fn is_noticed(&self) -> bool {
        self.notice_step.is_some()
    }

    /// Asks for something else from now on. What is in flight stays so, and one question more
    /// follows it.
    pub(crate) fn set_aim(&mut self, aim: Aim, turn: &Turn<'_>) {
        if self.aim == aim {
            return;
        }
        self.aim = aim;
        self.close_attempts = 0;
        self.watch_step = 0;
        match aim {
            Aim::Create | Aim::Final | Aim::Close => self.ask_soon(turn.now.tick),
            Aim::Watch | Aim::Rest => {
                self.next_at = self.pause(turn).map(|pause| turn.now.tick + pause);
            }
        }
    }

    /// Only watches from now on, for a short time after a sale that is done.
    pub(crate) fn rest(&mut self, is_short_watch: bool, turn: &Turn<'_>) {
        self.aim = Aim::Rest;
        self.is_short_watch = is_short_watch;
        self.watch_step = 0;
        self.notice_step = None;
        self.next_at = self.pause(turn).map(|pause| turn.now.tick + pause);
    }

    /// Somebody says that something happened: ask now, or as soon as the rate allows (R1).
    pub(crate) fn hint(&mut self, turn: &Turn<'_>) {
        self.is_hinted = true;
        if self.calls.in_flight().is_some() && turn.holds(Rule::OneQueryInFlight) {
            self.hint_pending = turn.holds(Rule::HintAsksAgain);
            return;
        }
        let pause = hint_pause(turn);
        let earliest = self
            .queried_at
            .map_or(turn.now.tick, |queried| queried + pause);
        self.ask_soon(earliest.max(turn.now.tick));
    }

    /// The payer says that it is paid: a hint, and closer queries for a while.
    pub(crate) fn notice(&mut self, turn: &Turn<'_>) {
        if self.aim == Aim::Watch && self.notice_step.is_none() {
            self.notice_step = Some(0);
        }
        self.hint(turn);
    }

    /// Takes the answer to `asked`. An older or later "open" never undoes "paid" or "closed".
    pub(crate) fn handle_answer(
        &mut self,
        view: Result<&OrderView, GatewayRefusal>,
        (asked, was_in_flight): (&Asked, bool),
        turn: &Turn<'_>,
    ) -> News {
        self.unanswered = 0;
        let is_stale = asked.number < self.create_number && turn.holds(Rule::MissingAskedLater);
        let news = match view {
            Ok(view) => {
                self.observe(view, turn);
                News::View
            }
            Err(GatewayRefusal::OrderNotFound) if is_stale => News::Stale,
            Err(GatewayRefusal::OrderNotFound) => {
                self.settle_state(self.missing_state(turn), turn);
                News::NotFound
            }
            Err(GatewayRefusal::CloseTooEarly) => News::CloseTooEarly,
            Err(GatewayRefusal::AlreadyPaid) => News::AlreadyPaid,
            Err(refusal) => News::Refused(refusal),
        };
        let exists = matches!(news, News::CloseTooEarly | News::AlreadyPaid);
        if exists && self.state == OrderState::Unsent {
            self.state = OrderState::Unknown;
            if self.aim == Aim::Rest {
                self.ask_soon(turn.now.tick);
            }
        }
        if was_in_flight {
            self.plan_next(turn);
        }
        if news == News::AlreadyPaid {
            self.query_next = true;
            self.ask_soon(turn.now.tick);
        }
        news
    }

    /// The question that is overdue now, if any.
    pub(crate) fn expire(&mut self, turn: &Turn<'_>) -> Option<Question> {
        let question = self.calls.expire(turn.now.tick)?;
        self.unanswered = self.unanswered.saturating_add(1);
        let is_lost =
            question == Question::Create || self.unanswered >= turn.policy.timeouts.gateway_tries;
        if is_lost && !self.is_shut() {
            self.state = OrderState::Unknown;
        }
        self.query_next = true;
        self.plan_next(turn);
        Some(question)
    }

    /// The question to ask now, if any.
    pub(crate) fn drive(&mut self, turn: &mut Turn<'_>) -> Option<Asked> {
        let is_due = self.next_at.is_some_and(|at| at <= turn.now.tick);
        let is_busy = self.calls.in_flight().is_some() && turn.holds(Rule::OneQueryInFlight);
        if !is_due || is_busy {
            return None;
        }
        self.next_at = None;
        self.hint_pending = false;
        let question = self.question(turn);
        if matches!(question, Question::Query | Question::FinalQuery) {
            self.queried_at = Some(turn.now.tick);
        }
        if self.aim == Aim::Close {
            self.close_attempts = self.close_attempts.saturating_add(1);
        }
        if question != Question::Close {
            self.query_next = false;
        }
        if question == Question::Create {
            self.is_sent = true;
            self.keyed_at.get_or_insert(turn.now.tick);
            self.made_at = Some(turn.now.tick);
        }
        self.calls.ask(question, turn);
        if question == Question::Create {
            self.create_number = self.calls.count();
        }
        self.calls.in_flight().cloned()
    }

    /// The question that `nonce` answers, and whether it was in flight.
    pub(crate) fn answered(
        &mut self,
        nonce: protocol::id::Nonce,
        turn: &Turn<'_>,
    ) -> Option<(Asked, bool)> {
        let asked = self.calls.answered(nonce);
        if turn.holds(Rule::NonceAnswered) {
            return asked;
        }
        asked.or_else(|| Some((Asked::unasked(nonce, turn), false)))
    }

    /// Ticks of another process mean nothing: what was in flight counts as overdue, and every
    /// wait starts again in full.
    pub(crate) fn handle_restart(&mut self, turn: &Turn<'_>) {
        let in_flight = self.calls.expire(turn.now.tick);
        self.keyed_at = None;
        self.made_at = Some(turn.now.tick).filter(|_| self.is_sent);
        let is_creating = in_flight == Some(Question::Create) || self.aim == Aim::Create;
        if is_creating && !self.is_shut() {
            self.state = OrderState::Unknown;
        }
        if in_flight.is_some() || self.hint_pending || self.aim == Aim::Create {
            self.next_at = Some(turn.now.tick);
        } else {
            self.next_at = self.pause(turn).map(|pause| turn.now.tick + pause);
        }
    }

    pub(crate) fn watch_now(&mut self, turn: &Turn<'_>) {
        self.next_at = Some(turn.now.tick);
    }

    pub(crate) fn timeout(&self) -> Option<Tick> {
        match self.calls.timeout() {
            Some(at) => Some(at),
            None => self.next_at,
        }
    }

    /// Whether nothing but the late watch is left to do, and whether even that is over.
    pub(crate) fn is_resting(&self) -> bool {
        (self.aim == Aim::Rest || self.has_given_up())
            && self.calls.in_flight().is_none()
            && !self.hint_pending
    }

    /// Whether no question will be asked any more, unless somebody hints.
    pub(crate) fn is_at_end(&self) -> bool {
        self.is_resting() && self.next_at.is_none()
    }

    fn observe(&mut self, view: &OrderView, turn: &Turn<'_>) {
        self.declines = self.declines.max(view.declines);
        if !view.pay_url.is_empty() {
            self.pay_url.clone_from(&view.pay_url);
        }
        let state = match view.status {
            OrderStatus::Open => OrderState::Open,
            OrderStatus::Paying => OrderState::Paying,
            OrderStatus::Held => OrderState::Held,
            OrderStatus::Paid => OrderState::Paid,
            OrderStatus::Closed => OrderState::Closed,
        };
        self.settle_state(state, turn);
    }

    fn settle_state(&mut self, state: OrderState, turn: &Turn<'_>) {
        let is_undone = match self.state {
            OrderState::Paid => true,
            OrderState::Closed => state != OrderState::Paid,
            OrderState::Unsent
            | OrderState::Open
            | OrderState::Paying
            | OrderState::Held
            | OrderState::Unknown => false,
        };
        if !is_undone || !turn.holds(Rule::PaidIsFinal) {
            self.state = state;
        }
    }

    /// Ask first, then act again: after silence the next question is always a query (R3).
    fn question(&self, turn: &Turn<'_>) -> Question {
        let asks_first = turn.holds(Rule::AskBeforeResend);
        match self.aim {
            Aim::Create if self.state == OrderState::Unknown && asks_first => Question::Query,
            Aim::Create if self.is_key_old(turn) => Question::Query,
            Aim::Create => Question::Create,
            Aim::Watch | Aim::Rest => Question::Query,
            Aim::Final => Question::FinalQuery,
            Aim::Close if self.query_next && asks_first || self.is_shut() => Question::FinalQuery,
            Aim::Close if self.is_too_young(turn) => Question::FinalQuery,
            Aim::Close => Question::Close,
        }
    }

    fn plan_next(&mut self, turn: &Turn<'_>) {
        let now = turn.now.tick;
        if self.hint_pending {
            let pause = hint_pause(turn);
            let earliest = self.queried_at.map_or(now, |queried| queried + pause);
            self.next_at = Some(earliest.max(now));
            return;
        }
        self.next_at = self.pause(turn).map(|pause| now + pause);
        if self.aim == Aim::Rest && !self.is_hinted {
            self.watch_step = self.watch_step.saturating_add(1);
            self.next_at = self.pause(turn).map(|pause| now + pause);
        }
        self.is_hinted = false;
        if let Some(step) = &mut self.notice_step {
            *step += 1;
            if *step >= turn.policy.timeouts.notice_schedule_ms.len() {
                self.notice_step = None;
            }
        }
    }

    /// Whether the payment server may have forgotten the key of an earlier create.
    fn is_key_old(&self, turn: &Turn<'_>) -> bool {
        let retention = turn.policy.capabilities.key_retention;
        let is_old = |keyed_at: Tick| turn.now.tick.since(keyed_at) >= retention;
        self.keyed_at.is_some_and(is_old) && turn.holds(Rule::KeyRetention)
    }

    /// What "no such order" means: open, where an order exists only once the payer scanned it.
    const fn missing_state(&self, turn: &Turn<'_>) -> OrderState {
        if turn.policy.capabilities.order_after_scan && !self.pay_url.is_empty() {
            OrderState::Open
        } else {
            OrderState::Unsent
        }
    }

    fn ask_soon(&mut self, at: Tick) {
        if self.calls.in_flight().is_some() {
            self.hint_pending = true;
        }
        self.next_at = Some(self.next_at.map_or(at, |planned| planned.min(at)));
    }
}

fn hint_pause(turn: &Turn<'_>) -> Duration {
    if turn.holds(Rule::HintRateLimited) {
        Duration::from_millis(turn.policy.timeouts.hint_interval_ms)
    } else {
        Duration::ZERO
    }
}
