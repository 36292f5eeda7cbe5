//! The chain of events: each row's hash covers the row and the hash of the row before it, so that
//! a changed, missing or inserted row shows.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use crate::audit::Violation;

/// Where the chain ends: kept beside the events too, so that a cut tail shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) sequence: i64,
    pub(super) hash: [u8; 32],
}

impl Head {
    /// Before the first event.
    pub(super) const START: Self = Self {
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
    /// Empty for an event of no transaction.
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

/// Computes the hashes of at most `limit` events after `from`; gives the last event that is as it
/// was written, and the violation that stopped it.
pub(super) fn verify(
    connection: &Connection,
    from: Head,
    limit: i64,
) -> rusqlite::Result<(Head, Option<Violation>)> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, transaction_id, at, kind, detail, hash FROM events \
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let mut rows = statement.query(params![from.sequence, limit])?;
    let mut verified = from;
    let mut count = 0_i64;
    while let Some(row) = rows.next()? {
        let Some(next) = follow(verified, row)? else {
            let sequence: i64 = row.get(0)?;
            return Ok((
                verified,
                Some(broken(verified, &format!("event {sequence}"))),
            ));
        };
        verified = next;
        count += 1;
    }
    let is_end = count < limit;
    if is_end && verified != head(connection)? {
        return Ok((verified, Some(broken(verified, "the end of the chain"))));
    }
    Ok((verified, None))
}

/// The head after this row, if the row follows.
fn follow(head: Head, row: &Row<'_>) -> rusqlite::Result<Option<Head>> {
    let (Ok(transaction), Ok(kind), Ok(detail)) = (
        row.get_ref(1)?.as_blob_or_null(),
        row.get_ref(3)?.as_str(),
        row.get_ref(4)?.as_str(),
    ) else {
        return Ok(None);
    };
    let next = head.next(&Link {
        transaction: transaction.unwrap_or_default(),
        at_ms: row.get(2)?,
        kind,
        detail,
    });
    let is_as_written =
        next.sequence == row.get::<_, i64>(0)? && next.hash == row.get::<_, [u8; 32]>(5)?;
    Ok(is_as_written.then_some(next))
}

fn broken(after: Head, subject: &str) -> Violation {
    Violation {
        invariant: "I8",
        rule: "an event was changed, is missing or was put in",
        subject: subject.to_owned(),
        detail: format!(
            "the last one that is as it was written is {}",
            after.sequence
        ),
    }
}
