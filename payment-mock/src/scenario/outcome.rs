//! The named ways to treat an order: short words for what rules could say at length.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use protocol::id::PayeeId;
use protocol::message::{GatewayRefusal, RefundStatus};
use protocol::money::{Currency, Money};
use serde::{Deserialize, Serialize};

use super::action::{Action, Aftermath, Forgery, Share};
use super::{Aspect, Call, Settings, Step};
use crate::ledger::{RefundCourse, RefundTurn};

macro_rules! outcomes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        /// How the payment server treats an order. Text form in kebab case: `wrong-payee`.
        ///
        /// | outcome | the payer presses Pay | the platform then sees |
        /// |---|---|---|
        /// | `paid` | books exactly the order | paid |
        /// | `declined` | is declined, may try again | open, one decline more for each press |
        /// | `never` | reads "try later", nothing is booked | open, until it is closed |
        /// | `late` | reads "being processed" | paying; closed; then paid after the close, with an event |
        /// | `twice` | books two payments | paid, two payments |
        /// | `under`, `over` | books one minor unit less, more | paid, another amount |
        /// | `wrong-payee` | books to another account | paid, another payee |
        /// | `wrong-currency` | books the number in another currency | paid, another currency |
        /// | `no-answer` | books exactly the order | no answer to queries, as [`Silence`](crate::Silence) says; then paid |
        /// | `slow-answer` | books exactly the order | every answer about the order comes late |
        /// | `refund-fails` | books one minor unit less | every refund answered as failed; the money stays |
        /// | `refund-pending` | books one minor unit less | refunds pending, succeeded after the settling time, with an event |
        /// | `refund-pending-fails` | books one minor unit less | refunds pending, failed after the settling time, with an event |
        /// | `refund-fails-later` | books one minor unit less | refunds succeeded, failed after the settling time: the money is back here |
        /// | `refund-unknown` | books one minor unit less | the first two refund calls are done and not answered |
        /// | `key-forgotten` | books one minor unit less | the first refund call is done and not answered; asked again it counts as new and exceeds the payment |
        /// | `disputed` | books exactly the order | paid and disputed, from the first answer on |
        /// | `charged-back` | books exactly the order | paid and disputed, and the money was taken back |
        /// | `refunded-outside` | books exactly the order | paid, and all of it was refunded under an id that nobody asked for |
        /// | `part-refunded-outside` | books exactly the order | paid, and half of it was refunded so |
        /// | `forged-answer` | reads "try later", nothing is booked | before every honest answer to a query four that say paid: of another key, to another nonce, about another order, unsigned |
        /// | `dropped-answer` | books exactly the order | the first call of each kind is done and not answered |
        /// | `lost-request` | books exactly the order | the first call of each kind is lost and does nothing |
        /// | `truncated-answer` | books exactly the order | the first answer to each kind of call is cut in half |
        /// | `doubled-answer` | books exactly the order | every answer and event comes twice |
        /// | `reordered-answer` | books exactly the order | every answer waits until the next message has overtaken it, or half a second |
        /// | `stale-answer` | books exactly the order | the first two queries after the payment see the order as it was before |
        /// | `outage` | books exactly the order | from the payment on nothing about the order gets in or out, for the outage time; then paid |
        /// | `after-scan` | books exactly the order | the order is not found before its page was opened |
        /// | `close-too-early` | reads "try later", nothing is booked | the first two closes come too early |
        ///
        /// ```
        /// use payment_mock::Outcome;
        ///
        /// assert_eq!("wrong-payee".parse(), Ok(Outcome::WrongPayee));
        /// assert_eq!(Outcome::NoAnswer.to_string(), "no-answer");
        /// assert_eq!(Outcome::ALL.len(), 31);
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
    /// Refunds fail at once.
    RefundFails = "refund-fails",
    /// Refunds take their time.
    RefundPending = "refund-pending",
    /// Refunds take their time and fail.
    RefundPendingFails = "refund-pending-fails",
    /// Refunds succeed and fail afterwards.
    RefundFailsLater = "refund-fails-later",
    /// Refunds are done without an answer.
    RefundUnknown = "refund-unknown",
    /// A refund is done without an answer, and its key is forgotten.
    KeyForgotten = "key-forgotten",
    /// The payer disputes the payment at once.
    Disputed = "disputed",
    /// The payer disputes the payment and wins at once.
    ChargedBack = "charged-back",
    /// Somebody else refunds the payment at once.
    RefundedOutside = "refunded-outside",
    /// Somebody else refunds half of the payment at once.
    PartRefundedOutside = "part-refunded-outside",
    /// Forged answers say paid, and nothing is.
    ForgedAnswer = "forged-answer",
    /// First answers are lost.
    DroppedAnswer = "dropped-answer",
    /// First requests are lost.
    LostRequest = "lost-request",
    /// First answers are cut.
    TruncatedAnswer = "truncated-answer",
    /// Everything comes twice.
    DoubledAnswer = "doubled-answer",
    /// Answers are overtaken.
    ReorderedAnswer = "reordered-answer",
    /// Queries see the past.
    StaleAnswer = "stale-answer",
    /// Nothing gets through for a while.
    Outage = "outage",
    /// The order exists once the payer has scanned it.
    AfterScan = "after-scan",
    /// Closes come too early.
    CloseTooEarly = "close-too-early",
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

