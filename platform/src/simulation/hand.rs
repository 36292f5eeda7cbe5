//! What a person does at a simulated platform, and the payment server's statements beside it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{ActId, TransactionId};
use protocol::time::Now;
use protocol::topic::TerminalName;

use super::Platform;
use crate::act::{self, Act, HoldScope};
use crate::engine::book_rows;
use crate::sale::Resolution;
use crate::store::Store as _;
use crate::store::books::TaskRow;

/// What a person wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// No new orders anywhere.
    Hold,
    Release,
    /// Everything that is left of its payments goes back.
    Refund(TransactionId),
    /// What waits for a person is decided.
    Resolve(TransactionId, Resolution),
    /// One ON for the open request, whoever paid.
    Open(TransactionId),
    /// The payment server's statement is compared now.
    Reconcile,
    /// A terminal's journal counts as read.
    Vouch(TerminalName),
}

impl Platform {
    /// Whether it was done; a refusal changes nothing.
    pub fn act(&mut self, deed: Deed, now: Now) -> bool {
        self.is_touched = true;
        self.acts += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.acts.to_be_bytes());
        let (Ok(name), Ok(reason)) = ("Ada".to_owned().try_into(), "seen".to_owned().try_into())
        else {
            return false;
        };
        let act = Act {
            id: ActId::from_random(id),
            name,
            reason,
            deed: deed.into(),
        };
        let wanted: Vec<_> = self.core.wanted_by(&act).into_iter().collect();
        self.load(&wanted, now);
        self.core.apply_act(act, &BTreeMap::new(), now).is_ok()
    }

    /// Orders about which a statement has raised a task that no person has seen to.
    #[must_use]
    pub fn open_tasks(&self) -> BTreeSet<TransactionId> {
        let content = self.store.content();
        let open = content
            .tasks
            .values()
            .filter(|task| task.resolved.is_none());
        let about = |task: &TaskRow| {
            // Of an order that is unknown here only the statement's line tells.
            let mut lines = content.lines.iter();
            let named = lines.find(|((gateway, sequence), _)| {
                task.subject == format!("line:{gateway}/{sequence}")
            });
            task.transaction.or(named.map(|(_, row)| row.line.order))
        };
        open.filter_map(about).collect()
    }

    /// Orders of which a statement tells what may yet come here, until the grace for it is over.
    #[must_use]
    pub fn awaited_lines(&self) -> BTreeSet<TransactionId> {
        let lines = self.store.content().lines.values();
        let awaited = lines.filter(|row| row.is_pending);
        awaited.map(|row| row.line.order).collect()
    }

    /// The books of the orders that an answer names, before it is applied.
    pub(super) fn lend(&mut self, wanted: &[TransactionId]) {
        // The memory can always be read.
        let books = self.store.order_books(wanted).unwrap_or_default();
        self.core.lend_books(books);
    }

    /// One step of a reconciliation that waits for rows of ours, as after each round.
    pub(super) fn reconcile(&mut self, now: Now) {
        if let Some((gateway, want)) = self.core.reconciliation_wants() {
            let rows = book_rows(&self.store, &gateway, &want).unwrap_or_default();
            self.core.apply_rows(&gateway, &rows, &want, now);
        }
        let hinted = self.core.hinted().iter().copied();
        let elsewhere: Vec<_> = hinted.filter(|order| !self.core.has(*order)).collect();
        self.load(&elsewhere, now);
        self.core.apply_hints(now);
    }

    /// Every run begins where the store says.
    pub(super) fn begin_reconciliation(&mut self, now: Now) {
        let Some(policy) = &self.reconciliation else {
            return;
        };
        let gateways = self.core.ground.gateways.keys();
        let kept = gateways.filter_map(|gateway| {
            let document = self.store.reconciliation(gateway).ok()??;
            Some((gateway.clone(), document))
        });
        let kept = kept.collect();
        self.core.reconcile_with(policy, &kept, now.tick);
    }
}

impl From<Deed> for act::Deed {
    fn from(deed: Deed) -> Self {
        let scope = HoldScope::Everything;
        match deed {
            Deed::Hold => Self::Hold { scope },
            Deed::Release => Self::Release { scope },
            Deed::Refund(transaction) => Self::Refund { transaction },
            Deed::Resolve(transaction, resolution) => Self::Resolve {
                transaction,
                resolution,
            },
            Deed::Open(transaction) => Self::Open { transaction },
            Deed::Reconcile => Self::Reconcile,
            Deed::Vouch(terminal) => Self::Vouch { terminal },
        }
    }
}
