//! Each way a payment can go, from input to exact outputs and nothing else.

use protocol::message::{
    EndReason, GatewayRefusal, GatewayResult, LinkageOutcome, OrderStatus, OrderView, RefundStatus,
};
use protocol::money::Money;

use super::*;

#[test]
fn paid_is_permitted_once_then_done_with_a_receipt() {
    let mut bench = Bench::new();
    assert_eq!(bench.look(), ["ask create"]);
    bench.answer(open());
    assert_eq!(bench.look(), ["quote"]);
    assert_eq!(bench.next_ms(), Some(5_000));
    bench.step(Sale::handle_notice);
    assert_eq!(bench.look(), ["ask query"]);
    assert_eq!(bench.state(), TransactionState::Confirming);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        bench.look(),
        [
            "book debit gateway_receivable, credit suspense",
            "withdraw quote",
            "permit"
        ]
    );
    assert_eq!(bench.next_ms(), Some(1_000));
    let permit = &bench.permits[0];
    assert_eq!(
        (permit.nonce, permit.journal, permit.session),
        (nonce(), journal(), session())
    );
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        bench.look(),
        [
            "book debit suspense, credit merchant",
            "withdraw permit",
            "receipt",
            "settled",
        ]
    );
    assert_eq!(bench.state(), TransactionState::Done);
    assert_eq!(
        (
            bench.balance(Account::Suspense),
            bench.balance(Account::Merchant)
        ),
        (0, -450)
    );
    assert_eq!(bench.next_ms(), Some(60_000));
    bench.pass(seconds(60));
    assert_eq!(bench.look(), ["withdraw receipt", "withdraw settled"]);
    assert!(bench.sale.is_parked());
    bench.pass(seconds(240));
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(paid(&[exact(1)]));
    assert!(!bench.sale.is_open());
    assert_eq!(bench.look(), NOTHING);
    assert_eq!(bench.next_ms(), None);
}

#[test]
fn a_gateway_event_alone_finds_the_payment() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_event);
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn the_timer_alone_finds_the_payment() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(5));
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn a_declined_payer_may_try_again_on_the_same_order() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(declined(1));
    assert_eq!(bench.look(), ["ask query", "standing Declined"]);
    bench.pass(seconds(1));
    bench.answer(paid(&[exact(1)]));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn declined_and_ended_closes_the_order_and_says_off() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_event);
    bench.answer(declined(1));
    bench.look();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(declined(1));
    assert_eq!(bench.look(), ["ask close"]);
    assert_eq!(bench.state(), TransactionState::Closing);
    bench.answer(closed());
    assert_eq!(bench.look(), ["withdraw quote", "off Declined"]);
    assert_eq!(bench.state(), TransactionState::Expired);
    assert_eq!(bench.next_ms(), Some(2_000));
}

#[test]
fn never_paid_is_asked_for_after_the_deadline_then_closed() {
    let mut bench = Bench::quoted();
    for _ in 0..23 {
        bench.pass_to_next();
        assert_eq!(bench.look(), ["ask query"]);
        bench.answer(open());
    }
    bench.pass(seconds(5));
    assert!(bench.kinds.contains(&"end_begun".to_owned()));
    // The query of that same instant was asked with the deadline passed.
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(open());
    assert_eq!(bench.look(), ["ask close"]);
    bench.answer(closed());
    assert_eq!(bench.look(), ["withdraw quote", "off Expired"]);
    assert_eq!(
        (bench.state(), bench.postings.len()),
        (TransactionState::Expired, 0)
    );
}

#[test]
fn a_query_in_flight_at_the_deadline_is_not_the_final_one() {
    let mut bench = Bench::quoted();
    for _ in 0..23 {
        bench.pass_to_next();
        bench.answer(open());
    }
    bench.pass(seconds(3));
    bench.step(Sale::handle_event);
    bench.look();
    bench.pass(seconds(2));
    assert_eq!(bench.look(), NOTHING);
    bench.answer(open());
    assert_eq!(bench.look(), ["ask query"]);
    assert_eq!(bench.state(), TransactionState::AwaitingPayment);
    bench.answer(open());
    assert_eq!(bench.state(), TransactionState::Closing);
}

