//! The operator's hand: acts, and what stands because of them.

use protocol::id::ActId;
use protocol::signed::KeyId;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::chain::{Head, Link};
use super::read::list;
use super::{change, epoch, rows};
use crate::act::{ActRow, Deed};
use crate::store::reader::{ActPage, HoldRow};

/// Acts need no transaction, so events of the chain need none either; nothing else of them
/// changes, and their hashes stay as they are. Acts are kept for ever.
///
/// `epochs` are the incarnations that this store knows of; `readings` tells per terminal what of
/// its journal is known in an epoch.
pub(super) const MIGRATION: &str = "
CREATE TABLE events_of_all (
    sequence INTEGER PRIMARY KEY,
    transaction_id BLOB REFERENCES transactions (id),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO events_of_all SELECT sequence, transaction_id, at, kind, detail, hash FROM events;
DROP TABLE events;
ALTER TABLE events_of_all RENAME TO events;
CREATE INDEX events_transaction ON events (transaction_id, sequence);
CREATE TRIGGER events_keep BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE operator_acts (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at INTEGER NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    kind TEXT NOT NULL,
    deed TEXT NOT NULL,
    transaction_id BLOB REFERENCES transactions (id),
    outcome TEXT NOT NULL
) STRICT;
CREATE INDEX operator_acts_transaction ON operator_acts (transaction_id, sequence);
CREATE TRIGGER operator_acts_keep BEFORE UPDATE ON operator_acts
    BEGIN SELECT RAISE(ABORT, 'operator acts are append-only'); END;
CREATE TRIGGER operator_acts_stay BEFORE DELETE ON operator_acts
    BEGIN SELECT RAISE(ABORT, 'operator acts are append-only'); END;

CREATE TABLE holds (
    scope TEXT PRIMARY KEY NOT NULL,
    act BLOB NOT NULL REFERENCES operator_acts (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE revoked_keys (
    key TEXT PRIMARY KEY NOT NULL,
    act BLOB NOT NULL REFERENCES operator_acts (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    number INTEGER NOT NULL UNIQUE,
    origin TEXT NOT NULL CHECK (origin IN ('made', 'restored', 'accepted')),
    at INTEGER,
    settled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE readings (
    epoch BLOB NOT NULL REFERENCES epochs (id),
    terminal TEXT NOT NULL,
    read_at INTEGER,
    strange_epoch BLOB CHECK (length(strange_epoch) = 16),
    act BLOB REFERENCES operator_acts (id),
    PRIMARY KEY (epoch, terminal)
) STRICT, WITHOUT ROWID;
";

/// Writes the act, its event after those that `head` ends with, and what stands because of it.
pub(super) fn write(connection: &Connection, act: &ActRow, head: Head) -> rusqlite::Result<Head> {
    let transaction = act.deed.transaction();
    let id = transaction
        .as_ref()
        .map(|transaction| transaction.as_bytes());
    let statement = "INSERT INTO operator_acts (id, at, name, reason, kind, deed, transaction_id, \
         outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    connection.prepare_cached(statement)?.execute(params![
        act.id.as_bytes(),
        act.at.as_millis(),
        act.name.to_string(),
        act.reason.to_string(),
        act.deed.kind(),
        json(&act.deed)?,
        id,
        act.outcome.to_string(),
    ])?;
    write_effect(connection, act)?;
    let link = Link {
        transaction: id.map_or(&[][..], |id| id.as_slice()),
        at_ms: act.at.as_millis(),
        kind: "operator_act",
        detail: &act.detail().to_string(),
    };
    change::write_link(connection, &link, head)
}

fn write_effect(connection: &Connection, act: &ActRow) -> rusqlite::Result<()> {
    match &act.deed {
        Deed::Hold { scope } => connection
            .prepare_cached("INSERT INTO holds VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![scope.to_string(), act.id.as_bytes()])
            .map(drop),
        Deed::Release { scope } => connection
            .prepare_cached("DELETE FROM holds WHERE scope = ?1")?
            .execute([scope.to_string()])
            .map(drop),
        Deed::RevokeKey { key } => connection
            .prepare_cached("INSERT INTO revoked_keys VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![key.as_str(), act.id.as_bytes()])
            .map(drop),
        Deed::Vouch { terminal } => epoch::vouch(connection, terminal, act.id),
        // What follows stands in the rows of the sale.
        Deed::Refund { .. }
        | Deed::Resolve { .. }
        | Deed::Open { .. }
        | Deed::OpenAt { .. }
        | Deed::ResolveTask { .. }
        | Deed::Reconcile => Ok(()),
    }
}

const ACT: &str = "SELECT id, at, name, reason, deed, outcome, sequence FROM operator_acts";

pub(super) fn act(connection: &Connection, id: ActId) -> rusqlite::Result<Option<ActRow>> {
    let query = format!("{ACT} WHERE id = ?1");
    connection
        .prepare_cached(&query)?
        .query_row([id.as_bytes()], read_act)
        .optional()
}

/// Newest first.
pub(super) fn acts(
    connection: &Connection,
    before: Option<i64>,
    limit: u32,
) -> rusqlite::Result<ActPage> {
    let query = format!("{ACT} WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2");
    let params = params![before.unwrap_or(i64::MAX), i64::from(limit) + 1];
    let mut found = list(connection, &query, params, |row| {
        Ok((row.get::<_, i64>(6)?, read_act(row)?))
    })?;
    let wanted = limit as usize;
    let next = (found.len() > wanted).then(|| found[wanted - 1].0);
    found.truncate(wanted);
    let acts = found.into_iter().map(|(_, act)| act).collect();
    Ok(ActPage { acts, next })
}

pub(super) fn holds(connection: &Connection) -> rusqlite::Result<Vec<HoldRow>> {
    let query = "SELECT h.scope, a.at, a.name, a.reason, a.id FROM holds h \
         JOIN operator_acts a ON a.id = h.act ORDER BY h.scope";
    list(connection, query, [], |row| {
        Ok(HoldRow {
            scope: rows::parsed(row, 0)?,
            since: rows::instant(row, 1)?,
            name: row.get(2)?,
            reason: row.get(3)?,
            act: ActId::from_random(row.get(4)?),
        })
    })
}

pub(super) fn revoked_keys(connection: &Connection) -> rusqlite::Result<Vec<KeyId>> {
    list(
        connection,
        "SELECT key FROM revoked_keys ORDER BY key",
        [],
        |row| rows::parsed(row, 0),
    )
}

fn read_act(row: &Row<'_>) -> rusqlite::Result<ActRow> {
    let worded = |index: usize, error: &dyn std::fmt::Display| rows::not_ours(index, error);
    Ok(ActRow {
        id: ActId::from_random(row.get(0)?),
        at: rows::instant(row, 1)?,
        name: row
            .get::<_, String>(2)?
            .try_into()
            .map_err(|error| worded(2, &error))?,
        reason: row
            .get::<_, String>(3)?
            .try_into()
            .map_err(|error| worded(3, &error))?,
        deed: serde_json::from_str(row.get_ref(4)?.as_str()?).map_err(|error| worded(4, &error))?,
        outcome: serde_json::from_str(row.get_ref(5)?.as_str()?)
            .map_err(|error| worded(5, &error))?,
    })
}

fn json(deed: &Deed) -> rusqlite::Result<String> {
    serde_json::to_string(deed)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
