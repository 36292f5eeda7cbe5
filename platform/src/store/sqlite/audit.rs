//! Reading and checking everything.

use std::collections::BTreeMap;

use protocol::id::TransactionId;
use protocol::time::Utc;
use rusqlite::{Connection, Row};

use super::checker::{self, Extent};
use super::rows;
use crate::audit::{Audit, AuditedTransaction, Violation};

pub(super) fn audit(connection: &Connection, now: Utc) -> rusqlite::Result<Audit> {
    // One snapshot, however long it takes.
    let view = connection.unchecked_transaction()?;
    let mut violations = checker::violations(&view, now, Extent::Everything)?;
    let mut transactions = Vec::new();
    let mut statement = view.prepare(TRANSACTIONS)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        match audited(row) {
            Ok(found) => transactions.push(found),
            Err(error) => violations.push(unreadable(row, &error)?),
        }
    }
    let is_kept = |invariant: &str| violations.iter().all(|found| found.invariant != invariant);
    Ok(Audit {
        transactions,
        balanced: is_kept("I1"),
        chain_intact: is_kept("I8"),
        lines: lines(&view)?,
        violations,
    })
}

fn lines(view: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let query = "SELECT finding, count(*) FROM statement_lines GROUP BY finding";
    let mut statement = view.prepare(query)?;
    let found = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })?;
    found.collect()
}

fn unreadable(row: &Row<'_>, error: &rusqlite::Error) -> rusqlite::Result<Violation> {
    Ok(Violation {
        invariant: "unreadable",
        rule: "a transaction can't be read",
        subject: TransactionId::from_random(row.get(0)?).to_string(),
        detail: error.to_string(),
    })
}

/// A refund that failed later is taken back; what a payer won in a dispute went back too.
const TRANSACTIONS: &str = "
    SELECT t.id, t.terminal, t.state, t.open, t.currency,
        coalesce(sum(l.debit_minor) FILTER (WHERE l.kind = 'received'), 0),
        coalesce(sum(l.debit_minor) FILTER (WHERE l.kind IN ('refunded', 'refunded_outside',
            'lost_outside', 'dispute_lost')), 0)
        - coalesce(sum(l.debit_minor) FILTER (WHERE l.kind = 'refund_failed_later'), 0),
        coalesce(sum(l.credit_minor - l.debit_minor) FILTER (
            WHERE l.account IN ('merchant', 'loss')), 0),
        coalesce(sum(l.credit_minor - l.debit_minor) FILTER (WHERE l.account = 'suspense'), 0)
    FROM transactions t LEFT JOIN ledger l ON l.transaction_id = t.id
    GROUP BY t.id ORDER BY t.sequence";

fn audited(row: &Row<'_>) -> rusqlite::Result<AuditedTransaction> {
    Ok(AuditedTransaction {
        transaction: TransactionId::from_random(row.get(0)?),
        terminal: rows::parsed(row, 1)?,
        state: row.get(2)?,
        open: row.get(3)?,
        currency: rows::parsed(row, 4)?,
        received: row.get(5)?,
        refunded: row.get(6)?,
        kept: row.get(7)?,
        suspense: row.get(8)?,
    })
}
