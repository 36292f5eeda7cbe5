//! What a terminal makes of its journal when it starts.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::id::{Entropy, TransactionId};
use protocol::message::{
    EndReason, LinkageOutcome, Quote, RefusalReason, SessionEnded, UncertainReason,
};
use protocol::signed::{Audience, verify};
use protocol::time::Now;

use super::linkage::{Conclusion, uncertain};
use super::{JournalState, Recovered, Room, Setup, Terminal};
use crate::machine::book::{Book, Entry};
use crate::machine::outbox::Outbox;
use crate::machine::session::{Session, State};
use crate::machine::view::NotConfirmedReason;

impl Terminal {
    /// The terminal after a start. Nonces of an earlier start are dead; an intent without a result
    /// gets the result `uncertain` and is never repeated (R7).
    pub(crate) fn new(
        setup: Setup,
        recovered: &Recovered,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut terminal = Self::empty(setup, recovered, now);
        for record in &recovered.records {
            terminal.book.apply(record);
        }
        if let Some(config) = &recovered.config {
            terminal.restore_config(config);
        }
        for posted in terminal.book.outbox() {
            terminal.outbox.handle_added(posted.sequence, now.tick);
        }
        if terminal.room.state == JournalState::Ready {
            terminal.resume(now, entropy);
        }
        terminal
    }

    fn empty(setup: Setup, recovered: &Recovered, now: Now) -> Self {
        let state = if recovered.is_damaged {
            JournalState::Damaged
        } else {
            JournalState::Ready
        };
        Self {
            audience: Audience::terminal(setup.name.clone()),
            attached: setup.devices.keys().cloned().collect(),
            book: Book::new(),
            room: Room {
                id: recovered.journal,
                state,
                capacity: recovered.capacity,
                used: recovered.used,
            },
            tickets: BTreeMap::new(),
            next_ticket: 1,
            outbox: Outbox::default(),
            config: None,
            pending_config: None,
            is_connected: false,
            sessions: BTreeMap::new(),
            requests: BTreeMap::new(),
            actions: BTreeMap::new(),
            running: BTreeMap::new(),
            probed: None,
            probe_at: now.tick,
            health_at: now.tick,
            reported_health: None,
            outputs: VecDeque::new(),
            changes: 0,
            setup,
        }
    }

    fn resume(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let mut entries: Vec<_> = self.book.entries().collect();
        entries.sort_by_key(|(_, entry)| entry.serial);
        let entries: Vec<(TransactionId, Entry)> = entries
            .into_iter()
            .map(|(transaction, entry)| (transaction, entry.clone()))
            .collect();
        for (transaction, entry) in entries {
            if entry.intent.is_some() && !entry.is_decided() {
                self.settle_intent(transaction, &entry, now, entropy);
            } else if entry.quote.is_none() && !entry.is_decided() && !entry.ended {
                self.end_order(transaction, &entry, now, entropy);
            }
            self.restore_session(transaction, now);
        }
        self.forget_sessions();
    }

    /// Power or process was lost between intent and result.
    fn settle_intent(
        &mut self,
        transaction: TransactionId,
        entry: &Entry,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let Some(intent) = &entry.intent else {
            return;
        };
        let conclusion = Conclusion {
            transaction,
            session: intent.session,
            nonce: intent.nonce,
            outcome: LinkageOutcome::Uncertain {
                reason: UncertainReason::IntentWithoutDone,
            },
            devices: uncertain(&intent.devices),
        };
        if self.conclude(conclusion, Vec::new(), now, entropy).is_err() {
            self.changes += 1;
        }
    }

    /// A payer who was not yet paying starts anew; the platform need not wait.
    fn end_order(
        &mut self,
        transaction: TransactionId,
        entry: &Entry,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let Some(order) = &entry.order else {
            return;
        };
        let ended = SessionEnded {
            session: order.session,
            transaction: Some(transaction),
            reason: EndReason::Idle,
            ended_at: now.utc,
        };
        self.post_ended(ended, transaction, now, entropy);
    }

    /// The payer may come back with the token.
    fn restore_session(&mut self, transaction: TransactionId, now: Now) {
        let Some(entry) = self.book.entry(transaction) else {
            return;
        };
        let (Some(order), Some(quote)) = (&entry.order, &entry.quote) else {
            return;
        };
        // Keys may have been rotated away since; then nobody can say what was agreed to.
        let Ok(quote) = verify(quote, &self.setup.keyring, &self.audience) else {
            return;
        };
        let open_until = now.tick + self.lifetime_of(&quote);
        let state = restored_state(entry, now);
        let names = (order.session, order.token);
        let mut session = Session::restored(names, quote, state, (now.tick, open_until));
        session.is_reported = !session.holds_lease();
        self.sessions.insert(order.session, session);
    }

    fn lifetime_of(&self, quote: &Quote) -> Duration {
        Duration::from_millis(quote.order_lifetime_ms) + self.setup.limits.nonce_grace
    }
}

fn restored_state(entry: &Entry, now: Now) -> State {
    match &entry.done {
        Some(done) => match done.outcome {
            LinkageOutcome::Done => State::Done,
            LinkageOutcome::Refused {
                reason: RefusalReason::Withdrawn,
            } => State::NotConfirmed(NotConfirmedReason::Withdrawn),
            outcome => State::Failed(outcome),
        },
        None if entry.tombstone => State::NotConfirmed(NotConfirmedReason::Withdrawn),
        None if entry.ended => State::NotConfirmed(NotConfirmedReason::NoAnswer),
        None => State::Paying { since: now.tick },
    }
}
