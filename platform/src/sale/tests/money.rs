//! Where money stands when things go wrong late: refunds in every state, disputes, returns made
//! elsewhere, caps, a restored store.

use protocol::message::{RefusalReason, UncertainReason};

use super::*;
use crate::caps::CapLimits;
use crate::sale::review::Owner;

const REFUSED: LinkageOutcome = LinkageOutcome::Refused {
    reason: RefusalReason::DeviceUnreachable,
};
const NO_FEEDBACK: LinkageOutcome = LinkageOutcome::Uncertain {
    reason: UncertainReason::NoFeedback,
};

/// A sale whose refund of a wrong amount is on its way.
fn refunding() -> Bench {
    refunding_with(policy())
}

fn refunding_with(policy: Policy) -> Bench {
    let mut bench = Bench::with(policy);
    bench.answer(open());
    bench.step(Sale::handle_notice);
    bench.answer(wrong(0));
    bench.look();
    bench
}

/// The order with its one payment of a wrong amount, of which so much went back.
fn wrong(refunded: i64) -> GatewayResult {
    paid(&[PaymentView {
        refunded: money(refunded),
        ..payment(1, money(449))
    }])
}

fn balances(bench: &Bench) -> [i64; 5] {
    money_accounts(bench)
}

/// The same once our refund has succeeded.
fn with_refund(bench: &Bench) -> GatewayResult {
    let asked = bench.refunds()[0].clone();
    let returned = PaymentView {
        refunded: money(449),
        ..payment(1, money(449))
    };
    GatewayResult::Order(OrderView {
        refunds: vec![RefundView {
            refund: asked.refund,
            payment: asked.payment,
            amount: asked.amount,
            status: RefundStatus::Succeeded,
        }],
        ..view(OrderStatus::Paid, &[returned])
    })
}

/// What was asked since the last look.
fn questions(bench: &mut Bench) -> Vec<String> {
    let mut said = bench.look();
    said.retain(|said| said.starts_with("ask "));
    said
}

/// The payment server tells about the order because we asked.
fn ask(bench: &mut Bench, result: GatewayResult) {
    bench.pass(seconds(1));
    bench.step(Sale::handle_event);
    bench.answer(result);
}

#[test]
fn a_done_after_a_refund_that_failed_for_good_earns_the_money() {
    let mut bench = Bench::permitted();
    bench.result(REFUSED);
    bench.answer(refused(GatewayRefusal::PaymentNotFound));
    assert_eq!(bench.reasons(), [ReviewReason::RefundFailed]);
    bench.look();
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        bench.look(),
        [
            "book debit suspense, credit merchant",
            "withdraw standing",
            "receipt",
            "settled"
        ]
    );
    assert_eq!(balances(&bench), [450, 0, -450, 0, 0]);
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Done, vec![])
    );
}

#[test]
fn a_loss_is_undone_when_its_refund_fails_for_good() {
    let mut bench = Bench::permitted();
    bench.result(REFUSED);
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.balance(Account::Loss), 450);
    bench.answer_refund(RefundStatus::Failed);
    assert_eq!(balances(&bench), [450, 0, -450, 0, 0]);
    assert_eq!(bench.state(), TransactionState::Done);
}

#[test]
fn the_review_of_another_payments_refund_outlives_a_done() {
    let mut bench = Bench::permitted();
    bench.result_with(NO_FEEDBACK, Feedback::None);
    ask(&mut bench, paid(&[exact(1), exact(2)]));
    bench.answer(refused(GatewayRefusal::PaymentNotFound));
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Done, vec![ReviewReason::RefundFailed])
    );
    assert_eq!(bench.balance(Account::Suspense), -450);
    assert!(bench.sale.is_open());
}

