//! The schema and its history. A migration is never changed once it has been released; the next
//! one follows it.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::capped;
use super::link::LINKS;
use super::operator;
use super::second::SECOND;

/// Statements that lead from each version to the next; the first one starts from an empty file.
pub(super) const MIGRATIONS: &[&str] =
    &[FIRST, SECOND, LINKS, operator::MIGRATION, capped::MIGRATION];

/// Why a database can't be used with these migrations.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("schema {found} is newer than {known}")]
    Newer { found: u32, known: u32 },
    #[error("schema {version} can't be reached")]
    Statement {
        version: u32,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the schema version can't be read")]
    Version(#[source] rusqlite::Error),
}

/// Brings the database to the newest version; each step is a transaction of its own.
pub(super) fn migrate(
    connection: &mut Connection,
    migrations: &[&str],
) -> Result<(), MigrateError> {
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let found = version(connection).map_err(MigrateError::Version)?;
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (version, statements) in (1_u32..).zip(migrations).skip(found as usize) {
        step(connection, version, statements)
            .map_err(|source| MigrateError::Statement { version, source })?;
    }
    Ok(())
}

/// The schema version of the file; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> Result<u32, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn step(connection: &mut Connection, version: u32, statements: &str) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Exclusive)?;
    transaction.execute_batch(statements)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

/// Ids are 16 raw bytes, instants milliseconds since 1970, money minor units with its currency.
const FIRST: &str = "
CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE transactions (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    terminal TEXT NOT NULL,
    session BLOB NOT NULL CHECK (length(session) = 16),
    state TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor >= 0),
    currency TEXT NOT NULL,
    open INTEGER NOT NULL CHECK (open IN (0, 1)),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;
CREATE INDEX transactions_open ON transactions (id) WHERE open = 1;
CREATE INDEX transactions_open_at ON transactions (terminal) WHERE open = 1;
CREATE INDEX transactions_terminal ON transactions (terminal, sequence);
CREATE INDEX transactions_state ON transactions (state, sequence);

CREATE TABLE orders (
    id BLOB PRIMARY KEY NOT NULL REFERENCES transactions (id),
    state TEXT NOT NULL,
    minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE payments (
    id BLOB NOT NULL CHECK (length(id) = 16),
    transaction_id BLOB NOT NULL REFERENCES transactions (id),
    gateway TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor >= 0),
    currency TEXT NOT NULL,
    payee TEXT NOT NULL,
    refunded_minor INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (transaction_id, gateway, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX payments_id ON payments (gateway, id);

CREATE TABLE refunds (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    payment BLOB NOT NULL,
    transaction_id BLOB NOT NULL REFERENCES transactions (id),
    minor INTEGER NOT NULL CHECK (minor >= 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refunds_transaction ON refunds (transaction_id);

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY,
    transaction_id BLOB NOT NULL REFERENCES transactions (id),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX events_transaction ON events (transaction_id, sequence);
CREATE TRIGGER events_keep BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_stay BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE ledger (
    sequence INTEGER PRIMARY KEY,
    transaction_id BLOB NOT NULL REFERENCES transactions (id),
    payment BLOB NOT NULL,
    refund BLOB,
    account TEXT NOT NULL,
    debit_minor INTEGER NOT NULL CHECK (debit_minor >= 0),
    credit_minor INTEGER NOT NULL CHECK (credit_minor >= 0),
    currency TEXT NOT NULL,
    at INTEGER NOT NULL,
    CHECK ((debit_minor = 0) <> (credit_minor = 0))
) STRICT;
CREATE INDEX ledger_transaction ON ledger (transaction_id, sequence);
CREATE TRIGGER ledger_keep BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_stay BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE balances (
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    debit_minor INTEGER NOT NULL,
    credit_minor INTEGER NOT NULL,
    PRIMARY KEY (account, currency)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER ledger_balance AFTER INSERT ON ledger
    BEGIN
        INSERT INTO balances VALUES (NEW.account, NEW.currency, NEW.debit_minor, NEW.credit_minor)
        ON CONFLICT (account, currency) DO UPDATE SET
            debit_minor = debit_minor + NEW.debit_minor,
            credit_minor = credit_minor + NEW.credit_minor;
    END;

CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    transaction_id BLOB NOT NULL REFERENCES transactions (id),
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
) STRICT;
CREATE INDEX outbox_transaction ON outbox (transaction_id, sequence);

CREATE TABLE terminals (
    name TEXT PRIMARY KEY NOT NULL,
    online INTEGER NOT NULL DEFAULT 0 CHECK (online IN (0, 1)),
    presence_at INTEGER,
    hello_at INTEGER,
    boot BLOB,
    agent_version TEXT,
    journal BLOB,
    last_receipt BLOB
) STRICT, WITHOUT ROWID;

CREATE TABLE journals (
    terminal TEXT NOT NULL REFERENCES terminals (name),
    id BLOB NOT NULL CHECK (length(id) = 16),
    acknowledged_through INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (terminal, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    pseudonym BLOB PRIMARY KEY NOT NULL CHECK (length(pseudonym) = 16),
    identity TEXT NOT NULL,
    consent TEXT NOT NULL,
    registered_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_older_version_reaches_the_newest() {
        let longer = [
            FIRST,
            "CREATE TABLE second (a ANY) STRICT",
            "DROP TABLE second",
        ];

        for start in 0..=longer.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            migrate(&mut connection, &longer[..start]).unwrap();
            migrate(&mut connection, &longer).unwrap();
            assert_eq!(version(&connection).unwrap(), 3, "from version {start}");
        }
    }

    #[test]
    fn a_failed_step_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = [
            FIRST,
            "CREATE TABLE second (a ANY); CREATE TABLE second (a ANY);",
        ];
        let error = migrate(&mut connection, &broken).unwrap_err();
        assert!(matches!(error, MigrateError::Statement { version: 2, .. }));
        assert_eq!(version(&connection).unwrap(), 1);
        let tables: u32 = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'second'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[FIRST, "CREATE TABLE second (a ANY)"]).unwrap();
        let error = migrate(&mut connection, &[FIRST]).unwrap_err();
        assert!(matches!(error, MigrateError::Newer { found: 2, known: 1 }));
        assert_eq!(version(&connection).unwrap(), 2);
    }
}
