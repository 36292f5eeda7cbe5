//! A store in memory for simulations: what a commit wrote stays over a restart, and a copy of it is
//! cheap until one of both is written to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use protocol::id::{ActId, GatewayId, PaymentId, Pseudonym, RefundId, StoreEpoch, TransactionId};
use protocol::message::StatementKind;
use protocol::signed::KeyId;
use protocol::time::Utc;
use protocol::topic::TerminalName;

use super::books::{BookNote, LineRow, Listed, OrderBook, TaskId, TaskRow, Unlisted};
use super::reader::{EpochRow, HoldRow, Known};
use super::{
    Batch, Change, IdentityRow, OutboxRow, PaymentRow, RefundRow, SaleRow, Store, StoreError,
    TerminalNote, TerminalRow,
};
use crate::act::{ActRow, Deed, HoldScope};
use crate::caps::{CapNote, Counted};
use crate::ledger::Posting;

/// What a commit wrote.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    content: Arc<Content>,
    epoch: StoreEpoch,
    /// Its earlier incarnations.
    earlier: Vec<StoreEpoch>,
    starts: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) sales: BTreeMap<TransactionId, SaleRow>,
    pub(crate) payments: BTreeMap<(TransactionId, PaymentId), PaymentRow>,
    pub(crate) refunds: BTreeMap<RefundId, RefundRow>,
    pub(crate) postings: Vec<Posting>,
    pub(crate) terminals: BTreeMap<TerminalName, TerminalRow>,
    identities: BTreeMap<Pseudonym, IdentityRow>,
    /// By key; the number says in which order they were put.
    outbox: BTreeMap<String, (u64, OutboxRow)>,
    put_count: u64,
    pub(crate) lines: BTreeMap<(GatewayId, u64), LineRow>,
    pub(crate) tasks: BTreeMap<TaskId, TaskRow>,
    reconciliations: BTreeMap<GatewayId, String>,
    acts: BTreeMap<ActId, ActRow>,
    holds: BTreeMap<HoldScope, ActId>,
    revoked: BTreeSet<KeyId>,
    noted: BTreeMap<TerminalName, Known>,
    accepted: BTreeSet<StoreEpoch>,
    capped: BTreeMap<RefundId, Counted>,
    /// Restored, and not every journal was read.
    is_unread: bool,
}

impl MemoryStore {
    pub(crate) fn new(epoch: StoreEpoch) -> Self {
        Self {
            content: Arc::default(),
            epoch,
            earlier: Vec::new(),
            starts: 1,
        }
    }

    /// This state of the store, taken back as a backup in place of `current`.
    pub(crate) fn restored(&self, epoch: StoreEpoch, current: &Self) -> Self {
        let mut content = Content::clone(&self.content);
        content.noted.clear();
        content.is_unread = true;
        let mut earlier = self.earlier.clone();
        earlier.push(self.epoch);
        Self {
            content: Arc::new(content),
            epoch,
            earlier,
            starts: current.starts.saturating_add(1),
        }
    }

    /// The store as the next process opens it.
    pub(crate) const fn reopen(&mut self) {
        self.starts = self.starts.saturating_add(1);
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }
}

impl Content {
    pub(crate) fn outbox_keys(&self) -> impl Iterator<Item = &str> {
        self.outbox.keys().map(String::as_str)
    }

    fn check(&self, change: &Change) -> Result<(), StoreError> {
        let transaction = change.sale.transaction;
        let found = self.sales.get(&transaction).map(|row| row.version);
        if found == change.expected_version {
            Ok(())
        } else {
            Err(StoreError::Conflict { transaction })
        }
    }

    fn write(&mut self, change: &Change) {
        let transaction = change.sale.transaction;
        self.sales.insert(transaction, change.sale.clone());
        self.postings.extend(change.postings.iter().cloned());
        for payment in &change.payments {
            let key = (transaction, payment.payment);
            self.payments.insert(key, payment.clone());
        }
        for refund in &change.refunds {
            self.refunds.insert(refund.refund, refund.clone());
        }
        for row in &change.outbox_put {
            self.put_count += 1;
            let numbered = (self.put_count, row.clone());
            self.outbox.insert(row.key.clone(), numbered);
        }
        for key in &change.outbox_done {
            self.outbox.remove(key);
        }
    }

