//! For each invariant: a sound store, one hand that breaks it, and exactly that invariant named.

use std::collections::BTreeSet;

use protocol::message::{StatementKind, StatementLine};

use super::*;
use crate::ledger::{LineName, Settlement};
use crate::store::books::{BookNote, LineRow, TaskId, TaskRow};
use crate::store::sqlite::Checker;
use crate::store::sqlite::checker::{Extent, limited, violations};
use crate::store::sqlite::invariants::CHECKS;

const NOW: i64 = 1_000_000;

const DAY: i64 = 86_400_000;

fn paid(number: u8, state: &str) -> Change {
    let payment_id = PaymentId::from_random([number; 16]);
    Change {
        sale: SaleRow {
            state: state.to_owned(),
            order_state: "paid".to_owned(),
            open: false,
            document: r#"{"facts":{"payee":{"id":"shop"}},"transaction":{}}"#.to_owned(),
            ..sale(number, 1)
        },
        payments: vec![payment(number)],
        events: vec![EventRow {
            at: at(5),
            kind: "permit".to_owned(),
            detail: json!({"ground": {"kind": "paid", "payment": payment_id}}),
        }],
        ..created(number)
    }
}

fn booked(sequence: u64, kind: StatementKind, number: u8, minor: i64) -> BookNote {
    let refund = (kind == StatementKind::Refund).then(|| RefundId::from_random([number; 16]));
    BookNote::Line(LineRow {
        gateway: "mock".parse().unwrap(),
        line: StatementLine {
            sequence,
            kind,
            order: transaction(number),
            payment: PaymentId::from_random([number; 16]),
            refund,
            minor,
            currency: "CNY".parse().unwrap(),
            payee: "shop".parse().unwrap(),
            booked_at: at(9),
        },
        finding: "matched".to_owned(),
        is_pending: false,
    })
}

/// One sale served, one refunded, one on offer; both paid ones in the statement, and a fee.
fn sound(folder: &Path) -> SqliteStore {
    let mut store = open(folder);
    let (served, returned) = (matter(1, 1, 450), matter(2, 2, 450));
    let refunded = Change {
        postings: [
            ledger::received(returned),
            ledger::refunded(returned, RefundId::from_random([2; 16])),
        ]
        .concat(),
        payments: vec![PaymentRow {
            refunded_minor: 450,
            ..payment(2)
        }],
        refunds: vec![refund(2, "succeeded")],
        events: vec![EventRow {
            at: at(6),
            kind: "refund".to_owned(),
            detail: json!({"to": "sent", "payment": PaymentId::from_random([2; 16])}),
        }],
        ..paid(2, "refunded")
    };
    let done = Change {
        postings: [ledger::received(served), ledger::earned(served)].concat(),
        ..paid(1, "done")
    };
    let offered = Change {
        sale: SaleRow {
            document: paid(3, "").sale.document,
            ..sale(3, 1)
        },
        ..created(3)
    };
    let fee = Settlement {
        line: LineName {
            gateway: "mock".parse().unwrap(),
            sequence: 4,
        },
        about: None,
        amount: yuan(5),
    };
    let books = [
        booked(1, StatementKind::Payment, 1, 450),
        booked(2, StatementKind::Payment, 2, 450),
        booked(3, StatementKind::Refund, 2, -450),
        booked(4, StatementKind::Fee, 1, -5),
        BookNote::Entry {
            at: at(7),
            entry: ledger::fee(&fee),
        },
        BookNote::Reconciliation {
            gateway: "mock".parse().unwrap(),
            document: json!({"cursor": 4, "settled_until_ms": 900_000}).to_string(),
        },
    ];
    let batch = Batch {
        changes: &[done, refunded, offered],
        books: &books,
        ..Batch::default()
    };
    store.commit_all(batch).unwrap();
    store
}

fn broken(folder: &Path, extent: Extent) -> BTreeSet<&'static str> {
    let found = match extent {
        Extent::Everything => violations(&stranger(folder), at(NOW), extent).unwrap(),
        Extent::Scope => {
            let mut checker = Checker::open(folder).unwrap();
            checker.recent(at(NOW)).unwrap().violations
        }
    };
    // Sales of these tests have no document that a machine could take up.
    let is_meant = |found: &&crate::audit::Violation| found.rule != "an open sale can't be read";
    found
        .iter()
        .filter(is_meant)
        .map(|found| found.invariant)
        .collect()
}

