//! The operator's hand: acts on their way into the engine's round, and their replies out of it.
//! A reply is given after the commit that holds the act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::{ActId, GatewayId, TransactionId};
use protocol::signed::KeyId;
use protocol::time::Now;
use protocol::topic::TerminalName;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::core::Core;
use crate::act::{Act, ActRefusal, ActRow, Deed, Done, HoldScope};
use crate::sale::{Hand, OperatorRefusal, Sale, TransactionState, Turn};
use crate::store::books::{BookNote, Resolution, TaskId};

/// Acts that wait for a round. People act one by one; a program that does not wait for answers is
/// told to.
const ACTS_MAX: usize = 16;

/// From handing an act in to its reply: a round takes milliseconds, and a store that is stuck
/// gives up after five seconds.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Who waits for an act.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) act: Act,
    reply: oneshot::Sender<Result<Done, ActRefusal>>,
}

/// The way in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ActSender {
    acts: mpsc::Sender<Asked>,
}

/// What came in, for the engine.
pub(crate) type Acts = mpsc::Receiver<Asked>;

/// A way in, and where it ends.
pub(crate) fn channel() -> (ActSender, Acts) {
    let (acts, inbox) = mpsc::channel(ACTS_MAX);
    (ActSender { acts }, inbox)
}

impl ActSender {
    /// Returns once the act is on the disk, or refused.
    pub(crate) async fn act(&self, act: Act) -> Result<Done, ActRefusal> {
        let (reply, answer) = oneshot::channel();
        let handed = self.acts.try_send(Asked { act, reply });
        handed.map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ActRefusal::Busy,
            mpsc::error::TrySendError::Closed(_) => ActRefusal::Unavailable,
        })?;
        match tokio::time::timeout(REPLY_TIMEOUT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(ActRefusal::Unavailable),
        }
    }
}

/// What came of an act.
type Decided = Result<Done, ActRefusal>;

/// Replies that wait for the commit. Dropped without one, the callers are told that nothing is
/// known to be done.
#[derive(Debug, Default)]
pub(super) struct Replies {
    waiting: Vec<(oneshot::Sender<Decided>, Decided)>,
}

impl Replies {
    pub(super) fn add(&mut self, asked: Asked, result: Result<Done, ActRefusal>) {
        self.waiting.push((asked.reply, result));
    }

    /// The commit is on the disk.
    pub(super) fn send(self) {
        for (reply, result) in self.waiting {
            if reply.send(result).is_err() {
                tracing::debug!("nobody waits for the reply to an act");
            }
        }
    }
}

/// Acts that the store holds already, of those that came in.
pub(crate) type Known = BTreeMap<ActId, ActRow>;

impl Core {
    /// Sales that must be in memory before `act` is applied.
    pub(crate) fn wanted_by(&self, act: &Act) -> Option<TransactionId> {
        let transaction = act.deed.transaction();
        transaction.filter(|transaction| !self.has(*transaction))
    }

    /// Does it, or names why not. The same act again is answered and not repeated.
    pub(crate) fn apply_act(
        &mut self,
        act: Act,
        known: &Known,
        now: Now,
    ) -> Result<Done, ActRefusal> {
        let in_round = self.group.acts.iter().find(|row| row.id == act.id);
        if let Some(earlier) = in_round.or_else(|| known.get(&act.id)) {
            return repeated(earlier, &act);
        }
        let outcome = match &act.deed {
            Deed::Hold { scope } => self.hold(scope)?,
            Deed::Release { scope } => self.release(scope)?,
            Deed::Refund { transaction } => {
                let hand = hand(&act);
                self.move_sale(*transaction, now, |sale, turn| {
                    sale.handle_operator_refund(&hand, turn)
                })?
            }
            Deed::Resolve {
                transaction,
                resolution,
            } => {
                let (hand, resolution) = (hand(&act), *resolution);
                self.move_sale(*transaction, now, |sale, turn| {
                    sale.handle_operator_resolve(resolution, &hand, turn)
                })?
            }
            Deed::Open { transaction } => self.open(*transaction, &hand(&act), now)?,
            Deed::OpenAt { terminal } => {
                let transaction = self.offered_at(terminal)?;
                self.open(transaction, &hand(&act), now)?
            }
            Deed::RevokeKey { key } => self.revoke_key(key)?,
            Deed::ResolveTask { task } => self.resolve_task(task, &act, now),
            Deed::Reconcile => {
                self.reconcile_now(now.tick);
                json!({})
            }
            Deed::Vouch { terminal } => self.vouch(terminal, now)?,
        };
        let row = ActRow {
            id: act.id,
            at: now.utc,
            name: act.name,
            reason: act.reason,
            deed: act.deed,
            outcome,
        };
        self.group.acts.push(row.clone());
        Ok(Done {
            act: row,
            again: false,
        })
    }

    /// Whether no new order may be made there.
    pub(super) fn is_held(&self, terminal: &TerminalName, gateway: &GatewayId) -> bool {
        let mut holds = self.holds.iter();
        self.reading.is_strange(terminal) || holds.any(|scope| scope.covers(terminal, gateway))
    }

