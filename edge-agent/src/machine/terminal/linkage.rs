//! `down/linkage`: from a verified permit to the signed result.

use protocol::id::{DeviceId, Entropy, Nonce, SessionId, TransactionId};
use protocol::message::{
    DeviceOutcome, DeviceResult, Feedback, LinkageCommand, LinkageMessage, LinkageOutcome,
    LinkageResult, Permit, RefusalReason, UncertainReason,
};
use protocol::signed::{Jws, Verified, sign};
use protocol::time::{Now, Tick, Utc};

use super::{After, DeliveryId, JournalState, NotWritten, Output, Terminal};
use crate::journal::Durability;
use crate::machine::event::Event;
use crate::machine::limits::UNDECIDED_BYTES;
use crate::machine::permit::{self, Facts, Request};
use crate::machine::record::{IntentRecord, Post, Record};
use crate::rules::{Rule, Rules};

/// A permit that was accepted and has no result yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Action {
    request: Request,
    pub(super) devices: Vec<DeviceId>,
    /// A result is due then, whatever it is.
    pub(super) until: Tick,
    /// No device is written to later.
    last_write_at: Tick,
}

/// What a result is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Conclusion {
    pub(super) transaction: TransactionId,
    pub(super) session: SessionId,
    pub(super) nonce: Nonce,
    pub(super) outcome: LinkageOutcome,
    pub(super) devices: Vec<DeviceResult>,
    pub(super) decided_at: Utc,
}

impl Terminal {
    pub(super) fn handle_linkage(
        &mut self,
        delivery: DeliveryId,
        command: &LinkageCommand,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        match command {
            LinkageCommand::Permit(permit) => self.handle_permit(delivery, permit, now, entropy),
            LinkageCommand::Off(off) => self.handle_off(delivery, off, now, entropy),
        }
    }

    /// What the devices said.
    pub(crate) fn handle_switched(
        &mut self,
        transaction: TransactionId,
        devices: Vec<DeviceResult>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        if let Some(action) = self.actions.remove(&transaction) {
            let outcome = outcome_of(&devices, self.setup.rules);
            self.finish(&action, outcome, devices, now, entropy);
        }
        self.pump(now);
    }

    /// The intent is on the disk: one more look at the clock, then the devices move (R6).
    pub(super) fn act(&mut self, transaction: TransactionId, now: Now, entropy: &mut dyn Entropy) {
        let Some(action) = self.actions.get(&transaction).cloned() else {
            return;
        };
        if !permit::is_alive(&action.request, now.tick) && self.holds(Rule::AliveAfterSync) {
            self.actions.remove(&transaction);
            let reason = RefusalReason::NonceExpired;
            self.note(Event::PermitRefused {
                transaction,
                reason,
            });
            let outcome = LinkageOutcome::Refused { reason };
            return self.finish(&action, outcome, Vec::new(), now, entropy);
        }
        for device in &action.devices {
            let on_max = self.setup.devices.get(device).copied().unwrap_or_default();
            let running = (transaction, now.tick + on_max);
            self.running.insert(device.clone(), running);
        }
        // Nothing begins so late that it moves after the result was given up: the money may be
        // back by then.
        let not_after = action.request.dies_at().min(action.last_write_at);
        self.outputs.push_back(Output::Switch {
            transaction,
            devices: action.devices,
            not_after: if self.holds(Rule::DeadlineGoesAlong) {
                not_after
            } else {
                Tick::from_millis(u64::MAX)
            },
        });
    }

    pub(super) fn give_up_actions(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let late: Vec<_> = self
            .actions
            .iter()
            .filter(|(_, action)| action.until <= now.tick)
            .map(|(transaction, _)| *transaction)
            .collect();
        for transaction in late {
            if let Some(action) = self.actions.remove(&transaction) {
                let reason = UncertainReason::WriteInterrupted;
                let devices = uncertain(&action.devices);
                let outcome = if self.holds(Rule::SilenceIsUncertain) {
                    LinkageOutcome::Uncertain { reason }
                } else {
                    LinkageOutcome::Failed
                };
                self.finish(&action, outcome, devices, now, entropy);
            }
        }
    }