/// `#1` stands for the id of sale, payment, refund or session number 1.
fn sql(text: &str) -> String {
    (1..=9_u8).fold(text.to_owned(), |text, number| {
        let id = format!("x'{}'", format!("{number:02x}").repeat(16));
        text.replace(&format!("#{number}"), &id)
    })
}

fn pair(kind: &str, debit: &str, credit: &str, about: &str) -> String {
    format!(
        "INSERT INTO ledger (transaction_id, payment, kind, account, debit_minor, credit_minor, \
         currency, at) VALUES ({about}, '{kind}', '{debit}', 450, 0, 'CNY', 8), \
         ({about}, '{kind}', '{credit}', 0, 450, 'CNY', 8);"
    )
}

fn received(about: &str) -> String {
    pair("received", "gateway_receivable", "suspense", about)
}

/// What a hand can do, and which invariant it breaks.
#[allow(clippy::too_many_lines, reason = "a table, a row for each break")]
fn breaks() -> Vec<(&'static str, String)> {
    let drop = "DROP TRIGGER events_keep; DROP TRIGGER events_stay;";
    let sale = "INSERT INTO transactions SELECT NULL, #4, terminal, session, 'STATE', minor, \
         currency, OPEN, created_at, updated_at, 1, document FROM transactions WHERE id = #3;";
    let line = "INSERT INTO statement_lines SELECT gateway, 5, 'payout', order_id, payment, \
         NULL, -445, currency, payee, booked_at, 'booked', 0 FROM statement_lines \
         WHERE sequence = 1;";
    let another = |state: &str, open: u8| {
        let sale = sale.replace("STATE", state);
        sale.replace("OPEN", &open.to_string())
    };
    let rows = [
        (
            "I1",
            "INSERT INTO ledger (transaction_id, payment, kind, account, debit_minor, \
             credit_minor, currency, at) VALUES (#1, #1, 'fee', 'fees', 5, 0, 'CNY', 8)"
                .to_owned(),
        ),
        (
            "I2",
            format!(
                "UPDATE transactions SET state = 'commanded', created_at = {} WHERE id = #3",
                NOW - DAY - 1
            ),
        ),
        ("I2", another("done", 0)),
        (
            "I2",
            "UPDATE transactions SET state = 'review' WHERE id = #3".to_owned(),
        ),
        (
            "I3",
            "UPDATE payments SET payee = 'other' WHERE id = #1".to_owned(),
        ),
        (
            "I3",
            "UPDATE payments SET minor = 451 WHERE id = #1".to_owned(),
        ),
        (
            "I3",
            "UPDATE transactions SET currency = 'EUR' WHERE id = #1".to_owned(),
        ),
        (
            "I4",
            "INSERT INTO payments SELECT id, #2, gateway, minor, currency, payee, 0, received_at \
             FROM payments WHERE id = #1"
                .to_owned(),
        ),
        (
            "I4",
            received("#1, #9") + &pair("earned", "suspense", "merchant", "#1, #9"),
        ),
        (
            "I5",
            "UPDATE payments SET refunded_minor = 451 WHERE id = #2".to_owned(),
        ),
        (
            "I5",
            "UPDATE payments SET refunded_minor = -1 WHERE id = #1".to_owned(),
        ),
        ("I6", received("#1, #8")),
        ("I6", pair("earned", "suspense", "merchant", "#3, #3")),
        (
            "I7",
            format!(
                "UPDATE transactions SET created_at = {} WHERE id = #3",
                NOW - DAY - 1
            ),
        ),
        (
            "I7",
            "INSERT INTO tasks (id, kind, subject, owner, since, due_at, detail) \
             VALUES ('a', 'k', 's', 'o', 0, 1, 'd')"
                .to_owned(),
        ),
        (
            "I7",
            "UPDATE transactions SET document = '{\"transaction\":{\"reviews\":[\
             {\"reason\":\"disputed\",\"owner\":\"accountant\",\"due_at\":\"2026-01-01T00:00:00Z\"},\
             {\"reason\":\"refund_failed\",\"owner\":\"accountant\",\
             \"due_at\":\"1970-01-01T00:00:01Z\"}]}}', state = 'review' WHERE id = #3"
                .to_owned(),
        ),
        (
            "I8",
            format!("{drop} UPDATE events SET at = at + 1 WHERE sequence = 2"),
        ),
        (
            "I8",
            format!("{drop} DELETE FROM events WHERE sequence = 3"),
        ),
        (
            "I9",
            "UPDATE statement_lines SET minor = 451 WHERE sequence = 1".to_owned(),
        ),
        ("I9", line.to_owned()),
        (
            "I10",
            "UPDATE orders SET state = 'unknown' WHERE id = #1".to_owned(),
        ),
        (
            "I10",
            "UPDATE refunds SET status = 'sent' WHERE id = #2".to_owned(),
        ),
        ("I11", another("awaiting_payment", 1)),
        (
            "I13",
            "UPDATE statement_lines SET finding = 'amount_differs' WHERE sequence = 1".to_owned(),
        ),
        (
            "I13",
            "DELETE FROM statement_lines WHERE sequence = 1".to_owned(),
        ),
        (
            "unreadable",
            "UPDATE transactions SET document = '{' WHERE id = #1".to_owned(),
        ),
    ];
    rows.into_iter()
        .map(|(invariant, text)| (invariant, sql(&text)))
        .collect()
}