/// Money to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) amount: Money,
    pub(crate) payee: PayeeId,
}

/// What a press of Pay leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Payment {
    Book(Vec<Transfer>),
    BookAfterClose(Transfer),
    Decline,
    TryLater,
}

/// How many first calls of a kind an outcome spoils: below the three tries that a platform has.
const FIRST_CALLS: u64 = 1;
const FIRST_TWO_CALLS: u64 = 2;

impl Outcome {
    pub(crate) fn payment(self, amount: Money, payee: &PayeeId) -> Payment {
        let exact = || Transfer {
            amount,
            payee: payee.clone(),
        };
        match self {
            Self::Declined => Payment::Decline,
            Self::Never | Self::ForgedAnswer | Self::CloseTooEarly => Payment::TryLater,
            Self::Late => Payment::BookAfterClose(exact()),
            Self::Twice => Payment::Book(vec![exact(), exact()]),
            Self::Under
            | Self::RefundFails
            | Self::RefundPending
            | Self::RefundPendingFails
            | Self::RefundFailsLater
            | Self::RefundUnknown
            | Self::KeyForgotten => book_or_decline(payee, one_less(amount)),
            Self::Over => book_or_decline(payee, one_more(amount)),
            Self::WrongPayee => Payment::Book(vec![Transfer {
                amount,
                payee: another_payee(payee),
            }]),
            Self::WrongCurrency => book_or_decline(payee, in_another_currency(amount)),
            Self::Paid
            | Self::NoAnswer
            | Self::SlowAnswer
            | Self::Disputed
            | Self::ChargedBack
            | Self::RefundedOutside
            | Self::PartRefundedOutside
            | Self::DroppedAnswer
            | Self::LostRequest
            | Self::TruncatedAnswer
            | Self::DoubledAnswer
            | Self::ReorderedAnswer
            | Self::StaleAnswer
            | Self::Outage
            | Self::AfterScan => Payment::Book(vec![exact()]),
        }
    }

    /// What the outcome does in one aspect of a call, where no rule says otherwise.
    pub(super) fn action(
        self,
        aspect: Aspect,
        call: &Call<'_>,
        settings: &Settings,
    ) -> Option<Action> {
        match aspect {
            Aspect::Before => self.before(call, settings),
            Aspect::Hiding => (self == Self::AfterScan).then_some(Action::Hide),
            Aspect::Memory => {
                (self == Self::KeyForgotten && call.step == Step::Refund).then_some(Action::Forget)
            }
            Aspect::Course => self.course(settings).map(Action::Refund),
            Aspect::Answer => self.answer(call, settings),
            Aspect::Opening | Aspect::Aftermath | Aspect::Line => None,
        }
    }