    /// Journals a result and its sending; `after` follows with it.
    pub(super) fn conclude(
        &mut self,
        conclusion: Conclusion,
        mut after: Vec<After>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), NotWritten> {
        let Conclusion {
            transaction,
            outcome,
            ..
        } = conclusion;
        let result = self.result(conclusion);
        let result = sign(&self.setup.key, &result).map_err(|_| NotWritten)?;
        let mut records = self.taken(transaction, |post| matches!(post, Post::Payment(_)));
        records.push(Record::Done {
            transaction,
            outcome,
            result: result.clone(),
        });
        let message = Post::Linkage(LinkageMessage::Result(result));
        let posted = self.posted(Some(transaction), message, now, entropy);
        after.push(After::Queue(posted.sequence));
        records.push(Record::Posted(posted));
        self.write(records, Durability::Synced, after)?;
        if self.holds(Rule::DoneRefusesLater) {
            self.requests.remove(&transaction);
        }
        self.note(Event::Decided {
            transaction,
            outcome,
        });
        self.changes += 1;
        Ok(())
    }

    fn handle_permit(
        &mut self,
        delivery: DeliveryId,
        jws: &Jws<Permit>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let permit = match permit::verify(jws, &self.setup.keyring, &self.audience) {
            Ok(permit) => permit,
            Err(refusal) => return self.refuse(delivery, "permit", refusal.as_str()),
        };
        let decision = permit::decide(&permit, self.facts(&permit), now.tick);
        let decision = decision.and_then(|()| {
            self.accept(delivery, &permit, now)
                .map_err(|_| RefusalReason::JournalUnavailable)
        });
        if let Err(reason) = decision {
            self.refuse_permit((delivery, &permit), reason, now, entropy);
        }
    }

    fn facts<'a>(&'a self, permit: &Permit) -> Facts<'a> {
        let transaction = permit.transaction;
        let requests = &mut self.requests.values();
        let request = if self.holds(Rule::NonceKnown) {
            requests.find(|request| request.nonce == permit.nonce)
        } else {
            self.requests.get(&transaction)
        };
        let session = self.sessions.values();
        let mut session = session.filter(|session| session.transaction == Some(transaction));
        let room = self.room.capacity.saturating_sub(self.room.used);
        Facts {
            rules: self.setup.rules,
            journal: self.room.id,
            devices: &self.attached,
            request,
            quote: session
                .next()
                .and_then(|session| session.quote.as_deref())
                .map(|quote| &**quote),
            is_closed: self.is_closed(transaction),
            is_journal_ready: self.room.state == JournalState::Ready
                && (room >= UNDECIDED_BYTES
                    || self.has_room_to_act()
                    || !self.holds(Rule::RoomBeforeSale)),
        }
    }

    fn has_room_to_act(&self) -> bool {
        let live = super::size_of(&self.book.snapshot());
        live + UNDECIDED_BYTES <= self.room.capacity
    }

    /// From here on no other permit of this transaction is accepted, whatever happens.
    fn accept(
        &mut self,
        delivery: DeliveryId,
        permit: &Verified<Permit>,
        now: Now,
    ) -> Result<(), NotWritten> {
        let transaction = permit.transaction;
        let request = self.requests.get(&transaction).cloned().ok_or(NotWritten)?;
        let mut records = self.taken(transaction, |_| true);
        records.push(Record::Intent(IntentRecord {
            transaction,
            session: permit.session,
            nonce: permit.nonce,
            devices: permit.devices.clone(),
            permit: permit.jws().digest(),
        }));
        let after = vec![After::Acknowledge(delivery), After::Act(transaction)];
        let durability = if self.holds(Rule::IntentSyncedFirst) {
            Durability::Sealed
        } else {
            Durability::Written
        };
        self.write(records, durability, after)?;
        if self.holds(Rule::IntentRefusesLater) {
            self.requests.remove(&transaction);
        }
        let limits = &self.setup.limits;
        let until = now.tick + limits.actuating_timeout;
        let last_write_at = now.tick + limits.actuating_timeout.saturating_sub(limits.write_lead);
        let action = Action {
            request,
            devices: permit.devices.clone(),
            until,
            last_write_at,
        };
        self.actions.insert(transaction, action);
        self.note(Event::PermitAccepted { transaction });
        if let Some(session) = self.session_of(transaction) {
            session.handle_acting();
        }
        self.changes += 1;
        Ok(())
    }

    fn finish(
        &mut self,
        action: &Action,
        outcome: LinkageOutcome,
        devices: Vec<DeviceResult>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let transaction = action.request.transaction;
        let conclusion = action.concluded(outcome, devices, now);
        self.know(conclusion.clone());
        self.settle(conclusion, now, entropy);
        if let Some(session) = self.session_of(transaction) {
            session.handle_outcome(outcome);
        }
        self.report_closed(transaction);
    }

    /// Without a journal to take it the conclusion stays known.
    pub(super) fn settle(&mut self, conclusion: Conclusion, now: Now, entropy: &mut dyn Entropy) {
        let after = vec![After::Forget(conclusion.transaction)];
        if self.conclude(conclusion, after, now, entropy).is_err() {
            self.changes += 1;
        }
    }

    fn result(&self, conclusion: Conclusion) -> LinkageResult {
        LinkageResult {
            aud: self.setup.platform.clone(),
            terminal: self.setup.name.clone(),
            transaction: conclusion.transaction,
            session: conclusion.session,
            nonce: conclusion.nonce,
            journal: self.room.id,
            outcome: conclusion.outcome,
            devices: conclusion.devices,
            decided_at: conclusion.decided_at,
            clock_error_ms: self.clock_error_ms(),
            previous: self.book.last_result(),
        }
    }
}