#[test]
fn a_sound_store_breaks_nothing() {
    let folder = folder();
    let _store = sound(folder.path());
    for extent in [Extent::Everything, Extent::Scope] {
        assert_eq!(broken(folder.path(), extent), BTreeSet::new(), "{extent:?}");
    }
}

#[test]
fn each_broken_invariant_is_named_and_no_other() {
    for (invariant, text) in breaks() {
        let folder = folder();
        let _store = sound(folder.path());
        stranger(folder.path()).execute_batch(&text).unwrap();
        let expected = BTreeSet::from([invariant]);
        assert_eq!(
            broken(folder.path(), Extent::Everything),
            expected,
            "{text}"
        );
        // A sale that was put in by hand has no event, and is found by the full audit alone.
        let is_seen = !text.contains("'done'");
        if is_seen {
            assert_eq!(broken(folder.path(), Extent::Scope), expected, "{text}");
        }
    }
}

#[test]
fn a_running_balance_that_drifts_is_found_by_the_full_audit() {
    let folder = folder();
    let _store = sound(folder.path());
    stranger(folder.path())
        .execute_batch(
            "UPDATE balances SET debit_minor = debit_minor + 1 WHERE account = 'suspense'; \
             UPDATE balances SET credit_minor = credit_minor + 1 WHERE account = 'merchant'",
        )
        .unwrap();
    assert_eq!(
        broken(folder.path(), Extent::Everything),
        BTreeSet::from(["I1"])
    );
    assert_eq!(broken(folder.path(), Extent::Scope), BTreeSet::new());
}

#[test]
fn what_runs_every_minute_reads_no_table_from_end_to_end() {
    let folder = folder();
    let _store = sound(folder.path());
    let view = stranger(folder.path());
    view.execute_batch("CREATE TEMP TABLE scope (id BLOB PRIMARY KEY NOT NULL) WITHOUT ROWID")
        .unwrap();
    let mut slow = Vec::new();
    for check in CHECKS.iter().filter(|check| !check.is_full_only) {
        let query = limited(check.query, Extent::Scope).replace(":now", "0");
        let explained = format!("EXPLAIN QUERY PLAN {query}");
        let mut statement = view.prepare(&explained).unwrap();
        let steps = statement
            .query_map([], |row| row.get::<_, String>(3))
            .unwrap();
        let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
        let is_slow = |step: &&String| {
            let is_scan = ["t", "l", "e", "p", "q", "s", "o", "r"]
                .iter()
                .any(|table| {
                    step == &&format!("SCAN {table}") || step.starts_with(&format!("SCAN {table} "))
                });
            is_scan || step.starts_with("SEARCH s USING PRIMARY KEY (gateway=?)")
        };
        slow.extend(
            steps
                .iter()
                .filter(is_slow)
                .map(|step| (check.rule, step.clone())),
        );
    }
    assert_eq!(slow, vec![]);
}

#[test]
fn an_on_after_a_refund_is_named() {
    let folder = folder();
    let mut store = sound(folder.path());
    let permit = |ground| Change {
        sale: SaleRow {
            version: 2,
            ..paid(2, "refunded").sale
        },
        expected_version: Some(1),
        events: vec![EventRow {
            at: at(8),
            kind: "permit".to_owned(),
            detail: json!({ "ground": ground }),
        }],
        payments: vec![],
        ..paid(2, "refunded")
    };
    let by_hand = json!({"kind": "operator", "name": "Ann", "reason": "let out"});
    store.commit(&[permit(by_hand)]).unwrap();
    for extent in [Extent::Everything, Extent::Scope] {
        assert_eq!(broken(folder.path(), extent), BTreeSet::from(["I14"]));
    }
}

