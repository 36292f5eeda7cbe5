//! Exactly what each action of a rule does to a call, and nothing else.

use std::time::Duration;

use protocol::message::{
    GatewayRefusal, OrderStatus, RefundOrder, RefundStatus, STATEMENT_LINES_MAX, StatementKind,
};
use serde_json::json;

use super::request::query;
use super::*;
use crate::machine::{NoView, Press, Pressed};

fn rules(texts: &[serde_json::Value]) -> Ruleset {
    let texts = texts.iter().enumerate().map(|(nth, text)| {
        let mut text = text.clone();
        text["name"] = format!("rule {nth}").into();
        serde_json::from_value(text).unwrap()
    });
    Ruleset::new(1, texts).unwrap()
}

fn bench(rule: &serde_json::Value) -> Bench {
    Bench::with_rules(rules(std::slice::from_ref(rule)))
}

/// An order that exists, made while no rule was there.
fn created(rule: &serde_json::Value) -> Bench {
    let mut bench = Bench::new(Outcome::Paid);
    bench.ask(Operation::Create(create(1)), at(0));
    bench.machine.set_rules(rules(std::slice::from_ref(rule)));
    bench
}

fn paid(rule: &serde_json::Value) -> Bench {
    let mut bench = created(rule);
    bench.pay(1, at(1));
    bench
}

fn refund(bench: &Bench) -> RefundOrder {
    let order = bench.machine.ledger.order(order(1)).unwrap();
    RefundOrder {
        refund: protocol::id::RefundId::from_random([9; 16]),
        order: order.create.order,
        payment: order.payments[0].payment,
        amount: money(450),
        reason: "late".to_owned(),
    }
}

fn open_view(bench: &Bench) -> OrderView {
    bench
        .machine
        .ledger
        .order(order(1))
        .unwrap()
        .view("http://pay")
}

/// The payloads as they go to the broker.
fn published(outputs: &[Output]) -> Vec<Publication> {
    let published = outputs.iter().filter_map(|output| match output {
        Output::Publish(publication) => Some(publication.clone()),
        Output::Record(_) | Output::Noted(_) => None,
    });
    published.collect()
}

#[test]
fn drop_before_does_nothing_and_answers_nothing() {
    let mut bench = bench(&json!({"action": "drop-before", "to_call": 1}));
    let create_1 = || Operation::Create(create(1));
    assert_eq!(done(&bench.ask(create_1(), at(0))), []);
    assert!(bench.machine.totals().is_empty());
    let outputs = bench.ask(create_1(), at(1));
    assert_eq!(done(&outputs).len(), 2);
    assert_eq!(done(&bench.ask(query(1), at(2))), []);
    assert_eq!(answers(&bench.ask(query(1), at(3))).len(), 1);
}

#[test]
fn drop_after_does_it_and_answers_nothing() {
    let mut bench = bench(&json!({"action": "drop-after", "operation": "create", "to_call": 1}));
    let outputs = bench.ask(Operation::Create(create(1)), at(0));
    let kinds = done(&outputs);
    assert!(matches!(
        kinds.as_slice(),
        [Told::Record(Entry::OrderCreated { .. })]
    ));
    let again = bench.ask(Operation::Create(create(1)), at(1));
    assert_eq!(
        done(&again),
        [Told::Answer(GatewayResult::Order(open_view(&bench)))]
    );
}

#[test]
fn refuse_does_nothing_and_says_why() {
    let rule = json!({"action": "refuse", "operation": "close", "refusal": "close_too_early"});
    let mut bench = created(&rule);
    let refused = GatewayResult::Refused(GatewayRefusal::CloseTooEarly);
    let close = bench.ask(Operation::Close { order: order(1) }, at(1));
    assert_eq!(done(&close), [Told::Answer(refused)]);
    assert_eq!(view(&bench.ask(query(1), at(2))).status, OrderStatus::Open);
}

