//! Whatever happens in whatever order: the invariants of money and of ON.

use proptest::prelude::*;
use protocol::message::{EndReason, RefundOrder, RefusalReason, UncertainReason};

use super::*;

#[derive(Debug, Clone)]
enum Input {
    /// To the newest call, or to one before it.
    Answer(GatewayResult, usize),
    AnswerRefund(RefundStatus),
    Notice,
    Event,
    Ended(EndReason),
    Result(LinkageOutcome, Feedback),
    Journal(Finding),
    PermitRequest(u8, u8),
    Hello(bool, u8),
    RefuseRefund(GatewayRefusal),
    /// The payment server tells about the first payment because we asked.
    Touched {
        refunded: i64,
        disputed: bool,
    },
    HandRefund,
    HandOpen,
    Resolve(Resolution),
    Mending(bool),
    Superseded,
    Again,
    Pass(u64),
    Restart,
}

#[allow(clippy::too_many_lines, reason = "a table, a row for each input")]
fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let result = prop_oneof![
        3 => Just(open()),
        2 => Just(closed()),
        1 => Just(declined(1)),
        3 => Just(paid(&[exact(1)])),
        1 => Just(paid(&[exact(1), exact(2)])),
        1 => Just(paid(&[payment(3, money(449))])),
        1 => Just(paid(&[payment(4, money(451))])),
        1 => Just(refused(GatewayRefusal::OrderNotFound)),
        1 => Just(refused(GatewayRefusal::AlreadyPaid)),
        1 => Just(refused(GatewayRefusal::CloseTooEarly)),
    ];
    let outcome = prop_oneof![
        2 => Just(LinkageOutcome::Done),
        1 => Just(LinkageOutcome::Failed),
        1 => Just(LinkageOutcome::Refused { reason: RefusalReason::Withdrawn }),
        1 => Just(LinkageOutcome::Uncertain { reason: UncertainReason::NoFeedback }),
    ];
    let feedback = prop_oneof![
        Just(Feedback::ReadBack),
        Just(Feedback::Sensor),
        Just(Feedback::Contradicts)
    ];
    let finding = prop_oneof![
        Just(Finding::Tombstone),
        Just(Finding::Acting),
        Just(Finding::Uncertain(UncertainReason::IntentWithoutDone))
    ];
    let ended = prop_oneof![
        Just(EndReason::Cancelled),
        Just(EndReason::Cap),
        Just(EndReason::Finished)
    ];
    let refund = prop_oneof![
        3 => Just(RefundStatus::Succeeded),
        1 => Just(RefundStatus::Pending),
        1 => Just(RefundStatus::Failed)
    ];
    let refusal = prop_oneof![
        Just(GatewayRefusal::RefundWindowPassed),
        Just(GatewayRefusal::RefundExceedsPayment)
    ];
    let touched = (
        prop_oneof![Just(0_i64), Just(200), Just(450)],
        any::<bool>(),
    )
        .prop_map(|(refunded, disputed)| Input::Touched { refunded, disputed });
    let resolution = prop_oneof![
        Just(Resolution::Refund),
        Just(Resolution::KeepAsEarned),
        Just(Resolution::WriteOffAsLoss),
        Just(Resolution::ReturnedOutside)
    ];
    let input = prop_oneof![
        8 => (result, 0_usize..3).prop_map(|(result, back)| Input::Answer(result, back)),
        3 => refund.prop_map(Input::AnswerRefund),
        3 => Just(Input::Notice),
        2 => Just(Input::Event),
        1 => ended.prop_map(Input::Ended),
        3 => (outcome, feedback).prop_map(|(outcome, feedback)| Input::Result(outcome, feedback)),
        1 => finding.prop_map(Input::Journal),
        1 => (6_u8..9, 20_u8..23).prop_map(|(boot, nonce)| Input::PermitRequest(boot, nonce)),
        1 => (any::<bool>(), 5_u8..7).prop_map(|(listed, boot)| Input::Hello(listed, boot)),
        1 => refusal.prop_map(Input::RefuseRefund),
        1 => touched,
        1 => Just(Input::HandRefund),
        1 => Just(Input::HandOpen),
        1 => resolution.prop_map(Input::Resolve),
        1 => any::<bool>().prop_map(Input::Mending),
        1 => Just(Input::Superseded),
        1 => Just(Input::Again),
        4 => prop_oneof![Just(1_u64), Just(5), Just(70), Just(200), Just(1_000)].prop_map(Input::Pass),
        1 => Just(Input::Restart),
    ];
    prop::collection::vec(input, 1..40)
}

