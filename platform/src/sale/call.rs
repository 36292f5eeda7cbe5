//! Questions to the payment server, as data: one in flight, and those whose answer is overdue.

use std::time::Duration;

use protocol::id::Nonce;
use protocol::time::{Tick, Utc};
use serde::{Deserialize, Serialize};

use super::Turn;

/// Overdue questions whose late answers still count. A payment server that is slower than eight
/// questions of 5 s has missed the nonce's life anyway.
const OVERDUE_MAX: usize = 8;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    Create,
    Query,
    /// A query asked after the order's end (R5).
    FinalQuery,
    Close,
    Refund,
}

/// One question with the nonce that its answer must repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) nonce: Nonce,
    pub(crate) question: Question,
    pub(crate) asked_at: Utc,
    /// Counts the questions: a larger one was asked later.
    pub(crate) number: u32,
    #[serde(skip)]
    overdue_at: Option<Tick>,
}

impl Asked {
    /// What an answer that nobody asked for would answer.
    pub(crate) fn unasked(nonce: Nonce, turn: &Turn<'_>) -> Self {
        Self {
            nonce,
            question: Question::Query,
            asked_at: turn.now.utc,
            number: 0,
            overdue_at: None,
        }
    }
}

/// At most one question in flight (R1). A late answer to an overdue one is an answer still: it is
/// bound to a nonce that we made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Calls {
    flight: Option<Asked>,
    overdue: Vec<Asked>,
    count: u32,
}

impl Calls {
    pub(crate) const fn new() -> Self {
        Self {
            flight: None,
            overdue: Vec::new(),
            count: 0,
        }
    }

    /// How many questions were asked so far.
    pub(crate) const fn count(&self) -> u32 {
        self.count
    }

    pub(crate) const fn in_flight(&self) -> Option<&Asked> {
        self.flight.as_ref()
    }

    /// Asks; the caller has seen that nothing is in flight.
    pub(crate) fn ask(&mut self, question: Question, turn: &mut Turn<'_>) -> Nonce {
        self.set_overdue();
        let nonce = Nonce::from_random(turn.entropy.bytes());
        let timeout = Duration::from_millis(turn.policy.timeouts.gateway_call_ms);
        let waits = match question {
            Question::Query => turn.policy.capabilities.waiting_query,
            Question::Create | Question::FinalQuery | Question::Close | Question::Refund => {
                Duration::ZERO
            }
        };
        self.count = self.count.saturating_add(1);
        self.flight = Some(Asked {
            nonce,
            question,
            asked_at: turn.now.utc,
            number: self.count,
            overdue_at: Some(turn.now.tick + timeout + waits),
        });
        nonce
    }

    /// The question that `nonce` belongs to, which is answered now; and whether it was in flight.
    pub(crate) fn answered(&mut self, nonce: Nonce) -> Option<(Asked, bool)> {
        if self
            .flight
            .as_ref()
            .is_some_and(|asked| asked.nonce == nonce)
        {
            return self.flight.take().map(|asked| (asked, true));
        }
        let index = self.overdue.iter().position(|asked| asked.nonce == nonce)?;
        Some((self.overdue.remove(index), false))
    }

    pub(crate) fn has_asked(&self, nonce: Nonce) -> bool {
        let mut asked = self.flight.iter().chain(&self.overdue);
        asked.any(|asked| asked.nonce == nonce)
    }

    /// The question whose time is up, if any. Its late answer still counts.
    pub(crate) fn expire(&mut self, now: Tick) -> Option<Question> {
        let asked = self.flight.as_ref()?;
        if asked.overdue_at.is_some_and(|at| at > now) {
            return None;
        }
        let question = asked.question;
        self.set_overdue();
        Some(question)
    }

    pub(crate) fn timeout(&self) -> Option<Tick> {
        self.flight.as_ref().and_then(|asked| asked.overdue_at)
    }

    fn set_overdue(&mut self) {
        if let Some(asked) = self.flight.take() {
            self.overdue.push(asked);
        }
        if self.overdue.len() > OVERDUE_MAX {
            self.overdue.remove(0);
        }
    }
}
