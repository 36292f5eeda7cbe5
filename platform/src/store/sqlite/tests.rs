//! What any store must do, on a real file. The functions take the trait, so that a second store
//! faces the same questions.

mod audit;
mod backup;
mod books;
mod invariants;
mod operator;

use std::path::Path;

use protocol::codec::Record;
use protocol::id::{
    JournalId, PaymentId, PlatformId, Pseudonym, RefundId, SessionId, TransactionId,
};
use protocol::message::Digest;
use protocol::money::Money;
use protocol::time::Utc;
use protocol::topic::{Down, TerminalName, Topic};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::{MIGRATIONS, SqliteReader, SqliteStore, file};
use crate::ledger::{self, Matter};
use crate::store::reader::{PageQuery, Reader as _};
use crate::store::{
    Batch, Change, EventRow, IdentityRow, OutboxRow, PaymentRow, RefundRow, SaleRow, Store,
    StoreError, TerminalNote,
};

fn open(folder: &Path) -> SqliteStore {
    open_as(folder, "main").unwrap()
}

fn open_as(folder: &Path, platform: &str) -> Result<SqliteStore, StoreError> {
    let platform: PlatformId = platform.parse().unwrap();
    SqliteStore::open(folder, &platform, &mut || [7; 16])
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn transaction(number: u8) -> TransactionId {
    TransactionId::from_random([number; 16])
}

fn gate() -> TerminalName {
    "north/gate-1".parse().unwrap()
}

fn yuan(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn at(millis: i64) -> Utc {
    Utc::from_millis(millis).unwrap()
}

fn sale(number: u8, version: u64) -> SaleRow {
    SaleRow {
        transaction: transaction(number),
        terminal: gate(),
        session: SessionId::from_random([number; 16]),
        state: "awaiting_payment".to_owned(),
        order_state: "open".to_owned(),
        amount: yuan(450),
        open: true,
        created_at: at(1_000),
        updated_at: at(1_000 + i64::from(number)),
        version,
        document: "{}".to_owned(),
    }
}

/// The insertion of sale `number`, with one event.
fn created(number: u8) -> Change {
    Change {
        sale: sale(number, 1),
        expected_version: None,
        events: vec![event("created")],
        postings: vec![],
        payments: vec![],
        refunds: vec![],
        outbox_put: vec![],
        outbox_done: vec![],
        link: None,
    }
}

/// The step of sale `number` from version 1 to 2.
fn moved(number: u8) -> Change {
    let sale = SaleRow {
        state: "confirmed".to_owned(),
        ..sale(number, 2)
    };
    Change {
        sale,
        expected_version: Some(1),
        events: vec![event("confirmed")],
        ..created(number)
    }
}

fn event(kind: &str) -> EventRow {
    EventRow {
        at: at(5),
        kind: kind.to_owned(),
        detail: json!({"b": 1, "a": [2]}),
    }
}

fn message(key: &str, number: u8, payload: &[u8]) -> OutboxRow {
    OutboxRow {
        key: key.to_owned(),
        transaction: transaction(number),
        topic: Topic::Down(gate(), Down::Linkage),
        payload: payload.to_vec(),
    }
}

fn matter(number: u8, payment: u8, minor: i64) -> Matter {
    Matter {
        transaction: transaction(number),
        payment: PaymentId::from_random([payment; 16]),
        amount: yuan(minor),
    }
}

fn payment(number: u8) -> PaymentRow {
    PaymentRow {
        payment: PaymentId::from_random([number; 16]),
        transaction: transaction(number),
        gateway: "mock".parse().unwrap(),
        amount: yuan(450),
        payee: "shop".parse().unwrap(),
        refunded_minor: 0,
        received_at: at(9),
    }
}

fn refund(number: u8, status: &str) -> RefundRow {
    RefundRow {
        refund: RefundId::from_random([number; 16]),
        payment: PaymentId::from_random([number; 16]),
        transaction: transaction(number),
        amount: yuan(450),
        status: status.to_owned(),
        reason: "late".to_owned(),
        updated_at: at(9),
    }
}

/// The database as a stranger with the file's rights sees it.
fn stranger(folder: &Path) -> Connection {
    Connection::open(file(folder)).unwrap()
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let folder = folder();
    let full = Change {
        postings: ledger::received(matter(1, 1, 450)),
        payments: vec![payment(1)],
        refunds: vec![refund(1, "sent")],
        outbox_put: vec![message("permit", 1, b"one")],
        ..created(1)
    };
    let mut store = open(folder.path());
    store.commit(&[full, created(2)]).unwrap();
    let (epoch, starts) = (store.epoch(), store.starts());
    drop(store);

    let store = open(folder.path());
    assert_eq!((store.epoch(), store.starts()), (epoch, starts + 1));
    assert_eq!(store.sale(transaction(1)).unwrap(), Some(sale(1, 1)));
    assert_eq!(store.sale(transaction(3)).unwrap(), None);
    assert_eq!(
        store.outbox(None).unwrap(),
        vec![message("permit", 1, b"one")]
    );
    let reader = SqliteReader::open(folder.path()).unwrap();
    let detail = reader.transaction(transaction(1)).unwrap().unwrap();
    assert_eq!(detail.payments, vec![payment(1)]);
    assert_eq!(detail.refunds, vec![refund(1, "sent")]);
    assert_eq!(detail.events, vec![event("created")]);
    let booked: Vec<_> = detail
        .postings
        .iter()
        .map(|line| line.account.as_str())
        .collect();
    assert_eq!(booked, ["gateway_receivable", "suspense"]);
}

#[test]
fn a_conflict_writes_nothing_of_its_group() {
    let folder = folder();
    let mut store = open(folder.path());
    store.commit(&[created(1)]).unwrap();
    let stale = Change {
        expected_version: Some(7),
        ..moved(1)
    };
    let conflict = |result: Result<(), StoreError>, number| {
        let Err(StoreError::Conflict { transaction: found }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(found, transaction(number));
    };
    conflict(store.commit(&[created(2), stale]), 1);
    conflict(store.commit(&[created(3), created(1)]), 1);
    conflict(store.commit(&[moved(4)]), 4);

    assert_eq!(store.open_sales(None, 10).unwrap(), vec![sale(1, 1)]);
    let reader = SqliteReader::open(folder.path()).unwrap();
    let detail = reader.transaction(transaction(1)).unwrap().unwrap();
    assert_eq!(detail.events, vec![event("created")]);
    assert!(reader.audit(at(0)).unwrap().is_clean());

    store.commit(&[moved(1)]).unwrap();
    assert_eq!(store.sale(transaction(1)).unwrap(), Some(moved(1).sale));
    assert!(reader.audit(at(0)).unwrap().is_clean());
}

#[test]
fn open_sales_come_in_pages_and_closed_ones_not_at_all() {
    let folder = folder();
    let mut store = open(folder.path());
    let changes: Vec<_> = (1..=5).map(created).collect();
    store.commit(&changes).unwrap();
    let closed = SaleRow {
        open: false,
        ..sale(2, 2)
    };
    store
        .commit(&[Change {
            sale: closed,
            ..moved(2)
        }])
        .unwrap();

    let first = store.open_sales(None, 2).unwrap();
    assert_eq!(first, vec![sale(1, 1), sale(3, 1)]);
    let rest = store.open_sales(Some(transaction(3)), 9).unwrap();
    assert_eq!(rest, vec![sale(4, 1), sale(5, 1)]);
}

#[test]
fn the_outbox_keeps_the_newest_of_a_key_until_it_is_done() {
    let folder = folder();
    let mut store = open(folder.path());
    let put = |number, messages| Change {
        outbox_put: messages,
        ..created(number)
    };
    store
        .commit(&[put(1, vec![message("a", 1, b"1"), message("b", 1, b"2")])])
        .unwrap();
    store
        .commit(&[put(2, vec![message("c", 2, b"3")])])
        .unwrap();
    let replace = Change {
        outbox_put: vec![message("a", 1, b"4")],
        ..moved(1)
    };
    store.commit(&[replace]).unwrap();
    let all = vec![
        message("a", 1, b"4"),
        message("b", 1, b"2"),
        message("c", 2, b"3"),
    ];
    assert_eq!(store.outbox(None).unwrap(), all);

    let done = Change {
        outbox_done: vec!["c".to_owned(), "never".to_owned()],
        ..moved(2)
    };
    store.commit(&[done]).unwrap();
    assert_eq!(store.outbox(Some(transaction(2))).unwrap(), vec![]);
    assert_eq!(store.outbox(Some(transaction(1))).unwrap().len(), 2);
}

#[test]
fn terminals_are_remembered_and_acknowledgements_never_go_back() {
    let folder = folder();
    let mut store = open(folder.path());
    let journal = JournalId::from_random([3; 16]);
    let acknowledged = |sequence| TerminalNote::Acknowledged {
        terminal: gate(),
        record: Record { journal, sequence },
    };
    let hello = TerminalNote::Hello {
        terminal: gate(),
        at: at(20),
        boot: protocol::id::BootId::from_random([4; 16]),
        journal: JournalId::from_random([5; 16]),
        agent_version: "0.1.0".to_owned(),
    };
    let notes = [
        acknowledged(9),
        acknowledged(4),
        hello,
        TerminalNote::Presence {
            terminal: gate(),
            at: at(21),
            online: true,
        },
        TerminalNote::Receipt {
            terminal: gate(),
            digest: Digest::of(b"receipt"),
        },
    ];
    let changes = [created(1)];
    let batch = Batch {
        changes: &changes,
        notes: &notes,
        ..Batch::default()
    };
    store.commit_all(batch).unwrap();
    drop(store);

    let store = open(folder.path());
    let row = store.terminal(&gate()).unwrap().unwrap();
    assert_eq!(
        SqliteReader::open(folder.path())
            .unwrap()
            .terminals()
            .unwrap(),
        vec![row.clone()]
    );
    let through: Vec<_> = row.journals.into_iter().collect();
    assert_eq!(
        through,
        [(journal, 9), (JournalId::from_random([5; 16]), 0)]
    );
    assert_eq!(row.current_journal, Some(JournalId::from_random([5; 16])));
    assert_eq!(
        (row.online, row.presence_at, row.hello_at),
        (true, Some(at(21)), Some(at(20)))
    );
    assert_eq!(
        (row.open_sales, row.last_receipt),
        (1, Some(Digest::of(b"receipt")))
    );
    assert_eq!(
        store.terminal(&"north/gate-2".parse().unwrap()).unwrap(),
        None
    );
}

#[test]
fn an_erased_identity_is_in_no_file() {
    let folder = folder();
    let mut store = open(folder.path());
    let pseudonym = Pseudonym::from_random([8; 16]);
    let row = IdentityRow {
        pseudonym,
        identity: "plate-B-12345-of-a-person".to_owned(),
        consent: "v1".to_owned(),
        registered_at: at(1),
    };
    store.put_identity(&row).unwrap();
    assert_eq!(store.identity(pseudonym).unwrap(), Some(row));
    assert_eq!(found_in_files(folder.path(), b"plate-B-12345"), 1);
    assert!(store.erase_identity(pseudonym).unwrap());
    assert!(!store.erase_identity(pseudonym).unwrap());
    assert_eq!(store.identity(pseudonym).unwrap(), None);
    assert_eq!(found_in_files(folder.path(), b"plate-B-12345"), 0);
}

fn found_in_files(folder: &Path, text: &[u8]) -> usize {
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        std::fs::read(path)
            .unwrap()
            .windows(text.len())
            .any(|window| window == text)
    };
    files.filter(holds).count()
}

#[test]
fn one_writer_at_a_time_and_only_for_its_own_platform() {
    let folder = folder();
    let first = open(folder.path());
    let second = open_as(folder.path(), "main").unwrap_err();
    assert!(
        process::exit::one_line(&second).contains("another platform process"),
        "{second:?}"
    );
    drop(first);
    let stranger = open_as(folder.path(), "other").unwrap_err();
    let line = process::exit::one_line(&stranger);
    assert!(
        line.contains("belongs to platform 'main', not 'other'"),
        "{line}"
    );
    open(folder.path());
}

#[test]
fn a_newer_store_is_refused_by_writer_and_reader() {
    let folder = folder();
    drop(open(folder.path()));
    let newer = u32::try_from(MIGRATIONS.len()).unwrap() + 1;
    stranger(folder.path())
        .pragma_update(None, "user_version", newer)
        .unwrap();
    for error in [
        open_as(folder.path(), "main").unwrap_err(),
        SqliteReader::open(folder.path()).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("newer version of this program"),
            "{error}"
        );
    }
}

#[test]
fn pages_run_from_the_newest_to_the_oldest_through_any_filter() {
    let folder = folder();
    let mut store = open(folder.path());
    let changes: Vec<_> = (1..=5).map(created).collect();
    store.commit(&changes).unwrap();
    store.commit(&[moved(2), moved(4)]).unwrap();
    let reader = SqliteReader::open(folder.path()).unwrap();
    let walk = |query: PageQuery| {
        let (mut seen, mut query) = (Vec::new(), query);
        loop {
            let page = reader.page(&query).unwrap();
            let ids = page
                .transactions
                .iter()
                .map(|found| found.transaction.as_bytes()[0]);
            seen.push(ids.collect::<Vec<_>>());
            match page.next {
                Some(next) => query.before = Some(next),
                None => return seen,
            }
        }
    };
    let limit = |limit| PageQuery {
        limit,
        ..PageQuery::default()
    };
    let state = |state: &str| PageQuery {
        state: Some(state.to_owned()),
        ..limit(1)
    };
    let terminal = |name: &str| PageQuery {
        terminal: Some(name.parse().unwrap()),
        ..limit(9)
    };
    assert_eq!(walk(limit(2)), vec![vec![5, 4], vec![3, 2], vec![1]]);
    assert_eq!(walk(limit(5)), vec![vec![5, 4, 3, 2, 1]]);
    assert_eq!(walk(state("confirmed")), vec![vec![4], vec![2]]);
    assert_eq!(walk(terminal("north/gate-1")), vec![vec![5, 4, 3, 2, 1]]);
    assert_eq!(walk(terminal("north/gate-2")), vec![Vec::<u8>::new()]);
    let both = PageQuery {
        state: Some("confirmed".to_owned()),
        ..terminal("north/gate-1")
    };
    assert_eq!(walk(both), vec![vec![4, 2]]);
}

#[test]
fn readers_see_the_last_commit_while_the_writer_writes() {
    let folder = folder();
    let mut store = open(folder.path());
    store.commit(&[created(1)]).unwrap();
    let reader = SqliteReader::open(folder.path()).unwrap();
    let writing = stranger(folder.path());
    writing
        .execute_batch("BEGIN IMMEDIATE; UPDATE transactions SET state = 'half'")
        .unwrap();
    let page = reader
        .page(&PageQuery {
            limit: 9,
            ..PageQuery::default()
        })
        .unwrap();
    assert_eq!(page.transactions[0].state, "awaiting_payment");
}
