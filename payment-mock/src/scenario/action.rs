//! What a payment server can do wrong, one action for each kind of call that it is good for.

use std::time::Duration;

use protocol::message::GatewayRefusal;
use protocol::money::Money;

use super::{Outcome, Step};
use crate::ledger::RefundCourse;

/// The part of a call that an action changes. In each aspect the first rule that fits decides; only
/// of what befalls payments every rule that fits counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aspect {
    /// Whether it happens at all.
    Before,
    /// The outcome of a new order.
    Opening,
    /// Whether a new order can be found.
    Hiding,
    /// Whether its key is still known.
    Memory,
    /// How a refund goes.
    Course,
    /// What becomes of the answer or event.
    Answer,
    /// What befalls a payment afterwards.
    Aftermath,
    /// What a line of the statement says.
    Line,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing happens and nobody answers.
    Drop,
    /// As `Drop`, for everything: pages say that the server is not available.
    Outage,
    /// Nothing happens and the answer says why.
    Refuse(GatewayRefusal),
    Outcome(Outcome),
    /// The order can't be found before its page was opened.
    Hide,
    /// The key of the call counts as never seen.
    Forget,
    Refund(RefundCourse),
    /// It is done and nobody answers.
    DropAnswer,
    Delay(Duration),
    /// The payload is cut in half.
    Truncate,
    Double {
        copies: u8,
        apart: Duration,
    },
    /// It waits until the next message to this platform has overtaken it, or this long.
    Reorder {
        within: Duration,
    },
    /// The order as it was before its last change.
    Stale,
    Forge {
        forgeries: Vec<Forgery>,
        /// Whether the honest one follows.
        honest: bool,
    },
    Befall {
        aftermath: Aftermath,
        after: Duration,
    },
    Line(LineFault),
}

/// How a message is forged. What it says is a lie too: an order is paid, a refund has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgery {
    /// Signed by a key of nobody.
    Key,
    /// Rightly signed, for another question.
    Nonce,
    /// Rightly signed, about another order.
    Order,
    /// Without a signature.
    Unsigned,
}

impl Forgery {
    pub(crate) const ALL: [Self; 4] = [Self::Key, Self::Nonce, Self::Order, Self::Unsigned];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aftermath {
    Dispute,
    ChargeBack,
    RefundOutside(Share),
    Fee(Share),
}

/// A part of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    Minor(i64),
    Permille(u16),
}

impl Share {
    pub(crate) const WHOLE: Self = Self::Permille(1_000);
    pub(crate) const HALF: Self = Self::Permille(500);

    /// At least one minor unit and at most `whole`; none if there is no such part.
    pub(crate) fn of(self, whole: Money) -> Option<Money> {
        let minor = match self {
            Self::Minor(minor) => minor,
            // 10^12 minor units at most, times 10^3: far inside an i64.
            Self::Permille(permille) => whole.minor() * i64::from(permille) / 1_000,
        };
        let part = minor.max(1).min(whole.minor());
        Money::new(part, whole.currency())
            .ok()
            .filter(|part| !part.is_zero())
    }
}

/// What a statement says of a line that the ledger holds rightly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineFault {
    Missing,
    Duplicate,
    /// One minor unit more.
    WrongAmount,
    /// Followed by a line about an order that nobody made.
    Unknown,
}

impl Action {
    pub(crate) const fn aspect(&self) -> Aspect {
        match self {
            Self::Drop | Self::Outage | Self::Refuse(_) => Aspect::Before,
            Self::Outcome(_) => Aspect::Opening,
            Self::Hide => Aspect::Hiding,
            Self::Forget => Aspect::Memory,
            Self::Refund(_) => Aspect::Course,
            Self::DropAnswer
            | Self::Delay(_)
            | Self::Truncate
            | Self::Double { .. }
            | Self::Reorder { .. }
            | Self::Stale
            | Self::Forge { .. } => Aspect::Answer,
            Self::Befall { .. } => Aspect::Aftermath,
            Self::Line(_) => Aspect::Line,
        }
    }

    /// The name under which it is counted and logged.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Outage => "outage",
            Self::Refuse(_) => "refuse",
            Self::Outcome(_) => "outcome",
            Self::Hide => "hide",
            Self::Forget => "forget",
            Self::Refund(_) => "refund",
            Self::DropAnswer => "drop_answer",
            Self::Delay(_) => "delay",
            Self::Truncate => "truncate",
            Self::Double { .. } => "double",
            Self::Reorder { .. } => "reorder",
            Self::Stale => "stale",
            Self::Forge { .. } => "forge",
            Self::Befall { .. } => "befall",
            Self::Line(_) => "line",
        }
    }

    /// The calls it is good for.
    pub(crate) const fn steps(&self) -> &'static [Step] {
        match self {
            Self::Drop => &[
                Step::Create,
                Step::Query,
                Step::Close,
                Step::Refund,
                Step::Statement,
                Step::Pay,
            ],
            Self::Outage => Step::ALL,
            Self::Refuse(_) => &[
                Step::Create,
                Step::Query,
                Step::Close,
                Step::Refund,
                Step::Statement,
            ],
            Self::Outcome(_) | Self::Hide => &[Step::Create],
            Self::Forget => &[Step::Create, Step::Refund],
            Self::Refund(_) => &[Step::Refund],
            Self::DropAnswer => &[
                Step::Create,
                Step::Query,
                Step::Close,
                Step::Refund,
                Step::Statement,
                Step::Event,
                Step::Pay,
            ],
            Self::Delay(_) | Self::Truncate | Self::Double { .. } | Self::Reorder { .. } => &[
                Step::Create,
                Step::Query,
                Step::Close,
                Step::Refund,
                Step::Statement,
                Step::Event,
            ],
            Self::Forge { .. } => &[
                Step::Create,
                Step::Query,
                Step::Close,
                Step::Refund,
                Step::Event,
            ],
            Self::Stale => &[Step::Query],
            Self::Befall { .. } => &[Step::Pay],
            Self::Line(_) => &[Step::Statement],
        }
    }
}
