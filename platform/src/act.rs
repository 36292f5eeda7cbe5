//! What a person does by hand: who, why, and what. Parsed at the edge, applied in the engine's
//! round, kept for ever.

mod scope;

use std::fmt;

use protocol::id::{ActId, TransactionId};
use protocol::signed::KeyId;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use scope::HoldScope;

use crate::sale::{OperatorRefusal, Resolution};
use crate::store::books::TaskId;

/// Longest name of a person: it stands in permits, in events and in lists.
pub(crate) const NAME_LENGTH_MAX: usize = 64;

/// Longest reason: two sentences. At four bytes a character a permit still fits its message.
pub(crate) const REASON_LENGTH_MAX: usize = 200;

/// Why a text names nobody or explains nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write 1 to {length_max} characters, no control characters among them")]
pub(crate) struct WordingError {
    length_max: usize,
}

/// Who acts. Whoever holds the API's token is believed: the name is for the books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PersonName(String);

/// Why somebody acts, for those who read it later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Reason(String);

/// One thing that one person wants done once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Act {
    /// Made by the caller; the same id twice is one act.
    pub(crate) id: ActId,
    pub(crate) name: PersonName,
    pub(crate) reason: Reason,
    pub(crate) deed: Deed,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Deed {
    /// No new orders in there; open ones drain.
    Hold { scope: HoldScope },
    /// Ends a hold of exactly this scope.
    Release { scope: HoldScope },
    /// Everything that is left of its payments goes back.
    Refund { transaction: TransactionId },
    /// What waits for a person is decided.
    Resolve {
        transaction: TransactionId,
        resolution: Resolution,
    },
    /// One ON for the open request of the transaction, whoever paid (R12).
    Open { transaction: TransactionId },
    /// The same for whoever stands at the terminal.
    OpenAt { terminal: TerminalName },
    /// Messages signed with it are believed no more.
    RevokeKey { key: KeyId },
    /// A task of the work list is seen to; the reason says how.
    ResolveTask { task: TaskId },
    /// Compares every payment server's statement now.
    Reconcile,
    /// A person answers for the journal of a terminal: it counts as read in this epoch.
    Vouch { terminal: TerminalName },
}

impl Deed {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Release { .. } => "release",
            Self::Refund { .. } => "refund",
            Self::Resolve { .. } => "resolve",
            Self::Open { .. } | Self::OpenAt { .. } => "open",
            Self::RevokeKey { .. } => "revoke_key",
            Self::ResolveTask { .. } => "resolve_task",
            Self::Reconcile => "reconcile",
            Self::Vouch { .. } => "vouch",
        }
    }

    /// The transaction that it is about.
    pub(crate) const fn transaction(&self) -> Option<TransactionId> {
        match self {
            Self::Refund { transaction }
            | Self::Resolve { transaction, .. }
            | Self::Open { transaction } => Some(*transaction),
            Self::Hold { .. }
            | Self::Release { .. }
            | Self::OpenAt { .. }
            | Self::RevokeKey { .. }
            | Self::ResolveTask { .. }
            | Self::Reconcile
            | Self::Vouch { .. } => None,
        }
    }
}

/// An act that was done, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ActRow {
    pub(crate) id: ActId,
    pub(crate) at: Utc,
    pub(crate) name: PersonName,
    pub(crate) reason: Reason,
    pub(crate) deed: Deed,
    /// What came of it at once; what follows stands in the events of its transaction.
    pub(crate) outcome: Value,
}

impl ActRow {
    /// Its form in the chain of events.
    pub(crate) fn detail(&self) -> Value {
        serde_json::json!({
            "act": self.id,
            "name": self.name,
            "reason": self.reason,
            "deed": self.deed,
            "outcome": self.outcome,
        })
    }
}

/// An act of this id, now or earlier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Done {
    #[serde(flatten)]
    pub(crate) act: ActRow,
    /// Whether it was done by an earlier request under the same id.
    pub(crate) again: bool,
}

/// Why nothing was done. Flat, named, and each with one line for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ActRefusal {
    #[error("act {0} was another one: make a new id for a new act")]
    IdTaken(ActId),
    #[error("there is no transaction {0}")]
    UnknownTransaction(TransactionId),
    #[error("the bill of {0} is not out yet: ask again")]
    NoBillYet(TransactionId),
    #[error("nobody is being asked to pay at {0}: let the payer begin at the terminal, then open")]
    NobodyThere(TerminalName),
    #[error(transparent)]
    Sale(#[from] OperatorRefusal),
    #[error("no key with the id {} is known here", .0.as_str())]
    UnknownKey(KeyId),
    #[error("{} is what this platform signs with: change keys.signing_file first", .0.as_str())]
    OwnKey(KeyId),
    #[error("nothing is to be answered for at {0}")]
    NothingToVouch(TerminalName),
    #[error("{0} is no terminal, site or payment server of this platform")]
    UnknownScope(HoldScope),
    #[error("{0} is not held")]
    NotHeld(HoldScope),
    #[error("{0} is held already")]
    AlreadyHeld(HoldScope),
    #[error("too many acts are waiting: ask again under the same id")]
    Busy,
    #[error("the store failed, nothing is known to be done: ask again under the same id")]
    Unavailable,
}

impl PersonName {
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PersonName {
    type Error = WordingError;

    fn try_from(text: String) -> Result<Self, WordingError> {
        worded(&text, NAME_LENGTH_MAX).map(Self)
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Reason {
    type Error = WordingError;

    fn try_from(text: String) -> Result<Self, WordingError> {
        worded(&text, REASON_LENGTH_MAX).map(Self)
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn worded(text: &str, length_max: usize) -> Result<String, WordingError> {
    let text = text.trim();
    let fits = (1..=length_max).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(WordingError { length_max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_reasons_are_words_of_bounded_length() {
        let name = |text: &str| PersonName::try_from(text.to_owned());
        assert_eq!(name("  Ada Lovelace ").unwrap().as_str(), "Ada Lovelace");
        assert_eq!(name(&"名".repeat(64)).unwrap().as_str().chars().count(), 64);
        for wrong in ["", "   ", "a\nb", "a\u{0}b", "a\u{7f}b", &"a".repeat(65)] {
            let line = name(wrong).unwrap_err().to_string();
            let expected = "write 1 to 64 characters, no control characters among them";
            assert_eq!(line, expected, "{wrong:?}");
        }
        assert!(Reason::try_from("r".repeat(200)).is_ok());
        assert!(Reason::try_from("r".repeat(201)).is_err());
    }
}