#[test]
fn an_outage_lets_nothing_in_or_out_within_its_window() {
    let rule = json!({"action": "outage", "from_ms": 10, "before_ms": 20});
    let mut bench = created(&rule);
    let found = bench.machine.ledger.order(order(1)).unwrap();
    let (checkout, form) = (found.opening.checkout, found.form_token());
    assert_eq!(answers(&bench.ask(query(1), at(9))).len(), 1);
    for millis in [10, 19] {
        assert_eq!(done(&bench.ask(query(1), at(millis))), []);
        let (page, _) = bench
            .call(|machine, mut entropy| machine.handle_view(checkout, at(millis), &mut entropy));
        assert_eq!(page, Err(NoView::Unavailable));
        let (pressed, outputs) = bench.call(|machine, mut entropy| {
            machine.handle_press(checkout, &form, Press::Pay, at(millis), &mut entropy)
        });
        assert_eq!((pressed, done(&outputs)), (Pressed::Unavailable, vec![]));
    }
    assert_eq!(view(&bench.ask(query(1), at(20))).status, OrderStatus::Open);
}

#[test]
fn an_outage_by_request_count_ends_by_itself() {
    let mut bench = created(&json!({"action": "outage", "from_request": 2, "to_request": 3}));
    assert_eq!(done(&bench.ask(query(1), at(1))), []);
    assert_eq!(done(&bench.ask(query(1), at(2))), []);
    assert_eq!(answers(&bench.ask(query(1), at(3))).len(), 1);
}

#[test]
fn a_dropped_event_is_not_sent_and_a_dropped_press_pays_without_a_page() {
    let mut bench = created(&json!({"action": "drop-after", "operation": "event"}));
    let outputs = bench.pay(1, at(1));
    assert!(matches!(done(&outputs).as_slice(), [Told::Record(_)]));

    let mut bench = created(&json!({"action": "drop-after", "operation": "pay"}));
    let found = bench.machine.ledger.order(order(1)).unwrap();
    let (checkout, form) = (found.opening.checkout, found.form_token());
    let (pressed, outputs) = bench.call(|machine, mut entropy| {
        machine.handle_press(checkout, &form, Press::Pay, at(1), &mut entropy)
    });
    assert_eq!(pressed, Pressed::Unavailable);
    assert_eq!(done(&outputs).len(), 2);
    assert_eq!(view(&bench.ask(query(1), at(2))).status, OrderStatus::Paid);
}

#[test]
fn a_delayed_answer_is_the_one_of_its_time() {
    let rule = json!({"action": "delay", "operation": "query", "after_ms": 500});
    let mut bench = created(&rule);
    assert_eq!(done(&bench.ask(query(1), at(1))), []);
    bench.pay(1, at(2));
    assert_eq!(bench.machine.poll_timeout(), Some(Tick::from_millis(501)));
    assert_eq!(bench.wait_until(at(500)), []);
    let late = view(&bench.wait_until(at(501)));
    assert_eq!(
        late.status,
        OrderStatus::Open,
        "it was open when it was asked"
    );
}

#[test]
fn a_truncated_answer_can_not_be_read() {
    let mut bench = created(&json!({"action": "truncate", "operation": "query", "to_call": 1}));
    let whole = created(&json!({"action": "stale"})).ask(query(1), at(1));
    let cut = published(&bench.ask(query(1), at(1)));
    assert_eq!(cut.len(), 1);
    assert!(decode::<Envelope<Jws<GatewayAnswer>>>(&cut[0].payload).is_err());
    assert!(cut[0].payload.len() < published(&whole)[0].payload.len());
    assert_eq!(answers(&bench.ask(query(1), at(2))).len(), 1);
}

#[test]
fn a_doubled_answer_comes_as_often_as_said_byte_for_byte() {
    let rule = json!({"action": "double", "operation": "query", "copies": 3, "after_ms": 100});
    let mut bench = created(&rule);
    let mut copies = published(&bench.ask(query(1), at(0)));
    assert_eq!(copies.len(), 1);
    for millis in [100, 200] {
        copies.extend(published(&bench.wait_until(at(millis))));
    }
    assert_eq!(copies.len(), 3);
    assert!(copies.iter().all(|copy| *copy == copies[0]));
    assert_eq!(bench.wait_until(at(300)), []);
}

