//! Refunds that do not simply succeed, and keys that are forgotten.

use protocol::message::{GatewayRefusal, OrderStatus, RefundStatus, StatementKind};
use protocol::time::Tick;

use super::*;
use crate::ledger::{CreateRefusal, Forgotten, KeyRetention, RefundTurn};

const SETTLE_MS: u64 = 2_000;

fn course(status: RefundStatus, then: Option<RefundStatus>) -> RefundCourse {
    let turn = then.map(|status| RefundTurn {
        status,
        after_ms: SETTLE_MS,
    });
    RefundCourse { status, turn }
}

/// What is refunded of the only payment, the account's balance, and the signed statement lines.
fn books(ledger: &Ledger) -> (i64, i64, Vec<(StatementKind, i64)>) {
    let payment = &ledger.order(order(1)).unwrap().payments[0];
    let account = ("shop".parse().unwrap(), "CNY".parse().unwrap());
    let lines = ledger.statements().lines(&platform()).iter();
    (
        payment.refunded.minor(),
        ledger.balances()[&account],
        lines.map(|line| (line.kind, line.minor)).collect(),
    )
}

fn asked(ledger: &mut Ledger, byte: u8, course: RefundCourse, millis: u64) -> RefundStatus {
    let refund = refund(byte, 1, 450);
    let answer = ledger.handle_refund(&platform(), &refund, course, false, at(millis));
    answer.unwrap().status
}

#[test]
fn each_course_moves_the_money_when_it_says() {
    use RefundStatus::{Failed, Pending, Succeeded};
    let (paid_line, out, back) = (
        (StatementKind::Payment, 450),
        (StatementKind::Refund, -450),
        (StatementKind::Refund, 450),
    );
    let rows = [
        (course(Failed, None), 0, vec![], 0, vec![], Failed),
        (
            course(Pending, Some(Succeeded)),
            0,
            vec![],
            450,
            vec![out],
            Succeeded,
        ),
        (course(Pending, Some(Failed)), 0, vec![], 0, vec![], Failed),
        (
            course(Succeeded, Some(Failed)),
            450,
            vec![out],
            0,
            vec![out, back],
            Failed,
        ),
    ];
    for (course, at_once, lines, in_the_end, last_lines, status) in rows {
        let mut ledger = ledger();
        paid(&mut ledger, 1);
        assert_eq!(asked(&mut ledger, 7, course, 5), course.status);
        let with = |lines: Vec<_>| [vec![paid_line], lines].concat();
        assert_eq!(books(&ledger), (at_once, 450 - at_once, with(lines)));
        outputs(&mut ledger);
        let due = course.turn.map(|_| Tick::from_millis(5 + SETTLE_MS));
        assert_eq!(ledger.poll_timeout(), due);
        ledger.handle_timeout(at(4 + SETTLE_MS));
        assert_eq!(outputs(&mut ledger), []);
        ledger.handle_timeout(at(5 + SETTLE_MS));
        assert_eq!(outputs(&mut ledger).len(), 2 * usize::from(due.is_some()));
        assert_eq!(
            books(&ledger),
            (in_the_end, 450 - in_the_end, with(last_lines))
        );
        // The same refund again tells how it stands, and what failed may be asked for anew.
        assert_eq!(asked(&mut ledger, 7, course, 3_000), status);
        let left = ledger.order(order(1)).unwrap().left_of(booking(1).payment);
        assert_eq!(left, Some(money(450 - in_the_end)));
        assert_eq!(ledger.poll_timeout(), None);
    }
}

#[test]
fn a_pending_refund_holds_its_money() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    let pending = course(RefundStatus::Pending, Some(RefundStatus::Failed));
    asked(&mut ledger, 7, pending, 5);
    let more = refund(8, 1, 1);
    let refused = ledger.handle_refund(&platform(), &more, RefundCourse::SUCCEEDS, false, at(6));
    assert_eq!(refused, Err(GatewayRefusal::RefundExceedsPayment));
    ledger.handle_timeout(at(5 + SETTLE_MS));
    let course = RefundCourse::SUCCEEDS;
    assert!(
        ledger
            .handle_refund(&platform(), &more, course, false, at(3_000))
            .is_ok()
    );
}

fn forgetful(afterwards: Forgotten) -> Ledger {
    Ledger::new(Rules {
        payees: ["shop".parse().unwrap()].into(),
        capabilities: Capabilities {
            key_retention: Some(KeyRetention {
                lasts: Duration::from_millis(1_000),
                afterwards,
            }),
            ..Capabilities::default()
        },
        late_booking: Duration::from_millis(LATE_MS),
    })
}

#[test]
fn a_refund_whose_key_was_forgotten_is_done_again_or_refused_as_declared() {
    let half = refund(7, 1, 225);
    let again = |ledger: &mut Ledger, millis| {
        ledger.handle_refund(
            &platform(),
            &half,
            RefundCourse::SUCCEEDS,
            false,
            at(millis),
        )
    };
    let mut anew = forgetful(Forgotten::New);
    paid(&mut anew, 1);
    for (millis, refunded) in [(0, 225), (999, 225), (1_000, 450)] {
        assert!(again(&mut anew, millis).is_ok());
        assert_eq!(books(&anew).0, refunded, "{millis}");
    }
    assert_eq!(
        again(&mut anew, 2_000),
        Err(GatewayRefusal::RefundExceedsPayment)
    );

    let mut strict = forgetful(Forgotten::Refused);
    paid(&mut strict, 1);
    assert!(again(&mut strict, 0).is_ok());
    assert_eq!(
        again(&mut strict, 1_000),
        Err(GatewayRefusal::RefundDiffers)
    );
    assert_eq!(books(&strict).0, 225);
}

#[test]
fn an_order_whose_key_was_forgotten_can_be_paid_once_more_and_keeps_what_was_paid() {
    let mut ledger = forgetful(Forgotten::New);
    paid(&mut ledger, 1);
    let again = |ledger: &mut Ledger, millis| {
        ledger.handle_create(&platform(), create(1), opening(9), false, at(millis))
    };
    assert_eq!(again(&mut ledger, 999), Ok(()));
    assert_eq!(ledger.order(order(1)).unwrap().opening, opening(1));
    assert_eq!(again(&mut ledger, 1_000), Ok(()));
    let found = ledger.order(order(1)).unwrap();
    assert_eq!(
        (found.opening, found.status()),
        (opening(9), OrderStatus::Open)
    );
    assert_eq!(found.payments.len(), 1);
    assert_eq!(
        ledger.poll_timeout(),
        Some(Tick::from_millis(1_000 + LIFETIME_MS))
    );
    ledger.handle_payment(order(1), booking(2), at(1_500));
    let found = ledger.order(order(1)).unwrap();
    assert_eq!(
        (found.payments.len(), found.status()),
        (2, OrderStatus::Paid)
    );

    let mut strict = forgetful(Forgotten::Refused);
    paid(&mut strict, 1);
    let refused = CreateRefusal::Named(GatewayRefusal::OrderDiffers);
    assert_eq!(again(&mut strict, 1_000), Err(refused));
}
