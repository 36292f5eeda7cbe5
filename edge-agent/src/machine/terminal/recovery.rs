//! What a terminal makes of its journal when it starts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
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
use crate::machine::permit::Request;
use crate::machine::record::Record;
use crate::machine::session::{Session, State};
use crate::machine::view::NotConfirmedReason;
use crate::rules::{Rule, Rules};

impl Terminal {
    /// The terminal after a start. Nonces of an earlier start are dead; an intent without a result
    /// gets the result `uncertain` and is never repeated (R7).
    pub(crate) fn new(
        setup: Setup,
        recovered: &Recovered,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Self {
        Self::started(setup, recovered, None, now, entropy)
    }

    /// The terminal on a journal that failed and was opened anew. What `before` knows is not asked
    /// of the journal; devices that it switched on are still on, and an OFF of somebody else's must
    /// not cut their run (R10).
    pub(crate) fn reopened(
        setup: Setup,
        recovered: &Recovered,
        before: &Self,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut terminal = Self::started(setup, recovered, Some(before), now, entropy);
        terminal.running.clone_from(&before.running);
        terminal.probed.clone_from(&before.probed);
        terminal
    }

    fn started(
        setup: Setup,
        recovered: &Recovered,
        before: Option<&Self>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut terminal = Self::empty(setup, recovered, now);
        let rules = terminal.setup.rules;
        let is_kept = |record: &&Record| {
            !matches!(record, Record::Intent(_)) || rules.holds(Rule::IntentNeverRepeated)
        };
        for record in recovered.records.iter().filter(is_kept) {
            terminal.book.apply(record, rules);
        }
        if let Some(before) = before {
            terminal.know_as(before);
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
        let state = if recovered.is_damaged && setup.rules.holds(Rule::DamagedIsUncertain) {
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
            storing: None,
            next_config: None,
            is_connected: false,
            connection: 0,
            sessions: BTreeMap::new(),
            requests: BTreeMap::new(),
            actions: BTreeMap::new(),
            known: BTreeMap::new(),
            running: BTreeMap::new(),
            probed: None,
            probe_at: now.tick,
            health_at: now.tick,
            reported_health: None,
            outputs: VecDeque::new(),
            changes: 0,
            setup: Arc::new(setup),
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
            if !self.holds(Rule::PayerAskedSinceBoot) {
                self.ask_unseen(transaction, now, entropy);
            }
        }
        self.forget_sessions();
    }

    /// Power or process was lost between intent and result, or the journal failed there.
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
        let known = self.known.get(&transaction).cloned();
        let conclusion = known.unwrap_or_else(|| Conclusion {
            transaction,
            session: intent.session,
            nonce: intent.nonce,
            outcome: LinkageOutcome::Uncertain {
                reason: UncertainReason::IntentWithoutDone,
            },
            devices: uncertain(&intent.devices),
            decided_at: now.utc,
        });
        self.settle(conclusion, now, entropy);
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

    /// A fresh nonce for a payer whom nobody has seen.
    fn ask_unseen(&mut self, transaction: TransactionId, now: Now, entropy: &mut dyn Entropy) {
        let limits = self.setup.limits.clone();
        if let Some(session) = self.session_of(transaction) {
            session.handle_asked(now.tick, &limits);
            let id = session.id;
            self.after_session(id, now, entropy);
        }
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
        let state = restored_state(entry, now, self.setup.rules);
        let names = (order.session, order.token);
        let request = Request {
            transaction,
            session: order.session,
            nonce: entry.nonce.unwrap_or(order.nonce),
            born_at: now.tick,
            lifetime: self.lifetime_of(&quote),
        };
        if !self.holds(Rule::NonceDiesWithBoot) {
            self.requests.insert(transaction, request);
        }
        let mut session = Session::restored(names, quote, state, (now.tick, open_until));
        session.return_secret = order.return_secret;
        session.is_reported = !session.holds_lease();
        self.sessions.insert(order.session, session);
    }

    fn lifetime_of(&self, quote: &Quote) -> Duration {
        Duration::from_millis(quote.order_lifetime_ms) + self.setup.limits.nonce_grace
    }
}

fn restored_state(entry: &Entry, now: Now, rules: &dyn Rules) -> State {
    if !rules.holds(Rule::FreshNonceOnlyIfOpen) {
        return State::Paying { since: now.tick };
    }
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
