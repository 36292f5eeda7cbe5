use protocol::id::{PaymentId, RefundId};
use protocol::message::{
    GatewayRefusal, OrderStatus, RefundOrder, RefundStatus, RefundView, STATEMENT_LINES_MAX,
};

use super::*;
use crate::machine::Press;

pub(super) fn query(byte: u8) -> Operation {
    Operation::Query { order: order(byte) }
}

fn refused(refusal: GatewayRefusal) -> Vec<GatewayResult> {
    vec![GatewayResult::Refused(refusal)]
}

impl Bench {
    pub(super) fn pay(&mut self, byte: u8, now: Now) -> Vec<Output> {
        let found = self.machine.ledger.order(order(byte)).unwrap();
        let (checkout, form) = (found.opening.checkout, found.form_token());
        self.call(|machine, mut entropy| {
            machine.handle_press(checkout, &form, Press::Pay, now, &mut entropy)
        })
        .1
    }
}

#[test]
fn a_create_is_recorded_before_it_is_answered() {
    let mut bench = Bench::new(Outcome::Paid);
    let outputs = bench.ask(Operation::Create(create(1)), at(0));
    let kinds = told(&outputs);
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    assert!(matches!(kinds[0], Told::Noted(Note::OrderCreated { .. })));
    assert!(matches!(kinds[1], Told::Record(Entry::OrderCreated { .. })));
    assert!(matches!(kinds[3], Told::Noted(Note::Answered { .. })));
    let view = view(&outputs);
    assert_eq!(view.status, OrderStatus::Open);
    assert_eq!(view.pay_url, format!("http://pay/pay/{}", "01".repeat(16)));
    assert_eq!(
        (view.payments, view.refunds, view.declines),
        (vec![], vec![], 0)
    );

    let again = bench.ask(Operation::Create(create(1)), at(1));
    assert_eq!(super::view(&again).pay_url, view.pay_url);
    assert!(
        !told(&again)
            .iter()
            .any(|told| matches!(told, Told::Record(_)))
    );
}

#[test]
fn a_payment_sends_an_event_and_the_query_tells_it() {
    let mut bench = Bench::new(Outcome::Paid);
    bench.ask(Operation::Create(create(1)), at(0));
    let pressed = told(&bench.pay(1, at(10)));
    let records = pressed
        .iter()
        .position(|told| matches!(told, Told::Record(_)));
    let events = pressed
        .iter()
        .position(|told| *told == Told::Event(order(1)));
    assert!(records.is_some() && records < events, "{pressed:?}");
    let view = view(&bench.ask(query(1), at(20)));
    assert_eq!(view.status, OrderStatus::Paid);
    assert_eq!(view.payments.len(), 1);
    assert_eq!(
        (view.payments[0].amount, view.payments[0].paid_at),
        (money(450), at(10).utc)
    );
}

#[test]
fn refusals_are_answers() {
    let mut bench = Bench::new(Outcome::Paid);
    assert_eq!(
        answers(&bench.ask(query(1), at(0))),
        refused(GatewayRefusal::OrderNotFound)
    );
    bench.ask(Operation::Create(create(1)), at(0));
    let mut differing = create(1);
    differing.amount = money(1);
    let answer = bench.ask(Operation::Create(differing), at(0));
    assert_eq!(answers(&answer), refused(GatewayRefusal::OrderDiffers));
    bench.pay(1, at(1));
    let close = bench.ask(Operation::Close { order: order(1) }, at(2));
    assert_eq!(answers(&close), refused(GatewayRefusal::AlreadyPaid));
}

#[test]
fn a_refund_is_answered_alike_however_often_it_is_asked() {
    let mut bench = Bench::new(Outcome::Paid);
    bench.ask(Operation::Create(create(1)), at(0));
    bench.pay(1, at(1));
    let payment: PaymentId = view(&bench.ask(query(1), at(2))).payments[0].payment;
    let refund = RefundOrder {
        refund: RefundId::from_random([9; 16]),
        order: order(1),
        payment,
        amount: money(450),
        reason: "late".to_owned(),
    };
    let expected = vec![GatewayResult::Refund(RefundView {
        refund: refund.refund,
        payment,
        amount: money(450),
        status: RefundStatus::Succeeded,
    })];
    for _ in 0..3 {
        let outputs = bench.ask(Operation::Refund(refund.clone()), at(3));
        assert_eq!(answers(&outputs), expected);
    }
    let view = view(&bench.ask(query(1), at(4)));
    assert_eq!(
        (view.payments[0].refunded, view.refunds.len()),
        (money(450), 1)
    );
}

