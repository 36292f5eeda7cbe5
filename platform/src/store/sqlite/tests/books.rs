//! Statements, the work list, and a ledger of the first version.

use protocol::message::{StatementKind, StatementLine};

use super::*;
use crate::ledger::{LineName, Settlement};
use crate::store::Batch;
use crate::store::books::{
    BookNote, LineRow, Listed, Resolution, TaskId, TaskQuery, TaskRow, Unlisted,
};
use crate::store::sqlite::schema::migrate;
use protocol::id::GatewayId;

fn mock() -> GatewayId {
    "mock".parse().unwrap()
}

fn line(sequence: u64, number: u8) -> StatementLine {
    StatementLine {
        sequence,
        kind: StatementKind::Payment,
        order: transaction(number),
        payment: PaymentId::from_random([number; 16]),
        refund: None,
        minor: 450,
        currency: "CNY".parse().unwrap(),
        payee: "shop".parse().unwrap(),
        booked_at: at(9),
    }
}

fn kept(sequence: u64, number: u8, is_pending: bool) -> BookNote {
    BookNote::Line(LineRow {
        gateway: mock(),
        line: line(sequence, number),
        finding: "timing".to_owned(),
        is_pending,
    })
}

fn task(subject: &str, since: i64) -> TaskRow {
    TaskRow {
        id: TaskId::of("missing_there", subject),
        kind: "missing_there".to_owned(),
        subject: subject.to_owned(),
        transaction: Some(transaction(1)),
        owner: "operations".to_owned(),
        since: at(since),
        due_at: at(since + 10),
        detail: "found".to_owned(),
        resolved: None,
    }
}

fn put(store: &mut SqliteStore, books: &[BookNote]) {
    let batch = Batch {
        books,
        ..Batch::default()
    };
    store.commit_all(batch).unwrap();
}

fn tasks(folder: &Path, open: Option<bool>) -> Vec<TaskRow> {
    let query = TaskQuery { open, limit: 9 };
    SqliteReader::open(folder).unwrap().tasks(query).unwrap()
}

#[test]
fn pending_lines_come_in_pages_until_they_are_final() {
    let folder = folder();
    let mut store = open(folder.path());
    put(
        &mut store,
        &[
            kept(3, 1, true),
            kept(4, 2, false),
            kept(5, 3, true),
            kept(9, 4, true),
        ],
    );
    let pending = |store: &SqliteStore, after| {
        let lines = store.pending_lines(&mock(), after, 2).unwrap();
        let sequence = |row: &LineRow| row.line.sequence;
        lines.iter().map(sequence).collect::<Vec<_>>()
    };
    assert_eq!(pending(&store, 0), [3, 5]);
    assert_eq!(pending(&store, 5), [9]);
    put(&mut store, &[kept(3, 1, false)]);
    assert_eq!(pending(&store, 0), [5, 9]);
    let pending = store.pending_lines(&mock(), 3, 1).unwrap();
    let pending: Vec<_> = pending.into_iter().map(BookNote::Line).collect();
    assert_eq!(pending, [kept(5, 3, true)]);
    let other = store.pending_lines(&"other".parse().unwrap(), 0, 9);
    assert_eq!(other.unwrap(), []);
}

#[test]
fn a_task_is_opened_once_and_closed_once() {
    let folder = folder();
    let mut store = open(folder.path());
    let (first, second) = (task("payment:1", 5), task("payment:2", 4));
    put(
        &mut store,
        &[
            BookNote::Task(first.clone()),
            BookNote::Task(second.clone()),
        ],
    );
    let resolution = |by: &str| Resolution {
        by: by.to_owned(),
        at: at(20),
        note: "checked".to_owned(),
    };
    let resolved = |by: &str| BookNote::Resolved {
        task: first.id.clone(),
        resolution: resolution(by),
    };
    assert_eq!(
        tasks(folder.path(), Some(true)),
        [second.clone(), first.clone()]
    );
    put(&mut store, &[resolved("Ann"), resolved("Bob")]);
    put(&mut store, &[BookNote::Task(task("payment:1", 30))]);
    let closed = TaskRow {
        resolved: Some(resolution("Ann")),
        ..first
    };
    let from_ref = std::slice::from_ref::<TaskRow>;
    assert_eq!(tasks(folder.path(), Some(true)), from_ref(&second));
    assert_eq!(tasks(folder.path(), Some(false)), from_ref(&closed));
    assert_eq!(tasks(folder.path(), None), [second, closed]);
}