#[test]
fn an_unanswered_refund_is_asked_about_and_sent_again_only_if_it_is_not_there() {
    let mut bench = refunding();
    bench.pass(seconds(10));
    assert_eq!(questions(&mut bench), ["ask query"]);
    bench.answer(wrong(0));
    assert_eq!(questions(&mut bench), ["ask refund"]);
    assert_eq!(bench.refunds().len(), 1);
    bench.pass(seconds(25));
    assert_eq!(questions(&mut bench), ["ask query"]);
    let shown = with_refund(&bench);
    bench.answer(shown);
    assert_eq!(balances(&bench), [0, 0, 0, 0, 0]);
    assert_eq!(bench.state(), TransactionState::Refunded);
}

#[test]
fn a_view_asked_before_the_refund_was_sent_does_not_show_that_it_is_not_there() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_notice);
    let (_, early) = bench.calls.last().cloned().unwrap();
    bench.pass(seconds(5));
    bench.step(Sale::handle_event);
    bench.pass(seconds(1));
    bench.answer(wrong(0));
    bench.pass(seconds(5));
    bench.look();
    assert!(bench.answer_under(early, wrong(0)));
    assert!(!bench.look().contains(&"ask refund".to_owned()));
}

#[test]
fn a_refund_whose_key_may_be_forgotten_is_asked_about_and_never_repeated() {
    let mut policy = policy();
    policy.capabilities.key_retention = seconds(8);
    let mut bench = refunding_with(policy);
    bench.pass(seconds(10));
    assert_eq!(questions(&mut bench), ["ask query"]);
    bench.answer(wrong(0));
    assert_eq!(bench.look(), ["standing Review"]);
    assert_eq!(bench.reasons(), [ReviewReason::RefundUnknown]);
    let sent = bench.calls.iter();
    let sent = sent.filter(|(operation, _)| matches!(operation, Operation::Refund(_)));
    assert_eq!(sent.count(), 1);
}

#[test]
fn a_view_that_shows_the_refund_outweighs_a_refusal() {
    let mut bench = refunding();
    bench.pass(seconds(10));
    bench.answer(wrong(0));
    bench.answer(refused(GatewayRefusal::RefundExceedsPayment));
    assert_eq!(bench.reasons(), [ReviewReason::RefundFailed]);
    // The first attempt was done after all.
    let shown = with_refund(&bench);
    ask(&mut bench, shown);
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Refunded, vec![])
    );
    assert_eq!(balances(&bench), [0, 0, 0, 0, 0]);
}

#[test]
fn a_refund_that_the_payment_server_works_on_is_looked_at_and_in_the_end_reviewed() {
    let mut bench = refunding();
    bench.answer_refund(RefundStatus::Pending);
    assert_eq!(bench.state(), TransactionState::RefundPending);
    bench.pass(seconds(3 * 86_400));
    assert_eq!(bench.reasons(), [ReviewReason::RefundPending]);
    assert_eq!(bench.refunds().len(), 1);
    let shown = with_refund(&bench);
    ask(&mut bench, shown);
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Refunded, vec![])
    );
}

#[test]
fn a_payment_too_old_to_be_refunded_is_reviewed_with_its_reason() {
    let mut bench = refunding();
    bench.answer(refused(GatewayRefusal::RefundWindowPassed));
    assert_eq!(bench.reasons(), [ReviewReason::RefundWindowPassed]);
    assert_eq!(bench.state(), TransactionState::Review);
    let review = *bench.sale.reviews().next().unwrap();
    assert_eq!(review.owner, Owner::Accountant);
    assert_eq!(
        review.due_at,
        bench.now.utc.saturating_add(seconds(7 * 86_400))
    );
}

#[test]
fn what_went_back_elsewhere_after_it_was_earned_is_our_loss() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Done);
    bench.look();
    let returned = PaymentView {
        refunded: money(450),
        ..exact(1)
    };
    ask(&mut bench, paid(std::slice::from_ref(&returned)));
    assert_eq!(
        bench.look(),
        ["ask query", "book debit loss, credit gateway_receivable"]
    );
    ask(&mut bench, paid(&[returned]));
    assert_eq!(balances(&bench), [0, 0, -450, 450, 0]);
    assert_eq!(
        (bench.state(), bench.refunds()),
        (TransactionState::Done, vec![])
    );
}

