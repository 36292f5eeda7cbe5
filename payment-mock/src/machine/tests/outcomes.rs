//! What a platform sees of each named outcome that is more than a booking, call by call.

use protocol::id::RefundId;
use protocol::message::{OrderStatus, RefundOrder, RefundStatus};

use super::request::query;
use super::*;

/// What came of a call: how many answers that can be believed, and the last of them in a word.
#[derive(Debug, PartialEq, Eq)]
struct Seen(usize, &'static str);

fn seen(outputs: &[Output]) -> Seen {
    let mut believed = 0;
    let mut last = "nothing";
    for output in outputs {
        let Output::Publish(publication) = output else {
            continue;
        };
        if !matches!(publication.topic, Topic::Gateway(_, Gateway::Response, _)) {
            continue;
        }
        if let Some(word) = believable(&publication.payload) {
            believed += 1;
            last = word;
        }
    }
    Seen(believed, last)
}

/// As a careful platform reads it: signed by the server, to our nonce, about our order.
fn believable(payload: &[u8]) -> Option<&'static str> {
    let envelope: Envelope<Jws<GatewayAnswer>> = decode(payload).ok()?;
    let keyring = Keyring::of(SigningKey::from_seed(GATEWAY_SEED).public());
    let answer = verify(&envelope.body, &keyring, &Audience::platform(&platform())).ok()?;
    let ours = answer.nonce == Nonce::from_random([77; 16]) && answer.order == Some(order(1));
    ours.then(|| word(&answer.result))
}

fn word(result: &GatewayResult) -> &'static str {
    match result {
        GatewayResult::Order(view) => match view.status {
            OrderStatus::Open => "open",
            OrderStatus::Paid if view.payments[0].disputed => "disputed",
            OrderStatus::Paid if !view.payments[0].refunded.is_zero() => "refunded",
            OrderStatus::Paid => "paid",
            OrderStatus::Closed => "closed",
            OrderStatus::Paying | OrderStatus::Held => "other",
        },
        GatewayResult::Refund(view) => match view.status {
            RefundStatus::Pending => "pending",
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Failed => "failed",
        },
        GatewayResult::Refused(refusal) => refusal.as_str(),
        GatewayResult::Statement(_) => "statement",
    }
}

/// Create, query, pay, two queries, close: what each of them brings; a second after each other.
fn visit(outcome: Outcome) -> (Bench, Vec<Seen>) {
    let mut bench = Bench::new(outcome);
    let mut brought = Vec::new();
    let mut created = bench.ask(Operation::Create(create(1)), at(0));
    if bench.machine.ledger.order(order(1)).is_none() {
        brought.push(seen(&created));
        created = bench.ask(Operation::Create(create(1)), at(500));
    }
    brought.push(seen(&created));
    brought.push(seen(&bench.ask(query(1), at(1_000))));
    bench.pay(1, at(2_000));
    brought.push(seen(&bench.ask(query(1), at(3_000))));
    brought.push(seen(&bench.ask(query(1), at(4_000))));
    let close = Operation::Close { order: order(1) };
    brought.push(seen(&bench.ask(close, at(10_000))));
    (bench, brought)
}

const NOTHING: Seen = Seen(0, "nothing");

const fn one(word: &'static str) -> Seen {
    Seen(1, word)
}