    fn before(self, call: &Call<'_>, settings: &Settings) -> Option<Action> {
        let (request, first) = (call.step.is_request(), call.n <= FIRST_CALLS);
        match self {
            Self::LostRequest if request && first => Some(Action::Drop),
            Self::Outage if request && call.is_booked_within(settings.outage) => {
                Some(Action::Outage)
            }
            Self::CloseTooEarly if call.step == Step::Close && call.n <= FIRST_TWO_CALLS => {
                Some(Action::Refuse(GatewayRefusal::CloseTooEarly))
            }
            _ => None,
        }
    }

    fn course(self, settings: &Settings) -> Option<RefundCourse> {
        let turn = |status| {
            let after_ms = u64::try_from(settings.refund_settle.as_millis()).unwrap_or(u64::MAX);
            Some(RefundTurn { status, after_ms })
        };
        let (status, turn) = match self {
            Self::RefundFails => (RefundStatus::Failed, None),
            Self::RefundPending => (RefundStatus::Pending, turn(RefundStatus::Succeeded)),
            Self::RefundPendingFails => (RefundStatus::Pending, turn(RefundStatus::Failed)),
            Self::RefundFailsLater => (RefundStatus::Succeeded, turn(RefundStatus::Failed)),
            _ => return None,
        };
        Some(RefundCourse { status, turn })
    }

    fn answer(self, call: &Call<'_>, settings: &Settings) -> Option<Action> {
        let (request, first) = (call.step.is_request(), call.n <= FIRST_CALLS);
        let query = call.step == Step::Query;
        match self {
            Self::SlowAnswer if request => Some(Action::Delay(settings.slow_answer)),
            Self::NoAnswer if query && settings.silence.holds(call) => Some(Action::DropAnswer),
            Self::RefundUnknown if call.step == Step::Refund && call.n <= FIRST_TWO_CALLS => {
                Some(Action::DropAnswer)
            }
            Self::KeyForgotten if call.step == Step::Refund && first => Some(Action::DropAnswer),
            Self::ForgedAnswer if query => Some(Action::Forge {
                forgeries: Forgery::ALL.to_vec(),
                honest: true,
            }),
            Self::DroppedAnswer if request && first => Some(Action::DropAnswer),
            Self::TruncatedAnswer if request && first => Some(Action::Truncate),
            Self::DoubledAnswer => Some(Action::Double {
                copies: 2,
                apart: Duration::ZERO,
            }),
            Self::ReorderedAnswer if request => Some(Action::Reorder {
                within: Duration::from_millis(500),
            }),
            Self::StaleAnswer if query && call.booked_for.is_some() => {
                (u64::from(call.n_since_booking) <= FIRST_TWO_CALLS).then_some(Action::Stale)
            }
            Self::Outage if call.step == Step::Event => call
                .is_booked_within(settings.outage)
                .then_some(Action::DropAnswer),
            _ => None,
        }
    }

    /// What befalls a payment at once.
    pub(super) fn aftermath(self) -> Option<Aftermath> {
        match self {
            Self::Disputed => Some(Aftermath::Dispute),
            Self::ChargedBack => Some(Aftermath::ChargeBack),
            Self::RefundedOutside => Some(Aftermath::RefundOutside(Share::WHOLE)),
            Self::PartRefundedOutside => Some(Aftermath::RefundOutside(Share::HALF)),
            _ => None,
        }
    }
}

fn book_or_decline(payee: &PayeeId, amount: Option<Money>) -> Payment {
    match amount {
        Some(amount) => Payment::Book(vec![Transfer {
            amount,
            payee: payee.clone(),
        }]),
        None => Payment::Decline,
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
