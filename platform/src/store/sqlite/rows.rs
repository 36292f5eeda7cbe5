//! Between rows of the database and ours.

use std::fmt::Display;
use std::str::FromStr;

use protocol::id::{PaymentId, RefundId, SessionId, TransactionId};
use protocol::money::Money;
use protocol::time::Utc;
use rusqlite::Row;
use rusqlite::types::{FromSqlError, Type};

use crate::store::reader::Summary;
use crate::store::{EventRow, OutboxRow, PaymentRow, RefundRow, SaleRow};

pub(super) const SALE: &str = "SELECT t.id, t.terminal, t.session, t.state, o.state, t.minor, \
     t.currency, t.open, t.created_at, t.updated_at, t.version, t.document, t.sequence \
     FROM transactions t JOIN orders o ON o.id = t.id";

pub(super) fn sale(row: &Row<'_>) -> rusqlite::Result<SaleRow> {
    Ok(SaleRow {
        transaction: TransactionId::from_random(row.get(0)?),
        terminal: parsed(row, 1)?,
        session: SessionId::from_random(row.get(2)?),
        state: row.get(3)?,
        order_state: row.get(4)?,
        amount: money(row, 5)?,
        open: row.get(7)?,
        created_at: instant(row, 8)?,
        updated_at: instant(row, 9)?,
        version: row.get::<_, i64>(10)?.cast_unsigned(),
        document: row.get(11)?,
    })
}

/// The same row with its place in the order of creation and without the document.
pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<(i64, Summary)> {
    let summary = Summary {
        transaction: TransactionId::from_random(row.get(0)?),
        terminal: parsed(row, 1)?,
        session: SessionId::from_random(row.get(2)?),
        state: row.get(3)?,
        order_state: row.get(4)?,
        amount: money(row, 5)?,
        open: row.get(7)?,
        created_at: instant(row, 8)?,
        updated_at: instant(row, 9)?,
    };
    Ok((row.get(12)?, summary))
}

pub(super) const OUTBOX: &str = "SELECT key, transaction_id, topic, payload FROM outbox";

pub(super) fn outbox(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        key: row.get(0)?,
        transaction: TransactionId::from_random(row.get(1)?),
        topic: parsed(row, 2)?,
        payload: row.get(3)?,
    })
}

pub(super) const PAYMENT: &str = "SELECT id, transaction_id, gateway, minor, currency, payee, \
     refunded_minor, received_at FROM payments";

pub(super) fn payment(row: &Row<'_>) -> rusqlite::Result<PaymentRow> {
    Ok(PaymentRow {
        payment: PaymentId::from_random(row.get(0)?),
        transaction: TransactionId::from_random(row.get(1)?),
        gateway: parsed(row, 2)?,
        amount: money(row, 3)?,
        payee: parsed(row, 5)?,
        refunded_minor: row.get(6)?,
        received_at: instant(row, 7)?,
    })
}

pub(super) const REFUND: &str = "SELECT id, payment, transaction_id, minor, currency, status, \
     reason, updated_at FROM refunds";

pub(super) fn refund(row: &Row<'_>) -> rusqlite::Result<RefundRow> {
    Ok(RefundRow {
        refund: RefundId::from_random(row.get(0)?),
        payment: PaymentId::from_random(row.get(1)?),
        transaction: TransactionId::from_random(row.get(2)?),
        amount: money(row, 3)?,
        status: row.get(5)?,
        reason: row.get(6)?,
        updated_at: instant(row, 7)?,
    })
}

pub(super) const EVENT: &str = "SELECT at, kind, detail FROM events";

pub(super) fn event(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    let detail = row.get_ref(2)?.as_str()?;
    Ok(EventRow {
        at: instant(row, 0)?,
        kind: row.get(1)?,
        detail: serde_json::from_str(detail).map_err(|error| not_ours(2, error))?,
    })
}

/// A text column that has a type of ours.
pub(super) fn parsed<T: FromStr<Err: Display>>(row: &Row<'_>, index: usize) -> rusqlite::Result<T> {
    row.get_ref(index)?
        .as_str()?
        .parse()
        .map_err(|error| not_ours(index, error))
}

/// Minor units at `index` and the currency after it.
pub(super) fn money(row: &Row<'_>, index: usize) -> rusqlite::Result<Money> {
    Money::new(row.get(index)?, parsed(row, index + 1)?).map_err(|error| not_ours(index, error))
}

pub(super) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Utc> {
    instant_of(row.get(index)?, index)
}

pub(super) fn optional_instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Utc>> {
    let millis: Option<i64> = row.get(index)?;
    millis.map(|millis| instant_of(millis, index)).transpose()
}

fn instant_of(millis: i64, index: usize) -> rusqlite::Result<Utc> {
    Utc::from_millis(millis).ok_or_else(|| not_ours(index, "no instant"))
}

pub(super) fn not_ours(index: usize, error: impl Display) -> rusqlite::Error {
    let error = FromSqlError::Other(error.to_string().into());
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
}
