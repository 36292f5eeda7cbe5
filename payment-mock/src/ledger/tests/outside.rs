//! What befalls payments, and orders that wait to be scanned.

use protocol::message::{GatewayRefusal, PAYMENTS_MAX, StatementKind};
use protocol::time::Tick;

use super::*;
use crate::ledger::{Deed, DeedRefusal, Entry, Payout};

fn outside(byte: u8, minor: i64) -> Deed {
    Deed::RefundOutside {
        refund: RefundId::from_random([byte; 16]),
        amount: money(minor),
    }
}

fn fee(minor: i64) -> Deed {
    Deed::Fee {
        amount: money(minor),
    }
}

fn happen(ledger: &mut Ledger, deed: Deed) -> Result<(), DeedRefusal> {
    ledger.handle_deed(order(1), booking(1).payment, deed, at(5))
}

fn lines(ledger: &Ledger) -> Vec<(StatementKind, i64)> {
    let lines = ledger.statements().lines(&platform()).iter();
    lines.map(|line| (line.kind, line.minor)).collect()
}

#[test]
fn each_deed_books_what_it_takes_and_shows_it() {
    // Deed, what is refunded, charged back and kept as a fee, whether disputed, and its line.
    let rows = [
        (Deed::Dispute, 0, 0, 0, true, None),
        (
            Deed::ChargeBack,
            0,
            450,
            0,
            true,
            Some((StatementKind::Dispute, -450)),
        ),
        (
            outside(9, 450),
            450,
            0,
            0,
            false,
            Some((StatementKind::Refund, -450)),
        ),
        (
            outside(9, 100),
            100,
            0,
            0,
            false,
            Some((StatementKind::Refund, -100)),
        ),
        (fee(3), 0, 0, 3, false, Some((StatementKind::Fee, -3))),
    ];
    for (deed, refunded, charged_back, fees, disputed, line) in rows {
        let mut ledger = ledger();
        paid(&mut ledger, 1);
        let tells = !matches!(deed, Deed::Fee { .. });
        assert_eq!(happen(&mut ledger, deed), Ok(()));
        let payment = &ledger.order(order(1)).unwrap().payments[0];
        assert_eq!(
            (
                payment.refunded,
                payment.charged_back,
                payment.fees,
                payment.view().disputed
            ),
            (money(refunded), money(charged_back), money(fees), disputed)
        );
        let paid_line = Some((StatementKind::Payment, 450));
        let expected: Vec<_> = paid_line.into_iter().chain(line).collect();
        assert_eq!(lines(&ledger), expected);
        assert_eq!(outputs(&mut ledger).len(), 1 + usize::from(tells));
    }
}

#[test]
fn nothing_takes_more_than_is_left() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    assert_eq!(
        happen(&mut ledger, outside(9, 451)),
        Err(DeedRefusal::Amount)
    );
    assert_eq!(happen(&mut ledger, outside(9, 0)), Err(DeedRefusal::Amount));
    assert_eq!(happen(&mut ledger, fee(451)), Err(DeedRefusal::Amount));
    assert_eq!(happen(&mut ledger, outside(9, 400)), Ok(()));
    let refund = refund(7, 1, 51);
    let refused = ledger.handle_refund(&platform(), &refund, RefundCourse::SUCCEEDS, false, at(6));
    assert_eq!(refused, Err(GatewayRefusal::RefundExceedsPayment));
    assert_eq!(happen(&mut ledger, Deed::ChargeBack), Ok(()));
    assert_eq!(lines(&ledger).last(), Some(&(StatementKind::Dispute, -50)));
    assert_eq!(
        happen(&mut ledger, Deed::ChargeBack),
        Err(DeedRefusal::Amount)
    );
    let unknown = ledger.handle_deed(order(2), booking(1).payment, Deed::Dispute, at(7));
    assert_eq!(unknown, Err(DeedRefusal::OrderUnknown));
    let unknown = ledger.handle_deed(order(1), booking(2).payment, Deed::Dispute, at(7));
    assert_eq!(unknown, Err(DeedRefusal::PaymentUnknown));
}

#[test]
fn what_is_planned_happens_when_it_is_due_and_only_as_far_as_it_can() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    let payment = booking(1).payment;
    for (byte, after_ms) in [(8, 100), (9, 200)] {
        let deed = outside(byte, 300);
        ledger
            .handle_plan(order(1), payment, deed, after_ms, at(0))
            .unwrap();
    }
    outputs(&mut ledger);
    assert_eq!(ledger.poll_timeout(), Some(Tick::from_millis(100)));
    ledger.handle_timeout(at(100));
    assert_eq!(outputs(&mut ledger).len(), 2);
    ledger.handle_timeout(at(200));
    let dropped = Entry::DeedDropped {
        order: order(1),
        plan: 1,
    };
    assert_eq!(outputs(&mut ledger), [Output::Record(dropped)]);
    assert_eq!(ledger.poll_timeout(), None);
    let payment = &ledger.order(order(1)).unwrap().payments[0];
    assert_eq!(payment.refunded, money(300));
}

#[test]
fn a_refund_that_no_answer_could_list_does_not_happen() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    for byte in 0..u8::try_from(PAYMENTS_MAX).unwrap() {
        assert_eq!(happen(&mut ledger, outside(byte, 1)), Ok(()));
    }
    assert_eq!(happen(&mut ledger, outside(99, 1)), Err(DeedRefusal::Full));
}

#[test]
fn a_payout_leaves_the_account_under_its_own_reference() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    let payout = Payout {
        reference: PaymentId::from_random([8; 16]),
        payee: "shop".parse().unwrap(),
        amount: money(400),
    };
    ledger.handle_payout(&platform(), payout.clone(), at(5));
    let line = &ledger.statements().lines(&platform())[1];
    assert_eq!(
        (line.kind, line.minor, line.payment, line.order),
        (StatementKind::Payout, -400, payout.reference, order(0))
    );
    let account = ("shop".parse().unwrap(), "CNY".parse().unwrap());
    assert_eq!(ledger.balances()[&account], 50);
}

#[test]
fn a_hidden_order_exists_once_its_page_was_opened() {
    let mut ledger = ledger();
    let hidden = Opening {
        hidden: true,
        ..opening(1)
    };
    ledger
        .handle_create(&platform(), create(1), hidden, false, at(0))
        .unwrap();
    outputs(&mut ledger);
    let not_found = Some(GatewayRefusal::OrderNotFound);
    assert_eq!(ledger.order_of(&platform(), order(1)).err(), not_found);
    let close = ledger.handle_close(&platform(), order(1), at(1));
    assert_eq!(close.err(), not_found);
    ledger.handle_page(order(1), at(2));
    let opened = Entry::PageOpened { order: order(1) };
    assert_eq!(outputs(&mut ledger), [Output::Record(opened)]);
    ledger.handle_page(order(1), at(3));
    assert_eq!(outputs(&mut ledger), []);
    assert!(ledger.order_of(&platform(), order(1)).is_ok());
    assert_eq!(ledger.handle_close(&platform(), order(1), at(4)), Ok(()));
}
