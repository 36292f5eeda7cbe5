//! Reading and checking everything.

use protocol::id::TransactionId;
use rusqlite::{Connection, Row};

use super::read::list;
use super::{chain, rows};
use crate::audit::{Audit, AuditedTransaction};

pub(super) fn audit(connection: &Connection) -> rusqlite::Result<Audit> {
    // One snapshot, however long it takes.
    let view = connection.unchecked_transaction()?;
    let transactions = list(&view, TRANSACTIONS, [], audited)?;
    let mut violations: Vec<String> = transactions.iter().filter_map(money_violation).collect();
    for (query, rule) in [
        (
            SHARED_PAYMENTS,
            "I4: a payment is booked for several transactions",
        ),
        (
            FOREIGN_CURRENCY,
            "money of another currency than the sale's was kept",
        ),
        (
            OVER_REFUNDED,
            "I5: more of a payment was refunded than received",
        ),
    ] {
        let found = list(&view, query, [], |row| row.get::<_, [u8; 16]>(0))?;
        let line = |id: [u8; 16]| format!("{rule}: {}", TransactionId::from_random(id));
        violations.extend(found.into_iter().map(line));
    }
    Ok(Audit {
        transactions,
        balanced: is_empty(&view, UNBALANCED)? && is_empty(&view, DRIFTED)?,
        chain_intact: chain::is_intact(&view)?,
        violations,
    })
}

fn is_empty(connection: &Connection, query: &str) -> rusqlite::Result<bool> {
    connection.prepare(query)?.exists([]).map(|exists| !exists)
}

/// A refund that failed later is taken back; what a payer won in a dispute went back too.
const TRANSACTIONS: &str = "
    SELECT t.id, t.terminal, t.state, t.open, t.currency,
        coalesce(sum(l.debit_minor) FILTER (WHERE l.kind = 'received'), 0),
        coalesce(sum(l.debit_minor) FILTER (WHERE l.kind IN ('refunded', 'refunded_outside',
            'refunded_outside_after_earned', 'dispute_lost', 'dispute_lost_after_earned')), 0)
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

fn money_violation(found: &AuditedTransaction) -> Option<String> {
    let AuditedTransaction {
        transaction,
        received,
        refunded,
        suspense,
        ..
    } = found;
    if !(0..=*received).contains(refunded) {
        return Some(format!(
            "I5: {transaction} refunded {refunded} of {received}"
        ));
    }
    if !(0..=*received).contains(suspense) {
        return Some(format!(
            "I6: {transaction} has {suspense} of {received} in suspense"
        ));
    }
    if !found.open && *suspense != 0 {
        return Some(format!(
            "I6: {transaction} is over with {suspense} in suspense"
        ));
    }
    None
}

const SHARED_PAYMENTS: &str = "SELECT min(transaction_id) FROM ledger \
     GROUP BY payment HAVING count(DISTINCT transaction_id) > 1";

const FOREIGN_CURRENCY: &str = "SELECT DISTINCT t.id FROM ledger l \
     JOIN transactions t ON t.id = l.transaction_id WHERE l.currency <> t.currency \
     AND l.account = 'merchant'";

const OVER_REFUNDED: &str = "SELECT transaction_id FROM payments \
     WHERE refunded_minor NOT BETWEEN 0 AND minor";

const UNBALANCED: &str = "SELECT 1 FROM ledger GROUP BY transaction_id, currency \
     HAVING sum(debit_minor) <> sum(credit_minor)";

/// Running balances against the ledger, from both sides.
const DRIFTED: &str = "
    SELECT account, currency, debit_minor, credit_minor FROM balances
    EXCEPT SELECT account, currency, sum(debit_minor), sum(credit_minor)
    FROM ledger GROUP BY account, currency
    UNION ALL SELECT * FROM (
        SELECT account, currency, sum(debit_minor), sum(credit_minor)
        FROM ledger GROUP BY account, currency
        EXCEPT SELECT account, currency, debit_minor, credit_minor FROM balances)";
