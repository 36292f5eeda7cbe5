//! Writing one change, inside the transaction of its group.

use protocol::id::TransactionId;
use protocol::time::Utc;
use rusqlite::{Connection, params};

use super::chain::{Head, Link};
use super::{failed, link};
use crate::ledger::Posting;
use crate::store::{Change, EventRow, OutboxRow, PaymentRow, RefundRow, SaleRow, StoreError};

/// Writes all of it after the events that `head` ends with; gives the new head.
pub(super) fn write(
    connection: &Connection,
    change: &Change,
    head: Head,
) -> Result<Head, StoreError> {
    let wrap = failed("commit");
    write_sale(connection, &change.sale, change.expected_version)?;
    write_order(connection, &change.sale).map_err(&wrap)?;
    let sale = &change.sale;
    if let Some(link) = &change.link {
        link::write(connection, link, sale.transaction).map_err(&wrap)?;
    }
    for posting in &change.postings {
        write_posting(connection, posting, sale.updated_at).map_err(&wrap)?;
    }
    for payment in &change.payments {
        write_payment(connection, payment).map_err(&wrap)?;
    }
    for refund in &change.refunds {
        write_refund(connection, refund).map_err(&wrap)?;
    }
    for message in &change.outbox_put {
        write_outbox(connection, message).map_err(&wrap)?;
    }
    for key in &change.outbox_done {
        connection
            .prepare_cached("DELETE FROM outbox WHERE key = ?1")
            .and_then(|mut statement| statement.execute([key]))
            .map_err(&wrap)?;
    }
    change.events.iter().try_fold(head, |head, event| {
        write_event(connection, sale.transaction, event, head).map_err(&wrap)
    })
}

/// Inserts or updates exactly one row, or says who was faster.
fn write_sale(
    connection: &Connection,
    sale: &SaleRow,
    expected: Option<u64>,
) -> Result<(), StoreError> {
    let written = match expected {
        None => insert_sale(connection, sale),
        Some(expected) => update_sale(connection, sale, expected),
    };
    match written.map_err(failed("commit"))? {
        1 => Ok(()),
        _ => Err(StoreError::Conflict {
            transaction: sale.transaction,
        }),
    }
}

fn insert_sale(connection: &Connection, sale: &SaleRow) -> rusqlite::Result<usize> {
    let statement = "INSERT INTO transactions (id, terminal, session, state, minor, currency, \
         open, created_at, updated_at, version, document) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING";
    connection.prepare_cached(statement)?.execute(params![
        sale.transaction.as_bytes(),
        sale.terminal.to_string(),
        sale.session.as_bytes(),
        sale.state,
        sale.amount.minor(),
        sale.amount.currency().code(),
        sale.open,
        sale.created_at.as_millis(),
        sale.updated_at.as_millis(),
        sale.version.cast_signed(),
        sale.document,
    ])
}

fn update_sale(connection: &Connection, sale: &SaleRow, expected: u64) -> rusqlite::Result<usize> {
    let statement = "UPDATE transactions SET state = ?3, minor = ?4, currency = ?5, open = ?6, \
         updated_at = ?7, version = ?8, document = ?9 WHERE id = ?1 AND version = ?2";
    connection.prepare_cached(statement)?.execute(params![
        sale.transaction.as_bytes(),
        expected.cast_signed(),
        sale.state,
        sale.amount.minor(),
        sale.amount.currency().code(),
        sale.open,
        sale.updated_at.as_millis(),
        sale.version.cast_signed(),
        sale.document,
    ])
}

fn write_order(connection: &Connection, sale: &SaleRow) -> rusqlite::Result<()> {
    let statement = "INSERT INTO orders VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO UPDATE \
         SET state = excluded.state, minor = excluded.minor, currency = excluded.currency, \
         updated_at = excluded.updated_at WHERE state <> excluded.state OR minor <> excluded.minor";
    let written = connection.prepare_cached(statement)?.execute(params![
        sale.transaction.as_bytes(),
        sale.order_state,
        sale.amount.minor(),
        sale.amount.currency().code(),
        sale.updated_at.as_millis(),
    ]);
    written.map(drop)
}

pub(super) fn write_posting(
    connection: &Connection,
    posting: &Posting,
    at: Utc,
) -> rusqlite::Result<()> {
    let statement = "INSERT INTO ledger (transaction_id, payment, refund, kind, account, \
         debit_minor, credit_minor, currency, gateway, line, at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let line = posting.line.as_ref();
    let written = connection.prepare_cached(statement)?.execute(params![
        posting.transaction.as_ref().map(|id| id.as_bytes()),
        posting.payment.as_ref().map(|payment| payment.as_bytes()),
        posting.refund.as_ref().map(|refund| refund.as_bytes()),
        posting.kind.as_str(),
        posting.account.as_str(),
        posting.debit_minor,
        posting.credit_minor,
        posting.currency.code(),
        line.map(|line| line.gateway.as_str()),
        line.map(|line| line.sequence.cast_signed()),
        at.as_millis(),
    ]);
    written.map(drop)
}

fn write_payment(connection: &Connection, payment: &PaymentRow) -> rusqlite::Result<()> {
    let statement = "INSERT OR REPLACE INTO payments (id, transaction_id, gateway, minor, \
         currency, payee, refunded_minor, received_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let written = connection.prepare_cached(statement)?.execute(params![
        payment.payment.as_bytes(),
        payment.transaction.as_bytes(),
        payment.gateway.as_str(),
        payment.amount.minor(),
        payment.amount.currency().code(),
        payment.payee.as_str(),
        payment.refunded_minor,
        payment.received_at.as_millis(),
    ]);
    written.map(drop)
}

fn write_refund(connection: &Connection, refund: &RefundRow) -> rusqlite::Result<()> {
    let statement = "INSERT OR REPLACE INTO refunds (id, payment, transaction_id, minor, \
         currency, status, reason, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let written = connection.prepare_cached(statement)?.execute(params![
        refund.refund.as_bytes(),
        refund.payment.as_bytes(),
        refund.transaction.as_bytes(),
        refund.amount.minor(),
        refund.amount.currency().code(),
        refund.status,
        refund.reason,
        refund.updated_at.as_millis(),
    ]);
    written.map(drop)
}

fn write_outbox(connection: &Connection, message: &OutboxRow) -> rusqlite::Result<()> {
    let statement = "INSERT INTO outbox (key, transaction_id, topic, payload) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE SET \
         transaction_id = excluded.transaction_id, topic = excluded.topic, \
         payload = excluded.payload";
    let written = connection.prepare_cached(statement)?.execute(params![
        message.key,
        message.transaction.as_bytes(),
        message.topic.to_string(),
        message.payload,
    ]);
    written.map(drop)
}

fn write_event(
    connection: &Connection,
    transaction: TransactionId,
    event: &EventRow,
    head: Head,
) -> rusqlite::Result<Head> {
    let link = Link {
        transaction: transaction.as_bytes(),
        at_ms: event.at.as_millis(),
        kind: &event.kind,
        detail: &event.detail.to_string(),
    };
    write_link(connection, &link, head)
}

/// One more event of the chain; an empty transaction is none.
pub(super) fn write_link(
    connection: &Connection,
    link: &Link<'_>,
    head: Head,
) -> rusqlite::Result<Head> {
    let next = head.next(link);
    let transaction = (!link.transaction.is_empty()).then_some(link.transaction);
    connection
        .prepare_cached(
            "INSERT INTO events (sequence, transaction_id, at, kind, detail, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            next.sequence,
            transaction,
            link.at_ms,
            link.kind,
            link.detail,
            next.hash,
        ])?;
    Ok(next)
}
