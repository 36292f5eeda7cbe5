//! Runs the checks: over everything for an audit, every minute over what has changed.
//!
//! The minute's form is bounded whatever the size of the store: it looks at the transactions of at
//! most [`EVENTS_MAX`] new events, at [`OPEN_MAX`] open ones in turn, and at those that were in
//! violation before, each by its index. The full form reads every row once per check.

use std::collections::BTreeSet;
use std::path::Path;

use protocol::id::TransactionId;
use protocol::time::Utc;
use rusqlite::{Connection, OptionalExtension as _, named_params, params};

use super::chain::{self, Head};
use super::invariants::{CHECKS, Check};
use super::{failed, open_reader, rows};
use crate::audit::Violation;
use crate::sale::Sale;
use crate::store::StoreError;

/// New events of one minute: those of 5,000 sales, about 80 a second, which together with the open
/// ones are read within five seconds. A busier minute is made up for in quiet ones, and how far
/// behind the checks are is a metric.
const EVENTS_MAX: i64 = 100_000;

/// Open transactions of one minute. With 10,000 terminals all of them take a few minutes.
const OPEN_MAX: i64 = 2_000;

/// Rows of one check. Who has more has one defect, not a thousand.
const ROWS_MAX: i64 = 1_000;

/// Transactions that stay under examination because they were in violation.
const SUSPECTS_MAX: usize = 1_000;

/// A reading connection of its own, and how far it has looked.
#[derive(Debug)]
pub(crate) struct Checker {
    connection: Connection,
    marks: Option<Marks>,
    suspects: BTreeSet<TransactionId>,
}

#[derive(Debug, Clone, Copy)]
struct Marks {
    /// The last event whose hash was computed.
    head: Head,
    /// The last open transaction that was looked at.
    open: [u8; 16],
}

/// What one run has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) violations: Vec<Violation>,
    /// Events that no minute has looked at yet.
    pub(crate) unchecked_events: u64,
    pub(crate) transactions: u64,
}

impl Checker {
    /// Opens the store in `folder`; it must exist.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let connection = open_reader(folder)?;
        // The scope lives in memory: nothing is written beside the store.
        let set = connection.pragma_update(None, "temp_store", "MEMORY");
        set.and_then(|()| connection.execute_batch(SCOPE))
            .map_err(failed("prepare the checks"))?;
        Ok(Self {
            connection,
            marks: None,
            suspects: BTreeSet::new(),
        })
    }

    /// Every check over everything, in one snapshot.
    pub(crate) fn everything(&self, now: Utc) -> Result<Findings, StoreError> {
        self.run_everything(now).map_err(failed("audit"))
    }

    /// What has changed since the last call, and a share of what is open.
    pub(crate) fn recent(&mut self, now: Utc) -> Result<Findings, StoreError> {
        self.run_recent(now).map_err(failed("check the invariants"))
    }

    fn run_everything(&self, now: Utc) -> rusqlite::Result<Findings> {
        let view = self.connection.unchecked_transaction()?;
        let mut violations = violations(&view, now, Extent::Everything)?;
        violations.extend(unreadable_sales(&view, Extent::Everything)?);
        let count = "SELECT count(*) FROM transactions";
        let transactions: i64 = view.query_row(count, [], |row| row.get(0))?;
        Ok(Findings {
            violations,
            unchecked_events: 0,
            transactions: transactions.cast_unsigned(),
        })
    }

    fn run_recent(&mut self, now: Utc) -> rusqlite::Result<Findings> {
        let view = self.connection.unchecked_transaction()?;
        let marks = match self.marks {
            Some(marks) => marks,
            None => first_marks(&view)?,
        };
        let (checked, broken) = chain::verify(&view, marks.head, EVENTS_MAX)?;
        let through = checked.sequence.max(marks.head.sequence);
        fill_scope(&view, (marks, through), &self.suspects)?;
        let mut found: Vec<Violation> = broken.into_iter().collect();
        found.extend(checked_rows(&view, now, Extent::Scope)?);
        found.extend(unreadable_sales(&view, Extent::Scope)?);
        let last = "SELECT coalesce(max(sequence), 0) FROM events";
        let last: i64 = view.query_row(last, [], |row| row.get(0))?;
        let count = "SELECT count(*) FROM temp.scope";
        let transactions: i64 = view.query_row(count, [], |row| row.get(0))?;
        let open = last_open(&view, marks.open)?;
        self.suspects = suspects(&found);
        self.marks = Some(Marks {
            head: checked,
            open,
        });
        Ok(Findings {
            violations: found,
            unchecked_events: last.saturating_sub(checked.sequence).max(0).cast_unsigned(),
            transactions: transactions.cast_unsigned(),
        })
    }
}

const SCOPE: &str = "CREATE TEMP TABLE scope (id BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID";

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Everything,
    Scope,
}

/// All violations of the store, but for sales that are none.
pub(super) fn violations(
    view: &Connection,
    now: Utc,
    extent: Extent,
) -> rusqlite::Result<Vec<Violation>> {
    let (_, broken) = chain::verify(view, Head::START, i64::MAX)?;
    let mut found: Vec<Violation> = broken.into_iter().collect();
    found.extend(checked_rows(view, now, extent)?);
    Ok(found)
}

