//! A sale in every stage that a payer can read about.

use protocol::message::{EndReason, UncertainReason};

use super::*;

/// Half a minute after the order.
fn paid_at() -> Utc {
    at(30_000)
}

fn at(millis: i64) -> Utc {
    Utc::from_millis(1_795_424_400_000 + millis).unwrap()
}

fn by_payer(number: u8) -> PaymentView {
    PaymentView {
        paid_at: paid_at(),
        ..exact(number)
    }
}

fn bench(minor: i64) -> Bench {
    let mut bench = Bench::priced(policy(), minor);
    bench.sale.facts.created_at = at(0);
    bench.now.utc = at(0);
    bench
}

fn quoted() -> Bench {
    let mut bench = bench(450);
    bench.answer(open());
    bench
}

fn found(payments: &[PaymentView]) -> Bench {
    let mut bench = quoted();
    bench.step(Sale::handle_notice);
    bench.now.utc = at(35_000);
    bench.answer(paid(payments));
    bench
}

fn ended(outcome: LinkageOutcome) -> Bench {
    let mut bench = found(&[by_payer(1)]);
    bench.now.utc = at(37_000);
    bench.result(outcome);
    bench
}

fn refunded(status: RefundStatus) -> Bench {
    let mut bench = ended(LinkageOutcome::Failed);
    bench.now.utc = at(95_000);
    bench.answer_refund(status);
    bench
}

/// Each with its name.
pub(crate) fn samples() -> Vec<(&'static str, Sale)> {
    let uncertain = LinkageOutcome::Uncertain {
        reason: UncertainReason::NoFeedback,
    };
    let mut checking = quoted();
    checking.step(Sale::handle_notice);
    let mut free = bench(0);
    free.result(LinkageOutcome::Done);
    let mut closed_unpaid = quoted();
    closed_unpaid.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    closed_unpaid.answer(open());
    let mut closing = quoted();
    closing.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    closing.answer(open());
    closed_unpaid.answer(closed());
    let mut twice = found(&[by_payer(1), by_payer(2)]);
    twice.result(LinkageOutcome::Done);
    let elsewhere = PaymentView {
        payee: "stranger".parse().unwrap(),
        ..by_payer(1)
    };
    let benches = [
        ("unpaid", quoted()),
        ("checking", checking),
        ("serving", found(&[by_payer(1)])),
        ("served", ended(LinkageOutcome::Done)),
        ("served-free", free),
        ("served-twice-paid", twice),
        ("closing", closing),
        ("nothing", closed_unpaid),
        ("returning", ended(LinkageOutcome::Failed)),
        ("returned", refunded(RefundStatus::Succeeded)),
        ("stuck", refunded(RefundStatus::Failed)),
        ("review", ended(uncertain)),
        ("elsewhere", found(&[elsewhere])),
    ];
    benches
        .into_iter()
        .map(|(name, bench)| (name, bench.sale))
        .collect()
}

#[test]
fn every_sample_is_in_its_stage() {
    let stages: Vec<(&str, Stage)> = samples()
        .iter()
        .map(|(name, sale)| (*name, sale.payer_view().stage))
        .collect();
    assert_eq!(
        stages,
        [
            ("unpaid", Stage::Unpaid),
            ("checking", Stage::Checking),
            ("serving", Stage::Serving),
            ("served", Stage::Served),
            ("served-free", Stage::Served),
            ("served-twice-paid", Stage::Served),
            ("closing", Stage::Closing),
            ("nothing", Stage::Nothing),
            ("returning", Stage::Returning),
            ("returned", Stage::Returned),
            ("stuck", Stage::Review),
            ("review", Stage::Review),
            ("elsewhere", Stage::Review),
        ]
    );
}

#[test]
fn a_refund_says_since_when_and_when_it_was_back() {
    let journey = |wanted: &str| {
        let sample = samples().into_iter().find(|(name, _)| *name == wanted);
        let (_, sale) = sample.unwrap();
        let view = sale.payer_view();
        view.payments[0].returned.clone().unwrap().journey
    };
    let since = Some(at(37_000));
    assert_eq!(journey("returning"), Journey::OnItsWay { since });
    let back = Some(at(95_000));
    assert_eq!(journey("returned"), Journey::Back { at: back });
    assert_eq!(journey("stuck"), Journey::Stuck);
}