    fn terminal_row(&mut self, terminal: &TerminalName) -> &mut TerminalRow {
        self.terminals
            .entry(terminal.clone())
            .or_insert_with(|| TerminalRow {
                terminal: terminal.clone(),
                online: false,
                presence_at: None,
                hello_at: None,
                boot: None,
                agent_version: None,
                last_receipt: None,
                journals: BTreeMap::new(),
                current_journal: None,
                open_sales: 0,
            })
    }

    fn note_books(&mut self, note: &BookNote) {
        match note {
            BookNote::Line(row) => {
                let key = (row.gateway.clone(), row.line.sequence);
                self.lines.insert(key, row.clone());
            }
            BookNote::Entry { entry, .. } => self.postings.extend(entry.iter().cloned()),
            BookNote::Reconciliation { gateway, document } => {
                self.reconciliations
                    .insert(gateway.clone(), document.clone());
            }
            BookNote::Task(task) => {
                self.tasks
                    .entry(task.id.clone())
                    .or_insert_with(|| task.clone());
            }
            BookNote::Resolved { task, resolution } => {
                if let Some(task) = self.tasks.get_mut(task) {
                    task.resolved.get_or_insert_with(|| resolution.clone());
                }
            }
        }
    }

    fn order_book(&self, sale: &SaleRow) -> OrderBook {
        let transaction = sale.transaction;
        let own = |id: &TransactionId| *id == transaction;
        let payments = self.payments.values().filter(|row| own(&row.transaction));
        let refunds = self.refunds.values().filter(|row| own(&row.transaction));
        let listed = self.lines.values().filter(|row| own(&row.line.order));
        let document: serde_json::Value = serde_json::from_str(&sale.document).unwrap_or_default();
        let payee = document["facts"]["payee"]["id"].as_str();
        OrderBook {
            transaction,
            terminal: sale.terminal.clone(),
            payee: payee.and_then(|payee| payee.parse().ok()),
            payments: payments.cloned().collect(),
            refunds: refunds.cloned().collect(),
            // Events are not kept here, so claims of a payer's bank are not known.
            disputed: Vec::new(),
            listed: listed.map(|row| Listed::of(&row.line)).collect(),
        }
    }

    fn is_listed(&self, gateway: &GatewayId, row: &Unlisted) -> bool {
        let kind = match row.refund {
            None => "missing_there",
            Some(_) => "missing_refund",
        };
        let subject = match row.refund {
            None => format!("payment:{}", row.payment),
            Some(refund) => format!("refund:{refund}"),
        };
        let names = |line: &LineRow| {
            line.gateway == *gateway
                && match row.refund {
                    None => {
                        line.line.kind == StatementKind::Payment && line.line.payment == row.payment
                    }
                    Some(_) => line.line.refund == row.refund,
                }
        };
        let is_task = self.tasks.contains_key(&TaskId::of(kind, &subject));
        is_task || self.lines.values().any(names)
    }

    /// Payments of a gateway, and refunds of it that succeeded.
    fn movements(&self, gateway: &GatewayId) -> Vec<Unlisted> {
        let of_gateway = |row: &&PaymentRow| row.gateway == *gateway;
        let payments = self.payments.values().filter(of_gateway);
        let of_payment = |row: &PaymentRow| Unlisted {
            transaction: row.transaction,
            payment: row.payment,
            refund: None,
            amount: row.amount,
            payee: row.payee.clone(),
            at: row.received_at,
        };
        let mut found: Vec<_> = payments.clone().map(of_payment).collect();
        for refund in self.refunds.values() {
            let is_its = |row: &&PaymentRow| {
                row.payment == refund.payment && row.transaction == refund.transaction
            };
            if let Some(payment) = payments.clone().find(is_its)
                && refund.status == "succeeded"
            {
                found.push(Unlisted {
                    refund: Some(refund.refund),
                    amount: refund.amount,
                    at: refund.updated_at,
                    ..of_payment(payment)
                });
            }
        }
        found
    }

