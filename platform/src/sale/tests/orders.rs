//! Orders beside each other, too young to close, pushed, held until something changes, and made only
//! by a scan.

use protocol::message::EndReason;

use super::*;

/// Milliseconds to the next question, which is answered "open".
fn next_question(bench: &mut Bench) -> u128 {
    let began = bench.now.tick;
    bench.look();
    while !bench.said.contains(&"ask query".to_owned()) {
        bench.pass_to_next();
    }
    bench.answer(open());
    bench.now.tick.since(began).as_millis()
}

#[test]
fn a_sale_that_waits_for_an_earlier_order_makes_its_own_once_that_is_shut() {
    let mut bench = Bench::blocked();
    assert_eq!(bench.look(), NOTHING);
    assert!(!bench.sale.is_payable());
    bench.step(Sale::handle_unblocked);
    assert_eq!(bench.look(), ["ask create"]);
    assert!(bench.sale.is_payable());
    bench.step(Sale::handle_unblocked);
    assert_eq!(bench.look(), NOTHING);
}

#[test]
fn a_sale_that_waits_for_too_long_is_refused_and_no_order_was_ever_made() {
    let mut bench = Bench::blocked();
    bench.restart();
    bench.pass(seconds(15));
    assert_eq!(bench.look(), ["refused GatewayUnavailable", "off Expired"]);
    assert_eq!(bench.state(), TransactionState::Expired);
    bench.pass(seconds(90_000));
    assert_eq!(bench.calls, vec![]);
    assert!(!bench.sale.is_open());
}

#[test]
fn an_order_is_payable_until_it_is_known_to_be_shut_or_paid() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(open());
    assert!(bench.sale.is_payable());
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert!(bench.sale.is_payable());
    bench.pass(seconds(5));
    bench.answer(closed());
    assert!(!bench.sale.is_payable());
    assert!(!Bench::permitted().sale.is_payable());
}

#[test]
fn an_order_that_is_too_young_to_close_exists_whatever_was_said_before() {
    let mut bench = Bench::new();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.pass(seconds(5));
    bench.look();
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert!(!bench.sale.is_payable());
    bench.pass(seconds(60));
    assert!(bench.look().contains(&"ask close".to_owned()));
    bench.answer(refused(GatewayRefusal::CloseTooEarly));
    assert_eq!(bench.sale.order_state(), "unknown");
    assert!(bench.sale.is_payable());
}

#[test]
fn no_such_order_ends_a_sale_once_it_would_have_outlived_itself() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(open());
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert_eq!(bench.state(), TransactionState::Closing);
    bench.pass(seconds(120));
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert_eq!(bench.state(), TransactionState::Expired);
}

#[test]
fn an_order_is_closed_as_soon_as_it_is_old_enough() {
    let mut policy = policy();
    policy.capabilities.close_age_minimum = seconds(30);
    let mut bench = Bench::with(policy);
    bench.answer(open());
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.look();
    bench.answer(open());
    let mut asked = Vec::new();
    while bench.state() == TransactionState::Closing {
        let said = bench.look();
        if let Some(said) = said.iter().find(|said| said.starts_with("ask")) {
            asked.push((said.clone(), bench.now.tick.as_millis() - 1_000_000));
            bench.answer(if said == "ask close" {
                closed()
            } else {
                open()
            });
        } else {
            bench.pass_to_next();
        }
    }
    // Pauses of 5, 10 and 15 s: then the order is 30 s old.
    let expected = [
        ("ask query", 0),
        ("ask query", 5_000),
        ("ask query", 15_000),
        ("ask close", 30_000),
    ];
    assert_eq!(asked, expected.map(|(said, at)| (said.to_owned(), at)));
}

#[test]
fn a_payment_server_that_pushes_is_asked_half_as_often() {
    let mut policy = policy();
    policy.capabilities.push = true;
    let mut bench = Bench::with(policy);
    bench.answer(open());
    assert_eq!(next_question(&mut bench), 10_000);
    assert_eq!(next_question(&mut bench), 10_000);
}

