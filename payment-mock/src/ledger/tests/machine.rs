//! One input, the exact outputs and nothing else, and the next deadline.

use std::time::Duration;

use protocol::message::{CreateOrder, GatewayRefusal, OrderStatus, StatementKind};
use protocol::time::Tick;

use super::*;
use crate::ledger::{Attempt, Closing, CreateRefusal, Entry, Phase};

type Change = fn(&mut CreateOrder);

fn changed(byte: u8, millis: u64) -> Output {
    Output::Changed {
        platform: platform(),
        order: order(byte),
        at: at(millis).utc,
    }
}

fn status(ledger: &Ledger, byte: u8) -> OrderStatus {
    ledger.order(order(byte)).unwrap().status()
}

#[test]
fn creating_records_the_order_and_its_lifetime() {
    let mut ledger = ledger();
    let answer = ledger.handle_create(&platform(), create(1), opening(1), false, at(5));
    assert_eq!(answer, Ok(()));
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(Entry::OrderCreated {
            platform: platform(),
            create: create(1),
            opening: opening(1),
            at: at(5).utc,
        })]
    );
    assert_eq!(
        ledger.poll_timeout(),
        Some(Tick::from_millis(5 + LIFETIME_MS))
    );
    assert_eq!(status(&ledger, 1), OrderStatus::Open);
}

#[test]
fn the_same_create_again_keeps_the_first_order_and_its_page() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    let again = ledger.handle_create(&platform(), create(1), opening(9), false, at(50));
    assert_eq!(again, Ok(()));
    assert_eq!(outputs(&mut ledger), []);
    let order = ledger.order(order(1)).unwrap();
    assert_eq!(order.opening, opening(1));
    assert_eq!(ledger.poll_timeout(), Some(Tick::from_millis(LIFETIME_MS)));
}

#[test]
fn an_order_number_with_other_content_is_refused() {
    let changes: [Change; 5] = [
        |create| create.amount = money(451),
        |create| create.payee = "other".parse().unwrap(),
        |create| create.description.push('!'),
        |create| create.return_url.push('!'),
        |create| create.lifetime_ms += 1,
    ];
    for change in changes {
        let mut ledger = ledger();
        created(&mut ledger, 1);
        let mut differing = create(1);
        change(&mut differing);
        let answer = ledger.handle_create(&platform(), differing, opening(1), false, at(1));
        let refused = CreateRefusal::Named(GatewayRefusal::OrderDiffers);
        assert_eq!(answer, Err(refused));
        assert_eq!(outputs(&mut ledger), []);
    }
}

#[test]
fn orders_outside_the_rules_are_refused_by_name() {
    let rows: [(Change, GatewayRefusal); 6] = [
        (|create| create.amount = money(0), GatewayRefusal::Malformed),
        (|create| create.lifetime_ms = 0, GatewayRefusal::Malformed),
        (
            |create| create.lifetime_ms = 86_400_001,
            GatewayRefusal::Malformed,
        ),
        (
            |create| create.return_url = "javascript:alert(1)".to_owned(),
            GatewayRefusal::Malformed,
        ),
        (
            |create| create.payee = "stranger".parse().unwrap(),
            GatewayRefusal::PayeeUnknown,
        ),
        (
            |create| create.payee = "somebody-else".parse().unwrap(),
            GatewayRefusal::PayeeUnknown,
        ),
    ];
    for (change, refusal) in rows {
        let mut ledger = ledger();
        let mut wrong = create(1);
        change(&mut wrong);
        let answer = ledger.handle_create(&platform(), wrong, opening(1), false, at(0));
        assert_eq!(answer, Err(CreateRefusal::Named(refusal)));
        assert_eq!(outputs(&mut ledger), []);
        assert_eq!(ledger.poll_timeout(), None);
    }
}

#[test]
fn an_order_does_not_exist_for_another_platform() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    let stranger = "south".parse().unwrap();
    let not_found = Some(GatewayRefusal::OrderNotFound);
    assert_eq!(ledger.order_of(&stranger, order(1)).err(), not_found);
    assert_eq!(
        ledger.handle_close(&stranger, order(1), at(1)).err(),
        not_found
    );
    let refunded = ledger.handle_refund(
        &stranger,
        &refund(1, 1, 1),
        RefundCourse::SUCCEEDS,
        false,
        at(1),
    );
    assert_eq!(refunded.err(), not_found);
    let taken = ledger.handle_create(&stranger, create(1), opening(1), false, at(1));
    let differs = CreateRefusal::Named(GatewayRefusal::OrderDiffers);
    assert_eq!(taken, Err(differs));
    assert_eq!(ledger.statements().page(&stranger, 0, 10).lines, []);
    assert_eq!(outputs(&mut ledger), []);
}

