//! From the digest of a payer's token to the sale. The token itself is nowhere in the store.

use protocol::id::TransactionId;
use protocol::message::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::rows;
use crate::store::SaleRow;

pub(super) const LINKS: &str = "
CREATE TABLE links (
    digest BLOB PRIMARY KEY NOT NULL CHECK (length(digest) = 32),
    transaction_id BLOB NOT NULL REFERENCES transactions (id)
) STRICT, WITHOUT ROWID;
";

/// A digest that is known already stays with the sale that had it first: whoever repeats one
/// must not take a payer's page away, nor fail the commit of others.
pub(super) fn write(
    connection: &Connection,
    link: &Digest,
    transaction: TransactionId,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO links VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING")?
        .execute(params![link.as_bytes(), transaction.as_bytes()])
        .map(drop)
}

pub(super) fn sale(connection: &Connection, link: &Digest) -> rusqlite::Result<Option<SaleRow>> {
    let query = format!(
        "{} WHERE t.id = (SELECT transaction_id FROM links WHERE digest = ?1)",
        rows::SALE
    );
    connection
        .prepare_cached(&query)?
        .query_row([link.as_bytes()], rows::sale)
        .optional()
}
