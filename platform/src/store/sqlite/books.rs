//! Statements, reconciliations and the work list in the database.

use protocol::id::{GatewayId, PaymentId, RefundId, TransactionId};
use protocol::message::{StatementKind, StatementLine};
use protocol::time::Utc;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::change::write_posting;
use super::read::list;
use super::rows;
use crate::store::books::{
    BookNote, LineRow, Listed, OrderBook, Resolution, TaskId, TaskQuery, TaskRow, Unlisted,
};

pub(super) fn write(connection: &Connection, note: &BookNote) -> rusqlite::Result<()> {
    match note {
        BookNote::Line(line) => write_line(connection, line),
        BookNote::Entry { at, entry } => entry
            .iter()
            .try_for_each(|posting| write_posting(connection, posting, *at)),
        BookNote::Reconciliation { gateway, document } => connection
            .prepare_cached("INSERT OR REPLACE INTO reconciliations VALUES (?1, ?2)")?
            .execute(params![gateway.as_str(), document])
            .map(drop),
        BookNote::Task(task) => write_task(connection, task),
        BookNote::Resolved { task, resolution } => resolve(connection, task, resolution),
    }
}

fn write_line(connection: &Connection, row: &LineRow) -> rusqlite::Result<()> {
    let line = &row.line;
    let statement = "INSERT OR REPLACE INTO statement_lines (gateway, sequence, kind, order_id, \
         payment, refund, minor, currency, payee, booked_at, finding, pending) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let written = connection.prepare_cached(statement)?.execute(params![
        row.gateway.as_str(),
        line.sequence.cast_signed(),
        kind_name(line.kind),
        line.order.as_bytes(),
        line.payment.as_bytes(),
        line.refund.as_ref().map(|refund| refund.as_bytes()),
        line.minor,
        line.currency.code(),
        line.payee.as_str(),
        line.booked_at.as_millis(),
        row.finding,
        row.is_pending,
    ]);
    written.map(drop)
}

fn write_task(connection: &Connection, task: &TaskRow) -> rusqlite::Result<()> {
    let statement = "INSERT INTO tasks (id, kind, subject, transaction_id, owner, since, due_at, \
         detail, note, resolved_by, resolved_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING";
    let resolved = task.resolved.as_ref();
    let written = connection.prepare_cached(statement)?.execute(params![
        task.id.as_str(),
        task.kind,
        task.subject,
        task.transaction.as_ref().map(|id| id.as_bytes()),
        task.owner,
        task.since.as_millis(),
        task.due_at.as_millis(),
        task.detail,
        resolved.map(|resolution| &resolution.note),
        resolved.map(|resolution| &resolution.by),
        resolved.map(|resolution| resolution.at.as_millis()),
    ]);
    written.map(drop)
}

fn resolve(connection: &Connection, task: &TaskId, by: &Resolution) -> rusqlite::Result<()> {
    let statement = "UPDATE tasks SET note = ?2, resolved_by = ?3, resolved_at = ?4 \
         WHERE id = ?1 AND resolved_at IS NULL";
    let written = connection.prepare_cached(statement)?.execute(params![
        task.as_str(),
        by.note,
        by.by,
        by.at.as_millis()
    ]);
    written.map(drop)
}

pub(super) fn reconciliation(
    connection: &Connection,
    gateway: &GatewayId,
) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached("SELECT document FROM reconciliations WHERE gateway = ?1")?
        .query_row([gateway.as_str()], |row| row.get(0))
        .optional()
}

pub(super) fn order_books(
    connection: &Connection,
    orders: &[TransactionId],
) -> rusqlite::Result<Vec<OrderBook>> {
    let mut orders = orders.to_vec();
    orders.sort_unstable();
    orders.dedup();
    let mut books = Vec::with_capacity(orders.len());
    for order in orders {
        books.extend(order_book(connection, order)?);
    }
    Ok(books)
}

fn order_book(
    connection: &Connection,
    order: TransactionId,
) -> rusqlite::Result<Option<OrderBook>> {
    let id = [order.as_bytes().as_slice()];
    let sale = "SELECT terminal, iif(json_valid(document), \
         json_extract(document, '$.facts.payee.id'), NULL) FROM transactions WHERE id = ?1";
    let sale = list(connection, sale, id, |row| {
        let payee: Option<String> = row.get(1)?;
        Ok((
            rows::parsed(row, 0)?,
            payee.and_then(|payee| payee.parse().ok()),
        ))
    })?;
    let Some((terminal, payee)) = sale.into_iter().next() else {
        return Ok(None);
    };
    let of = |query: &str| format!("{query} WHERE transaction_id = ?1 ORDER BY id");
    let disputed = "SELECT DISTINCT json_extract(detail, '$.payment') FROM events \
         WHERE transaction_id = ?1 AND kind = 'dispute' AND json_valid(detail)";
    Ok(Some(OrderBook {
        transaction: order,
        terminal,
        payee,
        payments: list(connection, &of(rows::PAYMENT), id, rows::payment)?,
        refunds: list(connection, &of(rows::REFUND), id, rows::refund)?,
        disputed: list(connection, disputed, id, |row| rows::parsed(row, 0))?,
        listed: list(connection, LISTED, id, listed)?,
    }))
}

