//! Bookings of a span, each with the merchant of its sale as it was then.

use protocol::id::TransactionId;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use rusqlite::{Connection, Row, params};

use super::rows;
use crate::export::{Booking, Sums};

/// What a sale says of its merchant never changes, whatever the site's file says today.
const BOOKINGS: &str = "
    SELECT l.at, t.document ->> '$.facts.merchant', t.document ->> '$.facts.payee.id', l.currency,
        t.id, t.terminal, l.account, l.kind, l.debit_minor, l.credit_minor
    FROM ledger l
    LEFT JOIN statement_lines s ON s.gateway = l.gateway AND s.sequence = l.line
    JOIN transactions t ON t.id = coalesce(l.transaction_id, s.order_id)
    WHERE l.at >= ?1 AND l.at < ?2 ORDER BY l.sequence";

/// Gives each booking of the window, with its terminal, to `take`.
pub(super) fn each(
    connection: &Connection,
    (from, until): (Utc, Utc),
    take: &mut dyn FnMut(TerminalName, Booking),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(BOOKINGS)?;
    let mut found = statement.query(params![from.as_millis(), until.as_millis()])?;
    while let Some(row) = found.next()? {
        take(rows::parsed(row, 5)?, booking(row)?);
    }
    Ok(())
}

fn booking(row: &Row<'_>) -> rusqlite::Result<Booking> {
    let (account, kind): (String, String) = (row.get(6)?, row.get(7)?);
    let (debit, credit): (i64, i64) = (row.get(8)?, row.get(9)?);
    let mut sums = Sums::default();
    match (account.as_str(), kind.as_str()) {
        ("gateway_receivable", "received") => sums.received = debit - credit,
        ("gateway_receivable", "refunded" | "refunded_outside" | "refund_failed_later") => {
            sums.refunded = credit - debit;
        }
        ("merchant", _) => sums.kept = credit - debit,
        ("fees", _) => sums.fees = debit - credit,
        ("loss", _) => sums.loss = debit - credit,
        _ => {}
    }
    Ok(Booking {
        at: rows::instant(row, 0)?,
        merchant: row.get(1)?,
        payee: rows::parsed(row, 2)?,
        currency: rows::parsed(row, 3)?,
        transaction: TransactionId::from_random(row.get(4)?),
        sums,
    })
}
