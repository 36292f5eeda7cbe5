//! What only grows, what shows when it was changed, and what the books add up to.

use super::*;
use crate::audit::Audit;

fn read(folder: &Path) -> Audit {
    SqliteReader::open(folder)
        .unwrap()
        .audit(at(2_000))
        .unwrap()
}

#[test]
fn events_and_ledger_only_grow() {
    let folder = folder();
    let mut store = open(folder.path());
    let change = Change {
        postings: ledger::received(matter(1, 1, 450)),
        ..created(1)
    };
    store.commit(&[change]).unwrap();
    let stranger = stranger(folder.path());
    for statement in [
        "UPDATE events SET kind = 'x'",
        "DELETE FROM events",
        "UPDATE ledger SET account = 'x'",
        "DELETE FROM ledger",
    ] {
        let error = stranger.execute(statement, []).unwrap_err();
        assert!(
            error.to_string().contains("append-only"),
            "{statement}: {error}"
        );
    }
}

#[test]
fn tampering_with_events_shows() {
    let attacks = [
        "UPDATE events SET detail = '{}' WHERE sequence = 2",
        "UPDATE events SET at = at + 1 WHERE sequence = 1",
        "DELETE FROM events WHERE sequence = 2",
        "DELETE FROM events WHERE sequence = 3",
        "UPDATE events SET transaction_id = (SELECT max(id) FROM transactions) WHERE sequence = 1",
    ];
    for attack in attacks {
        let folder = folder();
        let mut store = open(folder.path());
        store.commit(&[created(1), created(2), created(3)]).unwrap();
        assert!(read(folder.path()).chain_intact);
        let stranger = stranger(folder.path());
        stranger
            .execute_batch("DROP TRIGGER events_keep; DROP TRIGGER events_stay")
            .unwrap();
        assert_eq!(stranger.execute(attack, []).unwrap(), 1, "{attack}");
        assert!(!read(folder.path()).chain_intact, "{attack}");
    }
}

#[test]
fn the_audit_adds_up_every_way_of_a_payment() {
    let folder = folder();
    let mut store = open(folder.path());
    let refund = RefundId::from_random([9; 16]);
    let closed = |number, postings| Change {
        sale: SaleRow {
            open: false,
            ..sale(number, 1)
        },
        postings,
        ..created(number)
    };
    let (earned, returned, twice) = (matter(1, 1, 450), matter(2, 2, 450), matter(3, 4, 450));
    let changes = [
        closed(
            1,
            [ledger::received(earned), ledger::earned(earned)].concat(),
        ),
        closed(
            2,
            [
                ledger::received(returned),
                ledger::refunded(returned, refund),
            ]
            .concat(),
        ),
        closed(
            3,
            [
                ledger::received(matter(3, 3, 450)),
                ledger::received(twice),
                ledger::earned(matter(3, 3, 450)),
                ledger::refunded(twice, refund),
            ]
            .concat(),
        ),
        Change {
            postings: ledger::received(matter(4, 5, 450)),
            ..created(4)
        },
    ];
    store.commit(&changes).unwrap();
    let audit = read(folder.path());
    let sums: Vec<_> = audit
        .transactions
        .iter()
        .map(|found| (found.received, found.refunded, found.kept, found.suspense))
        .collect();
    let expected = [
        (450, 0, 450, 0),
        (450, 450, 0, 0),
        (900, 450, 450, 0),
        (450, 0, 0, 450),
    ];
    assert_eq!(sums, expected);
    assert!(audit.is_clean(), "{audit:?}");
    let totals = SqliteReader::open(folder.path()).unwrap().totals().unwrap();
    assert_eq!((totals.open_sales, totals.outbox), (1, 0));
    assert_eq!(totals.suspense_minor, vec![("CNY".parse().unwrap(), 450)]);
}

#[test]
fn the_audit_names_what_is_broken() {
    let over = |number| SaleRow {
        open: false,
        ..sale(number, 1)
    };
    let earned = matter(1, 1, 450);
    let mut half = ledger::received(earned);
    half.pop();
    let broken = |postings, sale| Change {
        postings,
        sale,
        ..created(1)
    };
    let cases = [
        (
            broken(ledger::received(earned), over(1)),
            true,
            "is over with money in suspense: 450 in suspense",
        ),
        (
            broken(ledger::earned(earned), sale(1, 1)),
            true,
            "-450 in suspense of 0 CNY",
        ),
        (broken(half, sale(1, 1)), false, ""),
    ];
    for (change, balanced, violation) in cases {
        let folder = folder();
        open(folder.path()).commit(&[change]).unwrap();
        let audit = read(folder.path());
        assert_eq!(audit.balanced, balanced, "{violation}");
        let lines: Vec<_> = audit.violations.iter().map(ToString::to_string).collect();
        assert!(lines.join("\n").contains(violation), "{lines:?}");
        assert!(!audit.is_clean());
    }
}
