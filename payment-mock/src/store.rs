//! Where the ledger's entries stay: one `SQLite` file, appended to in groups, synced before anybody
//! is answered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use crate::ledger::Entry;

/// The file in the data folder.
pub(crate) const FILE_NAME: &str = "ledger.sqlite";

/// How long to wait for another process that is just letting go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// Grows with every change of the tables.
const SCHEMA_VERSION: i64 = 1;

/// Why the ledger can't be read or written. After a failed write the file is ahead of nobody and
/// memory may be ahead of the file, so the process must end.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: can't make the data folder")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: can't open the ledger; is another payment server using it?")]
    Open {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("{path}: the ledger has schema {found}, this program knows {SCHEMA_VERSION}")]
    Schema { path: PathBuf, found: i64 },
    #[error("the ledger can't be read")]
    Read(#[source] rusqlite::Error),
    #[error("entry {sequence} of the ledger is damaged")]
    Damaged {
        sequence: i64,
        #[source]
        source: serde_json::Error,
    },
    #[error("the ledger can't be written")]
    Write(#[source] rusqlite::Error),
    #[error("an entry has no JSON form")]
    Encode(#[source] serde_json::Error),
}

#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
}

impl Store {
    /// Opens or creates the ledger of a data folder, for this process alone.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let path = folder.join(FILE_NAME);
        let open = |source| StoreError::Open {
            path: path.clone(),
            source,
        };
        let connection = Connection::open(&path).map_err(open)?;
        prepare(&connection).map_err(open)?;
        let found: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(open)?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Schema { path, found });
        }
        Ok(Self { connection })
    }

    /// Gives every entry to `each`, in the order they were written.
    pub(crate) fn replay(&self, mut each: impl FnMut(Entry)) -> Result<(), StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT sequence, body FROM entry ORDER BY sequence")
            .map_err(StoreError::Read)?;
        let mut rows = statement.query([]).map_err(StoreError::Read)?;
        while let Some(row) = rows.next().map_err(StoreError::Read)? {
            let sequence = row.get(0).map_err(StoreError::Read)?;
            let body: String = row.get(1).map_err(StoreError::Read)?;
            let damaged = |source| StoreError::Damaged { sequence, source };
            each(serde_json::from_str(&body).map_err(damaged)?);
        }
        Ok(())
    }

    /// Writes all of them or none, and returns once they are on the disk.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction().map_err(StoreError::Write)?;
        for entry in entries {
            let body = serde_json::to_string(entry).map_err(StoreError::Encode)?;
            transaction
                .prepare_cached("INSERT INTO entry (body) VALUES (?1)")
                .and_then(|mut insert| insert.execute([body]))
                .map_err(StoreError::Write)?;
        }
        transaction.commit().map_err(StoreError::Write)
    }
}

/// WAL with FULL keeps every acknowledged commit over a power cut; the exclusive lock keeps a
/// second server from answering out of the same ledger.
fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(
        "PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS entry (
             sequence INTEGER PRIMARY KEY AUTOINCREMENT,
             body TEXT NOT NULL
         ) STRICT;",
    )?;
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == 0 {
        connection.execute_batch(&format!("PRAGMA user_version = {SCHEMA_VERSION};"))?;
    }
    connection.execute_batch("COMMIT;")
}

#[cfg(test)]
mod tests {
    use protocol::id::TransactionId;

    use super::{Store, StoreError};
    use crate::ledger::{Attempt, Entry};

    fn entry(byte: u8) -> Entry {
        Entry::AttemptFailed {
            order: TransactionId::from_random([byte; 16]),
            attempt: Attempt::Declined,
        }
    }

    fn entries(store: &Store) -> Vec<Entry> {
        let mut entries = Vec::new();
        store.replay(|entry| entries.push(entry)).unwrap();
        entries
    }

    #[test]
    fn what_was_appended_is_there_after_reopening_in_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        store.append(&[entry(1), entry(2)]).unwrap();
        store.append(&[entry(3)]).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(entries(&store), [entry(1), entry(2), entry(3)]);
    }

    #[test]
    fn a_second_server_can_not_open_the_same_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Store::open(folder.path()).unwrap();
        let second = Store::open(folder.path());
        assert!(matches!(second, Err(StoreError::Open { .. })), "{second:?}");
    }

    #[test]
    fn a_newer_schema_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store
            .connection
            .execute_batch("PRAGMA user_version = 9;")
            .unwrap();
        drop(store);
        let newer = Store::open(folder.path());
        assert!(
            matches!(newer, Err(StoreError::Schema { found: 9, .. })),
            "{newer:?}"
        );
    }
}
