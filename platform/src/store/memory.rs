//! A store in memory for simulations: what a commit wrote stays over a restart, and a copy of it is
//! cheap until one of both is written to.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::id::{PaymentId, Pseudonym, RefundId, StoreEpoch, TransactionId};
use protocol::topic::TerminalName;

use super::{
    Change, IdentityRow, OutboxRow, PaymentRow, RefundRow, SaleRow, Store, StoreError,
    TerminalNote, TerminalRow,
};
use crate::ledger::Posting;

/// What a commit wrote.
#[derive(Debug, Clone)]
pub(crate) struct MemoryStore {
    content: Arc<Content>,
    epoch: StoreEpoch,
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
}

impl MemoryStore {
    pub(crate) fn new(epoch: StoreEpoch) -> Self {
        Self {
            content: Arc::default(),
            epoch,
            starts: 1,
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
            TerminalNote::Receipt { terminal, digest } => {
                self.terminal_row(terminal).last_receipt = Some(*digest);
            }
        }
    }
}

impl Store for MemoryStore {
    fn commit_all(&mut self, changes: &[Change], notes: &[TerminalNote]) -> Result<(), StoreError> {
        // Changes of one commit are about different sales, so each can be checked before any is
        // written.
        for change in changes {
            self.content.check(change)?;
        }
        let content = Arc::make_mut(&mut self.content);
        changes.iter().for_each(|change| content.write(change));
        notes.iter().for_each(|note| content.note(note));
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