fn checked_rows(view: &Connection, now: Utc, extent: Extent) -> rusqlite::Result<Vec<Violation>> {
    let mut found = Vec::new();
    let wanted = |check: &&Check| extent == Extent::Everything || !check.is_full_only;
    for check in CHECKS.iter().filter(wanted) {
        // A query that fails on a row hides the others of its own check alone.
        match rows_of(view, check, now, extent) {
            Ok(rows) => found.extend(rows),
            Err(error) => found.push(Violation {
                invariant: check.invariant,
                rule: check.rule,
                subject: "the check itself".to_owned(),
                detail: format!("can't be run: {error}"),
            }),
        }
    }
    Ok(found)
}

fn rows_of(
    view: &Connection,
    check: &Check,
    now: Utc,
    extent: Extent,
) -> rusqlite::Result<Vec<Violation>> {
    let query = format!("{} LIMIT {ROWS_MAX}", limited(check.query, extent));
    let mut statement = view.prepare_cached(&query)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Violation {
            invariant: check.invariant,
            rule: check.rule,
            subject: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
            detail: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        })
    };
    let found = if check.query.contains(":now") {
        statement.query_map(named_params! {":now": now.as_millis()}, row)?
    } else {
        statement.query_map([], row)?
    };
    found.collect()
}

/// The query with its `WITHIN(column)` written out.
pub(super) fn limited(query: &str, extent: Extent) -> String {
    let mut text = String::with_capacity(query.len() + 64);
    let mut rest = query;
    while let Some((before, after)) = rest.split_once("WITHIN(") {
        let (column, after) = after.split_once(')').unwrap_or((after, ""));
        text.push_str(before);
        match extent {
            Extent::Everything => text.push('1'),
            Extent::Scope => {
                text.push_str(column);
                text.push_str(" IN (SELECT id FROM temp.scope)");
            }
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A minute does not read what was there before it: an audit does.
fn first_marks(view: &Connection) -> rusqlite::Result<Marks> {
    let query = "SELECT sequence, hash FROM events \
         WHERE sequence = (SELECT max(sequence) FROM events) - ?1";
    let before = view
        .prepare_cached(query)?
        .query_row([EVENTS_MAX], |row| {
            Ok(Head {
                sequence: row.get(0)?,
                hash: row.get(1)?,
            })
        })
        .optional()?;
    Ok(Marks {
        head: before.unwrap_or(Head::START),
        open: [0; 16],
    })
}

fn fill_scope(
    view: &Connection,
    (marks, through): (Marks, i64),
    suspects: &BTreeSet<TransactionId>,
) -> rusqlite::Result<()> {
    view.execute("DELETE FROM temp.scope", [])?;
    view.prepare_cached(
        "INSERT OR IGNORE INTO temp.scope SELECT transaction_id FROM events \
         WHERE sequence > ?1 AND sequence <= ?2",
    )?
    .execute(params![marks.head.sequence, through])?;
    view.prepare_cached(
        "INSERT OR IGNORE INTO temp.scope SELECT id FROM transactions \
         WHERE open = 1 AND id > ?1 ORDER BY id LIMIT ?2",
    )?
    .execute(params![marks.open, OPEN_MAX])?;
    let mut insert = view.prepare_cached("INSERT OR IGNORE INTO temp.scope VALUES (?1)")?;
    for suspect in suspects {
        insert.execute([suspect.as_bytes()])?;
    }
    Ok(())
}

/// Where the next minute goes on among the open transactions; from the start after the last one.
fn last_open(view: &Connection, after: [u8; 16]) -> rusqlite::Result<[u8; 16]> {
    let query = "SELECT id FROM transactions WHERE open = 1 AND id > ?1 ORDER BY id \
         LIMIT 1 OFFSET ?2";
    let last = view
        .prepare_cached(query)?
        .query_row(params![after, OPEN_MAX - 1], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or([0; 16]))
}

fn suspects(found: &[Violation]) -> BTreeSet<TransactionId> {
    let subjects = found.iter().filter_map(|found| found.subject.parse().ok());
    subjects.take(SUSPECTS_MAX).collect()
}

/// Open sales that the engine could not take up: each is one violation and stops nobody.
fn unreadable_sales(view: &Connection, extent: Extent) -> rusqlite::Result<Vec<Violation>> {
    let within = match extent {
        Extent::Everything => "",
        Extent::Scope => "AND t.id IN (SELECT id FROM temp.scope)",
    };
    let query = format!("{} WHERE t.open = 1 {within}", rows::SALE);
    let mut statement = view.prepare_cached(&query)?;
    let mut found = statement.query([])?;
    let mut violations = Vec::new();
    while let Some(row) = found.next()? {
        let read = rows::sale(row).map_err(|error| error.to_string());
        let read = read.and_then(|sale| {
            let read = serde_json::from_str::<Sale>(&sale.document);
            read.map(drop).map_err(|error| error.to_string())
        });
        if let Err(detail) = read {
            violations.push(Violation {
                invariant: "unreadable",
                rule: "an open sale can't be read",
                subject: TransactionId::from_random(row.get(0)?).to_string(),
                detail,
            });
        }
    }
    Ok(violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_limited_in_every_place_that_says_so() {
        let query = "SELECT 1 WHERE WITHIN(a.id) AND (WITHIN(b.id) OR 2)";
        assert_eq!(
            limited(query, Extent::Everything),
            "SELECT 1 WHERE 1 AND (1 OR 2)"
        );
        let within = "IN (SELECT id FROM temp.scope)";
        assert_eq!(
            limited(query, Extent::Scope),
            format!("SELECT 1 WHERE a.id {within} AND (b.id {within} OR 2)")
        );
    }
}
