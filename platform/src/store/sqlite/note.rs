//! Writing what was learned of a terminal.

use rusqlite::{Connection, params};

use crate::store::TerminalNote;

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
    let statement = "INSERT INTO journals VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET \
         acknowledged_through = max(acknowledged_through, excluded.acknowledged_through)";
    let written = connection.prepare_cached(statement)?.execute(params![
        terminal,
        journal,
        through.cast_signed()
    ]);
    written.map(drop)
}
