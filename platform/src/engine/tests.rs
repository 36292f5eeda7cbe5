//! The core against a real store, round by round: believe, apply, commit, and only then send.

mod capped;
mod hand;
mod reading;
mod reconcile;
mod restart;

use std::time::Duration;

use protocol::codec::{Envelope, Record, decode, encode};
use protocol::id::{BootId, JournalId, MessageId, Nonce, PaymentId, SessionId, TransactionId};
use protocol::message::{
    Ack, Charge, Digest, GatewayAnswer, GatewayRequest, GatewayResult, Hello, ItemLine,
    LinkageCommand, OrderRequest, OrderStatus, OrderView, PaymentMessage, PaymentNotice,
    PaymentReply, PaymentView, UpMessage,
};
use protocol::money::Money;
use protocol::signed::{Audience, Claims, Jws, Keyring, SigningKey, sign};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Down, Gateway as GatewayKind, TerminalName, Topic};
use tempfile::TempDir;

use super::*;
use crate::config;
use crate::site::{Described, Site};
use crate::store::sqlite::SqliteStore;

struct Desk {
    core: Core,
    store: SqliteStore,
    now: Now,
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), CapLimits::default())
    }

    fn open(folder: TempDir, caps: CapLimits) -> Self {
        let platform: PlatformId = "main".parse().unwrap();
        let mut seed = 0_u8;
        let mut entropy = move || {
            seed = seed.wrapping_add(1);
            [seed; 16]
        };
        let store = SqliteStore::open(folder.path(), &platform, &mut entropy).unwrap();
        let gateways = [config::Gateway {
            id: "mock".parse().unwrap(),
            keyring: Keyring::of(gateway_key().public()),
            capabilities: config::Capabilities::default(),
        }];
        let timeouts = Timeouts::default();
        let ground = Ground {
            speaker: Arc::new(Speaker {
                platform,
                key: SigningKey::from_seed([3; 32]),
            }),
            registry: Arc::new(Registry::build(&[site()]).unwrap()),
            gateways: gateway::gateways(&gateways, &timeouts, UncertainPolicy::default(), &Sound),
            store_epoch: store.epoch(),
            serial: store.starts(),
            status_url: Some("https://pay.example/r/".to_owned()),
            caps,
        };
        let epoch = store.epoch_row().unwrap();
        let holds = store.holds().unwrap();
        let revoked = store.revoked_keys().unwrap();
        let capped = store.capped().unwrap();
        let mut desk = Self {
            core: Core::new(ground, Box::new(SystemEntropy::new())),
            store,
            now: Now {
                utc: Utc::EPOCH,
                tick: Tick::from_millis(1_000),
            },
            folder,
        };
        desk.core.forget();
        desk.core.adopt_holds(holds);
        desk.core.adopt_revoked(&revoked);
        desk.core.adopt_capped(capped, desk.now.tick);
        desk.core.adopt_epoch(&epoch, desk.now);
        for row in desk.store.open_sales(None, 100).unwrap() {
            let outbox = desk.store.outbox(Some(row.transaction)).unwrap();
            desk.core.adopt(&row, outbox, desk.now);
        }
        desk.core.handle_loaded(desk.now);
        desk
    }

    /// The process is killed and starts again.
    fn killed(self) -> Self {
        let Self {
            core,
            store,
            folder,
            ..
        } = self;
        drop(store);
        Self::open(folder, core.ground.caps)
    }

    /// One message in, and what is sent after the commit.
    fn take(&mut self, topic: &Topic, payload: &[u8]) -> Vec<Parcel> {
        self.believe(topic, payload);
        self.finish()
    }

    /// Everything of a round but its commit.
    fn believe(&mut self, topic: &Topic, payload: &[u8]) {
        let taken = self.core.believe(topic, payload, false);
        for transaction in self.core.wanted(&taken.intent) {
            self.load(transaction);
        }
        self.core.apply(taken.intent, self.now);
        if let Some((terminal, record)) = taken.record {
            self.core.take_record(&terminal, record, self.now);
        }
    }

    fn load(&mut self, transaction: TransactionId) {
        if let Some(row) = self.store.sale(transaction).unwrap() {
            let outbox = self.store.outbox(Some(transaction)).unwrap();
            self.core.adopt(&row, outbox, self.now);
        }
    }

    fn finish(&mut self) -> Vec<Parcel> {
        let group = self.core.take_group(self.now);
        if group.needs_commit() {
            self.store.commit_all(group.batch()).unwrap();
        }
        self.core.handle_committed();
        group.parcels
    }

    fn say<M: UpMessage>(&mut self, body: M, record: Option<Record>) -> Vec<Parcel> {
        let (topic, payload) = up(body, record);
        self.take(&topic, &payload)
    }

    fn answer(&mut self, asked: &Parcel, result: GatewayResult) -> Vec<Parcel> {
        let (topic, payload) = answer(asked, result);
        self.take(&topic, &payload)
    }

    /// Order, quote, notice, payment: the permit is committed and sent.
    fn permitted(&mut self) -> Vec<Parcel> {
        let create = self.say(order(), None);
        self.answer(&create[0], GatewayResult::Order(view(&[])));
        let query = self.say(notice(session()), None);
        self.answer(&query[0], GatewayResult::Order(view(&[exact()])))
    }

    fn state(&self) -> String {
        self.store.sale(transaction()).unwrap().unwrap().state
    }
}

