//! The writing side.

use std::fs::File;
use std::path::{Path, PathBuf};

use protocol::id::{
    ActId, Entropy, GatewayId, PaymentId, PlatformId, Pseudonym, StoreEpoch, TransactionId,
};
use protocol::signed::KeyId;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::chain::{self, Head};
use super::{
    Identity, books, capped, change, epoch, failed, file, identify, note, open_error, open_writer,
    operator, read,
};
use crate::act::ActRow;
use crate::caps::Counted;
use crate::store::books::{LineRow, OrderBook, Unlisted};
use crate::store::reader::{EpochRow, HoldRow};
use crate::store::{Batch, IdentityRow, OutboxRow, SaleRow, Store, StoreError, TerminalRow};

/// The one writer of a data folder.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    epoch: StoreEpoch,
    starts: u64,
    head: Head,
    /// Cancelled by a commit of which nobody knows whether it is on the disk. After a failed sync the
    /// kernel may have dropped the pages, so no later success would mean anything: only a new
    /// process that reads the file again can tell.
    failure: CancellationToken,
    /// Held while the store lives.
    _lock: File,
    closed: CancellationToken,
    /// The last field: dropped when the file is closed and the lock is free.
    _closing: DropGuard,
}

impl SqliteStore {
    /// Opens or makes the store of `platform` in `folder`.
    pub(crate) fn open(
        folder: &Path,
        platform: &PlatformId,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, StoreError> {
        let (connection, lock) = open_writer(folder)?;
        let path = file(folder);
        let wrap = |source| open_error(&path, source);
        let identity = identify(&connection, platform, entropy).map_err(wrap)?;
        check_platform(&path, platform, &identity)?;
        let epoch = identity
            .epoch
            .parse()
            .map_err(|error| open_error(&path, error))?;
        let head = chain::head(&connection).map_err(wrap)?;
        let closed = CancellationToken::new();
        Ok(Self {
            connection,
            path,
            epoch,
            starts: identity.starts.cast_unsigned(),
            head,
            failure: CancellationToken::new(),
            _lock: lock,
            _closing: closed.clone().drop_guard(),
            closed,
        })
    }

    /// Cancelled once only a new process can tell what is on the disk; nothing is written from
    /// then on.
    pub(crate) fn failure(&self) -> CancellationToken {
        self.failure.clone()
    }

    /// Cancelled once the store was dropped and another process may open it.
    pub(crate) fn closed(&self) -> CancellationToken {
        self.closed.clone()
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.failure.is_cancelled() {
            let source = "an earlier commit failed half-way; start the platform again".into();
            return Err(StoreError::Failed {
                action: "commit",
                source,
            });
        }
        Ok(())
    }
}

impl Store for SqliteStore {
    fn commit_all(&mut self, batch: Batch<'_>) -> Result<(), StoreError> {
        self.writable()?;
        let wrap = failed("commit");
        let transaction = Transaction::new(&mut self.connection, TransactionBehavior::Immediate)
            .map_err(&wrap)?;
        let mut head = self.head;
        // First, so that a history reads: somebody did it, then this came of it.
        for act in batch.acts {
            head = operator::write(&transaction, act, head).map_err(&wrap)?;
        }
        for change in batch.changes {
            head = change::write(&transaction, change, head)?;
        }
        for note in batch.notes {
            note::write(&transaction, note).map_err(&wrap)?;
        }
        for note in batch.books {
            books::write(&transaction, note).map_err(&wrap)?;
        }
        for note in batch.caps {
            capped::write(&transaction, note).map_err(&wrap)?;
        }
        if head != self.head {
            chain::put_head(&transaction, head).map_err(&wrap)?;
        }
        if let Err(error) = transaction.commit() {
            self.failure.cancel();
            return Err(wrap(error));
        }
        self.head = head;
        Ok(())
    }

    fn sale(&self, transaction: TransactionId) -> Result<Option<SaleRow>, StoreError> {
        read::sale(&self.connection, transaction)
    }

