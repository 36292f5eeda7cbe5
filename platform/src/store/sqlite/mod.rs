//! The store as one `SQLite` file: WAL, synchronous FULL, foreign keys on.

mod audit;
mod backup;
mod bookings;
mod books;
mod capped;
mod chain;
mod change;
mod checker;
mod epoch;
mod invariants;
mod link;
mod note;
mod operator;
mod read;
mod rows;
mod schema;
mod second;
mod terminals;
#[cfg(test)]
mod tests;
mod write;

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::id::{Entropy, PlatformId, StoreEpoch};
use protocol::time::Utc;
use protocol::topic::TerminalName;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

pub(crate) use self::backup::{BackupError, backup, restore};
pub(crate) use self::checker::{Checker, Findings};
pub(crate) use self::read::SqliteReader;
use self::schema::{MIGRATIONS, MigrateError};
pub(crate) use self::write::SqliteStore;
use super::StoreError;
use crate::export::Booking;

/// The database in the data folder.
const FILE: &str = "platform.sqlite3";

/// Held by the one process that may write.
const LOCK_FILE: &str = "platform.lock";

/// How long a statement waits for another connection's lock: an operator's `sqlite3` shell or a
/// backup holds one for moments; whatever holds it longer must not stop the platform for ever.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared per connection: this module has about 40.
const STATEMENTS_MAX: usize = 64;

/// Path of the database in a data folder.
pub(crate) fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// A writing connection at the newest schema, and the lock that makes it the only one.
fn open_writer(folder: &Path) -> Result<(Connection, File), StoreError> {
    let path = file(folder);
    let lock = lock(folder)?;
    backup::refuse_unfinished(folder).map_err(|source| open_error(&path, source))?;
    // Made here and not by the library, for the mode: its other files take it from this one.
    private(&path).map_err(|source| open_error(&path, source))?;
    let mut connection = Connection::open(&path).map_err(|source| open_error(&path, source))?;
    configure(&connection).map_err(|source| open_error(&path, source))?;
    schema::migrate(&mut connection, MIGRATIONS).map_err(|error| match error {
        MigrateError::Newer { found, known } => StoreError::Newer {
            path: path.display().to_string(),
            found,
            known,
        },
        error => open_error(&path, error),
    })?;
    Ok((connection, lock))
}

/// Gives each booking of the window, with its terminal, to `take`; the platform may run.
pub(crate) fn each_booking(
    folder: &Path,
    window: (Utc, Utc),
    take: &mut dyn FnMut(TerminalName, Booking),
) -> Result<(), StoreError> {
    let connection = open_reader(folder)?;
    bookings::each(&connection, window, take).map_err(failed("list bookings"))
}

/// A connection that can't change anything, at exactly our schema.
fn open_reader(folder: &Path) -> Result<Connection, StoreError> {
    let path = file(folder);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let found = schema::version(&connection)?;
        Ok((connection, found))
    };
    let (connection, found) =
        open().map_err(|source: rusqlite::Error| open_error(&path, source))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer {
            path: path.display().to_string(),
            found,
            known,
        });
    }
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What is erased is overwritten: identities must not survive in free pages.
    connection.pragma_update(None, "secure_delete", "ON")
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK_FILE);
    let locked = private(&path).and_then(|file| match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let reason = "another platform process is using this data folder; stop it first";
            Err(std::io::Error::other(reason))
        }
        Err(TryLockError::Error(error)) => Err(error),
    });
    locked.map_err(|source| open_error(&path, source))
}

/// The file, made readable by its owner alone if it was not there.
fn private(path: &Path) -> std::io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// Platform, epoch and the count of starts; made with the store, checked ever after.
fn identify(
    connection: &Connection,
    platform: &PlatformId,
    entropy: &mut dyn Entropy,
) -> rusqlite::Result<Identity> {
    let new = StoreEpoch::from_random(entropy.bytes());
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('epoch', ?1), ('platform', ?2), ('starts', 0) \
         ON CONFLICT DO NOTHING",
        params![new.to_string(), platform.as_str()],
    )?;
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'starts'", [])?;
    epoch::know(connection, &meta(connection, "epoch")?)?;
    Ok(Identity {
        epoch: meta(connection, "epoch")?,
        platform: meta(connection, "platform")?,
        starts: connection.query_row("SELECT value FROM meta WHERE key = 'starts'", [], |row| {
            row.get(0)
        })?,
    })
}

struct Identity {
    epoch: String,
    platform: String,
    starts: i64,
}

fn meta(connection: &Connection, key: &str) -> rusqlite::Result<String> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    let value = statement.query_row([key], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or_default())
}

fn open_error(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Open {
        path: path.display().to_string(),
        source: Box::new(source),
    }
}

fn failed(action: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |source| StoreError::Failed {
        action,
        source: Box::new(source),
    }
}