#[test]
fn an_order_becomes_a_quote_and_a_paid_one_a_permit() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    assert_eq!(topics(&create), [gateway_topic(GatewayKind::Request)]);
    let quote = desk.answer(&create[0], GatewayResult::Order(view(&[])));
    assert_eq!(topics(&quote), [down(Down::Payment)]);
    let reply: Envelope<PaymentReply> = decode(&quote[0].payload).unwrap();
    assert!(matches!(reply.body, PaymentReply::Quote(_)));
    let query = desk.say(notice(session()), None);
    assert_eq!(topics(&query), [gateway_topic(GatewayKind::Request)]);
    let permit = desk.answer(&query[0], GatewayResult::Order(view(&[exact()])));
    assert_eq!(topics(&permit), [down(Down::Linkage)]);
    let command: Envelope<LinkageCommand> = decode(&permit[0].payload).unwrap();
    assert!(matches!(command.body, LinkageCommand::Permit(_)));
    assert_eq!(desk.state(), "commanded");
}

#[test]
fn a_permit_is_on_the_disk_before_it_is_sent_and_the_same_bytes_are_sent_again() {
    let mut desk = Desk::new();
    let permit = desk.permitted();
    let kept = desk.store.outbox(Some(transaction())).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].payload, permit[0].payload);
    let mut desk = desk.killed();
    desk.core.handle_connected();
    assert_eq!(desk.finish(), permit);
}

#[test]
fn what_was_not_committed_was_not_sent_and_never_happened() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    let query = desk.say(notice(session()), None);
    let (topic, payload) = answer(&query[0], GatewayResult::Order(view(&[exact()])));
    desk.believe(&topic, &payload); // killed before the commit
    let mut desk = desk.killed();
    assert_eq!(desk.state(), "confirming");
    let permit = desk.take(&topic, &payload); // the broker brings it again
    assert!(topics(&permit).contains(&down(Down::Linkage)));
    assert_eq!(desk.state(), "commanded");
}

#[test]
fn a_notice_for_an_order_that_is_unknown_or_of_another_session_moves_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.say(notice(session()), None), vec![]);
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    let other = SessionId::from_random([77; 16]);
    assert_eq!(desk.say(notice(other), None), vec![]);
    assert_eq!(desk.state(), "awaiting_payment");
}

#[test]
fn an_amount_that_the_terminal_invented_is_refused() {
    let mut desk = Desk::new();
    let mut request = order_request();
    request.amount = money(1);
    let refused = desk.say(signed_order(&terminal_key(), &request), None);
    let reply: Envelope<PaymentReply> = decode(&refused[0].payload).unwrap();
    let PaymentReply::Refused(refused) = reply.body else {
        panic!("{reply:?}");
    };
    assert_eq!(refused.reason, protocol::message::OrderRefusal::Amount);
    assert_eq!(desk.store.sale(transaction()).unwrap(), None);
}

#[test]
fn what_is_malformed_or_signed_by_another_is_dropped() {
    let mut desk = Desk::new();
    let stranger = SigningKey::from_seed([9; 32]);
    let foreign = signed_order(&stranger, &order_request());
    assert_eq!(desk.say(foreign, None), vec![]);
    let topic = Topic::Up(gate(), protocol::topic::Up::Payment);
    for payload in [
        &b"{"[..],
        &[b' '; 9_000],
        b"{\"version\":2}",
        "支付".as_bytes(),
    ] {
        assert_eq!(desk.take(&topic, payload), vec![]);
    }
    let unknown: TerminalName = "north/gate-9".parse().unwrap();
    let (_, payload) = up(order(), None);
    let topic = Topic::Up(unknown, protocol::topic::Up::Payment);
    assert_eq!(desk.take(&topic, &payload), vec![]);
    assert_eq!(desk.store.open_sales(None, 9).unwrap(), vec![]);
}

#[test]
fn a_signed_answer_to_no_question_of_ours_moves_nothing() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    // Answered before: a replay.
    let paid = GatewayResult::Order(view(&[exact()]));
    assert_eq!(desk.answer(&create[0], paid), vec![]);
    assert_eq!(desk.state(), "awaiting_payment");
}