#[test]
fn a_reordered_answer_is_overtaken_by_the_next_message_or_waits() {
    let rule = json!({
        "action": "reorder", "operation": "query", "to_call": 1, "after_ms": 500
    });
    let mut overtaken = created(&rule);
    assert_eq!(done(&overtaken.ask(query(1), at(1))), []);
    let outputs = overtaken.pay(1, at(2));
    let kinds = done(&outputs);
    assert!(matches!(
        kinds.as_slice(),
        [
            Told::Record(_),
            Told::Event(_),
            Told::Answer(GatewayResult::Order(_))
        ]
    ));
    assert_eq!(overtaken.machine.poll_timeout(), None);

    let mut waiting = created(&rule);
    waiting.ask(query(1), at(1));
    assert_eq!(waiting.machine.poll_timeout(), Some(Tick::from_millis(501)));
    assert_eq!(view(&waiting.wait_until(at(501))).status, OrderStatus::Open);
}

#[test]
fn a_stale_answer_is_the_order_before_its_last_change() {
    let mut bench = created(&json!({"action": "stale"}));
    let not_found = GatewayResult::Refused(GatewayRefusal::OrderNotFound);
    let first = bench.ask(query(1), at(1));
    assert_eq!(answers(&first), [not_found], "it has never changed");
    bench.pay(1, at(2));
    assert_eq!(view(&bench.ask(query(1), at(3))).status, OrderStatus::Open);
    let refund = refund(&bench);
    bench.ask(Operation::Refund(refund), at(4));
    let stale = view(&bench.ask(query(1), at(5)));
    assert_eq!(stale.status, OrderStatus::Paid);
    assert_eq!(
        (stale.payments[0].refunded, stale.refunds),
        (money(0), vec![])
    );
}

#[test]
fn forged_answers_say_paid_and_only_the_honest_one_is_believed() {
    let mut bench = created(&json!({"action": "forge", "operation": "query"}));
    let messages = published(&bench.ask(query(1), at(1)));
    assert_eq!(messages.len(), 5);
    let keyring = Keyring::of(SigningKey::from_seed(GATEWAY_SEED).public());
    let audience = Audience::platform(&platform());
    let read = |publication: &Publication| {
        let envelope: Envelope<Jws<GatewayAnswer>> = decode(&publication.payload).unwrap();
        verify(&envelope.body, &keyring, &audience)
            .map(protocol::signed::Verified::into_claims)
            .map_err(protocol::signed::Refusal::as_str)
    };
    let paid = |answer: &GatewayAnswer| match &answer.result {
        GatewayResult::Order(view) => (view.order, view.status, view.payments.len(), answer.nonce),
        other => panic!("{other:?}"),
    };
    let asked = Nonce::from_random([77; 16]);
    assert_eq!(read(&messages[0]).unwrap_err(), "unknown_key");
    let (to, status, payments, nonce) = paid(&read(&messages[1]).unwrap());
    assert_eq!((to, status, payments), (order(1), OrderStatus::Paid, 1));
    assert_ne!(nonce, asked);
    let (to, status, payments, nonce) = paid(&read(&messages[2]).unwrap());
    assert_eq!((nonce, status, payments), (asked, OrderStatus::Paid, 1));
    assert_ne!(to, order(1));
    assert_eq!(read(&messages[3]).unwrap_err(), "header");
    let honest = paid(&read(&messages[4]).unwrap());
    assert_eq!(honest, (order(1), OrderStatus::Open, 0, asked));
}

