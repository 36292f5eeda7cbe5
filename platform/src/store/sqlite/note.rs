//! Writing what was learned of a terminal.

use rusqlite::{Connection, params};

use super::epoch;
use crate::store::TerminalNote;

/// Most journals of one terminal that are kept: a terminal has one, and a new one each time that
/// its file was lost. Later ones are still heard; only their acknowledgements are forgotten at a
/// restart, which costs a resend.
const JOURNALS_MAX: i64 = 64;

pub(super) fn write(connection: &Connection, note: &TerminalNote) -> rusqlite::Result<()> {
    match note {
        TerminalNote::Hello {
            terminal,
            at,
            boot,
            journal,
            agent_version,
        } => {
            let name = terminal.to_string();
            let columns = params![
                name,
                at.as_millis(),
                boot.as_bytes(),
                journal.as_bytes(),
                agent_version
            ];
            connection
                .prepare_cached(
                    "INSERT INTO terminals (name, hello_at, boot, journal, agent_version) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET \
                     hello_at = excluded.hello_at, boot = excluded.boot, \
                     journal = excluded.journal, agent_version = excluded.agent_version",
                )?
                .execute(columns)?;
            acknowledge(connection, &name, journal.as_bytes(), 0)
        }
        TerminalNote::Presence {
            terminal,
            at,
            online,
        } => connection
            .prepare_cached(
                "INSERT INTO terminals (name, online, presence_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (name) DO UPDATE SET online = excluded.online, \
                 presence_at = excluded.presence_at",
            )?
            .execute(params![terminal.to_string(), online, at.as_millis()])
            .map(drop),
        TerminalNote::Acknowledged { terminal, record } => {
            let name = terminal.to_string();
            know(connection, &name)?;
            acknowledge(
                connection,
                &name,
                record.journal.as_bytes(),
                record.sequence,
            )
        }
        TerminalNote::StrangeEpoch {
            terminal,
            epoch: strange,
        } => epoch::note_strange(connection, terminal, *strange),
        TerminalNote::JournalRead { terminal, at } => epoch::note_read(connection, terminal, *at),
        TerminalNote::AllJournalsRead { at } => epoch::settle(connection, *at),
        TerminalNote::Receipt { terminal, digest } => connection
            .prepare_cached(
                "INSERT INTO terminals (name, last_receipt) VALUES (?1, ?2) \
                 ON CONFLICT (name) DO UPDATE SET last_receipt = excluded.last_receipt",
            )?
            .execute(params![terminal.to_string(), digest.as_bytes()])
            .map(drop),
    }
}

fn know(connection: &Connection, terminal: &str) -> rusqlite::Result<()> {
    let statement = "INSERT INTO terminals (name) VALUES (?1) ON CONFLICT DO NOTHING";
    connection
        .prepare_cached(statement)?
        .execute([terminal])
        .map(drop)
}

fn acknowledge(
    connection: &Connection,
    terminal: &str,
    journal: &[u8],
    through: u64,
) -> rusqlite::Result<()> {
    // A terminal that makes up journals fills its own rows and nothing else: see JOURNALS_MAX.
    let statement = "INSERT INTO journals SELECT ?1, ?2, ?3 \
         WHERE (SELECT count(*) FROM journals WHERE terminal = ?1 AND id <> ?2) < ?4 \
         ON CONFLICT DO UPDATE SET \
         acknowledged_through = max(acknowledged_through, excluded.acknowledged_through)";
    let written = connection.prepare_cached(statement)?.execute(params![
        terminal,
        journal,
        through.cast_signed(),
        JOURNALS_MAX,
    ]);
    written.map(drop)
}