#[test]
fn a_payment_that_the_final_query_finds_is_served() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(120));
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::Commanded, 1)
    );
}

#[test]
fn money_after_the_close_goes_back_by_itself() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(120));
    bench.answer(open());
    bench.answer(closed());
    bench.pass(seconds(1));
    bench.look();
    bench.step(Sale::handle_event);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        bench.look(),
        [
            "ask query",
            "book debit gateway_receivable, credit suspense",
            "standing RefundPending",
            "ask refund",
        ]
    );
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        bench.look(),
        [
            "book debit suspense, credit gateway_receivable",
            "standing Refunded",
        ]
    );
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::Refunded, 0)
    );
    assert_eq!(bench.balance(Account::Suspense), 0);
}

#[test]
fn a_close_that_comes_too_late_leads_to_a_query_and_a_refund() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(120));
    bench.answer(open());
    bench.look();
    bench.answer(refused(GatewayRefusal::AlreadyPaid));
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        bench.look(),
        [
            "book debit gateway_receivable, credit suspense",
            "withdraw quote",
            "off Late",
            "standing RefundPending",
            "ask refund",
        ]
    );
    assert_eq!(bench.permits.len(), 0);
}

#[test]
fn an_order_too_young_to_close_stays_closing_and_the_terminal_is_told() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(open());
    bench.look();
    bench.answer(refused(GatewayRefusal::CloseTooEarly));
    assert_eq!(bench.look(), ["withdraw quote", "off Ended"]);
    assert_eq!(bench.state(), TransactionState::Closing);
    bench.pass(seconds(5));
    assert_eq!(bench.look(), ["resend off", "ask close"]);
    bench.answer(closed());
    assert_eq!(bench.look(), ["standing Closed"]);
    assert_eq!(bench.state(), TransactionState::Expired);
}

#[test]
fn of_two_payments_one_is_kept_and_the_other_returned_after_the_on() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[exact(1), exact(2)]));
    assert_eq!(
        bench.look(),
        [
            "ask query",
            "book debit gateway_receivable, credit suspense",
            "book debit gateway_receivable, credit suspense",
            "withdraw quote",
            "permit",
        ]
    );
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        bench.look(),
        [
            "book debit suspense, credit merchant",
            "withdraw permit",
            "receipt",
            "settled",
            "ask refund",
        ]
    );
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        bench.look(),
        ["book debit suspense, credit gateway_receivable"]
    );
    assert_eq!(bench.state(), TransactionState::Done);
    let refunds = bench.refunds();
    assert_eq!((refunds.len(), refunds[0].payment), (1, exact(2).payment));
    assert_eq!(
        (
            bench.balance(Account::Suspense),
            bench.balance(Account::Merchant)
        ),
        (0, -450)
    );
}

#[test]
fn a_second_payment_that_shows_up_after_done_is_returned() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Done);
    bench.pass(seconds(1));
    bench.look();
    bench.step(Sale::handle_event);
    bench.answer(paid(&[exact(1), exact(2)]));
    assert_eq!(
        bench.look(),
        [
            "ask query",
            "book debit gateway_receivable, credit suspense",
            "ask refund"
        ]
    );
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Done, 0)
    );
}