const LISTED: &str = "SELECT sequence, kind, payment, refund, minor FROM statement_lines \
     WHERE order_id = ?1 ORDER BY gateway, sequence";

pub(super) fn pending_lines(
    connection: &Connection,
    gateway: &GatewayId,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<LineRow>> {
    let query = "SELECT sequence, kind, order_id, payment, refund, minor, currency, payee, \
         booked_at, finding, pending, gateway FROM statement_lines WHERE gateway = ?1 AND sequence > ?2 AND pending = 1 \
         ORDER BY sequence LIMIT ?3";
    let (after, limit) = (
        after.cast_signed(),
        i64::try_from(limit).unwrap_or(i64::MAX),
    );
    list(
        connection,
        query,
        params![gateway.as_str(), after, limit],
        line_row,
    )
}

fn line_row(row: &Row<'_>) -> rusqlite::Result<LineRow> {
    Ok(LineRow {
        gateway: rows::parsed(row, 11)?,
        line: line(row)?,
        finding: row.get(9)?,
        is_pending: row.get(10)?,
    })
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let kind: String = row.get(1)?;
    Ok(Listed {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        kind: kind_of(&kind)?,
        payment: PaymentId::from_random(row.get(2)?),
        refund: row
            .get::<_, Option<[u8; 16]>>(3)?
            .map(RefundId::from_random),
        minor: row.get(4)?,
    })
}

fn kind_of(name: &str) -> rusqlite::Result<StatementKind> {
    let known = KINDS.into_iter().find(|known| kind_name(*known) == name);
    known.ok_or_else(|| rows::not_ours(1, "no kind of line"))
}

fn line(row: &Row<'_>) -> rusqlite::Result<StatementLine> {
    let kind: String = row.get(1)?;
    Ok(StatementLine {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        kind: kind_of(&kind)?,
        order: TransactionId::from_random(row.get(2)?),
        payment: PaymentId::from_random(row.get(3)?),
        refund: row
            .get::<_, Option<[u8; 16]>>(4)?
            .map(RefundId::from_random),
        minor: row.get(5)?,
        currency: rows::parsed(row, 6)?,
        payee: rows::parsed(row, 7)?,
        booked_at: rows::instant(row, 8)?,
    })
}

const KINDS: [StatementKind; 5] = [
    StatementKind::Payment,
    StatementKind::Refund,
    StatementKind::Dispute,
    StatementKind::Fee,
    StatementKind::Payout,
];

const fn kind_name(kind: StatementKind) -> &'static str {
    match kind {
        StatementKind::Payment => "payment",
        StatementKind::Refund => "refund",
        StatementKind::Dispute => "dispute",
        StatementKind::Fee => "fee",
        StatementKind::Payout => "payout",
    }
}

pub(super) fn unlisted(
    connection: &Connection,
    gateway: &GatewayId,
    (from, until): (Utc, Utc),
    limit: usize,
) -> rusqlite::Result<Vec<Unlisted>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let window = params![gateway.as_str(), from.as_millis(), until.as_millis(), limit];
    let mut found = list(connection, UNLISTED_PAYMENTS, window, unlisted_row)?;
    found.extend(list(connection, UNLISTED_REFUNDS, window, unlisted_row)?);
    Ok(found)
}

const UNLISTED_PAYMENTS: &str = "
    SELECT p.transaction_id, p.id, NULL, p.minor, p.currency, p.payee, p.received_at
    FROM payments p WHERE p.gateway = ?1 AND p.received_at >= ?2 AND p.received_at < ?3
        AND NOT EXISTS (SELECT 1 FROM statement_lines s
            WHERE s.payment = p.id AND s.kind = 'payment' AND +s.gateway = p.gateway)
        AND NOT EXISTS (SELECT 1 FROM tasks t
            WHERE t.kind = 'missing_there' AND t.subject = 'payment:' || lower(hex(p.id)))
    ORDER BY p.received_at, p.id LIMIT ?4";

