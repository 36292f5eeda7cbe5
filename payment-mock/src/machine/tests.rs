mod checkout;
mod forged;
mod outcomes;
mod request;
mod rules;

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::codec::{Envelope, decode, encode};
use protocol::id::{GatewayId, MessageId, Nonce, PlatformId, TransactionId};
use protocol::message::{
    CreateOrder, GatewayAnswer, GatewayEvent, GatewayRequest, GatewayResult, Operation, OrderView,
};
use protocol::money::Money;
use protocol::signed::{Audience, Jws, Keyring, SigningKey, sign, verify};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Gateway, Topic};

use super::{Arrival, Identity, Machine, Note, Output, Publication};
use crate::config::Delays;
use crate::ledger::{Capabilities, Entry, Ledger, Rules};
use crate::scenario::{Outcome, Ruleset, Scenario, Silence};

const PLATFORM_SEED: [u8; 32] = [1; 32];
const GATEWAY_SEED: [u8; 32] = [2; 32];

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::EPOCH.saturating_add(Duration::from_millis(millis)),
        tick: Tick::from_millis(millis),
    }
}

fn platform() -> PlatformId {
    "north".parse().unwrap()
}

fn gateway() -> GatewayId {
    "mock".parse().unwrap()
}

fn order(byte: u8) -> TransactionId {
    TransactionId::from_random([byte; 16])
}

fn money(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn create(byte: u8) -> CreateOrder {
    CreateOrder {
        order: order(byte),
        amount: money(450),
        payee: "shop".parse().unwrap(),
        payee_name: "Shop".to_owned(),
        place_name: "Gate 1".to_owned(),
        description: "Short stay".to_owned(),
        return_url: "http://127.0.0.1:8080/s".to_owned(),
        lifetime_ms: 120_000,
    }
}

/// A machine with predictable randomness.
struct Bench {
    machine: Machine,
    drawn: u8,
}

impl Bench {
    fn new(outcome: Outcome) -> Self {
        Self::with(outcome, Ruleset::default(), Capabilities::default())
    }

    fn with_rules(rules: Ruleset) -> Self {
        Self::with(Outcome::Paid, rules, Capabilities::default())
    }

    fn with(outcome: Outcome, rules: Ruleset, capabilities: Capabilities) -> Self {
        let identity = Identity {
            gateway: gateway(),
            key: SigningKey::from_seed(GATEWAY_SEED),
            platforms: BTreeMap::from([(
                platform(),
                Keyring::of(SigningKey::from_seed(PLATFORM_SEED).public()),
            )]),
            public_url: "http://pay".to_owned(),
        };
        let ledger = Ledger::new(Rules {
            payees: ["shop".parse().unwrap()].into(),
            capabilities,
            late_booking: Duration::from_millis(500),
        });
        let delays = Delays {
            silence: Silence::Queries(2),
            ..Delays::default()
        };
        let scenario = Scenario::new(outcome, rules, &delays);
        let tick = Tick::from_millis(0);
        Self {
            machine: Machine::new(std::sync::Arc::new(identity), ledger, scenario, tick),
            drawn: 0,
        }
    }

    fn call<T>(
        &mut self,
        run: impl FnOnce(&mut Machine, &mut dyn FnMut() -> [u8; 16]) -> T,
    ) -> (T, Vec<Output>) {
        let drawn = &mut self.drawn;
        let mut entropy = || {
            *drawn += 1;
            [*drawn; 16]
        };
        let result = run(&mut self.machine, &mut entropy);
        let outputs = std::iter::from_fn(|| self.machine.poll_output()).collect();
        (result, outputs)
    }

    fn ask(&mut self, operation: Operation, now: Now) -> Vec<Output> {
        let payload = encoded(&request(operation));
        self.deliver(&request_topic(), &payload, now)
    }

    fn deliver(&mut self, topic: &Topic, payload: &[u8], now: Now) -> Vec<Output> {
        let arrival = Arrival {
            topic,
            payload,
            retained: false,
        };
        self.call(|machine, mut entropy| machine.handle_request(arrival, now, &mut entropy))
            .1
    }

    fn wait_until(&mut self, now: Now) -> Vec<Output> {
        self.call(|machine, mut entropy| machine.handle_timeout(now, &mut entropy))
            .1
    }
}

fn request_topic() -> Topic {
    Topic::Gateway(gateway(), Gateway::Request, platform())
}

fn request(operation: Operation) -> GatewayRequest {
    GatewayRequest {
        aud: Audience::gateway(&gateway()),
        platform: platform(),
        nonce: Nonce::from_random([77; 16]),
        operation,
        asked_at: Utc::EPOCH,
    }
}

fn encoded(request: &GatewayRequest) -> Vec<u8> {
    encoded_by(PLATFORM_SEED, request)
}

fn encoded_by(seed: [u8; 32], request: &GatewayRequest) -> Vec<u8> {
    let jws = sign(&SigningKey::from_seed(seed), request).unwrap();
    encode(&Envelope::new(
        MessageId::from_random([5; 16]),
        Utc::EPOCH,
        jws,
    ))
    .unwrap()
}

/// What an output is, with the content of signed messages verified.
#[derive(Debug, Clone, PartialEq)]
enum Told {
    Record(Entry),
    Answer(GatewayResult),
    Event(TransactionId),
    Noted(Note),
}

/// Without the notes: what the outside gets and the disk keeps.
fn done(outputs: &[Output]) -> Vec<Told> {
    let told = told(outputs).into_iter();
    told.filter(|told| !matches!(told, Told::Noted(_)))
        .collect()
}

fn told(outputs: &[Output]) -> Vec<Told> {
    outputs.iter().map(told_one).collect()
}

fn told_one(output: &Output) -> Told {
    match output {
        Output::Record(entry) => Told::Record(entry.clone()),
        Output::Noted(note) => Told::Noted(note.clone()),
        Output::Publish(publication) => match &publication.topic {
            Topic::Gateway(from, Gateway::Response, to) => {
                assert_eq!((from, to), (&gateway(), &platform()));
                let answer = verified::<GatewayAnswer>(publication);
                assert_eq!(answer.nonce, Nonce::from_random([77; 16]));
                Told::Answer(answer.result)
            }
            Topic::Gateway(from, Gateway::Event, to) => {
                assert_eq!((from, to), (&gateway(), &platform()));
                Told::Event(verified::<GatewayEvent>(publication).order)
            }
            topic => panic!("published to {topic}"),
        },
    }
}

fn verified<T: protocol::signed::Claims>(publication: &Publication) -> T {
    let envelope: Envelope<Jws<T>> = decode(&publication.payload).unwrap();
    let keyring = Keyring::of(SigningKey::from_seed(GATEWAY_SEED).public());
    let audience = Audience::platform(&platform());
    verify(&envelope.body, &keyring, &audience)
        .unwrap()
        .into_claims()
}

fn answers(outputs: &[Output]) -> Vec<GatewayResult> {
    let results = told(outputs).into_iter().filter_map(|told| match told {
        Told::Answer(result) => Some(result),
        Told::Record(_) | Told::Event(_) | Told::Noted(_) => None,
    });
    results.collect()
}

fn notes(outputs: &[Output]) -> Vec<Note> {
    let notes = outputs.iter().filter_map(|output| match output {
        Output::Noted(note) => Some(note.clone()),
        Output::Record(_) | Output::Publish(_) => None,
    });
    notes.collect()
}

fn view(outputs: &[Output]) -> OrderView {
    match answers(outputs).as_slice() {
        [GatewayResult::Order(view)] => view.clone(),
        other => panic!("not one order: {other:?}"),
    }
}