#[test]
fn a_permit_without_a_ground_or_with_two_is_named() {
    let rows = [
        (json!({"kind": "operator", "name": "", "reason": "x"}), "I3"),
        (json!({"kind": "zero_bill"}), "I3"),
        (json!(null), "I3"),
    ];
    for (ground, invariant) in rows {
        let folder = folder();
        let mut store = sound(folder.path());
        let permit = Change {
            sale: SaleRow {
                version: 2,
                ..sale(3, 2)
            },
            expected_version: Some(1),
            events: vec![EventRow {
                at: at(8),
                kind: "permit".to_owned(),
                detail: json!({ "ground": ground }),
            }],
            ..created(3)
        };
        store.commit(&[permit]).unwrap();
        let found = broken(folder.path(), Extent::Everything);
        assert_eq!(found, BTreeSet::from([invariant]), "{ground}");
    }
}

#[test]
fn a_transaction_in_violation_stays_under_examination_until_it_is_mended() {
    let folder = folder();
    let _store = sound(folder.path());
    let mut checker = Checker::open(folder.path()).unwrap();
    let hand = |text: &str| stranger(folder.path()).execute_batch(&sql(text)).unwrap();
    let mut named = || {
        let found = checker.recent(at(NOW)).unwrap();
        let meant = |found: &&crate::audit::Violation| found.invariant == "I5";
        found.violations.iter().filter(meant).count()
    };
    hand("UPDATE payments SET refunded_minor = 451 WHERE id = #2");
    assert_eq!((named(), named(), named()), (1, 1, 1));
    hand("UPDATE payments SET refunded_minor = 450 WHERE id = #2");
    assert_eq!((named(), named()), (0, 0));
}

#[test]
fn a_task_explains_what_differs() {
    let folder = folder();
    let mut store = sound(folder.path());
    stranger(folder.path())
        .execute_batch("UPDATE statement_lines SET finding = 'amount_differs' WHERE sequence = 1")
        .unwrap();
    let subject = "line:mock/1";
    let task = TaskRow {
        id: TaskId::of("amount_differs", subject),
        kind: "amount_differs".to_owned(),
        subject: subject.to_owned(),
        transaction: Some(transaction(1)),
        owner: "operations".to_owned(),
        since: at(5),
        due_at: at(NOW + 1),
        detail: "found".to_owned(),
        resolved: None,
    };
    let batch = Batch {
        books: &[BookNote::Task(task)],
        ..Batch::default()
    };
    store.commit_all(batch).unwrap();
    assert_eq!(broken(folder.path(), Extent::Everything), BTreeSet::new());
}

#[test]
fn one_unreadable_row_is_named_and_hides_no_other() {
    let folder = folder();
    let store = sound(folder.path());
    let hand = sql(
        "UPDATE transactions SET terminal = 'no terminal' WHERE id = #3; \
         UPDATE payments SET refunded_minor = 451 WHERE id = #2",
    );
    stranger(folder.path()).execute_batch(&hand).unwrap();
    let reader = SqliteReader::open(folder.path()).unwrap();
    let audit = reader.audit(at(NOW)).unwrap();
    assert_eq!(audit.transactions.len(), 2);
    let named: Vec<_> = audit
        .violations
        .iter()
        .map(|found| found.invariant)
        .collect();
    assert_eq!(named, ["I5", "unreadable"]);
    let checker = Checker::open(folder.path()).unwrap();
    let report = checker.everything(at(NOW)).unwrap();
    assert_eq!(report.transactions, 3);
    let of = |invariant: &str| {
        let found = report.violations.iter();
        found.filter(|found| found.invariant == invariant).count()
    };
    assert_eq!((of("I5"), of("unreadable")), (1, 1), "{report:?}");
    // The engine goes on with what it can read.
    assert_eq!(store.open_sales(None, 9).unwrap(), vec![]);
    assert_eq!(store.sale(transaction(3)).unwrap(), None);
    assert!(store.sale(transaction(1)).unwrap().is_some());
}
