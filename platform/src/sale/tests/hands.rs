//! What a person may do to a sale, and what not.

use protocol::message::{EndReason, Ground, RefusalReason, UncertainReason};

use super::*;
use crate::caps::CapLimits;

const NO_FEEDBACK: LinkageOutcome = LinkageOutcome::Uncertain {
    reason: UncertainReason::NoFeedback,
};

fn refund(bench: &mut Bench) -> Result<(), OperatorRefusal> {
    bench.step(|sale, turn| sale.handle_operator_refund(&hand(), turn))
}

fn open_by_hand(bench: &mut Bench) -> Result<(), OperatorRefusal> {
    bench.step(|sale, turn| sale.handle_operator_open(&hand(), turn))
}

fn resolve(bench: &mut Bench, resolution: Resolution) -> Result<(), OperatorRefusal> {
    bench.step(|sale, turn| sale.handle_operator_resolve(resolution, &hand(), turn))
}

fn money_of(bench: &Bench) -> [i64; 5] {
    money_accounts(bench)
}

#[test]
fn what_was_earned_can_be_returned_by_hand() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Done);
    bench.look();
    assert_eq!(refund(&mut bench), Ok(()));
    assert_eq!(
        bench.look(),
        [
            "book debit merchant, credit suspense",
            "standing RefundPending",
            "ask refund"
        ]
    );
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(money_of(&bench), [0, 0, 0, 0, 0]);
    assert_eq!(bench.state(), TransactionState::Refunded);
    assert_eq!(refund(&mut bench), Err(OperatorRefusal::NothingToReturn));
}

#[test]
fn nothing_is_returned_while_a_permit_is_out() {
    let mut bench = Bench::permitted();
    assert_eq!(refund(&mut bench), Err(OperatorRefusal::PermitOut));
    assert_eq!(bench.refunds(), vec![]);
}

#[test]
fn a_sale_is_opened_by_hand_once_and_its_order_is_closed() {
    let mut bench = Bench::quoted();
    assert_eq!(open_by_hand(&mut bench), Ok(()));
    assert_eq!(bench.look(), ["withdraw quote", "permit", "ask close"]);
    let ground = &bench.permits[0].ground;
    assert!(matches!(ground, Ground::Operator { name, .. } if name == "ada"));
    assert_eq!(
        open_by_hand(&mut bench),
        Err(OperatorRefusal::PermittedBefore)
    );
    bench.answer(closed());
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.look(), ["withdraw permit", "receipt", "settled"]);
    assert_eq!(
        (bench.state(), bench.postings.len()),
        (TransactionState::Done, 0)
    );
}

#[test]
fn an_opening_by_hand_that_the_terminal_refuses_ends_once_nobody_can_pay() {
    let mut bench = Bench::quoted();
    assert_eq!(open_by_hand(&mut bench), Ok(()));
    bench.result(LinkageOutcome::Refused {
        reason: RefusalReason::DeviceUnreachable,
    });
    assert_eq!(bench.state(), TransactionState::Closing);
    assert!(bench.sale.is_payable());
    bench.look();
    bench.pass(seconds(10));
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(open());
    bench.pass(seconds(10));
    assert_eq!(bench.look(), ["ask close"]);
    bench.answer(closed());
    assert_eq!(bench.look(), ["settled"]);
    assert_eq!(bench.state(), TransactionState::Expired);
}

#[test]
fn money_that_meets_an_opening_by_hand_goes_back() {
    let mut bench = Bench::quoted();
    assert_eq!(open_by_hand(&mut bench), Ok(()));
    bench.answer(refused(GatewayRefusal::AlreadyPaid));
    bench.answer(paid(&[exact(1)]));
    bench.result(LinkageOutcome::Done);
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(money_of(&bench), [0, 0, 0, 0, 0]);
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::Done, 1)
    );
}

#[test]
fn after_an_off_nothing_is_opened_by_hand() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(open());
    bench.answer(closed());
    assert_eq!(open_by_hand(&mut bench), Err(OperatorRefusal::TooLate));
    assert_eq!(bench.permits.len(), 0);
}

