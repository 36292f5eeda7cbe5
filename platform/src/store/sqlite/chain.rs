//! The chain of events: each row's hash covers the row and the hash of the row before it, so that
//! a changed, missing or inserted row shows.

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

/// Where the chain ends: kept beside the events too, so that a cut tail shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: i64,
    pub(super) hash: [u8; 32],
}

impl Head {
    /// Before the first event.
    const START: Self = Self {
        sequence: 0,
        hash: [0; 32],
    };

    /// The head after one more event.
    pub(super) fn next(self, event: &Link<'_>) -> Self {
        let sequence = self.sequence + 1;
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(sequence.to_be_bytes());
        hash.update(event.at_ms.to_be_bytes());
        // Lengths go in front, so that no two rows share one form.
        for part in [
            event.transaction,
            event.kind.as_bytes(),
            event.detail.as_bytes(),
        ] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self {
            sequence,
            hash: hash.finalize().into(),
        }
    }
}

/// What of an event is covered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<'e> {
    pub(super) transaction: &'e [u8],
    pub(super) at_ms: i64,
    pub(super) kind: &'e str,
    pub(super) detail: &'e str,
}

/// The stored head.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let stored: Option<Vec<u8>> = connection
        .query_row(
            "SELECT value FROM meta WHERE key = 'chain_head'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let Some(stored) = stored else {
        return Ok(Head::START);
    };
    let (sequence, hash) = stored.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    Ok(Head {
        sequence: i64::from_be_bytes(*sequence),
        // A head of another length fits no chain, so the verification names it.
        hash: hash.try_into().unwrap_or([0; 32]),
    })
}

/// Stores the head, in the transaction of the events before it.
pub(super) fn put_head(connection: &Connection, head: Head) -> rusqlite::Result<()> {
    let mut value = head.sequence.to_be_bytes().to_vec();
    value.extend_from_slice(&head.hash);
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES ('chain_head', ?1)")?
        .execute(params![value])?;
    Ok(())
}

/// Whether every event is as it was written and none is missing.
pub(super) fn is_intact(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare(
        "SELECT sequence, transaction_id, at, kind, detail, hash FROM events ORDER BY sequence",
    )?;
    let mut rows = statement.query([])?;
    let mut computed = Head::START;
    while let Some(row) = rows.next()? {
        computed = computed.next(&Link {
            transaction: row.get_ref(1)?.as_blob()?,
            at_ms: row.get(2)?,
            kind: row.get_ref(3)?.as_str()?,
            detail: row.get_ref(4)?.as_str()?,
        });
        if computed.sequence != row.get::<_, i64>(0)?
            || computed.hash != row.get::<_, [u8; 32]>(5)?
        {
            return Ok(false);
        }
    }
    Ok(computed == head(connection)?)
}