#[test]
fn closing_is_definite_and_repeatable() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    assert_eq!(ledger.handle_close(&platform(), order(1), at(7)), Ok(()));
    let closed = Entry::OrderClosed {
        order: order(1),
        closing: Closing::Platform,
        at: at(7).utc,
    };
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(closed), changed(1, 7)]
    );
    assert_eq!(ledger.poll_timeout(), None);
    assert_eq!(ledger.handle_close(&platform(), order(1), at(8)), Ok(()));
    assert_eq!(outputs(&mut ledger), []);
    assert_eq!(status(&ledger, 1), OrderStatus::Closed);
}

#[test]
fn a_close_below_the_minimum_age_or_after_payment_is_refused() {
    let mut ledger = ledger_closing_from(300);
    created(&mut ledger, 1);
    let early = ledger.handle_close(&platform(), order(1), at(299));
    assert_eq!(early, Err(GatewayRefusal::CloseTooEarly));
    ledger.handle_payment(order(1), booking(1), at(299));
    outputs(&mut ledger);
    let late = ledger.handle_close(&platform(), order(1), at(300));
    assert_eq!(late, Err(GatewayRefusal::AlreadyPaid));
    assert_eq!(outputs(&mut ledger), []);
}

#[test]
fn a_payment_is_recorded_told_and_ends_the_deadline() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    ledger.handle_payment(order(1), booking(1), at(9));
    let booked = Entry::PaymentBooked {
        order: order(1),
        booking: booking(1),
        at: at(9).utc,
    };
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(booked), changed(1, 9)]
    );
    assert_eq!(ledger.poll_timeout(), None);
    assert_eq!(status(&ledger, 1), OrderStatus::Paid);
}

#[test]
fn a_lifetime_ends_an_unpaid_order_and_nothing_else() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    paid(&mut ledger, 2);
    ledger.handle_timeout(at(LIFETIME_MS - 1));
    assert_eq!(outputs(&mut ledger), []);
    ledger.handle_timeout(at(LIFETIME_MS));
    let closed = Entry::OrderClosed {
        order: order(1),
        closing: Closing::Lifetime,
        at: at(LIFETIME_MS).utc,
    };
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(closed), changed(1, LIFETIME_MS)]
    );
    assert_eq!(ledger.order(order(1)).unwrap().phase(), Phase::Expired);
    assert_eq!(status(&ledger, 2), OrderStatus::Paid);
    assert_eq!(ledger.poll_timeout(), None);
}

#[test]
fn promised_money_comes_after_the_close_and_is_told() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    ledger.handle_promise(order(1), booking(1), at(10));
    let promised = Entry::PaymentPromised {
        order: order(1),
        booking: booking(1),
    };
    assert_eq!(outputs(&mut ledger), [Output::Record(promised)]);
    assert_eq!(status(&ledger, 1), OrderStatus::Paying);
    assert_eq!(ledger.poll_timeout(), Some(Tick::from_millis(LIFETIME_MS)));

    ledger.handle_close(&platform(), order(1), at(20)).unwrap();
    outputs(&mut ledger);
    let due = 20 + LATE_MS;
    assert_eq!(ledger.poll_timeout(), Some(Tick::from_millis(due)));
    ledger.handle_timeout(at(due - 1));
    assert_eq!(outputs(&mut ledger), []);
    assert_eq!(status(&ledger, 1), OrderStatus::Closed);
    ledger.handle_timeout(at(due));
    let booked = Entry::PaymentBooked {
        order: order(1),
        booking: booking(1),
        at: at(due).utc,
    };
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(booked), changed(1, due)]
    );
    assert_eq!(status(&ledger, 1), OrderStatus::Paid);
    assert_eq!(ledger.poll_timeout(), None);
}

#[test]
fn promised_money_comes_after_the_lifetime_too() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    ledger.handle_promise(order(1), booking(1), at(10));
    ledger.handle_timeout(at(LIFETIME_MS));
    let due = LIFETIME_MS + LATE_MS;
    assert_eq!(ledger.poll_timeout(), Some(Tick::from_millis(due)));
    ledger.handle_timeout(at(due));
    assert_eq!(status(&ledger, 1), OrderStatus::Paid);
}

#[test]
fn a_decline_is_counted_and_told_and_leaves_the_order_open() {
    let mut ledger = ledger();
    created(&mut ledger, 1);
    let before = ledger.order(order(1)).unwrap().form_token();
    ledger.handle_failed_attempt(order(1), Attempt::Declined, at(3));
    let failed = Entry::AttemptFailed {
        order: order(1),
        attempt: Attempt::Declined,
    };
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(failed), changed(1, 3)]
    );
    let after = ledger.order(order(1)).unwrap();
    assert_eq!((after.declines, after.status()), (1, OrderStatus::Open));
    assert!(after.form_token() != before && after.is_used_form_token(&before));
}

