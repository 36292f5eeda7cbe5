//! Refunds that were let out by themselves lately (R13), so that a restart does not start the
//! window anew.

use rusqlite::{Connection, params};

use super::read::list;
use super::rows;
use crate::caps::{CapNote, Counted};

/// Without instants: nobody trusts a wall clock with a cap, so a row counts for a full window after
/// each start (R16).
pub(super) const MIGRATION: &str = "
CREATE TABLE capped_refunds (
    refund BLOB PRIMARY KEY NOT NULL CHECK (length(refund) = 16),
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

pub(super) fn write(connection: &Connection, note: &CapNote) -> rusqlite::Result<()> {
    match note {
        CapNote::Counted(counted) => connection
            .prepare_cached("INSERT OR REPLACE INTO capped_refunds VALUES (?1, ?2)")?
            .execute(params![counted.refund.as_bytes(), json(counted)?]),
        CapNote::Passed(refund) => connection
            .prepare_cached("DELETE FROM capped_refunds WHERE refund = ?1")?
            .execute([refund.as_bytes()]),
    }
    .map(drop)
}

/// In the order of their ids.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Counted>> {
    let query = "SELECT document FROM capped_refunds ORDER BY refund";
    list(connection, query, [], |row| {
        serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|error| rows::not_ours(0, &error))
    })
}

fn json(counted: &Counted) -> rusqlite::Result<String> {
    serde_json::to_string(counted)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