fn apply(bench: &mut Bench, input: Input) {
    match input {
        Input::Answer(result, back) => {
            let index = bench.calls.len().saturating_sub(1 + back);
            let (_, nonce) = bench.calls[index].clone();
            bench.answer_under(nonce, result);
        }
        Input::AnswerRefund(status) => {
            if !bench.refunds().is_empty() {
                bench.answer_refund(status);
            }
        }
        Input::Notice => bench.step(Sale::handle_notice),
        Input::Event => bench.step(Sale::handle_event),
        Input::Ended(reason) => bench.step(|sale, turn| sale.handle_ended(reason, turn)),
        Input::Result(outcome, feedback) => {
            bench.result_with(outcome, feedback);
        }
        Input::Journal(finding) => {
            if bench.inquiry.is_some() {
                bench.journal(finding);
            }
        }
        Input::PermitRequest(boot, nonce) => {
            bench.permit_request(boot, nonce);
        }
        Input::Hello(is_listed, run) => {
            bench.step(|sale, turn| sale.handle_hello(is_listed, boot(run), turn));
        }
        Input::RefuseRefund(refusal) => {
            let asked = |call: &&(Operation, Nonce)| matches!(call.0, Operation::Refund(_));
            let newest = bench.calls.iter().rev().find(asked).cloned();
            if let Some((_, nonce)) = newest {
                bench.answer_under(nonce, refused(refusal));
            }
        }
        Input::Touched { refunded, disputed } => {
            let touched = PaymentView {
                refunded: money(refunded),
                disputed,
                ..exact(1)
            };
            bench.answer(paid(&[touched]));
        }
        Input::HandRefund => by_hand(bench, |sale, turn| {
            sale.handle_operator_refund(&hand(), turn)
        }),
        Input::HandOpen => by_hand(bench, |sale, turn| sale.handle_operator_open(&hand(), turn)),
        Input::Resolve(resolution) => by_hand(bench, |sale, turn| {
            sale.handle_operator_resolve(resolution, &hand(), turn)
        }),
        Input::Mending(is_mending) => {
            bench.policy.self_mending = is_mending;
            bench.step(Sale::handle_mending);
        }
        Input::Superseded => bench.step(Sale::handle_superseded),
        Input::Again => bench.step(Sale::handle_request_again),
        Input::Pass(duration) => bench.pass(seconds(duration)),
        Input::Restart => bench.restart(),
    }
}

