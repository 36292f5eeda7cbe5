//! What goes wrong, and when: one pure decision per operation.
//!
//! | outcome | the payer presses Pay | the platform then sees |
//! |---|---|---|
//! | `paid` | books exactly the order | paid |
//! | `declined` | is declined, may try again | open, one decline more for each press |
//! | `never` | reads "try later", nothing is booked | open, until it is closed |
//! | `late` | reads "being processed" | paying; closed; then paid after the close, with an event |
//! | `twice` | books two payments | paid, two payments |
//! | `under`, `over` | books one minor unit less, more | paid, another amount |
//! | `wrong-payee` | books to another account | paid, another payee |
//! | `wrong-currency` | books the number in another currency | paid, another currency |
//! | `no-answer` | books exactly the order | no answer to queries, as [`Silence`] says; then paid |
//! | `slow-answer` | books exactly the order | every answer about the order comes late |
//!
//! An order takes its outcome when it is created: from a word `outcome=NAME` in its description,
//! else the default of that moment. An order of one minor unit can't be underpaid, and one of the
//! largest amount can't be overpaid: these are declined.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use protocol::id::PayeeId;
use protocol::money::{Currency, Money};
use serde::{Deserialize, Serialize};

use crate::config::Delays;

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// How the payment server treats an order. Text form in kebab case: `wrong-payee`.
        ///
        /// ```
        /// use payment_mock::Outcome;
        ///
        /// assert_eq!("wrong-payee".parse(), Ok(Outcome::WrongPayee));
        /// assert_eq!(Outcome::NoAnswer.to_string(), "no-answer");
        /// assert_eq!(Outcome::ALL.len(), 11);
        /// assert!("WrongPayee".parse::<Outcome>().is_err());
        /// ```
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Outcome { $($(#[$doc])* $variant),+ }

        impl Outcome {
            /// Every outcome, in the order of the table above.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

outcomes! {
    /// Books exactly the order.
    #[default]
    Paid = "paid",
    /// Declines every press.
    Declined = "declined",
    /// Takes no money and says "try later".
    Never = "never",
    /// Books after the order was closed or its lifetime has passed.
    Late = "late",
    /// Books two payments for one press.
    Twice = "twice",
    /// Books one minor unit too little.
    Under = "under",
    /// Books one minor unit too much.
    Over = "over",
    /// Books to another account.
    WrongPayee = "wrong-payee",
    /// Books the same number in another currency.
    WrongCurrency = "wrong-currency",
    /// Books, then leaves queries without an answer.
    NoAnswer = "no-answer",
    /// Answers late.
    SlowAnswer = "slow-answer",
}

/// Why a text is no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no outcome: use one of {list}", list = list())]
pub struct OutcomeError(String);

impl FromStr for Outcome {
    type Err = OutcomeError;

    fn from_str(text: &str) -> Result<Self, OutcomeError> {
        let found = Self::ALL.iter().find(|outcome| outcome.as_str() == text);
        found
            .copied()
            .ok_or_else(|| OutcomeError(text.chars().take(32).collect()))
    }
}

impl TryFrom<String> for Outcome {
    type Error = OutcomeError;

    fn try_from(text: String) -> Result<Self, OutcomeError> {
        text.parse()
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        outcome.as_str().to_owned()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// For how long `no-answer` leaves queries without an answer, counted from the booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The first so many queries.
    Queries(u32),
    Lasting(Duration),
    Forever,
}

/// What is done with an order, as far as a scenario can interfere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Create,
    Query,
    Close,
    Refund,
    /// The payer presses Pay.
    Pay,
}

/// What a decision may depend on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) amount: Money,
    pub(crate) payee: &'a PayeeId,
    /// How long ago the first money was booked.
    pub(crate) booked_for: Option<Duration>,
}

/// Money to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
}

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Answer { after: Duration },
    StaySilent,
    Book(Vec<Transfer>),
    BookAfterClose(Transfer),
    Decline,
    TryLater,
}

/// Outcomes with their settings.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) default: Outcome,
    pub(crate) slow_answer: Duration,
    pub(crate) silence: Silence,
}

impl Scenario {
    pub(crate) const fn new(default: Outcome, delays: &Delays) -> Self {
        Self {
            default,
            slow_answer: delays.slow_answer,
            silence: delays.silence,
        }
    }

    /// The outcome of a new order.
    pub(crate) fn outcome_of(&self, description: &str) -> Outcome {
        description
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("outcome="))
            .find_map(|name| name.parse().ok())
            .unwrap_or(self.default)
    }

    /// `n` counts this step of this order from 1, and from 1 again once its money is booked.
    pub(crate) fn decide(&self, step: Step, case: Case<'_>, n: u32) -> Action {
        match step {
            Step::Pay => pay(case),
            Step::Query if self.is_silent(case, n) => Action::StaySilent,
            Step::Create | Step::Query | Step::Close | Step::Refund => Action::Answer {
                after: match case.outcome {
                    Outcome::SlowAnswer => self.slow_answer,
                    _ => Duration::ZERO,
                },
            },
        }
    }

    fn is_silent(&self, case: Case<'_>, n: u32) -> bool {
        let (Outcome::NoAnswer, Some(booked_for)) = (case.outcome, case.booked_for) else {
            return false;
        };
        match self.silence {
            Silence::Queries(count) => n <= count,
            Silence::Lasting(duration) => booked_for < duration,
            Silence::Forever => true,
        }
    }
}

fn pay(case: Case<'_>) -> Action {
    let exact = || Transfer {
        amount: case.amount,
        payee: case.payee.clone(),
    };
    match case.outcome {
        Outcome::Paid | Outcome::NoAnswer | Outcome::SlowAnswer => Action::Book(vec![exact()]),
        Outcome::Declined => Action::Decline,
        Outcome::Never => Action::TryLater,
        Outcome::Late => Action::BookAfterClose(exact()),
        Outcome::Twice => Action::Book(vec![exact(), exact()]),
        Outcome::Under => book_or_decline(case, one_less(case.amount)),
        Outcome::Over => book_or_decline(case, one_more(case.amount)),
        Outcome::WrongPayee => Action::Book(vec![Transfer {
            amount: case.amount,
            payee: another_payee(case.payee),
        }]),
        Outcome::WrongCurrency => book_or_decline(case, in_another_currency(case.amount)),
    }
}

fn book_or_decline(case: Case<'_>, amount: Option<Money>) -> Action {
    match amount {
        Some(amount) => Action::Book(vec![Transfer {
            amount,
            payee: case.payee.clone(),
        }]),
        None => Action::Decline,
    }
}

fn one_less(amount: Money) -> Option<Money> {
    let less = Money::new(amount.minor() - 1, amount.currency()).ok()?;
    (!less.is_zero()).then_some(less)
}

fn one_more(amount: Money) -> Option<Money> {
    Money::new(amount.minor() + 1, amount.currency()).ok()
}

fn in_another_currency(amount: Money) -> Option<Money> {
    let name = if amount.currency().code() == "EUR" {
        "USD"
    } else {
        "EUR"
    };
    let currency: Currency = name.parse().ok()?;
    Money::new(amount.minor(), currency).ok()
}

/// Two accounts of nobody, so that one of them is always another one.
fn another_payee(payee: &PayeeId) -> PayeeId {
    let strangers = ["somebody-else", "nobody"];
    strangers
        .iter()
        .filter_map(|name| name.parse().ok())
        .find(|stranger| stranger != payee)
        .unwrap_or_else(|| payee.clone())
}

fn list() -> String {
    let names: Vec<&str> = Outcome::ALL
        .iter()
        .map(|outcome| outcome.as_str())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