#[test]
fn a_hello_is_answered_with_the_config_and_what_is_open() {
    let mut desk = Desk::new();
    let permit = desk.permitted();
    let said = desk.say(hello(vec![transaction()]), None);
    assert_eq!(topics(&said), [down(Down::Config), down(Down::Linkage)]);
    assert_eq!(said[1], permit[0]);
}

#[test]
fn records_are_acknowledged_with_the_commit_that_holds_their_effect() {
    let mut desk = Desk::new();
    let record = |sequence| {
        Some(Record {
            journal: journal(),
            sequence,
        })
    };
    desk.say(order(), record(1));
    let said = desk.say(notice(session()), record(2));
    let ack: Envelope<Ack> = decode(&said.last().unwrap().payload).unwrap();
    assert_eq!((ack.body.journal, ack.body.through), (journal(), 2));
    let kept = desk.store.terminal(&gate()).unwrap().unwrap();
    assert_eq!(kept.journals.get(&journal()), Some(&2));
}

#[test]
fn a_new_session_ends_the_offer_of_the_one_before() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    let mut second = order_request();
    second.transaction = TransactionId::from_random([8; 16]);
    second.session = SessionId::from_random([9; 16]);
    let said = desk.say(signed_order(&terminal_key(), &second), None);
    let operations: Vec<&'static str> = said
        .iter()
        .map(|parcel| asked(parcel).operation.as_str())
        .collect();
    // The second order waits for the first one's end.
    assert_eq!(operations, ["query"]);
    let said = desk.answer(&said[0], GatewayResult::Order(view(&[])));
    let closed = OrderView {
        status: OrderStatus::Closed,
        ..view(&[])
    };
    let said = desk.answer(&said[0], GatewayResult::Order(closed));
    let created: Vec<TransactionId> = said
        .iter()
        .filter(|parcel| matches!(parcel.topic, Topic::Gateway(..)))
        .filter_map(|parcel| asked(parcel).operation.order())
        .collect();
    assert_eq!(created, [second.transaction]);
}

#[test]
fn a_sale_that_is_over_leaves_memory_and_still_answers() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(
        &create[0],
        GatewayResult::Refused(protocol::message::GatewayRefusal::PayeeUnknown),
    );
    assert_eq!(desk.state(), "expired");
    for _ in 0..400 {
        let Some(due) = desk
            .core
            .poll_timeout()
            .filter(|due| *due < Tick::from_millis(260_000))
        else {
            break;
        };
        desk.now.tick = desk.now.tick.max(due);
        desk.core.handle_timeout(&[], desk.now);
        desk.finish();
    }
    assert!(!desk.core.has(transaction()));
    let said = desk.say(hello(vec![transaction()]), None);
    assert_eq!(topics(&said), [down(Down::Config), down(Down::Payment)]);
    assert!(
        desk.core
            .poll_timeout()
            .is_some_and(|due| due.since(desk.now.tick) <= Duration::from_secs(60))
    );
}

#[test]
fn the_late_watch_of_a_sale_out_of_memory_asks_when_it_is_due() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    let refused = protocol::message::GatewayRefusal::PayeeUnknown;
    desk.answer(&create[0], GatewayResult::Refused(refused));
    while desk.core.has(transaction()) {
        desk.now.tick = desk.core.poll_timeout().unwrap();
        desk.core.handle_timeout(&[], desk.now);
        desk.finish();
    }
    desk.now.tick = desk.core.poll_timeout().unwrap();
    let watched = desk.core.due_elsewhere(desk.now.tick);
    assert_eq!(watched, [transaction()]);
    desk.load(transaction());
    desk.core.handle_timeout(&watched, desk.now);
    let said = desk.finish();
    assert_eq!(said.len(), 1);
    assert_eq!(asked(&said[0]).operation.as_str(), "query");
    // Money after all: back with it.
    let refund = desk.answer(&said[0], GatewayResult::Order(view(&[exact()])));
    assert_eq!(asked(refund.last().unwrap()).operation.as_str(), "refund");
}

fn topics(parcels: &[Parcel]) -> Vec<Topic> {
    parcels.iter().map(|parcel| parcel.topic.clone()).collect()
}

fn up<M: UpMessage>(body: M, record: Option<Record>) -> (Topic, Vec<u8>) {
    let mut envelope = Envelope::new(MessageId::from_random([1; 16]), Utc::EPOCH, body);
    envelope.record = record;
    (Topic::Up(gate(), M::KIND), encode(&envelope).unwrap())
}