/// Whether it was taken or not, the invariants hold.
fn by_hand(
    bench: &mut Bench,
    act: impl FnOnce(&mut Sale, &mut Turn<'_>) -> Result<(), OperatorRefusal>,
) {
    let before = bench.sale.clone();
    if bench.step(act).is_err() {
        assert_eq!(bench.sale, before);
    }
}

fn was_touched_by_hand(bench: &Bench) -> bool {
    bench.kinds.iter().any(|kind| kind.starts_with("operator_"))
}

/// What must hold after every step.
fn check(bench: &mut Bench) -> Result<(), TestCaseError> {
    let mut is_refund_asked = false;
    for said in bench.look() {
        is_refund_asked |= said == "ask refund" || said.starts_with("standing Refund");
        // I14, and no permit in the same step after a refund was decided on.
        prop_assert!(!(is_refund_asked && said == "permit"));
    }
    for (from, to) in std::mem::take(&mut bench.moves) {
        prop_assert!(from.may_become(to), "{from:?} to {to:?}");
    }
    let suspense = -bench.balance(Account::Suspense);
    let received: i64 = bench.sale.payments.values().map(|p| p.amount.minor()).sum();
    prop_assert!(
        (0..=received).contains(&suspense),
        "I6: {suspense} of {received}"
    );
    let is_settled = bench.state().is_final()
        && bench.sale.payments.values().all(Payment::is_settled)
        && bench.sale.transaction.reviews.is_empty();
    if is_settled {
        prop_assert_eq!(suspense, 0);
    }
    prop_assert!(bench.balance(Account::GatewayReceivable) >= 0, "I5");
    if bench.state() == TransactionState::Done && !was_touched_by_hand(bench) {
        let earned = bench.sale.payments.values().filter(|p| p.is_earned).count();
        prop_assert_eq!((earned, bench.permits.is_empty()), (1, false));
    }
    check_permits(bench)
}

fn check_permits(bench: &Bench) -> Result<(), TestCaseError> {
    for permit in &bench.permits {
        let protocol::message::Ground::Paid {
            payment, amount, ..
        } = &permit.ground
        else {
            prop_assert!(was_touched_by_hand(bench), "a ground without a payment");
            continue;
        };
        let found = &bench.sale.payments[payment];
        prop_assert_eq!((found.amount, *amount), (money(450), money(450)));
    }
    let nonces: BTreeSet<Nonce> = bench.permits.iter().map(|p| p.nonce).collect();
    prop_assert_eq!(nonces.len(), bench.permits.len()); // each nonce is permitted once
    for payment in bench.sale.payments.values() {
        prop_assert!(!(payment.is_earned && payment.refund.is_some())); // I5, I2
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn money_and_on_stay_right_whatever_happens(inputs in inputs()) {
        let mut bench = Bench::quoted();
        let mut permits = 0;
        let mut is_refund_sent = false;
        for input in inputs {
            apply(&mut bench, input);
            prop_assert!(!is_refund_sent || bench.permits.len() == permits, "I14");
            permits = bench.permits.len();
            is_refund_sent = !bench.refunds().is_empty();
            check(&mut bench)?;
        }
    }

}

proptest! {
    // Each case is an hour of a sale's life.
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// With a payment server that answers in the end, every sale comes to an end.
    #[test]
    fn every_sale_ends(inputs in inputs()) {
        let mut bench = Bench::quoted();
        for input in inputs {
            apply(&mut bench, input);
        }
        bench.policy.self_mending = true;
        bench.step(Sale::handle_mending);
        let truth: Vec<PaymentView> = bench
            .sale
            .payments
            .iter()
            .map(|(id, payment)| PaymentView { payment: *id, ..payment_of(payment) })
            .collect();
        let status = if truth.is_empty() { OrderStatus::Closed } else { OrderStatus::Paid };
        for _ in 0..60 {
            bench.pass(seconds(60));
            let returned = bench.refunds();
            let refunds = returned.iter().map(succeeded).collect();
            let shown = GatewayResult::Order(OrderView { refunds, ..view(status, &truth) });
            let calls: Vec<_> = bench.calls.iter().rev().take(4).cloned().collect();
            for (operation, nonce) in calls {
                match operation {
                    Operation::Refund(refund) => {
                        bench.answer_refund_of(&refund, nonce, RefundStatus::Succeeded);
                    }
                    _ => {
                        bench.answer_under(nonce, shown.clone());
                    }
                }
            }
        }
        let is_reviewed = bench.state() == TransactionState::Review;
        prop_assert!(is_reviewed || bench.state().is_final(), "{:?}", bench.state());
    }
}

fn succeeded(refund: &RefundOrder) -> RefundView {
    RefundView {
        refund: refund.refund,
        payment: refund.payment,
        amount: refund.amount,
        status: RefundStatus::Succeeded,
    }
}

fn payment_of(payment: &Payment) -> PaymentView {
    PaymentView {
        payment: PaymentId::from_random([0; 16]),
        amount: payment.amount,
        payee: payment.payee.clone(),
        refunded: Money::zero(payment.amount.currency()),
        disputed: false,
        paid_at: payment.paid_at,
    }
}