fn row(words: [&'static str; 5]) -> Vec<Seen> {
    let seen = |word| Seen(usize::from(word != "nothing"), word);
    words.map(seen).into()
}

#[test]
fn each_outcome_answers_as_its_row_says() {
    // Create, query, two queries after the press, close.
    let honest = ["open", "open", "paid", "paid", "already_paid"];
    let unpaid = ["open", "open", "open", "open", "closed"];
    let spoilt = ["nothing", "nothing", "paid", "paid", "nothing"];
    let rows = [
        (Outcome::Paid, honest),
        (Outcome::Disputed, with(honest, ["disputed"; 2])),
        (Outcome::ChargedBack, with(honest, ["disputed"; 2])),
        (Outcome::RefundedOutside, with(honest, ["refunded"; 2])),
        (Outcome::PartRefundedOutside, with(honest, ["refunded"; 2])),
        (Outcome::ForgedAnswer, unpaid),
        (Outcome::DroppedAnswer, spoilt),
        (Outcome::TruncatedAnswer, spoilt),
        (Outcome::StaleAnswer, with(honest, ["open"; 2])),
        (Outcome::Outage, with(honest, ["nothing"; 2])),
        (
            Outcome::AfterScan,
            ["open", "order_not_found", "paid", "paid", "already_paid"],
        ),
        (
            Outcome::CloseTooEarly,
            ["open", "open", "open", "open", "close_too_early"],
        ),
    ];
    for (outcome, words) in rows {
        assert_eq!(visit(outcome).1, row(words), "{outcome}");
    }
    let doubled = row(honest).into_iter().map(|seen| Seen(2, seen.1));
    assert_eq!(visit(Outcome::DoubledAnswer).1, doubled.collect::<Vec<_>>());
    let brought: Vec<_> = visit(Outcome::LostRequest)
        .1
        .iter()
        .map(|seen| seen.1)
        .collect();
    let lost = ["nothing", "open", "nothing", "paid", "paid", "nothing"];
    assert_eq!(brought, lost, "a second create made it");
}

/// Other words for the two queries after the press.
fn with(mut words: [&'static str; 5], after: [&'static str; 2]) -> [&'static str; 5] {
    words[2..4].copy_from_slice(&after);
    words
}

/// Asks for the refund of the only payment, of all of it.
fn refund(bench: &mut Bench, byte: u8, millis: u64) -> Seen {
    let payment = &bench.machine.ledger.order(order(1)).unwrap().payments[0];
    let refund = RefundOrder {
        refund: RefundId::from_random([byte; 16]),
        order: order(1),
        payment: payment.payment,
        amount: payment.amount,
        reason: "amount".to_owned(),
    };
    seen(&bench.ask(Operation::Refund(refund), at(millis)))
}

#[test]
fn each_refund_goes_as_its_outcome_says() {
    // The first call, the same again, the same after the settling time; and minor units that are
    // refunded in the end.
    let rows = [
        (Outcome::Under, ["succeeded", "succeeded", "succeeded"], 449),
        (Outcome::RefundFails, ["failed", "failed", "failed"], 0),
        (
            Outcome::RefundPending,
            ["pending", "pending", "succeeded"],
            449,
        ),
        (
            Outcome::RefundPendingFails,
            ["pending", "pending", "failed"],
            0,
        ),
        (
            Outcome::RefundFailsLater,
            ["succeeded", "succeeded", "failed"],
            0,
        ),
        (
            Outcome::RefundUnknown,
            ["nothing", "nothing", "succeeded"],
            449,
        ),
        (
            Outcome::KeyForgotten,
            [
                "nothing",
                "refund_exceeds_payment",
                "refund_exceeds_payment",
            ],
            449,
        ),
    ];
    for (outcome, words, refunded) in rows {
        let mut bench = visit(outcome).0;
        let brought = [20_000, 20_001, 22_001].map(|millis| {
            bench.wait_until(at(millis));
            refund(&mut bench, 9, millis).1
        });
        assert_eq!(brought, words, "{outcome}");
        let totals = bench.machine.totals();
        assert_eq!(
            totals[0].refunded.values().sum::<i64>(),
            refunded,
            "{outcome}"
        );
    }
}

#[test]
fn a_reordered_answer_comes_after_the_next_one() {
    let mut bench = Bench::new(Outcome::ReorderedAnswer);
    assert_eq!(
        seen(&bench.ask(Operation::Create(create(1)), at(0))),
        NOTHING
    );
    assert_eq!(seen(&bench.wait_until(at(499))), NOTHING);
    assert_eq!(seen(&bench.wait_until(at(500))), one("open"));
    assert_eq!(seen(&bench.ask(query(1), at(600))), NOTHING);
    let pressed = done(&bench.pay(1, at(700)));
    assert!(matches!(
        pressed.as_slice(),
        [Told::Record(_), Told::Event(_), Told::Answer(_)]
    ));
}

#[test]
fn a_lost_request_does_nothing_at_all() {
    let mut bench = Bench::new(Outcome::LostRequest);
    let first = bench.ask(Operation::Create(create(1)), at(0));
    assert_eq!(done(&first), []);
    assert!(bench.machine.totals().is_empty());
    bench.ask(Operation::Create(create(1)), at(0));
    assert_eq!(done(&bench.ask(query(1), at(1))), []);
    assert_eq!(answers(&bench.ask(query(1), at(2))).len(), 1);
    let close = || Operation::Close { order: order(1) };
    assert_eq!(done(&bench.ask(close(), at(3))), []);
    assert_eq!(seen(&bench.ask(close(), at(4))), one("closed"));
}
