//! When the payment server is asked: schedules, hints, one question in flight.

use super::*;

/// Milliseconds from now to each of the next queries, each answered "open" at once.
fn query_times(bench: &mut Bench, count: usize) -> Vec<u128> {
    let mut times = Vec::new();
    let began = bench.now.tick;
    bench.look();
    while times.len() < count {
        bench.pass_to_next();
        if bench.look().contains(&"ask query".to_owned()) {
            times.push(bench.now.tick.since(began).as_millis());
            bench.answer(open());
        }
    }
    times
}

#[test]
fn without_a_notice_it_is_asked_every_five_seconds() {
    let mut bench = Bench::quoted();
    assert_eq!(query_times(&mut bench, 3), [5_000, 10_000, 15_000]);
}

#[test]
fn after_a_notice_it_is_asked_closely_for_a_while() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(open());
    assert_eq!(bench.state(), TransactionState::Confirming);
    let times = query_times(&mut bench, 8);
    assert_eq!(
        times,
        [1_000, 2_000, 4_000, 7_000, 12_000, 17_000, 22_000, 27_000]
    );
    assert_eq!(bench.state(), TransactionState::AwaitingPayment);
}

#[test]
fn hints_in_flight_ask_once_more_and_no_more() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_event);
    for _ in 0..5 {
        bench.step(Sale::handle_event);
        bench.step(Sale::handle_notice);
    }
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(open());
    assert_eq!((bench.look(), bench.next_ms()), (vec![], Some(250)));
    bench.pass_to_next();
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(open());
    assert_eq!(bench.next_ms(), Some(1_000)); // the notice's schedule goes on
}

#[test]
fn a_flood_of_hints_is_four_queries_a_second() {
    let mut bench = Bench::quoted();
    let before = bench.calls.len();
    for _ in 0..999 {
        bench.step(Sale::handle_event);
        bench.pass(Duration::from_millis(1));
        if bench.said.pop().is_some() {
            bench.answer(open());
        }
    }
    assert_eq!(bench.calls.len() - before, 4);
}

#[test]
fn a_question_is_overdue_after_five_seconds_and_its_answer_still_counts() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_event);
    let (_, asked) = bench.calls.last().cloned().unwrap();
    bench.look();
    bench.pass(seconds(5));
    assert_eq!(bench.look(), NOTHING);
    assert_eq!(
        bench.kinds.last().map(String::as_str),
        Some("gateway_unanswered")
    );
    bench.pass(seconds(5));
    assert_eq!(bench.look(), ["ask query"]);
    assert!(bench.answer_under(asked, paid(&[exact(1)])));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn an_older_open_does_not_undo_paid() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_event);
    let (_, asked) = bench.calls.last().cloned().unwrap();
    bench.pass(seconds(10));
    bench.answer(paid(&[exact(1)]));
    bench.look();
    assert!(bench.answer_under(asked, open()));
    assert_eq!(bench.look(), NOTHING);
    assert_eq!(
        (bench.sale.order_state(), bench.state()),
        ("paid", TransactionState::Commanded)
    );
}

#[test]
fn after_a_close_without_an_answer_it_is_asked_with_growing_pauses() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(120));
    bench.answer(open());
    bench.look();
    let mut asked = Vec::new();
    let began = bench.now.tick;
    while asked.len() < 5 {
        bench.pass_to_next();
        for said in bench.look() {
            if said.starts_with("ask ") {
                asked.push((said, bench.now.tick.since(began).as_secs()));
            }
        }
    }
    // Each question is overdue after 5 s; then come pauses of 5, 10, 20, 40 and 60 s.
    let expected = [10, 25, 50, 95, 160].map(|at| ("ask query".to_owned(), at));
    assert_eq!(asked, expected);
    bench.answer(open());
    bench.pass(seconds(60));
    assert_eq!(bench.look(), ["ask close"]);
}

#[test]
fn the_late_watch_asks_for_five_days_and_then_no_more() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(120));
    bench.answer(open());
    bench.answer(closed());
    bench.look();
    let began = bench.now.tick;
    let mut asked = Vec::new();
    while bench.sale.poll_timeout().is_some() {
        bench.pass_to_next();
        if bench.look().contains(&"ask query".to_owned()) {
            asked.push(bench.now.tick.since(began).as_secs());
            bench.answer(closed());
        }
    }
    let day = 86_400;
    assert_eq!(
        asked,
        [
            300,
            3_900,
            3_900 + day,
            3_900 + 2 * day,
            3_900 + 3 * day,
            3_900 + 4 * day,
            3_900 + 5 * day
        ]
    );
    assert!(!bench.sale.is_open());
}

#[test]
fn a_refund_without_any_answer_is_asked_about_and_then_reviewed() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[payment(1, money(449))]));
    bench.pass(seconds(3_600));
    let asked = bench.calls.iter();
    let nonces: Vec<Nonce> = asked
        .filter(|(operation, _)| matches!(operation, Operation::Refund(_)))
        .map(|(_, nonce)| *nonce)
        .collect();
    assert_eq!((nonces.len(), bench.refunds().len()), (1, 1));
    assert_eq!(bench.state(), TransactionState::Review);
    assert_eq!(bench.reasons(), [ReviewReason::RefundUnknown]);
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(bench.state(), TransactionState::Refunded);
    assert_eq!(bench.balance(Account::Suspense), 0);
}

#[test]
fn a_refund_that_was_refused_waits_for_a_person() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[payment(1, money(449))]));
    bench.look();
    bench.answer(refused(GatewayRefusal::RefundWindowPassed));
    assert_eq!(bench.look(), ["standing Review"]);
    assert_eq!(bench.state(), TransactionState::Review);
    assert_eq!(bench.balance(Account::Suspense), -449);
}

#[test]
fn a_refund_that_fails_after_it_succeeded_is_owed_again() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[payment(1, money(449))]));
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Refunded, 0)
    );
    let refund = bench.refunds()[0].clone();
    bench.step(Sale::handle_event);
    bench.pass(seconds(1));
    let failed = RefundView {
        refund: refund.refund,
        payment: refund.payment,
        amount: refund.amount,
        status: RefundStatus::Failed,
    };
    bench.answer(GatewayResult::Order(OrderView {
        refunds: vec![failed],
        ..view(OrderStatus::Paid, &[payment(1, money(449))])
    }));
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Review, -449)
    );
}

#[test]
fn a_late_refusal_of_one_attempt_takes_nothing_back_that_another_returned() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[payment(1, money(449))]));
    let (_, first) = bench.calls.last().cloned().unwrap();
    // The first attempt stays unanswered; the next one succeeds.
    bench.pass(seconds(20));
    bench.answer_refund(RefundStatus::Succeeded);
    assert_ne!(bench.calls.last().unwrap().1, first);
    bench.look();
    bench.answer_under(first, refused(GatewayRefusal::RefundExceedsPayment));
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Refunded, 0)
    );
}