#[test]
fn a_wrong_amount_or_currency_goes_back() {
    let euros = Money::new(450, "EUR".parse().unwrap()).unwrap();
    let rows = [
        (money(449), "off WrongAmount"),
        (money(451), "off WrongAmount"),
        (euros, "off WrongCurrency"),
    ];
    for (amount, off) in rows {
        let mut bench = Bench::quoted();
        bench.step(Sale::handle_notice);
        bench.answer(paid(&[payment(1, amount)]));
        assert_eq!(
            bench.look(),
            [
                "ask query",
                "book debit gateway_receivable, credit suspense",
                "withdraw quote",
                off,
                "standing RefundPending",
                "ask refund",
            ]
        );
        bench.answer_refund(RefundStatus::Succeeded);
        assert_eq!(
            (bench.state(), bench.permits.len()),
            (TransactionState::Refunded, 0)
        );
        assert_eq!(
            (bench.refunds()[0].amount, bench.balance(Account::Suspense)),
            (amount, 0)
        );
    }
}

#[test]
fn money_to_another_payee_is_never_booked_as_ours() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    let mut foreign = exact(1);
    foreign.payee = "somebody-else".parse().unwrap();
    bench.answer(paid(&[foreign]));
    assert_eq!(
        bench.look(),
        [
            "ask query",
            "withdraw quote",
            "off WrongPayee",
            "standing Review"
        ]
    );
    assert_eq!(bench.state(), TransactionState::Review);
    assert_eq!(
        (
            bench.postings.len(),
            bench.refunds().len(),
            bench.permits.len()
        ),
        (0, 0, 0)
    );
}

#[test]
fn an_order_of_other_content_under_our_number_is_never_served() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    let other = OrderView {
        payee: "somebody-else".parse().unwrap(),
        ..view(OrderStatus::Paid, &[exact(1)])
    };
    bench.answer(GatewayResult::Order(other));
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::RefundPending, 0)
    );
}

#[test]
fn what_is_disputed_or_refunded_elsewhere_is_never_served() {
    let mut disputed = exact(1);
    disputed.disputed = true;
    let mut returned = exact(1);
    returned.refunded = money(450);
    for (payment, state) in [
        (disputed, TransactionState::Review),
        (returned, TransactionState::Refunded),
    ] {
        let mut bench = Bench::quoted();
        bench.step(Sale::handle_notice);
        bench.answer(paid(&[payment]));
        assert_eq!((bench.state(), bench.permits.len()), (state, 0));
        assert_eq!(bench.refunds(), vec![]);
    }
}

#[test]
fn silence_ends_in_a_review_and_a_later_answer_in_a_refund() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    bench.pass(seconds(17)); // three questions of 5 s with a pause of 1 s between them
    assert_eq!(bench.sale.order_state(), "unknown");
    // 120 s for the order, then questions until no permit could be good, then 15 min of closing.
    bench.pass(seconds(175 + 900));
    assert_eq!(bench.state(), TransactionState::Review);
    assert_eq!((bench.permits.len(), bench.refunds().len()), (0, 0));
    bench.step(Sale::handle_event);
    bench.pass(seconds(60));
    bench.answer(paid(&[exact(1)]));
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::Refunded, 0)
    );
    assert_eq!(bench.balance(Account::Suspense), 0);
}

#[test]
fn silence_before_any_quote_refuses_the_order() {
    let mut bench = Bench::new();
    bench.look();
    bench.pass(seconds(5));
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert_eq!(bench.look(), ["ask create"]);
    bench.pass(seconds(10));
    let said = bench.look();
    assert!(
        said.contains(&"refused GatewayUnavailable".to_owned()),
        "{said:?}"
    );
    assert_eq!(bench.state(), TransactionState::Closing);
    let creates = bench
        .calls
        .iter()
        .filter_map(|(operation, _)| match operation {
            Operation::Create(create) => Some(create.clone()),
            _ => None,
        });
    let creates: Vec<_> = creates.collect();
    assert_eq!(creates[0], creates[1]);
}