impl Action {
    /// What became of it.
    pub(super) const fn concluded(
        &self,
        outcome: LinkageOutcome,
        devices: Vec<DeviceResult>,
        now: Now,
    ) -> Conclusion {
        Conclusion {
            transaction: self.request.transaction,
            session: self.request.session,
            nonce: self.request.nonce,
            outcome,
            devices,
            decided_at: now.utc,
        }
    }
}

/// Nobody knows of any of them.
pub(super) fn uncertain(devices: &[DeviceId]) -> Vec<DeviceResult> {
    let result = |device: &DeviceId| DeviceResult {
        device: device.clone(),
        outcome: DeviceOutcome::Uncertain,
        feedback: Feedback::None,
    };
    devices.iter().map(result).collect()
}

/// The first device decides; service in part is for a person to judge (R8).
fn outcome_of(devices: &[DeviceResult], rules: &dyn Rules) -> LinkageOutcome {
    let all_done = devices
        .iter()
        .all(|result| result.outcome == DeviceOutcome::Done);
    match devices.first().map(|result| result.outcome) {
        None | Some(DeviceOutcome::Done) if all_done => LinkageOutcome::Done,
        Some(DeviceOutcome::Uncertain) if !rules.holds(Rule::NoFeedbackIsUncertain) => {
            LinkageOutcome::Failed
        }
        Some(DeviceOutcome::Failed) if !rules.holds(Rule::PartIsUncertain) => {
            LinkageOutcome::Failed
        }
        Some(DeviceOutcome::Uncertain) => LinkageOutcome::Uncertain {
            reason: UncertainReason::NoFeedback,
        },
        _ if devices.iter().all(|result| {
            matches!(
                result.outcome,
                DeviceOutcome::Failed | DeviceOutcome::Skipped
            )
        }) =>
        {
            LinkageOutcome::Failed
        }
        _ => LinkageOutcome::Uncertain {
            reason: UncertainReason::Partial,
        },
    }
}
