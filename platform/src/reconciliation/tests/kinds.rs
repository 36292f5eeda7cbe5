//! Every kind of line, and what becomes of it.

use super::*;
use crate::ledger::Account;

/// What one line beside one book is found to be: its name, whether it is looked at again, and
/// whether the sale is asked to mend it.
fn found(line: StatementLine, books: Vec<OrderBook>) -> (String, bool, usize) {
    let mut bench = Bench::new(vec![line], books);
    bench.run();
    assert_eq!((bench.completed, &bench.faults[..]), (1, &[][..]));
    let (_, finding, is_pending) = bench.findings()[0];
    let is_settled = ["matched", "booked"].contains(&finding);
    let tasks: Vec<_> = bench.open_tasks().into_iter().collect();
    let expected = if is_settled || is_pending {
        vec![]
    } else {
        vec![(finding.to_owned(), "line:mock/1".to_owned())]
    };
    let of_line: Vec<_> = tasks
        .into_iter()
        .filter(|(_, subject)| subject.starts_with("line:"))
        .collect();
    assert_eq!(of_line, expected);
    (finding.to_owned(), is_pending, bench.hints.len())
}

#[test]
fn each_kind_of_payment_line_has_its_name() {
    use StatementKind::Payment;
    let whole = || line(1, Payment, 1, 450);
    let ours = || vec![book(1, vec![paid(1)], vec![])];
    let none = || vec![book(1, vec![], vec![])];
    let other = || PaymentRow {
        payment: payment(9),
        ..paid(1)
    };
    let with = |change: &dyn Fn(&mut StatementLine)| {
        let mut line = whole();
        change(&mut line);
        line
    };
    let rows: [(StatementLine, Vec<OrderBook>, &str, bool, usize); 10] = [
        (whole(), ours(), "matched", false, 0),
        (young(whole()), none(), "timing", true, 0),
        (whole(), none(), "missing_here", true, 1),
        (whole(), vec![], "missing_here", false, 0),
        (with(&|l| l.minor = 449), ours(), "amount_differs", false, 0),
        (
            with(&|l| l.currency = "EUR".parse().unwrap()),
            ours(),
            "currency_differs",
            false,
            0,
        ),
        (
            with(&|l| l.payee = "other".parse().unwrap()),
            ours(),
            "payee_differs",
            false,
            0,
        ),
        (
            with(&|l| l.payee = "other".parse().unwrap()),
            none(),
            "payee_differs",
            false,
            0,
        ),
        (
            whole(),
            vec![book(1, vec![other()], vec![])],
            "duplicate",
            true,
            1,
        ),
        (with(&|l| l.minor = -450), ours(), "unknown_line", false, 0),
    ];
    for (line, books, finding, is_pending, hints) in rows {
        let expected = (finding.to_owned(), is_pending, hints);
        assert_eq!(found(line.clone(), books), expected, "{line:?}");
    }
}

#[test]
fn each_kind_of_other_line_has_its_name() {
    use StatementKind::{Dispute, Fee, Payout, Refund};
    let back = || line(1, Refund, 1, -450);
    let with = |status: &str| vec![book(1, vec![paid(1)], vec![returned(1, status)])];
    let unknown_refund = vec![book(1, vec![paid(1)], vec![])];
    let disputed = OrderBook {
        disputed: vec![payment(1)],
        ..book(1, vec![paid(1)], vec![])
    };
    let rows = [
        (back(), with("succeeded"), "matched", false),
        (back(), with("failed"), "status_differs", true),
        (back(), with("sent"), "status_differs", true),
        (young(back()), with("sent"), "timing", true),
        (line(1, Refund, 1, 450), with("failed"), "matched", false),
        (
            line(1, Refund, 1, 450),
            with("succeeded"),
            "status_differs",
            true,
        ),
        (
            line(1, Refund, 1, -449),
            with("succeeded"),
            "amount_differs",
            false,
        ),
        (back(), unknown_refund.clone(), "unexpected_refund", false),
        (back(), vec![], "unknown_line", false),
        (line(1, Dispute, 1, -450), vec![disputed], "matched", false),
        (
            line(1, Dispute, 1, -450),
            unknown_refund.clone(),
            "status_differs",
            false,
        ),
        (
            line(1, Dispute, 2, -450),
            unknown_refund.clone(),
            "unknown_line",
            false,
        ),
        (line(1, Fee, 1, -5), unknown_refund, "booked", false),
        (line(1, Payout, 7, -445), vec![], "booked", false),
        (line(1, Fee, 1, i64::MIN), vec![], "unknown_line", false),
    ];
    for (line, books, finding, is_pending) in rows {
        let expected = (finding.to_owned(), is_pending, 0);
        assert_eq!(found(line.clone(), books), expected, "{line:?}");
    }
}

