//! The process may end between any two steps.

use super::*;

/// The happy path, as steps between which the process may end.
fn step(bench: &mut Bench, number: usize) {
    match number {
        0 => answer_until_quoted(bench),
        1 => {
            bench.step(Sale::handle_notice);
        }
        2 => answer_until_permitted(bench),
        _ => {
            bench.result(LinkageOutcome::Done);
        }
    }
}

fn answer_until_quoted(bench: &mut Bench) {
    while bench.state() == TransactionState::Created {
        if !bench.answer(open()) {
            bench.pass_to_next();
        }
    }
}

fn answer_until_permitted(bench: &mut Bench) {
    while bench.permits.is_empty() {
        if !bench.answer(paid(&[exact(1)])) {
            bench.pass_to_next();
        }
    }
}

#[test]
fn a_restart_before_any_step_of_the_happy_path_ends_done_once() {
    for restart_before in 0..=4 {
        let mut bench = Bench::new();
        for number in 0..4 {
            if number == restart_before {
                bench.restart();
            }
            step(&mut bench, number);
        }
        if restart_before == 4 {
            bench.restart();
        }
        assert_eq!(bench.state(), TransactionState::Done, "{restart_before}");
        assert_eq!(bench.permits.len(), 1, "{restart_before}");
        assert_eq!(bench.refunds(), vec![], "{restart_before}");
        assert_eq!(bench.balance(Account::Suspense), 0, "{restart_before}");
        assert_eq!(bench.balance(Account::Merchant), -450, "{restart_before}");
    }
}

#[test]
fn a_create_in_flight_is_asked_about_before_it_is_repeated() {
    let mut bench = Bench::new();
    bench.look();
    bench.restart();
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert_eq!(bench.look(), ["ask create"]);
}

#[test]
fn an_answer_to_a_question_of_before_the_restart_counts() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    let (_, asked) = bench.calls.last().cloned().unwrap();
    bench.restart();
    assert!(bench.answer_under(asked, paid(&[exact(1)])));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn after_a_restart_the_full_life_of_the_nonce_is_waited_again() {
    let mut bench = Bench::permitted();
    bench.pass(seconds(180));
    bench.restart();
    bench.look();
    bench.pass(seconds(189));
    assert_eq!(bench.state(), TransactionState::Commanded);
    bench.pass(seconds(1));
    assert_eq!(bench.state(), TransactionState::LinkageUnknown);
}

#[test]
fn a_permit_is_repeated_after_a_restart_and_not_signed_again() {
    let mut bench = Bench::permitted();
    bench.restart();
    bench.look();
    bench.pass(seconds(1));
    assert_eq!(bench.look(), ["resend permit"]);
    assert_eq!(bench.permits.len(), 1);
}

#[test]
fn a_refund_in_flight_is_asked_about_before_it_is_repeated_under_its_own_id() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[payment(1, money(449))]));
    bench.look();
    bench.restart();
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(paid(&[payment(1, money(449))]));
    assert_eq!(bench.look(), ["ask refund"]);
    assert_eq!(bench.refunds().len(), 1);
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Refunded, 0)
    );
}

#[test]
fn an_order_that_was_being_made_when_the_offer_ended_can_be_paid_after_a_restart() {
    let mut bench = Bench::new();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    assert_eq!(bench.state(), TransactionState::Closing);
    bench.restart();
    assert!(bench.sale.is_payable());
    bench.look();
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert!(!bench.sale.is_payable());
}

#[test]
fn an_order_being_closed_is_closed_after_a_restart() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(120));
    bench.answer(open());
    bench.look();
    bench.restart();
    assert_eq!(bench.look(), ["ask close"]);
    bench.answer(closed());
    assert_eq!(bench.state(), TransactionState::Expired);
}