#[test]
fn earned_money_that_is_disputed_stands_in_dispute_until_that_is_decided() {
    let disputed = |is_disputed, refunded| {
        paid(&[PaymentView {
            disputed: is_disputed,
            refunded: money(refunded),
            ..exact(1)
        }])
    };
    for (end, expected) in [
        (disputed(false, 0), [450, 0, -450, 0, 0]),
        (disputed(true, 450), [0, 0, -450, 450, 0]),
    ] {
        let mut bench = Bench::permitted();
        bench.result(LinkageOutcome::Done);
        for _ in 0..2 {
            ask(&mut bench, disputed(true, 0));
            assert_eq!(balances(&bench), [450, 0, 0, 0, -450]);
        }
        assert_eq!(bench.reasons(), [ReviewReason::Disputed]);
        ask(&mut bench, end);
        assert_eq!(balances(&bench), expected);
        assert_eq!(bench.state(), TransactionState::Done);
    }
}

#[test]
fn money_that_went_back_while_the_permit_was_out_is_lost_with_the_done() {
    let mut bench = Bench::permitted();
    ask(
        &mut bench,
        paid(&[PaymentView {
            refunded: money(450),
            ..exact(1)
        }]),
    );
    assert_eq!(bench.state(), TransactionState::Commanded);
    bench.result(LinkageOutcome::Done);
    assert_eq!(balances(&bench), [0, 0, -450, 450, 0]);
}

#[test]
fn a_payment_that_is_booked_for_another_sale_is_for_a_person() {
    let mut bench = Bench::quoted();
    let other = TransactionId::from_random([7; 16]);
    bench.taken.insert(exact(1).payment, other);
    bench.step(Sale::handle_notice);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(bench.reasons(), [ReviewReason::PaymentOfAnotherSale]);
    assert_eq!((bench.permits.len(), bench.postings.len()), (0, 0));
}

#[test]
fn above_the_cap_a_terminals_word_returns_nothing_until_a_person_agrees() {
    let mut bench = Bench::permitted();
    bench.caps = Caps::new(CapLimits {
        per_terminal: 0,
        ..CapLimits::default()
    });
    bench.result(REFUSED);
    assert_eq!(bench.look(), ["withdraw permit", "standing Review"]);
    assert_eq!(bench.reasons(), [ReviewReason::RefundCapped]);
    bench.pass(seconds(7_200));
    assert_eq!(bench.refunds(), vec![]);
    let hand = hand();
    assert_eq!(
        bench.step(|sale, turn| sale.handle_operator_refund(&hand, turn)),
        Ok(())
    );
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(balances(&bench), [0, 0, 0, 0, 0]);
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Refunded, vec![])
    );
}

#[test]
fn the_breaker_holds_late_refunds_back() {
    let mut bench = Bench::quoted();
    bench.caps = Caps::new(CapLimits {
        breaker_sum_minor: 448,
        ..CapLimits::default()
    });
    bench.step(Sale::handle_notice);
    bench.answer(wrong(0));
    assert_eq!(bench.reasons(), [ReviewReason::RefundCapped]);
    assert_eq!(bench.refunds(), vec![]);
}

#[test]
fn after_a_restore_only_what_terminal_or_person_said_goes_back_by_itself() {
    let mut restored = policy();
    restored.self_mending = false;
    let mut bench = refunding_with(restored.clone());
    assert_eq!(bench.refunds(), vec![]);
    bench.policy.self_mending = true;
    bench.step(Sale::handle_mending);
    assert_eq!(bench.look(), ["ask refund"]);
    let mut bench = Bench::permitted_with(restored);
    bench.result(REFUSED);
    assert_eq!(bench.refunds().len(), 1);
}

#[test]
fn a_refund_that_is_held_since_a_restore_is_reviewed_in_time() {
    let mut restored = policy();
    restored.self_mending = false;
    let mut bench = refunding_with(restored);
    bench.pass(seconds(3 * 86_400));
    assert_eq!(bench.reasons(), [ReviewReason::RefundHeld]);
    assert_eq!(bench.refunds(), vec![]);
}
