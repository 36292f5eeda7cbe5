//! The reading side: the writer's own reads, and the connection that can do nothing else.

use std::path::Path;

use protocol::id::{GatewayId, PaymentId, RefundId, TransactionId};
use protocol::message::Digest;
use protocol::signed::KeyId;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use rusqlite::{Connection, OptionalExtension as _, Params, Row, params};

use super::{audit, books, epoch, failed, link, open_reader, operator, rows, terminals};
use crate::audit::Audit;
use crate::store::books::{TaskId, TaskQuery, TaskRow};
use crate::store::reader::{
    ActPage, Detail, EVENTS_MAX, EpochRow, HoldRow, LedgerLine, Page, PageQuery, Reader, Totals,
};
use crate::store::{OutboxRow, SaleRow, StoreError, TerminalRow};

/// A second connection, opened read-only.
#[derive(Debug)]
pub(crate) struct SqliteReader {
    connection: Connection,
}

impl SqliteReader {
    /// Opens the store in `folder`; it must exist.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        open_reader(folder).map(|connection| Self { connection })
    }
}

impl Reader for SqliteReader {
    fn page(&self, query: &PageQuery) -> Result<Page, StoreError> {
        page(&self.connection, query).map_err(failed("list transactions"))
    }

    fn transaction(&self, transaction: TransactionId) -> Result<Option<Detail>, StoreError> {
        detail(&self.connection, transaction).map_err(failed("read a transaction"))
    }

    fn linked(&self, link: &Digest) -> Result<Option<SaleRow>, StoreError> {
        link::sale(&self.connection, link).map_err(failed("read a link"))
    }

    fn revoked_keys(&self) -> Result<Vec<KeyId>, StoreError> {
        operator::revoked_keys(&self.connection).map_err(failed("list revoked keys"))
    }

    fn terminals(&self) -> Result<Vec<TerminalRow>, StoreError> {
        terminals::all(&self.connection).map_err(failed("list terminals"))
    }

    fn tasks(&self, query: TaskQuery) -> Result<Vec<TaskRow>, StoreError> {
        books::tasks(&self.connection, query).map_err(failed("list tasks"))
    }

    fn acts(&self, before: Option<i64>, limit: u32) -> Result<ActPage, StoreError> {
        operator::acts(&self.connection, before, limit).map_err(failed("list acts"))
    }

    fn epoch_row(&self) -> Result<EpochRow, StoreError> {
        epoch::row(&self.connection).map_err(failed("read the epoch"))
    }

    fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        operator::holds(&self.connection).map_err(failed("list holds"))
    }

    fn task(&self, task: &TaskId) -> Result<Option<TaskRow>, StoreError> {
        books::one_task(&self.connection, task).map_err(failed("read a task"))
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        totals(&self.connection).map_err(failed("add up"))
    }

    fn audit(&self, now: Utc) -> Result<Audit, StoreError> {
        audit::audit(&self.connection, now).map_err(failed("audit"))
    }
}

pub(super) fn sale(
    connection: &Connection,
    transaction: TransactionId,
) -> Result<Option<SaleRow>, StoreError> {
    let query = format!("{} WHERE t.id = ?1", rows::SALE);
    let found = readable(connection, &query, [transaction.as_bytes()], 1, rows::sale);
    found
        .map(|mut rows| rows.pop())
        .map_err(failed("read a transaction"))
}

pub(super) fn open_sales(
    connection: &Connection,
    after: Option<TransactionId>,
    limit: usize,
) -> Result<Vec<SaleRow>, StoreError> {
    let query = format!(
        "{} WHERE t.open = 1 AND t.id > ?1 ORDER BY t.id",
        rows::SALE
    );
    // Every id is larger than the empty blob.
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    readable(connection, &query, params![after], limit, rows::sale)
        .map_err(failed("list open transactions"))
}

/// At most `limit` rows of a query, without those that can't be read: one broken row must not keep
/// all the others from being served. The checks of every minute name it.
fn readable<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    limit: usize,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        match read(row) {
            Ok(row) => found.push(row),
            Err(error) => tracing::error!(%error, "a row of the store can't be read"),
        }
    }
    Ok(found)
}

pub(super) fn outbox(
    connection: &Connection,
    transaction: Option<TransactionId>,
) -> Result<Vec<OutboxRow>, StoreError> {
    let result = match transaction {
        None => {
            let query = format!("{} ORDER BY sequence", rows::OUTBOX);
            readable(connection, &query, [], usize::MAX, rows::outbox)
        }
        Some(transaction) => {
            let query = format!(
                "{} WHERE transaction_id = ?1 ORDER BY sequence",
                rows::OUTBOX
            );
            let id = [transaction.as_bytes()];
            readable(connection, &query, id, usize::MAX, rows::outbox)
        }
    };
    result.map_err(failed("read the outbox"))
}