#[test]
fn no_such_order_says_nothing_about_an_order_that_was_asked_for_later() {
    let mut bench = Bench::new();
    bench.look();
    bench.pass(seconds(5));
    let (_, slow) = bench.calls.last().cloned().unwrap();
    bench.pass(seconds(5));
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    bench.look();
    // The second create is not answered either.
    bench.pass(seconds(5));
    assert_eq!(bench.state(), TransactionState::Closing);
    bench.look();
    assert!(bench.answer_under(slow, refused(GatewayRefusal::OrderNotFound)));
    assert_eq!(bench.look(), NOTHING);
    assert_eq!(bench.sale.order_state(), "unknown");
    assert!(bench.sale.is_payable());
    // What was asked after the create knows better.
    bench.answer(refused(GatewayRefusal::OrderNotFound));
    assert!(!bench.sale.is_payable());
}

#[test]
fn a_slow_answer_counts_within_the_life_of_the_nonce_and_not_after() {
    for late in [4, 20] {
        let mut bench = Bench::quoted();
        bench.step(Sale::handle_notice);
        let (_, asked) = bench.calls.last().cloned().unwrap();
        bench.pass(seconds(late));
        assert!(bench.answer_under(asked, paid(&[exact(1)])));
        assert_eq!(
            (bench.state(), bench.permits.len()),
            (TransactionState::Commanded, 1)
        );
    }
    let mut bench = Bench::quoted();
    bench.pass(seconds(170));
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::Commanded, 1)
    );
    let mut bench = Bench::quoted();
    bench.pass(seconds(178));
    let newest = bench.calls.last().cloned().unwrap().1;
    bench.answer_under(newest, paid(&[exact(1)]));
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::RefundPending, 0)
    );
}

#[test]
fn a_permit_is_not_signed_in_the_last_seconds_of_a_nonce() {
    let mut policy = policy();
    policy.timeouts.permit_minimum_ms = 179_000;
    let mut bench = Bench::with(policy);
    bench.answer(open());
    bench.pass(seconds(2));
    bench.step(Sale::handle_notice);
    bench.look();
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        bench.look(),
        [
            "book debit gateway_receivable, credit suspense",
            "withdraw quote",
            "off TooLate",
            "standing RefundPending",
            "ask refund",
        ]
    );
}

#[test]
fn a_payer_who_left_gets_the_money_back() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::RefundPending, 0)
    );
    assert_eq!(bench.refunds()[0].reason, "ended");
}

#[test]
fn nothing_to_pay_is_served_without_an_order() {
    let mut bench = Bench::priced(policy(), 0);
    assert_eq!(bench.look(), ["quote", "permit"]);
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        bench.look(),
        ["withdraw quote", "withdraw permit", "receipt", "settled"]
    );
    assert_eq!(
        (bench.state(), bench.postings.len()),
        (TransactionState::Done, 0)
    );
}

#[test]
fn an_order_that_the_gateway_refuses_is_refused() {
    let mut bench = Bench::new();
    bench.look();
    bench.answer(refused(GatewayRefusal::PayeeUnknown));
    assert_eq!(bench.look(), ["refused GatewayUnavailable", "off Expired"]);
    assert_eq!(bench.state(), TransactionState::Expired);
}

#[test]
fn answers_nobody_asked_for_move_nothing() {
    let mut bench = Bench::quoted();
    let before = bench.sale.clone();
    assert!(!bench.answer_under(Nonce::from_random([99; 16]), paid(&[exact(1)])));
    let (_, create) = bench.calls[0].clone();
    assert!(!bench.answer_under(create, paid(&[exact(1)]))); // answered before
    assert_eq!(bench.sale, before);
    assert_eq!(bench.look(), NOTHING);
}

#[test]
fn an_answer_about_another_order_moves_nothing() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_event);
    let foreign = OrderView {
        order: TransactionId::from_random([9; 16]),
        ..view(OrderStatus::Paid, &[exact(1)])
    };
    assert!(!bench.answer(GatewayResult::Order(foreign)));
    assert_eq!(bench.state(), TransactionState::AwaitingPayment);
}
