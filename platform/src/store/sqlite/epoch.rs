//! Incarnations of the store, and what of each terminal's journal is known in the newest.

use protocol::id::{ActId, StoreEpoch};
use protocol::time::Utc;
use protocol::topic::TerminalName;
use rusqlite::{Connection, Row, params};

use super::read::list;
use super::{meta, rows};
use crate::store::reader::{EpochRow, Known};

/// Makes an epoch that the store had before there was a list of them one of the list.
pub(super) fn know(connection: &Connection, epoch: &str) -> rusqlite::Result<()> {
    let epoch: StoreEpoch = epoch.parse().map_err(|error| rows::not_ours(0, error))?;
    put(connection, epoch, "made", None)
}

/// A restored store begins anew.
pub(super) fn begin(connection: &Connection, epoch: StoreEpoch, at: Utc) -> rusqlite::Result<()> {
    put(connection, epoch, "restored", Some(at))
}

fn put(
    connection: &Connection,
    epoch: StoreEpoch,
    origin: &str,
    at: Option<Utc>,
) -> rusqlite::Result<()> {
    let statement = "INSERT INTO epochs (id, number, origin, at) \
         VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM epochs), ?2, ?3) \
         ON CONFLICT (id) DO NOTHING";
    connection
        .prepare_cached(statement)?
        .execute(params![epoch.as_bytes(), origin, at.map(Utc::as_millis)])
        .map(drop)
}

/// Everything about the newest epoch.
pub(super) fn row(connection: &Connection) -> rusqlite::Result<EpochRow> {
    let store_epoch = current(connection)?;
    let is_restored = "SELECT origin = 'restored' AND settled_at IS NULL FROM epochs WHERE id = ?1";
    let noted = "SELECT terminal, read_at, strange_epoch, act FROM readings WHERE epoch = ?1";
    let epoch = store_epoch.as_bytes();
    Ok(EpochRow {
        store_epoch,
        is_restored: connection.query_row(is_restored, [epoch], |row| row.get(0))?,
        epochs: list(
            connection,
            "SELECT id FROM epochs ORDER BY number",
            [],
            |row| Ok(StoreEpoch::from_random(row.get(0)?)),
        )?,
        heard: list(
            connection,
            "SELECT name FROM terminals ORDER BY name",
            [],
            |row| rows::parsed(row, 0),
        )?,
        noted: list(connection, noted, [epoch], read)?
            .into_iter()
            .collect(),
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<(TerminalName, Known)> {
    let strange: Option<[u8; 16]> = row.get(2)?;
    let is_vouched = row.get::<_, Option<[u8; 16]>>(3)?.is_some();
    let known = match strange {
        _ if is_vouched => Known::Vouched,
        Some(strange) => Known::Strange(StoreEpoch::from_random(strange)),
        None if row.get::<_, Option<i64>>(1)?.is_some() => Known::Read,
        None => Known::Unread,
    };
    Ok((rows::parsed(row, 0)?, known))
}

pub(super) fn note_read(
    connection: &Connection,
    terminal: &TerminalName,
    at: Utc,
) -> rusqlite::Result<()> {
    let statement = "INSERT INTO readings (epoch, terminal, read_at) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET read_at = excluded.read_at";
    let epoch = current(connection)?;
    connection
        .prepare_cached(statement)?
        .execute(params![
            epoch.as_bytes(),
            terminal.to_string(),
            at.as_millis()
        ])
        .map(drop)
}

/// Every journal is read: terminals that come later have nothing to tell of before.
pub(super) fn settle(connection: &Connection, at: Utc) -> rusqlite::Result<()> {
    let epoch = current(connection)?;
    connection
        .prepare_cached("UPDATE epochs SET settled_at = ?2 WHERE id = ?1 AND settled_at IS NULL")?
        .execute(params![epoch.as_bytes(), at.as_millis()])
        .map(drop)
}

/// What a person has answered for before is to be answered for again.
pub(super) fn note_strange(
    connection: &Connection,
    terminal: &TerminalName,
    strange: StoreEpoch,
) -> rusqlite::Result<()> {
    let statement = "INSERT INTO readings (epoch, terminal, strange_epoch) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET strange_epoch = excluded.strange_epoch, act = NULL";
    let epoch = current(connection)?;
    connection
        .prepare_cached(statement)?
        .execute(params![
            epoch.as_bytes(),
            terminal.to_string(),
            strange.as_bytes()
        ])
        .map(drop)
}

/// A person answers for the terminal; an epoch that it named is known from now on.
pub(super) fn vouch(
    connection: &Connection,
    terminal: &TerminalName,
    act: ActId,
) -> rusqlite::Result<()> {
    let epoch = current(connection)?;
    let name = terminal.to_string();
    let noted = list(
        connection,
        "SELECT strange_epoch FROM readings WHERE epoch = ?1 AND terminal = ?2",
        params![epoch.as_bytes(), name],
        |row| row.get::<_, Option<[u8; 16]>>(0),
    )?;
    for strange in noted.into_iter().flatten() {
        put(
            connection,
            StoreEpoch::from_random(strange),
            "accepted",
            None,
        )?;
    }
    let statement = "INSERT INTO readings (epoch, terminal, act) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET act = excluded.act";
    connection
        .prepare_cached(statement)?
        .execute(params![epoch.as_bytes(), name, act.as_bytes()])
        .map(drop)
}

fn current(connection: &Connection) -> rusqlite::Result<StoreEpoch> {
    let text = meta(connection, "epoch")?;
    text.parse().map_err(|error| rows::not_ours(0, error))
}