#[test]
fn fees_and_payouts_are_booked_from_their_lines() {
    use Account::{Bank, Fees, GatewayReceivable};
    use StatementKind::{Fee, Payout};
    let statement = vec![
        line(1, Fee, 1, -5),
        line(2, Fee, 8, 2),
        line(3, Payout, 9, -445),
        line(4, Payout, 9, 445),
    ];
    let mut bench = Bench::new(statement, vec![book(1, vec![paid(1)], vec![])]);
    bench.run();
    let sides: Vec<_> = bench
        .postings
        .iter()
        .map(|p| (p.account, p.debit_minor - p.credit_minor, p.transaction))
        .collect();
    let expected = [
        (Fees, 5, Some(order(1))),
        (GatewayReceivable, -5, Some(order(1))),
        (GatewayReceivable, 2, None),
        (Fees, -2, None),
        (Bank, 445, None),
        (GatewayReceivable, -445, None),
        (GatewayReceivable, 445, None),
        (Bank, -445, None),
    ];
    assert_eq!(sides, expected);
}

#[test]
fn a_second_line_of_the_same_payment_is_a_duplicate() {
    use StatementKind::Payment;
    let statement = vec![line(1, Payment, 1, 450), line(4, Payment, 1, 450)];
    let mut bench = Bench::new(statement, vec![book(1, vec![paid(1)], vec![])]);
    bench.run();
    assert_eq!(
        bench.findings(),
        [(1, "matched", false), (4, "duplicate", false)]
    );
    assert_eq!(bench.hints, []);
}

#[test]
fn what_is_missing_here_is_asked_for_once_and_then_waits_for_a_person() {
    let statement = vec![line(1, StatementKind::Payment, 1, 450)];
    let mut bench = Bench::new(statement, vec![book(1, vec![], vec![])]);
    bench.run();
    assert_eq!(bench.findings(), [(1, "missing_here", true)]);
    assert_eq!((bench.hints.len(), bench.tasks.len()), (1, 0));

    let mut mended = bench.clone();
    mended
        .books
        .insert(order(1), book(1, vec![paid(1)], vec![]));
    mended.run();
    assert_eq!(mended.findings(), [(1, "matched", false)]);
    assert_eq!((mended.hints.len(), mended.tasks.len()), (1, 0));

    bench.run();
    assert_eq!(bench.findings(), [(1, "missing_here", false)]);
    assert_eq!((bench.hints.len(), bench.tasks.len()), (1, 1));
    bench.run();
    assert_eq!((bench.hints.len(), bench.tasks.len()), (1, 1));
}

#[test]
fn above_its_cap_nothing_mends_itself() {
    let numbers = 1..=30_u8;
    let statement = numbers
        .clone()
        .map(|number| line(u64::from(number), StatementKind::Payment, number, 450))
        .collect();
    let books = numbers.map(|number| book(number, vec![], vec![])).collect();
    let mut bench = Bench::new(statement, books);
    bench.run();
    assert_eq!((bench.hints.len(), bench.tasks.len()), (20, 10));
}

#[test]
fn what_the_statement_lacks_waits_in_the_work_list_until_its_line_comes() {
    let young = PaymentRow {
        received_at: at(ASKED - GRACE),
        ..paid(3)
    };
    let books = vec![
        book(1, vec![paid(1)], vec![]),
        book(2, vec![paid(2)], vec![returned(2, "succeeded")]),
        book(3, vec![young], vec![]),
    ];
    let paid_2 = line(1, StatementKind::Payment, 2, 450);
    let mut bench = Bench::new(vec![paid_2], books);
    bench.run();
    let expected = BTreeSet::from([
        ("missing_there".to_owned(), payment_subject(payment(1))),
        ("missing_refund".to_owned(), refund_subject(refund(2))),
    ]);
    assert_eq!(bench.open_tasks(), expected);

    bench
        .statement
        .push(line(2, StatementKind::Payment, 1, 450));
    bench
        .statement
        .push(line(3, StatementKind::Refund, 2, -450));
    bench.run();
    assert_eq!(bench.open_tasks(), BTreeSet::new());
    let by = |task: &TaskRow| task.resolved.as_ref().map(|resolved| resolved.by.clone());
    let all: Vec<_> = bench.tasks.values().filter_map(by).collect();
    assert_eq!(all, ["reconciliation", "reconciliation"]);
}

#[test]
fn a_refund_that_came_back_on_a_later_page_is_explained() {
    use StatementKind::{Payment, Refund};
    let statement = vec![
        line(1, Payment, 1, 450),
        line(2, Refund, 1, -450),
        line(3, Refund, 1, 450),
    ];
    let books = vec![book(1, vec![paid(1)], vec![returned(1, "failed")])];
    let mut bench = Bench::new(statement, books);
    bench.page_size = 2;
    bench.run();
    let seen = [
        (1, "matched", false),
        (2, "status_differs", true),
        (3, "matched", false),
    ];
    assert_eq!(bench.findings(), seen);
    bench.run();
    assert_eq!(bench.findings()[1], (2, "matched", false));
    assert_eq!(bench.open_tasks(), BTreeSet::new());
}
