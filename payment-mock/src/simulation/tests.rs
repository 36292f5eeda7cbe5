mod property;

use std::time::Duration;

use protocol::codec::{Envelope, decode, encode};
use protocol::id::{MessageId, Nonce};
use protocol::message::{
    CreateOrder, GatewayAnswer, GatewayRequest, GatewayResult, Operation, OrderStatus,
};
use protocol::money::Money;
use protocol::signed::{Audience, Jws, sign, verify};
use protocol::time::Utc;
use protocol::topic::Gateway;

use super::*;

const PLATFORM_SEED: [u8; 32] = [1; 32];

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::EPOCH.saturating_add(Duration::from_millis(millis)),
        tick: Tick::from_millis(millis),
    }
}

fn platform() -> PlatformId {
    "main".parse().unwrap()
}

fn order(byte: u8) -> TransactionId {
    TransactionId::from_random([byte; 16])
}

fn setup() -> Setup {
    let mut setup = Setup::new("mock".parse().unwrap(), [2; 32]);
    let key = SigningKey::from_seed(PLATFORM_SEED).public();
    setup.platforms.insert(platform(), Keyring::of(key));
    setup.payees = vec!["shop".parse().unwrap()];
    setup
}

/// Randomness of a seed, the same in every run.
#[derive(Clone)]
struct Counter(u64);

impl Entropy for Counter {
    fn bytes(&mut self) -> [u8; 16] {
        self.0 += 1;
        u128::from(self.0).to_be_bytes()
    }
}

fn ask(server: &mut Server, operation: Operation, now: Now, entropy: &mut Counter) {
    let gateway = "mock".parse().unwrap();
    let request = GatewayRequest {
        aud: Audience::gateway(&gateway),
        platform: platform(),
        nonce: Nonce::from_random([77; 16]),
        operation,
        asked_at: now.utc,
    };
    let jws = sign(&SigningKey::from_seed(PLATFORM_SEED), &request).unwrap();
    let id = MessageId::from_random([5; 16]);
    let payload = encode(&Envelope::new(id, now.utc, jws)).unwrap();
    let topic = Topic::Gateway(gateway, Gateway::Request, platform());
    server.handle_request(&topic, &payload, now, entropy);
}

fn create(byte: u8) -> Operation {
    Operation::Create(CreateOrder {
        order: order(byte),
        amount: Money::new(450, "CNY".parse().unwrap()).unwrap(),
        payee: "shop".parse().unwrap(),
        payee_name: "Shop".to_owned(),
        place_name: "Gate 1".to_owned(),
        description: "Short stay".to_owned(),
        return_url: String::new(),
        lifetime_ms: 120_000,
    })
}

fn outputs(server: &mut Server) -> Vec<Publication> {
    std::iter::from_fn(|| server.poll_output()).collect()
}

fn result(server: &Server, publication: &Publication) -> GatewayResult {
    let envelope: Envelope<Jws<GatewayAnswer>> = decode(&publication.payload).unwrap();
    let keyring = Keyring::of(server.public_key());
    let audience = Audience::platform(&platform());
    let answer = verify(&envelope.body, &keyring, &audience).unwrap();
    answer.into_claims().result
}

fn is_event(publication: &Publication) -> bool {
    matches!(publication.topic, Topic::Gateway(_, Gateway::Event, _))
}

/// An order that was paid at 10, with its answer and its event taken.
fn paid(entropy: &mut Counter) -> Server {
    let mut server = Server::new(setup(), at(0));
    ask(&mut server, create(1), at(0), entropy);
    assert!(server.press_pay(order(1), at(10), entropy));
    assert_eq!(outputs(&mut server).len(), 2);
    server
}

#[test]
fn a_payment_is_answered_announced_and_in_the_totals() {
    let mut entropy = Counter(0);
    let mut server = Server::new(setup(), at(0));
    ask(&mut server, create(1), at(0), &mut entropy);
    assert!(server.is_payable(order(1)) && !server.is_payable(order(2)));
    let answer = outputs(&mut server);
    assert!(matches!(
        result(&server, &answer[0]),
        GatewayResult::Order(view) if view.status == OrderStatus::Open
    ));
    assert!(!server.press_decline(order(1), at(5), &mut entropy));
    assert!(server.press_pay(order(1), at(10), &mut entropy));
    assert!(!server.press_pay(order(2), at(10), &mut entropy));
    let events = outputs(&mut server);
    assert_eq!(events.iter().filter(|event| is_event(event)).count(), 2);
    assert!(!server.is_payable(order(1)));
    assert_eq!(server.totals()[0].received.values().sum::<i64>(), 450);
}

#[test]
fn a_crash_keeps_what_was_recorded_and_loses_what_was_not_published() {
    let mut entropy = Counter(0);
    let mut server = Server::new(setup(), at(0));
    ask(&mut server, create(1), at(0), &mut entropy);
    server.press_pay(order(1), at(10), &mut entropy);
    let before = server.totals();
    server.restart(at(20));
    assert_eq!(server.poll_output(), None);
    assert_eq!(server.totals(), before);
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn an_open_order_has_its_whole_lifetime_again_after_a_crash() {
    let mut entropy = Counter(0);
    let mut server = Server::new(setup(), at(0));
    ask(&mut server, create(1), at(0), &mut entropy);
    assert_eq!(server.poll_timeout(), Some(Tick::from_millis(120_000)));
    server.restart(at(20));
    assert_eq!(server.poll_timeout(), Some(Tick::from_millis(120_020)));
    server.handle_timeout(at(120_020), &mut entropy);
    assert_eq!(server.totals()[0].status, OrderStatus::Closed);
}

#[test]
fn a_clone_goes_its_own_way() {
    let mut entropy = Counter(0);
    let original = paid(&mut entropy);
    let mut fork = original.clone();
    ask(&mut fork, create(2), at(20), &mut entropy);
    assert_eq!((original.totals().len(), fork.totals().len()), (1, 2));
}