#[test]
fn an_uncertain_sale_ends_as_a_person_says() {
    let rows = [
        (
            Resolution::KeepAsEarned,
            [450, 0, -450, 0, 0],
            TransactionState::Done,
        ),
        (
            Resolution::WriteOffAsLoss,
            [0, 0, -450, 450, 0],
            TransactionState::Done,
        ),
        (
            Resolution::ReturnedOutside,
            [0, 0, 0, 0, 0],
            TransactionState::Refunded,
        ),
    ];
    for (resolution, money, state) in rows {
        let mut bench = Bench::permitted();
        bench.result_with(NO_FEEDBACK, Feedback::None);
        assert_eq!(resolve(&mut bench, resolution), Ok(()));
        assert_eq!((money_of(&bench), bench.state()), (money, state));
        assert_eq!((bench.reasons(), bench.refunds()), (vec![], vec![]));
        let again = resolve(&mut bench, resolution);
        assert_eq!(again, Err(OperatorRefusal::NothingToResolve));
    }
}

#[test]
fn a_refund_that_failed_is_tried_again_under_a_new_id() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Refused {
        reason: RefusalReason::DeviceUnreachable,
    });
    bench.answer_refund(RefundStatus::Failed);
    assert_eq!(resolve(&mut bench, Resolution::Refund), Ok(()));
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        (bench.refunds().len(), bench.state()),
        (2, TransactionState::Refunded)
    );
    assert_eq!(money_of(&bench), [0, 0, 0, 0, 0]);
}

#[test]
fn what_may_be_on_its_way_back_is_not_kept() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Failed);
    bench.pass(seconds(3_600));
    assert_eq!(bench.reasons(), [ReviewReason::RefundUnknown]);
    let kept = resolve(&mut bench, Resolution::KeepAsEarned);
    assert_eq!(kept, Err(OperatorRefusal::RefundSent));
    assert_eq!(resolve(&mut bench, Resolution::ReturnedOutside), Ok(()));
    assert_eq!(
        (money_of(&bench), bench.state()),
        ([0; 5], TransactionState::Refunded)
    );
}

/// Served once, and paid twice; the second payment is above the breaker, so a person decides.
fn capped_duplicate() -> Bench {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Done);
    bench.caps = Caps::new(CapLimits {
        breaker_count: 0,
        ..CapLimits::default()
    });
    bench.step(Sale::handle_event);
    bench.pass_to_next();
    bench.answer(paid(&[exact(1), exact(2)]));
    assert_eq!(bench.reasons(), [ReviewReason::RefundCapped]);
    bench
}

#[test]
fn a_duplicate_above_the_breaker_goes_back_alone() {
    let mut bench = capped_duplicate();
    assert_eq!(resolve(&mut bench, Resolution::Refund), Ok(()));
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(bench.refunds().len(), 1);
    assert_eq!(money_of(&bench), [450, 0, -450, 0, 0]);
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Done, vec![])
    );
}

#[test]
fn two_payments_are_never_kept_for_one_service() {
    let mut bench = capped_duplicate();
    let kept = resolve(&mut bench, Resolution::KeepAsEarned);
    assert_eq!(kept, Err(OperatorRefusal::NotOnePayment));
    assert_eq!(bench.reasons(), [ReviewReason::RefundCapped]);
}

#[test]
fn nothing_is_resolved_while_a_refund_is_under_way() {
    let mut bench = Bench::permitted();
    bench.result_with(NO_FEEDBACK, Feedback::None);
    bench.step(Sale::handle_event);
    bench.pass_to_next();
    bench.answer(paid(&[exact(1), exact(2)]));
    assert_eq!(bench.refunds().len(), 1);
    for resolution in [
        Resolution::KeepAsEarned,
        Resolution::WriteOffAsLoss,
        Resolution::ReturnedOutside,
    ] {
        let resolved = resolve(&mut bench, resolution);
        assert_eq!(resolved, Err(OperatorRefusal::RefundSent), "{resolution:?}");
    }
}

#[test]
fn a_refund_that_a_person_drops_is_known_as_cancelled() {
    let mut bench = Bench::permitted();
    bench.caps = Caps::new(CapLimits {
        per_terminal: 0,
        ..CapLimits::default()
    });
    bench.result(LinkageOutcome::Failed);
    assert_eq!(bench.reasons(), [ReviewReason::RefundCapped]);
    bench.refund_rows.clear();
    assert_eq!(resolve(&mut bench, Resolution::KeepAsEarned), Ok(()));
    assert_eq!(bench.refund_rows, ["cancelled"]);
    assert_eq!(money_of(&bench), [450, 0, -450, 0, 0]);
}