const UNLISTED_REFUNDS: &str = "
    SELECT r.transaction_id, r.payment, r.id, r.minor, r.currency, p.payee, r.updated_at
    FROM refunds r JOIN payments p ON p.transaction_id = r.transaction_id AND p.id = r.payment
    WHERE p.gateway = ?1 AND r.status = 'succeeded'
        AND r.updated_at >= ?2 AND r.updated_at < ?3
        AND NOT EXISTS (SELECT 1 FROM statement_lines s
            WHERE s.refund = r.id AND +s.gateway = p.gateway)
        AND NOT EXISTS (SELECT 1 FROM tasks t
            WHERE t.kind = 'missing_refund' AND t.subject = 'refund:' || lower(hex(r.id)))
    ORDER BY r.updated_at, r.id LIMIT ?4";

fn unlisted_row(row: &Row<'_>) -> rusqlite::Result<Unlisted> {
    Ok(Unlisted {
        transaction: TransactionId::from_random(row.get(0)?),
        payment: PaymentId::from_random(row.get(1)?),
        refund: row
            .get::<_, Option<[u8; 16]>>(2)?
            .map(RefundId::from_random),
        amount: rows::money(row, 3)?,
        payee: rows::parsed(row, 5)?,
        at: rows::instant(row, 6)?,
    })
}

pub(super) fn tasks(connection: &Connection, query: TaskQuery) -> rusqlite::Result<Vec<TaskRow>> {
    let filter = match query.open {
        Some(true) => "WHERE resolved_at IS NULL",
        Some(false) => "WHERE resolved_at IS NOT NULL",
        None => "",
    };
    let text = format!("{TASK} {filter} ORDER BY since, id LIMIT ?1");
    let mut found = list(connection, &text, [i64::from(query.limit)], task)?;
    if query.open != Some(false) {
        found.extend(list(connection, REVIEWS, [i64::from(query.limit)], review)?);
    }
    found.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
    found.truncate(query.limit as usize);
    Ok(found)
}

pub(super) fn one_task(connection: &Connection, id: &TaskId) -> rusqlite::Result<Option<TaskRow>> {
    let text = format!("{TASK} WHERE id = ?1");
    let mut statement = connection.prepare_cached(&text)?;
    statement.query_row([id.as_str()], task).optional()
}

const TASK: &str = "SELECT id, kind, subject, transaction_id, owner, since, due_at, detail, note, \
     resolved_by, resolved_at FROM tasks";

/// Sales that wait for a person: each names its review itself, so that both change in one row.
const REVIEWS: &str = "
    SELECT t.id, lower(hex(t.id)), json_extract(j.value, '$.reason'),
        coalesce(json_extract(j.value, '$.owner'), 'operations'),
        CAST(round(1000 * unixepoch(json_extract(j.value, '$.since'), 'subsec')) AS INTEGER)
            AS since,
        CAST(round(1000 * unixepoch(json_extract(j.value, '$.due_at'), 'subsec')) AS INTEGER)
    FROM transactions t, json_each(iif(json_valid(t.document), t.document, '{}'),
        '$.transaction.reviews') j
    WHERE t.open = 1 ORDER BY since, t.id LIMIT ?1";

fn review(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    let id: String = row.get(1)?;
    let reason: Option<String> = row.get(2)?;
    Ok(TaskRow {
        subject: format!("transaction:{id}"),
        id: id.parse().map_err(|error| rows::not_ours(1, error))?,
        kind: "review".to_owned(),
        transaction: Some(TransactionId::from_random(row.get(0)?)),
        owner: row.get(3)?,
        since: rows::instant(row, 4)?,
        due_at: rows::instant(row, 5)?,
        detail: reason.unwrap_or_default(),
        resolved: None,
    })
}

fn task(row: &Row<'_>) -> rusqlite::Result<TaskRow> {
    let resolved = rows::optional_instant(row, 10)?
        .map(|at| {
            Ok::<_, rusqlite::Error>(Resolution {
                by: row.get(9)?,
                at,
                note: row.get(8)?,
            })
        })
        .transpose()?;
    Ok(TaskRow {
        id: rows::parsed(row, 0)?,
        kind: row.get(1)?,
        subject: row.get(2)?,
        transaction: row
            .get::<_, Option<[u8; 16]>>(3)?
            .map(TransactionId::from_random),
        owner: row.get(4)?,
        since: rows::instant(row, 5)?,
        due_at: rows::instant(row, 6)?,
        detail: row.get(7)?,
        resolved,
    })
}