#[test]
fn a_sale_under_review_is_in_the_work_list() {
    let folder = folder();
    let mut store = open(folder.path());
    let review = json!({"transaction": {"reviews": [{
        "reason": "disputed", "since": "1970-01-01T00:00:00.005Z", "due_at": "1970-01-01T00:00:09Z",
    }]}});
    let reviewed = Change {
        sale: SaleRow {
            document: review.to_string(),
            ..sale(1, 1)
        },
        ..created(1)
    };
    store.commit(&[reviewed, created(2)]).unwrap();
    put(&mut store, &[BookNote::Task(task("payment:1", 6))]);
    let found = tasks(folder.path(), Some(true));
    let shape: Vec<_> = found
        .iter()
        .map(|task| {
            (
                task.kind.as_str(),
                task.detail.as_str(),
                task.since,
                task.due_at,
            )
        })
        .collect();
    let expected = [
        ("review", "disputed", at(5), at(9_000)),
        ("missing_there", "found", at(6), at(16)),
    ];
    assert_eq!(shape, expected);
    assert_eq!(found[0].id.to_string(), transaction(1).to_string());
    assert_eq!(tasks(folder.path(), Some(false)), []);
}

#[test]
fn what_no_line_and_no_task_names_is_unlisted() {
    let folder = folder();
    let mut store = open(folder.path());
    let paid = |number: u8, received: i64| Change {
        payments: vec![PaymentRow {
            received_at: at(received),
            ..payment(number)
        }],
        refunds: vec![refund(
            number,
            if number == 2 { "succeeded" } else { "sent" },
        )],
        ..created(number)
    };
    store
        .commit(&[paid(1, 5), paid(2, 6), paid(3, 7), paid(4, 8)])
        .unwrap();
    put(&mut store, &[kept(1, 3, false)]);
    let of = |number: u8, refund: Option<RefundId>, millis| Unlisted {
        transaction: transaction(number),
        payment: PaymentId::from_random([number; 16]),
        refund,
        amount: yuan(450),
        payee: "shop".parse().unwrap(),
        at: at(millis),
    };
    let unlisted = |store: &SqliteStore, from, until, limit| {
        store
            .unlisted(&mock(), (at(from), at(until)), limit)
            .unwrap()
    };
    let returned = of(2, Some(RefundId::from_random([2; 16])), 9);
    assert_eq!(
        unlisted(&store, 0, 10, 9),
        [
            of(1, None, 5),
            of(2, None, 6),
            of(4, None, 8),
            returned.clone()
        ]
    );
    assert_eq!(unlisted(&store, 6, 8, 9), [of(2, None, 6)]);
    assert_eq!(
        unlisted(&store, 0, 10, 1),
        [of(1, None, 5), returned.clone()]
    );
    let subject = format!("payment:{}", PaymentId::from_random([1; 16]));
    put(&mut store, &[BookNote::Task(task(&subject, 3))]);
    assert_eq!(unlisted(&store, 0, 10, 1), [of(2, None, 6), returned]);
}