#[test]
fn a_forgery_may_take_the_place_of_the_honest_message() {
    let rule = json!({
        "action": "forge", "operation": "query", "forgeries": ["unsigned"], "honest": false
    });
    let mut bench = created(&rule);
    assert_eq!(published(&bench.ask(query(1), at(1))).len(), 1);
    let rule = json!({"action": "forge", "operation": "event", "forgeries": ["order"]});
    let mut bench = created(&rule);
    let events: Vec<_> = done(&bench.pay(1, at(1)))
        .into_iter()
        .filter_map(|told| match told {
            Told::Event(order) => Some(order),
            _ => None,
        })
        .collect();
    assert_eq!(events.len(), 2);
    assert_ne!(events[0], order(1));
    assert_eq!(events[1], order(1));
}

#[test]
fn refunds_go_as_the_rule_says() {
    let rows = [
        (
            "refund-fails",
            None,
            RefundStatus::Failed,
            RefundStatus::Failed,
        ),
        (
            "refund-pending",
            Some(500),
            RefundStatus::Pending,
            RefundStatus::Succeeded,
        ),
        (
            "refund-pending-fails",
            Some(500),
            RefundStatus::Pending,
            RefundStatus::Failed,
        ),
        (
            "refund-fails-later",
            Some(500),
            RefundStatus::Succeeded,
            RefundStatus::Failed,
        ),
    ];
    for (action, after_ms, at_once, in_the_end) in rows {
        let mut rule = json!({"action": action});
        if let Some(after_ms) = after_ms {
            rule["after_ms"] = after_ms.into();
        }
        let mut bench = paid(&rule);
        let refund = refund(&bench);
        let outputs = bench.ask(Operation::Refund(refund), at(10));
        let results = answers(&outputs);
        let [GatewayResult::Refund(view)] = results.as_slice() else {
            panic!("{results:?}");
        };
        assert_eq!(view.status, at_once, "{action}");
        let turned = bench.wait_until(at(510));
        let events = done(&turned).contains(&Told::Event(order(1)));
        assert_eq!(events, after_ms.is_some(), "{action}");
        let last = super::view(&bench.ask(query(1), at(511)));
        assert_eq!(last.refunds[0].status, in_the_end, "{action}");
        let back = in_the_end == RefundStatus::Succeeded;
        assert_eq!(last.payments[0].refunded, money(if back { 450 } else { 0 }));
    }
}

#[test]
fn a_forgotten_key_makes_a_refund_new() {
    let mut bench = paid(&json!({"action": "forget-key", "operation": "refund"}));
    let mut half = refund(&bench);
    half.amount = money(225);
    for _ in 0..2 {
        bench.ask(Operation::Refund(half.clone()), at(2));
    }
    let last = view(&bench.ask(query(1), at(3)));
    assert_eq!(
        (last.payments[0].refunded, last.refunds.len()),
        (money(450), 2)
    );
    let third = bench.ask(Operation::Refund(half), at(4));
    let exceeds = GatewayResult::Refused(GatewayRefusal::RefundExceedsPayment);
    assert_eq!(answers(&third), [exceeds]);
}

#[test]
fn a_forgotten_order_gets_a_new_page_and_can_be_paid_again() {
    let mut bench = paid(&json!({"action": "forget-key", "operation": "create"}));
    let before = open_view(&bench);
    let again = view(&bench.ask(Operation::Create(create(1)), at(5)));
    assert_ne!(again.pay_url, before.pay_url);
    assert_eq!((again.status, again.payments.len()), (OrderStatus::Open, 1));
    bench.pay(1, at(6));
    let last = view(&bench.ask(query(1), at(7)));
    assert_eq!((last.status, last.payments.len()), (OrderStatus::Paid, 2));
}

#[test]
fn a_hidden_order_is_created_with_its_page_and_not_found_before_it_is_opened() {
    let mut bench = bench(&json!({"action": "hide-until-scan"}));
    let created = view(&bench.ask(Operation::Create(create(1)), at(0)));
    assert_eq!(created.status, OrderStatus::Open);
    let not_found = GatewayResult::Refused(GatewayRefusal::OrderNotFound);
    assert_eq!(
        answers(&bench.ask(query(1), at(1))),
        std::slice::from_ref(&not_found)
    );
    let close = bench.ask(Operation::Close { order: order(1) }, at(2));
    assert_eq!(answers(&close), [not_found]);
    let checkout = bench
        .machine
        .ledger
        .order(order(1))
        .unwrap()
        .opening
        .checkout;
    let (page, _) =
        bench.call(|machine, mut entropy| machine.handle_view(checkout, at(3), &mut entropy));
    assert!(page.is_ok());
    assert_eq!(view(&bench.ask(query(1), at(4))).status, OrderStatus::Open);
}

