//! What is known of terminals.

use std::collections::BTreeMap;

use protocol::id::{BootId, JournalId};
use protocol::message::Digest;
use protocol::topic::TerminalName;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::read::list;
use super::rows;
use crate::store::TerminalRow;

const TERMINAL: &str = "SELECT name, online, presence_at, hello_at, boot, agent_version, journal, \
     last_receipt, (SELECT count(*) FROM transactions t WHERE t.open = 1 AND t.terminal = name) \
     FROM terminals";

pub(super) fn one(
    connection: &Connection,
    terminal: &TerminalName,
) -> rusqlite::Result<Option<TerminalRow>> {
    let name = terminal.to_string();
    let query = format!("{TERMINAL} WHERE name = ?1");
    let found = connection
        .prepare_cached(&query)?
        .query_row([name], read)
        .optional()?;
    found.map(|row| with_journals(connection, row)).transpose()
}

pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<TerminalRow>> {
    let view = connection.unchecked_transaction()?;
    let found = list(&view, &format!("{TERMINAL} ORDER BY name"), [], read)?;
    found
        .into_iter()
        .map(|row| with_journals(&view, row))
        .collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<TerminalRow> {
    Ok(TerminalRow {
        terminal: rows::parsed(row, 0)?,
        online: row.get(1)?,
        presence_at: rows::optional_instant(row, 2)?,
        hello_at: rows::optional_instant(row, 3)?,
        boot: row.get::<_, Option<[u8; 16]>>(4)?.map(BootId::from_random),
        agent_version: row.get(5)?,
        current_journal: row
            .get::<_, Option<[u8; 16]>>(6)?
            .map(JournalId::from_random),
        last_receipt: row.get::<_, Option<[u8; 32]>>(7)?.map(Digest::from_bytes),
        journals: BTreeMap::new(),
        open_sales: row.get::<_, i64>(8)?.cast_unsigned(),
    })
}

fn with_journals(connection: &Connection, row: TerminalRow) -> rusqlite::Result<TerminalRow> {
    let query = "SELECT id, acknowledged_through FROM journals WHERE terminal = ?1";
    let journals = list(
        connection,
        query,
        params![row.terminal.to_string()],
        |journal| {
            Ok((
                JournalId::from_random(journal.get(0)?),
                journal.get::<_, i64>(1)?.cast_unsigned(),
            ))
        },
    )?;
    Ok(TerminalRow {
        journals: journals.into_iter().collect(),
        ..row
    })
}