/// Only what was booked: a payment to somebody else is in no ledger of ours.
pub(super) fn payment_owner(
    connection: &Connection,
    gateway: &GatewayId,
    payment: PaymentId,
) -> Result<Option<TransactionId>, StoreError> {
    let query = "SELECT transaction_id FROM payments WHERE gateway = ?1 AND id = ?2 LIMIT 1";
    let read = || {
        let mut statement = connection.prepare_cached(query)?;
        let key = params![gateway.as_str(), payment.as_bytes()];
        let owner = |row: &Row<'_>| row.get(0).map(TransactionId::from_random);
        statement.query_row(key, owner).optional()
    };
    read().map_err(failed("read a payment's transaction"))
}

pub(super) fn terminal(
    connection: &Connection,
    terminal: &TerminalName,
) -> Result<Option<TerminalRow>, StoreError> {
    terminals::one(connection, terminal).map_err(failed("read a terminal"))
}

/// All rows of a query.
pub(super) fn list<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare_cached(query)?
        .query_map(params, read)?
        .collect()
}

fn page(connection: &Connection, query: &PageQuery) -> rusqlite::Result<Page> {
    let terminal = query.terminal.as_ref().map(ToString::to_string);
    let before = query.before.unwrap_or(i64::MAX);
    // One statement per filter, so that each has its index.
    let filter = match (&query.state, &terminal) {
        (None, None) => "?1 IS NULL AND ?2 IS NULL",
        (Some(_), None) => "t.state = ?1 AND ?2 IS NULL",
        (None, Some(_)) => "?1 IS NULL AND t.terminal = ?2",
        (Some(_), Some(_)) => "t.state = ?1 AND t.terminal = ?2",
    };
    let text = format!(
        "{} WHERE {filter} AND t.sequence < ?3 ORDER BY t.sequence DESC LIMIT ?4",
        rows::SALE
    );
    // One more than asked for tells whether there is a next page.
    let limit = i64::from(query.limit) + 1;
    let params = params![query.state, terminal, before, limit];
    let mut found = list(connection, &text, params, rows::summary)?;
    let wanted = query.limit as usize;
    let next = (found.len() > wanted).then(|| found[wanted - 1].0);
    found.truncate(wanted);
    let transactions = found.into_iter().map(|(_, summary)| summary).collect();
    Ok(Page { transactions, next })
}

fn detail(connection: &Connection, transaction: TransactionId) -> rusqlite::Result<Option<Detail>> {
    // One snapshot for all five queries; dropped without a change.
    let view = connection.unchecked_transaction()?;
    let id = [transaction.as_bytes().as_slice()];
    let query = format!("{} WHERE t.id = ?1", rows::SALE);
    let Some((_, summary)) = list(&view, &query, id, rows::summary)?.pop() else {
        return Ok(None);
    };
    let of =
        |query: &str, order: &str| format!("{query} WHERE transaction_id = ?1 ORDER BY {order}");
    let events = format!("{} LIMIT {EVENTS_MAX}", of(rows::EVENT, "sequence"));
    Ok(Some(Detail {
        summary,
        payments: list(
            &view,
            &of(rows::PAYMENT, "received_at, id"),
            id,
            rows::payment,
        )?,
        refunds: list(&view, &of(rows::REFUND, "updated_at, id"), id, rows::refund)?,
        postings: list(&view, &of(LEDGER_LINE, "sequence"), id, ledger_line)?,
        events: list(&view, &events, id, rows::event)?,
    }))
}

const LEDGER_LINE: &str =
    "SELECT at, kind, account, debit_minor, credit_minor, currency, payment, refund FROM ledger";

fn ledger_line(row: &Row<'_>) -> rusqlite::Result<LedgerLine> {
    Ok(LedgerLine {
        at: rows::instant(row, 0)?,
        kind: row.get(1)?,
        account: row.get(2)?,
        debit_minor: row.get(3)?,
        credit_minor: row.get(4)?,
        currency: rows::parsed(row, 5)?,
        payment: row
            .get::<_, Option<[u8; 16]>>(6)?
            .map(PaymentId::from_random),
        refund: row
            .get::<_, Option<[u8; 16]>>(7)?
            .map(RefundId::from_random),
    })
}

fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let count = |query: &str| -> rusqlite::Result<u64> {
        connection
            .prepare_cached(query)?
            .query_row([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
    };
    let suspense = "SELECT currency, credit_minor - debit_minor FROM balances \
         WHERE account = 'suspense' ORDER BY currency";
    Ok(Totals {
        open_sales: count("SELECT count(*) FROM transactions WHERE open = 1")?,
        outbox: count("SELECT count(*) FROM outbox")?,
        open_tasks: count("SELECT count(*) FROM tasks WHERE resolved_at IS NULL")?,
        suspense_minor: list(connection, suspense, [], |row| {
            Ok((rows::parsed(row, 0)?, row.get(1)?))
        })?,
    })
}