#[test]
fn a_query_that_waits_for_a_change_is_asked_again_at_once() {
    let mut policy = policy();
    policy.capabilities.waiting_query = seconds(25);
    let mut bench = Bench::with(policy);
    bench.answer(open());
    bench.pass_to_next();
    bench.look();
    bench.pass(seconds(24));
    assert_eq!(bench.look(), NOTHING);
    bench.answer(open());
    assert_eq!(next_question(&mut bench), 250);
    assert_eq!(next_question(&mut bench), 5_000); // that one was answered at once
}

#[test]
fn an_order_that_only_a_scan_makes_is_open_until_its_end() {
    let mut policy = policy();
    policy.capabilities.order_after_scan = true;
    let mut bench = Bench::with(policy);
    bench.answer(open());
    bench.step(Sale::handle_notice);
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert_eq!(
        (bench.sale.order_state(), bench.state()),
        ("open", TransactionState::Confirming)
    );
    bench.pass(seconds(121));
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert_eq!(bench.state(), TransactionState::Expired);
}

#[test]
fn hints_that_ask_nothing_new_are_one_line_of_the_history() {
    let mut bench = Bench::quoted();
    let before = bench.kinds.len();
    for _ in 0..50 {
        bench.step(Sale::handle_notice);
        bench.step(Sale::handle_event);
    }
    assert_eq!(bench.kinds[before..], ["noticed", "state"]);
}

#[test]
fn a_reboot_ends_its_permits_so_the_journal_is_asked_soon() {
    let mut bench = Bench::permitted();
    bench.step(|sale, turn| sale.handle_hello(false, boot(6), turn));
    bench.pass(Duration::from_millis(14_999));
    assert_eq!(bench.state(), TransactionState::Commanded);
    bench.look();
    bench.pass(Duration::from_millis(1));
    assert!(bench.look().contains(&"inquiry".to_owned()));
    assert!(bench.journal(Finding::Tombstone));
    assert_eq!(bench.state(), TransactionState::RefundPending);
}

#[test]
fn a_page_that_asks_again_after_the_reboot_is_served() {
    let mut bench = Bench::permitted();
    bench.step(|sale, turn| sale.handle_hello(false, boot(6), turn));
    bench.pass(seconds(10));
    assert!(bench.permit_request(6, 99));
    bench.pass(seconds(10));
    assert_eq!(bench.state(), TransactionState::Commanded);
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.state(), TransactionState::Done);
}

#[test]
fn nobody_gives_up_after_a_reboot_before_the_nonce_is_dead() {
    let mut policy = policy();
    policy.timeouts.give_up_ms = 1_000;
    let mut bench = Bench::permitted_with(policy);
    bench.step(|sale, turn| sale.handle_hello(false, boot(6), turn));
    bench.pass(seconds(189));
    assert_eq!(bench.state(), TransactionState::LinkageUnknown);
    bench.pass(seconds(1));
    assert_eq!(bench.state(), TransactionState::Review);
}

#[test]
fn a_connection_of_the_same_run_changes_no_deadline() {
    let mut bench = Bench::permitted();
    bench.step(|sale, turn| sale.handle_hello(true, boot(5), turn));
    bench.pass(seconds(60));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn a_terminal_may_forget_a_sale_once_its_nonce_is_dead() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(open());
    bench.answer(closed());
    bench.pass(seconds(189));
    assert!(!bench.look().contains(&"settled".to_owned()));
    bench.pass(seconds(1));
    assert!(bench.look().contains(&"settled".to_owned()));
}

#[test]
fn an_answer_of_the_journal_is_word_enough_to_settle() {
    let mut bench = Bench::permitted();
    bench.step(|sale, turn| sale.handle_hello(false, boot(6), turn));
    bench.pass(seconds(15));
    bench.journal(Finding::Tombstone);
    bench.look();
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        bench.look(),
        [
            "book debit suspense, credit gateway_receivable",
            "standing Refunded",
            "settled"
        ]
    );
}