    fn act(&mut self, act: &ActRow) {
        self.acts.insert(act.id, act.clone());
        match &act.deed {
            Deed::Hold { scope } => {
                self.holds.insert(scope.clone(), act.id);
            }
            Deed::Release { scope } => {
                self.holds.remove(scope);
            }
            Deed::RevokeKey { key } => {
                self.revoked.insert(key.clone());
            }
            Deed::Vouch { terminal } => {
                let before = self.noted.insert(terminal.clone(), Known::Vouched);
                if let Some(Known::Strange(epoch)) = before {
                    self.accepted.insert(epoch);
                }
            }
            Deed::Refund { .. }
            | Deed::Resolve { .. }
            | Deed::Open { .. }
            | Deed::OpenAt { .. }
            | Deed::ResolveTask { .. }
            | Deed::Reconcile => {}
        }
    }

    fn note_cap(&mut self, note: &CapNote) {
        match note {
            CapNote::Counted(counted) => {
                self.capped.insert(counted.refund, counted.clone());
            }
            CapNote::Passed(refund) => {
                self.capped.remove(refund);
            }
        }
    }

    fn note(&mut self, note: &TerminalNote) {
        match note {
            TerminalNote::Hello {
                terminal,
                at,
                boot,
                journal,
                agent_version,
            } => {
                let row = self.terminal_row(terminal);
                row.hello_at = Some(*at);
                row.boot = Some(*boot);
                row.current_journal = Some(*journal);
                row.agent_version = Some(agent_version.clone());
                row.journals.entry(*journal).or_default();
            }
            TerminalNote::Presence {
                terminal,
                at,
                online,
            } => {
                let row = self.terminal_row(terminal);
                row.presence_at = Some(*at);
                row.online = *online;
            }
            TerminalNote::Acknowledged { terminal, record } => {
                let row = self.terminal_row(terminal);
                let through = row.journals.entry(record.journal).or_default();
                *through = record.sequence.max(*through);
            }
            TerminalNote::StrangeEpoch { terminal, epoch } => {
                self.noted.insert(terminal.clone(), Known::Strange(*epoch));
            }
            TerminalNote::JournalRead { terminal, .. } => {
                self.noted.insert(terminal.clone(), Known::Read);
            }
            TerminalNote::AllJournalsRead { .. } => self.is_unread = false,
            TerminalNote::Receipt { terminal, digest } => {
                self.terminal_row(terminal).last_receipt = Some(*digest);
            }
        }
    }
}

impl Store for MemoryStore {
    fn commit_all(&mut self, batch: Batch<'_>) -> Result<(), StoreError> {
        // Changes of one commit are about different sales, so each can be checked before any is
        // written.
        for change in batch.changes {
            self.content.check(change)?;
        }
        let content = Arc::make_mut(&mut self.content);
        batch.acts.iter().for_each(|act| content.act(act));
        batch
            .changes
            .iter()
            .for_each(|change| content.write(change));
        batch.notes.iter().for_each(|note| content.note(note));
        batch.books.iter().for_each(|note| content.note_books(note));
        batch.caps.iter().for_each(|note| content.note_cap(note));
        Ok(())
    }

    fn sale(&self, transaction: TransactionId) -> Result<Option<SaleRow>, StoreError> {
        Ok(self.content.sales.get(&transaction).cloned())
    }

    fn open_sales(
        &self,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<SaleRow>, StoreError> {
        let sales = self.content.sales.values();
        let rows = sales.filter(|row| row.open && after.is_none_or(|id| row.transaction > id));
        Ok(rows.take(limit).cloned().collect())
    }

    fn outbox(&self, transaction: Option<TransactionId>) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.content.outbox.values();
        let mut wanted: Vec<_> = rows
            .filter(|(_, row)| transaction.is_none_or(|id| row.transaction == id))
            .collect();
        wanted.sort_by_key(|(number, _)| *number);
        Ok(wanted.into_iter().map(|(_, row)| row.clone()).collect())
    }