#[test]
fn what_is_no_request_of_a_known_platform_is_counted_and_changes_nothing() {
    let good = encoded(&request(Operation::Create(create(1))));
    let south: PlatformId = "south".parse().unwrap();
    let mut foreign = request(Operation::Create(create(1)));
    foreign.platform = south.clone();
    let mut misdirected = request(Operation::Create(create(1)));
    misdirected.aud = Audience::gateway(&"other".parse().unwrap());
    let topic = |gateway: &str, kind, platform: &PlatformId| {
        Topic::Gateway(gateway.parse().unwrap(), kind, platform.clone())
    };
    let rows = [
        (
            topic("mock", Gateway::Response, &platform()),
            good.clone(),
            "topic",
        ),
        (
            topic("other", Gateway::Request, &platform()),
            good.clone(),
            "topic",
        ),
        (
            topic("mock", Gateway::Request, &south),
            good,
            "unknown_platform",
        ),
        (request_topic(), b"{".to_vec(), "malformed"),
        (request_topic(), vec![b' '; 9_000], "too_large"),
        (
            request_topic(),
            encoded_by([9; 32], &request(query(1))),
            "unknown_key",
        ),
        (request_topic(), encoded(&foreign), "platform"),
        (request_topic(), encoded(&misdirected), "audience"),
    ];
    for (topic, payload, reason) in rows {
        let mut bench = Bench::new(Outcome::Paid);
        let outputs = bench.deliver(&topic, &payload, at(0));
        assert_eq!(outputs, [Output::Noted(Note::RequestRefused { reason })]);
        assert_eq!(bench.machine.poll_timeout(), None);
    }
}

#[test]
fn a_retained_request_is_refused() {
    let mut bench = Bench::new(Outcome::Paid);
    let payload = encoded(&request(Operation::Create(create(1))));
    let arrival = Arrival {
        topic: &request_topic(),
        payload: &payload,
        retained: true,
    };
    let (_, outputs) =
        bench.call(|machine, mut entropy| machine.handle_request(arrival, at(0), &mut entropy));
    let reason = "retained";
    assert_eq!(outputs, [Output::Noted(Note::RequestRefused { reason })]);
}

#[test]
fn a_slow_answer_comes_when_it_is_due_and_once() {
    let mut bench = Bench::new(Outcome::SlowAnswer);
    let asked = bench.ask(Operation::Create(create(1)), at(0));
    assert_eq!(answers(&asked), []);
    assert_eq!(bench.machine.poll_timeout(), Some(Tick::from_millis(2_000)));
    assert_eq!(bench.wait_until(at(1_999)), []);
    let due = bench.wait_until(at(2_000));
    assert_eq!(view(&due).status, OrderStatus::Open);
    assert_eq!(due.len(), 1);
    assert_eq!(bench.wait_until(at(3_000)), []);
}

#[test]
fn silence_ends_after_the_queries_it_was_set_to() {
    let mut bench = Bench::new(Outcome::NoAnswer);
    bench.ask(Operation::Create(create(1)), at(0));
    assert_eq!(view(&bench.ask(query(1), at(1))).status, OrderStatus::Open);
    bench.pay(1, at(2));
    let silent = [
        Note::Interfered {
            step: "query",
            action: "drop_answer",
            rule: None,
        },
        Note::AnswerWithheld {
            operation: "query",
            reason: "silence",
        },
    ];
    for _ in 0..2 {
        let expected = silent.clone().map(Output::Noted);
        assert_eq!(bench.ask(query(1), at(3)), expected);
    }
    assert_eq!(view(&bench.ask(query(1), at(4))).status, OrderStatus::Paid);
}

#[test]
fn a_long_statement_is_cut_to_fit_a_message_and_can_be_read_on() {
    let mut bench = Bench::new(Outcome::Paid);
    for byte in 1..=20 {
        bench.ask(Operation::Create(create(byte)), at(0));
        bench.pay(byte, at(1));
        let payment = view(&bench.ask(query(byte), at(2))).payments[0].payment;
        let refund = RefundOrder {
            refund: RefundId::from_random([byte; 16]),
            order: order(byte),
            payment,
            amount: money(1),
            reason: String::new(),
        };
        bench.drawn = 20 + byte * 10;
        bench.ask(Operation::Refund(refund), at(3));
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let limit = STATEMENT_LINES_MAX;
        let outputs = bench.ask(Operation::Statement { after, limit }, at(4));
        let results = answers(&outputs);
        let [GatewayResult::Statement(page)] = results.as_slice() else {
            panic!("not one page: {results:?}");
        };
        seen.extend(page.lines.iter().map(|line| line.sequence));
        after = page.next;
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, (1..=40).collect::<Vec<u64>>());
}