#[test]
fn the_books_of_an_order_hold_all_its_money() {
    let folder = folder();
    let mut store = open(folder.path());
    let change = Change {
        events: vec![EventRow {
            at: at(5),
            kind: "dispute".to_owned(),
            detail: json!({"payment": PaymentId::from_random([1; 16]), "disputed": true}),
        }],
        payments: vec![payment(1)],
        refunds: vec![refund(1, "sent")],
        ..created(1)
    };
    store.commit(&[change, created(2)]).unwrap();
    put(&mut store, &[kept(8, 1, false)]);
    let books = store
        .order_books(&[
            transaction(2),
            transaction(1),
            transaction(3),
            transaction(1),
        ])
        .unwrap();
    assert_eq!(books.len(), 2);
    assert_eq!(books[0].transaction, transaction(1));
    assert_eq!(books[0].terminal, gate());
    assert_eq!(books[0].payments, [payment(1)]);
    assert_eq!(books[0].refunds, [refund(1, "sent")]);
    assert_eq!(books[0].disputed, [PaymentId::from_random([1; 16])]);
    assert_eq!(books[0].listed, [Listed::of(&line(8, 1))]);
    assert_eq!(books[0].payee, None);
    assert_eq!(books[1].transaction, transaction(2));
    assert_eq!(books[1].payments, []);
}

#[test]
fn a_line_is_booked_once_and_belongs_to_no_sale() {
    let folder = folder();
    let mut store = open(folder.path());
    let settlement = Settlement {
        line: LineName {
            gateway: mock(),
            sequence: 7,
        },
        about: None,
        amount: yuan(445),
    };
    let entry = BookNote::Entry {
        at: at(3),
        entry: ledger::paid_out(&settlement),
    };
    let document = |text: &str| BookNote::Reconciliation {
        gateway: mock(),
        document: text.to_owned(),
    };
    assert_eq!(store.reconciliation(&mock()).unwrap(), None);
    put(&mut store, &[entry.clone(), document("1")]);
    let again = Batch {
        books: &[document("2"), entry],
        ..Batch::default()
    };
    let error = store.commit_all(again).unwrap_err();
    assert!(
        process::exit::one_line(&error).contains("UNIQUE"),
        "{error:?}"
    );
    assert_eq!(store.reconciliation(&mock()).unwrap(), Some("1".to_owned()));
    assert!(crate::audit::read(folder.path()).unwrap().is_clean());
}

#[test]
fn a_ledger_of_the_first_version_keeps_its_entries_and_learns_why() {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection, &MIGRATIONS[..1]).unwrap();
    let first = "INSERT INTO transactions (id, terminal, session, state, minor, currency, open, \
         created_at, updated_at, version, document) VALUES (zeroblob(16), 'a/b', zeroblob(16), \
         's', 1, 'CNY', 1, 0, 0, 1, '{}');";
    let pair = |debit: &str, credit: &str, refund: &str| {
        format!(
            "INSERT INTO ledger (transaction_id, payment, refund, account, debit_minor, \
             credit_minor, currency, at) VALUES \
             (zeroblob(16), zeroblob(16), {refund}, '{debit}', 5, 0, 'CNY', 0), \
             (zeroblob(16), zeroblob(16), {refund}, '{credit}', 0, 5, 'CNY', 0);"
        )
    };
    let entries = [
        ("gateway_receivable", "suspense", "NULL", "received"),
        ("suspense", "merchant", "NULL", "earned"),
        ("suspense", "gateway_receivable", "zeroblob(16)", "refunded"),
        (
            "gateway_receivable",
            "suspense",
            "zeroblob(16)",
            "refund_failed_later",
        ),
        ("suspense", "gateway_receivable", "NULL", "refunded_outside"),
        ("loss", "merchant", "NULL", "lost"),
    ];
    let pairs = entries.map(|(debit, credit, refund, _)| pair(debit, credit, refund));
    connection
        .execute_batch(&format!("{first}{}", pairs.concat()))
        .unwrap();
    migrate(&mut connection, MIGRATIONS).unwrap();
    let mut statement = connection
        .prepare("SELECT kind, account, debit_minor + credit_minor FROM ledger ORDER BY sequence")
        .unwrap();
    let found: Vec<(String, String, i64)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let expected: Vec<_> = entries
        .into_iter()
        .flat_map(|(debit, credit, _, kind)| {
            [debit, credit].map(|account| (kind.to_owned(), account.to_owned(), 5))
        })
        .collect();
    assert_eq!(found, expected);
    let error = connection.execute("DELETE FROM ledger", []).unwrap_err();
    assert!(error.to_string().contains("append-only"), "{error}");
}