#[test]
fn what_befalls_payments_is_seen_at_once_or_when_it_is_due() {
    let rule = json!({"action": "refund-outside", "permille": 500, "after_ms": 100});
    let mut bench = paid(&rule);
    let refunded =
        |bench: &mut Bench, millis| view(&bench.ask(query(1), at(millis))).payments[0].refunded;
    assert_eq!(refunded(&mut bench, 100), money(0));
    assert_eq!(bench.machine.poll_timeout(), Some(Tick::from_millis(101)));
    assert_eq!(refunded(&mut bench, 101), money(225));

    let mut disputed = paid(&json!({"action": "dispute"}));
    assert!(view(&disputed.ask(query(1), at(2))).payments[0].disputed);
}

/// Kind, minor units, and whether the line is about our order, of every line.
fn statement(bench: &mut Bench) -> Vec<(u64, StatementKind, i64, bool)> {
    let limit = STATEMENT_LINES_MAX;
    let outputs = bench.ask(Operation::Statement { after: 0, limit }, at(50));
    match answers(&outputs).as_slice() {
        [GatewayResult::Statement(page)] => page
            .lines
            .iter()
            .map(|line| (line.sequence, line.kind, line.minor, line.order == order(1)))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_statement_lies_where_a_rule_says_and_the_ledger_stays_right() {
    const PAID: StatementKind = StatementKind::Payment;
    const BACK: StatementKind = StatementKind::Refund;
    let rows = [
        ("line-missing", vec![(1, BACK, -450, true)]),
        (
            "line-duplicate",
            vec![
                (1, PAID, 450, true),
                (2, PAID, 450, true),
                (3, BACK, -450, true),
            ],
        ),
        (
            "line-wrong-amount",
            vec![(1, PAID, 451, true), (2, BACK, -450, true)],
        ),
        (
            "line-unknown",
            vec![
                (1, PAID, 450, true),
                (2, PAID, 450, false),
                (3, BACK, -450, true),
            ],
        ),
    ];
    for (action, lines) in rows {
        let mut bench = paid(&json!({"action": action, "to_call": 1}));
        let refund = refund(&bench);
        bench.ask(Operation::Refund(refund), at(2));
        assert_eq!(statement(&mut bench), lines, "{action}");
        assert_eq!(statement(&mut bench), lines, "{action} is the same again");
        bench.machine.set_rules(Ruleset::default());
        let honest = [(1, PAID, 450, true), (2, BACK, -450, true)];
        assert_eq!(statement(&mut bench), honest, "{action}");
    }
}

#[test]
fn a_fee_is_a_line_of_its_own() {
    let mut bench = paid(&json!({"action": "fee", "permille": 6}));
    let fee = (2, StatementKind::Fee, -2, true);
    assert_eq!(
        statement(&mut bench),
        [(1, StatementKind::Payment, 450, true), fee]
    );
}

#[test]
fn capabilities_are_those_of_the_ledger() {
    let capabilities = Capabilities {
        order_after_scan: true,
        close_minimum_age: Duration::from_millis(300),
        ..Capabilities::default()
    };
    let mut bench = Bench::with(Outcome::Paid, Ruleset::default(), capabilities);
    bench.ask(Operation::Create(create(1)), at(0));
    let not_found = GatewayResult::Refused(GatewayRefusal::OrderNotFound);
    assert_eq!(answers(&bench.ask(query(1), at(1))), [not_found]);
    bench.pay(1, at(2));
    assert!(answers(&bench.ask(query(1), at(3))).len() == 1);
}