fn asked(parcel: &Parcel) -> GatewayRequest {
    let envelope: Envelope<Jws<GatewayRequest>> = decode(&parcel.payload).unwrap();
    let ours = Keyring::of(SigningKey::from_seed([3; 32]).public());
    let audience = Audience::gateway(&"mock".parse().unwrap());
    protocol::signed::verify(&envelope.body, &ours, &audience)
        .unwrap()
        .into_claims()
}

fn answer(parcel: &Parcel, result: GatewayResult) -> (Topic, Vec<u8>) {
    let request = asked(parcel);
    let answer = GatewayAnswer {
        aud: ours(),
        gateway: "mock".parse().unwrap(),
        nonce: request.nonce,
        order: request.operation.order(),
        result,
        answered_at: Utc::EPOCH,
    };
    let jws = sign(&gateway_key(), &answer).unwrap();
    let envelope = Envelope::new(MessageId::from_random([2; 16]), Utc::EPOCH, jws);
    (
        gateway_topic(GatewayKind::Response),
        encode(&envelope).unwrap(),
    )
}

fn signed_order(key: &SigningKey, request: &OrderRequest) -> PaymentMessage {
    PaymentMessage::OrderRequest(signed(key, request))
}

fn signed<T: Claims>(key: &SigningKey, claims: &T) -> Jws<T> {
    sign(key, claims).unwrap()
}

fn order() -> PaymentMessage {
    signed_order(&terminal_key(), &order_request())
}

fn order_request() -> OrderRequest {
    OrderRequest {
        aud: ours(),
        terminal: gate(),
        transaction: transaction(),
        session: session(),
        boot: BootId::from_random([5; 16]),
        journal: journal(),
        nonce: Nonce::from_random([4; 16]),
        nonce_lifetime_ms: 180_000,
        charge: Charge::Items(vec![ItemLine {
            item: "stay".parse().unwrap(),
            quantity: 1,
        }]),
        amount: money(450),
        tariff_version: Registry::build(&[site()])
            .unwrap()
            .terminal(&gate())
            .unwrap()
            .site
            .tariff_version,
        payer: None,
        return_url: "http://gate-1/return".to_owned(),
        requested_at: Utc::EPOCH,
        clock_error_ms: 0,
        status_token_sha256: Some(Digest::of(b"token")),
    }
}

fn notice(session: SessionId) -> PaymentMessage {
    PaymentMessage::Notice(PaymentNotice {
        transaction: transaction(),
        session,
        noticed_at: Utc::EPOCH,
    })
}

fn hello(open: Vec<TransactionId>) -> Hello {
    Hello {
        boot: BootId::from_random([5; 16]),
        journal: journal(),
        open,
        agent_version: "0.1.0".to_owned(),
        public_key: terminal_key().public(),
        config_version: None,
        store_epoch: None,
    }
}

fn view(payments: &[PaymentView]) -> OrderView {
    OrderView {
        order: transaction(),
        status: if payments.is_empty() {
            OrderStatus::Open
        } else {
            OrderStatus::Paid
        },
        amount: money(450),
        payee: "shop".parse().unwrap(),
        pay_url: "http://pay/1".to_owned(),
        payments: payments.to_vec(),
        refunds: vec![],
        declines: 0,
    }
}

fn exact() -> PaymentView {
    PaymentView {
        payment: PaymentId::from_random([6; 16]),
        amount: money(450),
        payee: "shop".parse().unwrap(),
        refunded: money(0),
        disputed: false,
        paid_at: Utc::EPOCH,
    }
}

fn site() -> Described {
    let site: Site = serde_json::from_value(serde_json::json!({
        "id": "north",
        "merchant": {"name": "North", "about": {"en": "Parking"}, "help": "Call 1"},
        "payee": {"id": "shop", "name": "Shop"},
        "currency": "CNY",
        "time_zone": "Asia/Shanghai",
        "gateway": "mock",
        "items": [{"id": "stay", "name": {"en": "Short stay"}, "price": "4.50"}],
        "terminals": [{
            "id": "gate-1",
            "place": {"id": "north-gate", "name": "North gate"},
            "devices": ["gate"],
            "public_key": terminal_key().public(),
        }],
    }))
    .unwrap();
    Described::from(site)
}

fn down(kind: Down) -> Topic {
    Topic::Down(gate(), kind)
}

fn gateway_topic(kind: GatewayKind) -> Topic {
    Topic::Gateway("mock".parse().unwrap(), kind, "main".parse().unwrap())
}

fn gate() -> TerminalName {
    "north/gate-1".parse().unwrap()
}

fn ours() -> Audience {
    Audience::platform(&"main".parse().unwrap())
}

fn money(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn transaction() -> TransactionId {
    TransactionId::from_random([1; 16])
}

fn session() -> SessionId {
    SessionId::from_random([2; 16])
}

fn journal() -> JournalId {
    JournalId::from_random([3; 16])
}

fn terminal_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn gateway_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}
