//! What goes wrong, and when: pure decisions over an honest ledger.
//!
//! Rules ([`Ruleset`]) come first; where none fits, the order's [`Outcome`] decides. An order takes
//! its outcome when it is created: from a word `outcome=NAME` in its description, else from a rule,
//! else the default of that moment. An order of one minor unit can't be underpaid, and one of the
//! largest amount can't be overpaid: these are declined.

mod action;
mod outcome;
mod parse;
mod rule;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use protocol::id::{PlatformId, TransactionId};
use protocol::message::{CreateOrder, Operation};
use serde::{Deserialize, Serialize};

use crate::config::Delays;

pub(crate) use action::{Action, Aftermath, Aspect, Forgery, LineFault};
pub use outcome::{Outcome, OutcomeError};
pub(crate) use outcome::{Payment, Transfer};
pub use rule::{RuleError, Ruleset};
pub use text::RuleText;

/// For how long `no-answer` leaves queries without an answer, counted from the booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The first so many queries.
    Queries(u32),
    Lasting(Duration),
    Forever,
}

impl Silence {
    fn holds(self, call: &Call<'_>) -> bool {
        let Some(booked_for) = call.booked_for else {
            return false;
        };
        match self {
            Self::Queries(count) => call.n_since_booking <= count,
            Self::Lasting(duration) => booked_for < duration,
            Self::Forever => true,
        }
    }
}

/// What is done, as far as a scenario can interfere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    Create,
    Query,
    Close,
    Refund,
    Statement,
    /// An event is sent.
    Event,
    /// The payer opens the page.
    Page,
    /// The payer presses a button of it.
    Pay,
}

impl Step {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Create,
        Self::Query,
        Self::Close,
        Self::Refund,
        Self::Statement,
        Self::Event,
        Self::Page,
        Self::Pay,
    ];

    pub(crate) const fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Create(_) => Self::Create,
            Operation::Query { .. } => Self::Query,
            Operation::Close { .. } => Self::Close,
            Operation::Refund(_) => Self::Refund,
            Operation::Statement { .. } => Self::Statement,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Query => "query",
            Self::Close => "close",
            Self::Refund => "refund",
            Self::Statement => "statement",
            Self::Event => "event",
            Self::Page => "page",
            Self::Pay => "pay",
        }
    }

    const fn is_request(self) -> bool {
        match self {
            Self::Create | Self::Query | Self::Close | Self::Refund | Self::Statement => true,
            Self::Event | Self::Page | Self::Pay => false,
        }
    }
}

/// Everything that a decision may depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) step: Step,
    pub(crate) platform: &'a PlatformId,
    pub(crate) order: Option<TransactionId>,
    /// What the order is, if there is one.
    pub(crate) create: Option<&'a CreateOrder>,
    /// How many calls of this kind this order has seen with this one. Of a statement line: its
    /// number.
    pub(crate) n: u64,
    /// How many requests the server has taken with this one.
    pub(crate) request: u64,
    /// Since the server's start.
    pub(crate) age: Duration,
    /// The order's outcome, if there is one.
    pub(crate) outcome: Option<Outcome>,
    /// How long ago the first money was booked.
    pub(crate) booked_for: Option<Duration>,
    /// How many queries since then, with this one.
    pub(crate) n_since_booking: u32,
}

impl Call<'_> {
    fn is_booked_within(&self, duration: Duration) -> bool {
        self.booked_for.is_some_and(|booked| booked < duration)
    }
}

/// How long the slow outcomes take; see [`Delays`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    slow_answer: Duration,
    silence: Silence,
    refund_settle: Duration,
    outage: Duration,
}

/// What is done about a call, and the rule that says so; none for a named outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: Action,
    pub(crate) rule: Option<String>,
}

/// Rules and outcomes with their settings.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) default: Outcome,
    pub(crate) rules: Ruleset,
    settings: Settings,
}

impl Scenario {
    pub(crate) const fn new(default: Outcome, rules: Ruleset, delays: &Delays) -> Self {
        Self {
            default,
            rules,
            settings: Settings {
                slow_answer: delays.slow_answer,
                silence: delays.silence,
                refund_settle: delays.refund_settle,
                outage: delays.outage,
            },
        }
    }

    /// The outcome of a new order.
    pub(crate) fn outcome_of(&self, call: &Call<'_>) -> Outcome {
        let description = call.create.map_or("", |create| create.description.as_str());
        let named = description
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("outcome="))
            .find_map(|name| name.parse().ok());
        let by_rule = || match self.rules.first(Aspect::Opening, call) {
            Some(Decision {
                action: Action::Outcome(outcome),
                ..
            }) => Some(outcome),
            _ => None,
        };
        named.or_else(by_rule).unwrap_or(self.default)
    }

    /// The first rule that fits, else what the order's outcome says.
    pub(crate) fn decide(&self, aspect: Aspect, call: &Call<'_>) -> Option<Decision> {
        self.rules.first(aspect, call).or_else(|| {
            let action = call.outcome?.action(aspect, call, &self.settings)?;
            Some(Decision { action, rule: None })
        })
    }

    /// What befalls a payment that was just booked, and after how long.
    pub(crate) fn aftermath(&self, call: &Call<'_>) -> Vec<(Aftermath, Duration)> {
        let by_outcome = call.outcome.and_then(Outcome::aftermath);
        let by_rule = self.rules.all(Aspect::Aftermath, call);
        let by_rule = by_rule.filter_map(|action| match action {
            Action::Befall { aftermath, after } => Some((*aftermath, *after)),
            _ => None,
        });
        let at_once = by_outcome.map(|aftermath| (aftermath, Duration::ZERO));
        at_once.into_iter().chain(by_rule).collect()
    }
}