#[test]
fn a_refund_is_booked_once_for_each_id() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    let first = ledger.handle_refund(
        &platform(),
        &refund(7, 1, 450),
        RefundCourse::SUCCEEDS,
        false,
        at(5),
    );
    let recorded = Entry::Refunded {
        platform: platform(),
        refund: refund(7, 1, 450),
        at: at(5).utc,
    };
    assert_eq!(
        outputs(&mut ledger),
        [Output::Record(recorded), changed(1, 5)]
    );
    let again = ledger.handle_refund(
        &platform(),
        &refund(7, 1, 450),
        RefundCourse::SUCCEEDS,
        false,
        at(6),
    );
    assert_eq!(first, again);
    assert_eq!(outputs(&mut ledger), []);
    let other = ledger.handle_refund(
        &platform(),
        &refund(7, 1, 449),
        RefundCourse::SUCCEEDS,
        false,
        at(7),
    );
    assert_eq!(other, Err(GatewayRefusal::RefundDiffers));
    let more = ledger.handle_refund(
        &platform(),
        &refund(8, 1, 1),
        RefundCourse::SUCCEEDS,
        false,
        at(8),
    );
    assert_eq!(more, Err(GatewayRefusal::RefundExceedsPayment));
    assert_eq!(outputs(&mut ledger), []);
}

#[test]
fn refunds_outside_the_rules_are_refused_by_name() {
    let foreign = |mut refund: RefundOrder| {
        refund.amount = Money::new(1, "EUR".parse().unwrap()).unwrap();
        refund
    };
    let unknown = |mut refund: RefundOrder| {
        refund.payment = PaymentId::from_random([99; 16]);
        refund
    };
    let rows = [
        (refund(7, 9, 1), 0, GatewayRefusal::OrderNotFound),
        (unknown(refund(7, 1, 1)), 0, GatewayRefusal::PaymentNotFound),
        (refund(7, 1, 0), 0, GatewayRefusal::Malformed),
        (foreign(refund(7, 1, 1)), 0, GatewayRefusal::Malformed),
        (refund(7, 1, 451), 0, GatewayRefusal::RefundExceedsPayment),
        (
            refund(7, 1, 1),
            WINDOW_MS + 1,
            GatewayRefusal::RefundWindowPassed,
        ),
    ];
    for (refund, millis, refusal) in rows {
        let mut ledger = ledger();
        paid(&mut ledger, 1);
        let answer = ledger.handle_refund(
            &platform(),
            &refund,
            RefundCourse::SUCCEEDS,
            false,
            at(millis),
        );
        assert_eq!(answer, Err(refusal));
        assert_eq!(outputs(&mut ledger), []);
    }
}

#[test]
fn the_statement_lists_every_movement_in_order_by_pages() {
    let mut ledger = ledger();
    paid(&mut ledger, 1);
    paid(&mut ledger, 2);
    ledger
        .handle_refund(
            &platform(),
            &refund(7, 1, 50),
            RefundCourse::SUCCEEDS,
            false,
            at(5),
        )
        .unwrap();
    let first = ledger.statements().page(&platform(), 0, 2);
    assert_eq!((first.lines.len(), first.next, first.more), (2, 2, true));
    let rest = ledger.statements().page(&platform(), first.next, 2);
    assert_eq!((rest.next, rest.more), (3, false));
    let line = &rest.lines[0];
    assert_eq!(
        (line.sequence, line.kind, line.order, line.minor),
        (3, StatementKind::Refund, order(1), -50)
    );
    let end = ledger.statements().page(&platform(), 3, 2);
    assert_eq!((end.lines, end.next, end.more), (vec![], 3, false));
    assert_eq!(ledger.statements().page(&platform(), u64::MAX, 0).lines, []);
}

#[test]
fn a_restored_ledger_answers_alike_and_counts_lifetimes_anew() {
    let mut ledger = ledger();
    ledger
        .handle_create(&platform(), create(1), opening(1), false, at(0))
        .unwrap();
    ledger
        .handle_create(&platform(), create(2), opening(2), false, at(0))
        .unwrap();
    ledger.handle_payment(order(2), booking(2), at(1));
    ledger
        .handle_refund(
            &platform(),
            &refund(7, 2, 50),
            RefundCourse::SUCCEEDS,
            false,
            at(2),
        )
        .unwrap();
    let mut restored = super::ledger();
    let restart = at(1_000_000_000);
    for output in outputs(&mut ledger) {
        if let Output::Record(entry) = output {
            restored.restore(&entry, restart.tick);
        }
    }
    assert_eq!(outputs(&mut restored), []);
    for byte in [1, 2] {
        let view = |ledger: &Ledger| ledger.order(order(byte)).unwrap().view("http://pay");
        assert_eq!(view(&restored), view(&ledger));
    }
    assert_eq!(restored.balances(), ledger.balances());
    let page = |ledger: &Ledger| ledger.statements().page(&platform(), 0, 24);
    assert_eq!(page(&restored), page(&ledger));
    let lifetime = Duration::from_millis(LIFETIME_MS);
    assert_eq!(restored.poll_timeout(), Some(restart.tick + lifetime));
    let again = restored.handle_refund(
        &platform(),
        &refund(7, 2, 50),
        RefundCourse::SUCCEEDS,
        false,
        restart,
    );
    assert!(again.is_ok());
    assert_eq!(outputs(&mut restored), []);
}