    fn terminal(&self, terminal: &TerminalName) -> Result<Option<TerminalRow>, StoreError> {
        Ok(self.content.terminals.get(terminal).cloned())
    }

    fn payment_owner(
        &self,
        gateway: &GatewayId,
        payment: PaymentId,
    ) -> Result<Option<TransactionId>, StoreError> {
        let mut payments = self.content.payments.values();
        let found = payments.find(|row| row.payment == payment && row.gateway == *gateway);
        Ok(found.map(|row| row.transaction))
    }

    fn reconciliation(&self, gateway: &GatewayId) -> Result<Option<String>, StoreError> {
        Ok(self.content.reconciliations.get(gateway).cloned())
    }

    fn order_books(&self, orders: &[TransactionId]) -> Result<Vec<OrderBook>, StoreError> {
        let wanted: BTreeSet<_> = orders.iter().collect();
        let sales = wanted.iter().filter_map(|id| self.content.sales.get(id));
        Ok(sales.map(|sale| self.content.order_book(sale)).collect())
    }

    fn pending_lines(
        &self,
        gateway: &GatewayId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LineRow>, StoreError> {
        let is_wanted =
            |row: &&LineRow| row.gateway == *gateway && row.line.sequence > after && row.is_pending;
        let rows = self.content.lines.values().filter(is_wanted);
        Ok(rows.take(limit).cloned().collect())
    }

    fn unlisted(
        &self,
        gateway: &GatewayId,
        window: (Utc, Utc),
        limit: usize,
    ) -> Result<Vec<Unlisted>, StoreError> {
        let mut found = self.content.movements(gateway);
        found.retain(|row| {
            (window.0..window.1).contains(&row.at) && !self.content.is_listed(gateway, row)
        });
        found.sort_by_key(|row| (row.at, row.payment, row.refund));
        let (payments, refunds): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|row| row.refund.is_none());
        let payments = payments.into_iter().take(limit);
        Ok(payments.chain(refunds.into_iter().take(limit)).collect())
    }

    fn act(&self, id: ActId) -> Result<Option<ActRow>, StoreError> {
        Ok(self.content.acts.get(&id).cloned())
    }

    fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        let row = |(scope, act): (&HoldScope, &ActId)| {
            let act = self.content.acts.get(act)?;
            Some(HoldRow {
                scope: scope.clone(),
                since: act.at,
                name: act.name.to_string(),
                reason: act.reason.to_string(),
                act: act.id,
            })
        };
        Ok(self.content.holds.iter().filter_map(row).collect())
    }

    fn revoked_keys(&self) -> Result<Vec<KeyId>, StoreError> {
        Ok(self.content.revoked.iter().cloned().collect())
    }

    fn capped(&self) -> Result<Vec<Counted>, StoreError> {
        Ok(self.content.capped.values().cloned().collect())
    }

    fn epoch_row(&self) -> Result<EpochRow, StoreError> {
        let known = self.earlier.iter().chain(&self.content.accepted);
        Ok(EpochRow {
            store_epoch: self.epoch,
            is_restored: self.content.is_unread,
            epochs: std::iter::once(&self.epoch).chain(known).copied().collect(),
            heard: self.content.terminals.keys().cloned().collect(),
            noted: self.content.noted.clone(),
        })
    }

    fn put_identity(&mut self, row: &IdentityRow) -> Result<(), StoreError> {
        let content = Arc::make_mut(&mut self.content);
        content.identities.insert(row.pseudonym, row.clone());
        Ok(())
    }

    #[cfg(test)]
    fn identity(&self, pseudonym: Pseudonym) -> Result<Option<IdentityRow>, StoreError> {
        Ok(self.content.identities.get(&pseudonym).cloned())
    }

    fn erase_identity(&mut self, pseudonym: Pseudonym) -> Result<bool, StoreError> {
        let content = Arc::make_mut(&mut self.content);
        Ok(content.identities.remove(&pseudonym).is_some())
    }

    fn epoch(&self) -> StoreEpoch {
        self.epoch
    }

    fn starts(&self) -> u64 {
        self.starts
    }
}