    fn open_sales(
        &self,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Vec<SaleRow>, StoreError> {
        read::open_sales(&self.connection, after, limit)
    }

    fn outbox(&self, transaction: Option<TransactionId>) -> Result<Vec<OutboxRow>, StoreError> {
        read::outbox(&self.connection, transaction)
    }

    fn payment_owner(
        &self,
        gateway: &GatewayId,
        payment: PaymentId,
    ) -> Result<Option<TransactionId>, StoreError> {
        read::payment_owner(&self.connection, gateway, payment)
    }

    fn terminal(&self, terminal: &TerminalName) -> Result<Option<TerminalRow>, StoreError> {
        read::terminal(&self.connection, terminal)
    }

    fn reconciliation(&self, gateway: &GatewayId) -> Result<Option<String>, StoreError> {
        books::reconciliation(&self.connection, gateway).map_err(failed("read a reconciliation"))
    }

    fn order_books(&self, orders: &[TransactionId]) -> Result<Vec<OrderBook>, StoreError> {
        books::order_books(&self.connection, orders).map_err(failed("read the books of orders"))
    }

    fn pending_lines(
        &self,
        gateway: &GatewayId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<LineRow>, StoreError> {
        books::pending_lines(&self.connection, gateway, after, limit)
            .map_err(failed("list pending lines"))
    }

    fn unlisted(
        &self,
        gateway: &GatewayId,
        window: (Utc, Utc),
        limit: usize,
    ) -> Result<Vec<Unlisted>, StoreError> {
        books::unlisted(&self.connection, gateway, window, limit)
            .map_err(failed("list what no statement names"))
    }

    fn act(&self, id: ActId) -> Result<Option<ActRow>, StoreError> {
        operator::act(&self.connection, id).map_err(failed("read an act"))
    }

    fn holds(&self) -> Result<Vec<HoldRow>, StoreError> {
        operator::holds(&self.connection).map_err(failed("list holds"))
    }

    fn revoked_keys(&self) -> Result<Vec<KeyId>, StoreError> {
        operator::revoked_keys(&self.connection).map_err(failed("list revoked keys"))
    }

    fn capped(&self) -> Result<Vec<Counted>, StoreError> {
        capped::all(&self.connection).map_err(failed("list capped refunds"))
    }

    fn epoch_row(&self) -> Result<EpochRow, StoreError> {
        epoch::row(&self.connection).map_err(failed("read the epoch"))
    }

    fn put_identity(&mut self, row: &IdentityRow) -> Result<(), StoreError> {
        self.writable()?;
        self.connection
            .execute(
                "INSERT OR REPLACE INTO users VALUES (?1, ?2, ?3, ?4)",
                params![
                    row.pseudonym.as_bytes(),
                    row.identity,
                    row.consent,
                    row.registered_at.as_millis()
                ],
            )
            .map(drop)
            .map_err(failed("keep an identity"))
    }

    #[cfg(test)]
    fn identity(&self, pseudonym: Pseudonym) -> Result<Option<IdentityRow>, StoreError> {
        use rusqlite::OptionalExtension as _;
        let query = "SELECT identity, consent, registered_at FROM users WHERE pseudonym = ?1";
        self.connection
            .query_row(query, [pseudonym.as_bytes()], |row| {
                Ok(IdentityRow {
                    pseudonym,
                    identity: row.get(0)?,
                    consent: row.get(1)?,
                    registered_at: super::rows::instant(row, 2)?,
                })
            })
            .optional()
            .map_err(failed("read an identity"))
    }

    fn erase_identity(&mut self, pseudonym: Pseudonym) -> Result<bool, StoreError> {
        self.writable()?;
        let wrap = failed("erase an identity");
        let erased = self
            .connection
            .execute(
                "DELETE FROM users WHERE pseudonym = ?1",
                [pseudonym.as_bytes()],
            )
            .map_err(&wrap)?;
        // The write-ahead log still holds the row until it is folded into the file and cut off.
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(&wrap)?;
        tracing::debug!(path = %self.path.display(), erased, "identity erased");
        Ok(erased > 0)
    }

    fn epoch(&self) -> StoreEpoch {
        self.epoch
    }

    fn starts(&self) -> u64 {
        self.starts
    }
}

fn check_platform(
    path: &Path,
    platform: &PlatformId,
    identity: &Identity,
) -> Result<(), StoreError> {
    if identity.platform == platform.as_str() {
        return Ok(());
    }
    let theirs = &identity.platform;
    let reason = format!(
        "belongs to platform '{theirs}', not '{platform}': set platform = \"{theirs}\" or use \
         another data folder"
    );
    Err(open_error(path, std::io::Error::other(reason)))
}