    fn hold(&mut self, scope: &HoldScope) -> Result<serde_json::Value, ActRefusal> {
        if !self.is_known(scope) {
            return Err(ActRefusal::UnknownScope(scope.clone()));
        }
        if !self.holds.insert(scope.clone()) {
            return Err(ActRefusal::AlreadyHeld(scope.clone()));
        }
        Ok(json!({}))
    }

    fn release(&mut self, scope: &HoldScope) -> Result<serde_json::Value, ActRefusal> {
        if !self.holds.remove(scope) {
            return Err(ActRefusal::NotHeld(scope.clone()));
        }
        Ok(json!({}))
    }

    /// The terminal judges an ON by the bill it has shown, so there is none before the bill.
    fn open(
        &mut self,
        transaction: TransactionId,
        hand: &Hand,
        now: Now,
    ) -> Result<serde_json::Value, ActRefusal> {
        let state = self.sales.get(&transaction).map(|kept| kept.sale.state());
        if state == Some(TransactionState::Created) {
            return Err(ActRefusal::NoBillYet(transaction));
        }
        self.move_sale(transaction, now, |sale, turn| {
            sale.handle_operator_open(hand, turn)
        })
    }

    /// The payer who stands there: at most one order of a terminal is on offer (R4).
    fn offered_at(&self, terminal: &TerminalName) -> Result<TransactionId, ActRefusal> {
        let is_offered = |transaction: &TransactionId| {
            let kept = self.sales.get(transaction);
            kept.is_some_and(|kept| kept.sale.is_undecided())
        };
        let mut all = self.of_terminal(terminal).into_iter();
        let found = all.find(is_offered);
        found.ok_or_else(|| ActRefusal::NobodyThere(terminal.clone()))
    }

    /// The sale has the last word.
    fn move_sale(
        &mut self,
        transaction: TransactionId,
        now: Now,
        step: impl FnOnce(&mut Sale, &mut Turn<'_>) -> Result<(), OperatorRefusal>,
    ) -> Result<serde_json::Value, ActRefusal> {
        let moved = self.step(transaction, now, step);
        moved.ok_or(ActRefusal::UnknownTransaction(transaction))??;
        let state = self.sales.get(&transaction).map(|kept| kept.sale.state());
        Ok(json!({ "transaction": transaction, "state": state }))
    }

    /// The reader has told that it is open; closed meanwhile, it stays as it is.
    fn resolve_task(&mut self, task: &TaskId, act: &Act, now: Now) -> serde_json::Value {
        let resolution = Resolution {
            by: act.name.clone().into(),
            at: now.utc,
            note: act.reason.clone().into(),
        };
        self.group.books.push(BookNote::Resolved {
            task: task.clone(),
            resolution,
        });
        json!({ "task": task })
    }

    /// Messages under this key are refused by name from now on.
    fn revoke_key(&mut self, key: &KeyId) -> Result<serde_json::Value, ActRefusal> {
        if self.ground.speaker.key.public().id() == *key {
            return Err(ActRefusal::OwnKey(key.clone()));
        }
        let whose = self.revoke(key);
        whose
            .map(|whose| json!({ "whose": whose }))
            .ok_or_else(|| ActRefusal::UnknownKey(key.clone()))
    }

    /// Keys that were revoked before this start.
    pub(crate) fn adopt_revoked(&mut self, keys: &[KeyId]) {
        for key in keys {
            if self.revoke(key).is_none() {
                tracing::debug!(key = key.as_str(), "a revoked key is no longer configured");
            }
        }
    }

    /// Whose key it was, if anybody's.
    fn revoke(&mut self, key: &KeyId) -> Option<String> {
        for (id, gateway) in &mut self.ground.gateways {
            if gateway.keyring.revoke(key) {
                return Some(format!("gateway/{id}"));
            }
        }
        let registry = Arc::make_mut(&mut self.ground.registry);
        registry.revoke(key).map(|terminal| terminal.to_string())
    }

    fn vouch(
        &mut self,
        terminal: &TerminalName,
        now: Now,
    ) -> Result<serde_json::Value, ActRefusal> {
        if !self.reading.vouch(terminal) {
            return Err(ActRefusal::NothingToVouch(terminal.clone()));
        }
        self.mend(now);
        Ok(json!({ "self_mending": self.is_mending }))
    }

    fn is_known(&self, scope: &HoldScope) -> bool {
        let mut terminals = self.ground.registry.terminals();
        match scope {
            HoldScope::Everything => true,
            HoldScope::Gateway(gateway) => self.ground.gateways.contains_key(gateway),
            HoldScope::Site(site) => terminals.any(|terminal| terminal.site.id == *site),
            HoldScope::Terminal(name) => self.ground.registry.terminal(name).is_some(),
        }
    }
}

fn hand(act: &Act) -> Hand {
    Hand {
        name: act.name.to_string(),
        reason: act.reason.to_string(),
    }
}

fn repeated(earlier: &ActRow, act: &Act) -> Result<Done, ActRefusal> {
    if earlier.deed != act.deed {
        return Err(ActRefusal::IdTaken(act.id));
    }
    Ok(Done {
        act: earlier.clone(),
        again: true,
    })
}
