//! The client against a broker that forgets, withholds, refuses and vanishes. Each test is one of
//! the ways in which rumqttc alone would lose a message or stand still.

#![cfg(test)]

mod door;
mod fake;

use std::time::Duration;

use protocol::codec::PAYLOAD_SIZE_MAX;
use protocol::topic::{Filter, Topic};
use protocol_client::{Client, ClientTls, Delivery, Event, Incoming, Options, PublishError};
use rumqttc::{Packet, QoS, SubscribeReasonCode};
use tokio_util::sync::CancellationToken;

use fake::{Fake, Peer, within};

const UP: &str = "paylatch/v1/north/gate-1/up/payment";
const DOWN: &str = "paylatch/v1/north/gate-1/down/payment";

struct Owner {
    client: Client,
    incoming: Incoming,
    shutdown: CancellationToken,
}

impl Owner {
    fn start(options: Options) -> Self {
        let shutdown = CancellationToken::new();
        // No jitter below the ceiling would make attempts bunch; none at all keeps tests fast.
        let (client, incoming) = protocol_client::start(options, || [0; 16], shutdown.clone());
        Self {
            client,
            incoming,
            shutdown,
        }
    }

    /// An owner whose first connection is ready.
    async fn ready(fake: &Fake, options: Options) -> (Self, Peer) {
        let mut owner = Self::start(options);
        let peer = fake.serve().await;
        owner.connected().await;
        (owner, peer)
    }

    async fn connected(&mut self) {
        let event = within(self.incoming.next()).await;
        assert!(matches!(event, Some(Event::Connected)), "{event:?}");
    }

    /// Past what the old connection still brought.
    async fn reconnected(&mut self) {
        loop {
            match within(self.incoming.next()).await {
                Some(Event::Connected) => return,
                Some(Event::Disconnected) => {}
                Some(Event::Delivery(delivery)) => delivery.ack(),
                None => panic!("the client has ended"),
            }
        }
    }

    async fn disconnected(&mut self) {
        let event = within(self.incoming.next()).await;
        assert!(matches!(event, Some(Event::Disconnected)), "{event:?}");
    }

    async fn delivery(&mut self) -> Delivery {
        match within(self.incoming.next()).await {
            Some(Event::Delivery(delivery)) => delivery,
            event => panic!("no delivery but {event:?}"),
        }
    }

    async fn publish(&self, text: &str) {
        let sent = self.client.publish(up(), text.as_bytes().to_vec());
        within(sent).await.unwrap();
    }
}

fn up() -> Topic {
    UP.parse().unwrap()
}

fn options(fake: &Fake) -> Options {
    let name = "north/gate-1".parse().unwrap();
    Options::new(
        "test",
        fake.address().into(),
        "gate-1",
        "north/gate-1",
        "secret",
    )
    .subscribe(Filter::down(&name))
}

#[tokio::test]
async fn connects_as_told_and_clean() {
    let fake = Fake::start().await;
    let will: Topic = "paylatch/v1/north/gate-1/up/presence".parse().unwrap();
    let mut owner = Owner::start(options(&fake).with_will(will, b"gone".to_vec()));
    let mut peer = fake.accept().await;
    let connect = peer.connect().await;
    assert_eq!(connect.client_id, "gate-1");
    assert!(connect.clean_session);
    assert_eq!(connect.keep_alive, 10);
    let login = connect.login.unwrap();
    assert_eq!(
        (&*login.username, &*login.password),
        ("north/gate-1", "secret")
    );
    let will = connect.last_will.unwrap();
    assert_eq!(
        (&*will.topic, &*will.message),
        ("paylatch/v1/north/gate-1/up/presence", &b"gone"[..])
    );
    assert_eq!(peer.subscribe().await, ["paylatch/v1/north/gate-1/down/+"]);
    owner.connected().await;
}

#[tokio::test]
async fn publishes_only_after_suback() {
    let fake = Fake::start().await;
    let mut owner = Owner::start(options(&fake));
    let mut peer = fake.accept().await;
    assert_eq!(
        owner.client.try_publish(up(), vec![]),
        Err(PublishError::Disconnected)
    );
    peer.connect().await;
    let subscribe = peer.next().await;
    assert!(matches!(subscribe, Packet::Subscribe(_)));
    assert_eq!(
        owner.client.publish(up(), vec![]).await,
        Err(PublishError::Disconnected)
    );
    assert!(!owner.client.is_connected());
    let granted = rumqttc::SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)]);
    peer.send(Packet::SubAck(granted)).await;
    owner.connected().await;
    assert!(owner.client.is_connected());
    owner.publish("one").await;
    let publish = peer.published().await;
    assert_eq!((&*publish.topic, &*publish.payload), (UP, &b"one"[..]));
    assert_eq!(
        (publish.qos, publish.dup, publish.retain),
        (QoS::AtLeastOnce, false, false)
    );
}

#[tokio::test]
async fn after_a_lost_session_only_the_owner_sends_again() {
    let fake = Fake::start().await;
    let (mut owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    for text in ["one", "two", "three"] {
        owner.publish(text).await;
        peer.published().await;
    }
    drop(peer);
    owner.disconnected().await;
    let mut peer = fake.serve().await;
    owner.connected().await;
    owner.publish("again").await;
    assert_eq!(peer.published().await.payload, "again");
}

#[tokio::test]
async fn acknowledgements_out_of_order_never_bring_an_id_round_that_is_in_use() {
    let fake = Fake::start().await;
    let options = Options {
        inflight_max: 4,
        ..options(&fake)
    };
    let (owner, mut peer) = Owner::ready(&fake, options).await;
    for round in 0..50 {
        let mut ids = Vec::new();
        for place in 0..4 {
            owner.publish(&format!("{round}-{place}")).await;
        }
        for place in 0..4 {
            let publish = peer.published().await;
            assert_eq!(publish.payload, format!("{round}-{place}"));
            assert!(!ids.contains(&publish.pkid));
            ids.push(publish.pkid);
        }
        for id in ids.into_iter().rev() {
            peer.acknowledge(id).await;
        }
    }
    assert!(owner.client.is_connected());
}

#[tokio::test]
async fn never_more_on_the_wire_than_the_window() {
    let fake = Fake::start().await;
    let options = Options {
        inflight_max: 2,
        ..options(&fake)
    };
    let (owner, mut peer) = Owner::ready(&fake, options).await;
    for text in ["1", "2", "3"] {
        owner.publish(text).await;
    }
    let first = peer.published().await.pkid;
    let second = peer.published().await.pkid;
    peer.acknowledge(second).await;
    // Were the third on its way, it would come before this answer.
    peer.deliver("x/unknown", vec![], 9).await;
    assert_eq!(peer.acknowledged().await, 9);
    peer.acknowledge(first).await;
    assert_eq!(peer.published().await.payload, "3");
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left() {
    let fake = Fake::start().await;
    let options = Options {
        acknowledge_timeout: Duration::from_millis(300),
        ..options(&fake)
    };
    let (mut owner, mut peer) = Owner::ready(&fake, options).await;
    owner.publish("one").await;
    peer.published().await;
    peer.closed().await;
    owner.disconnected().await;
    let _peer = fake.serve().await;
    owner.connected().await;
}

#[tokio::test]
async fn a_broker_that_answers_no_ping_is_left() {
    let fake = Fake::start().await;
    let options = Options {
        keep_alive: Duration::from_secs(1),
        ..options(&fake)
    };
    let (mut owner, mut peer) = Owner::ready(&fake, options).await;
    peer.answers_pings = false;
    assert_eq!(peer.next().await, Packet::PingReq);
    peer.closed().await;
    owner.disconnected().await;
}

#[tokio::test]
async fn a_broker_that_sends_no_connack_is_left() {
    let fake = Fake::start().await;
    let options = Options {
        connect_timeout: Duration::from_millis(200),
        ..options(&fake)
    };
    let mut owner = Owner::start(options);
    let mut silent = fake.accept().await;
    assert!(matches!(silent.next().await, Packet::Connect(_)));
    silent.closed().await;
    let _peer = fake.serve().await;
    owner.connected().await;
}

#[tokio::test]
async fn a_refused_subscription_is_no_connection() {
    let fake = Fake::start().await;
    let mut owner = Owner::start(options(&fake));
    let mut peer = fake.accept().await;
    peer.connect().await;
    peer.answer_subscribe(SubscribeReasonCode::Failure).await;
    peer.closed().await;
    let _peer = fake.serve().await;
    owner.connected().await;
}

#[tokio::test]
async fn a_closing_broker_is_not_hammered() {
    let fake = Fake::start().await;
    let shutdown = CancellationToken::new();
    let _running = protocol_client::start(options(&fake), || [0xff; 16], shutdown);
    let mut attempts = 0;
    let count = async {
        loop {
            drop(fake.try_accept().await);
            attempts += 1;
        }
    };
    let second_and_a_half = Duration::from_millis(1_450);
    assert!(
        tokio::time::timeout(second_and_a_half, count)
            .await
            .is_err()
    );
    // At once, after 500 ms, and the next after 1,000 ms more.
    assert_eq!(attempts, 2);
}

#[tokio::test]
async fn an_owner_that_publishes_from_its_event_loop_never_stands_still() {
    const COUNT: u16 = 200;
    let fake = Fake::start().await;
    let options = Options {
        inflight_max: 1,
        queue_max: 1,
        ..options(&fake)
    };
    let (mut owner, mut peer) = Owner::ready(&fake, options).await;
    let broker = tokio::spawn(async move {
        for id in 1..=COUNT {
            peer.deliver(DOWN, id.to_be_bytes().to_vec(), id).await;
        }
        let (mut answers, mut acknowledged) = (Vec::new(), Vec::new());
        while answers.len() + acknowledged.len() < 2 * usize::from(COUNT) {
            match peer.next().await {
                Packet::Publish(publish) => {
                    peer.acknowledge(publish.pkid).await;
                    answers.push(publish.payload);
                }
                Packet::PubAck(answer) => acknowledged.push(answer.pkid),
                packet => panic!("{packet:?}"),
            }
        }
        (answers, acknowledged)
    });
    for _ in 0..COUNT {
        let delivery = owner.delivery().await;
        let answer = owner.client.publish(up(), delivery.payload.to_vec());
        within(answer).await.unwrap();
        delivery.ack();
    }
    let (answers, acknowledged) = broker.await.unwrap();
    let ids: Vec<u16> = (1..=COUNT).collect();
    assert_eq!(acknowledged, ids);
    let bytes = ids.iter().map(|id| id.to_be_bytes().to_vec());
    assert_eq!(answers, bytes.collect::<Vec<_>>());
}

#[tokio::test]
async fn acknowledgements_leave_in_the_order_of_arrival() {
    let fake = Fake::start().await;
    let (mut owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    for id in [5, 6, 7] {
        peer.deliver(DOWN, vec![], id).await;
    }
    let [first, second, third] = [
        owner.delivery().await,
        owner.delivery().await,
        owner.delivery().await,
    ];
    third.ack();
    first.ack();
    assert_eq!(peer.acknowledged().await, 5);
    second.ack();
    assert_eq!(peer.acknowledged().await, 6);
    assert_eq!(peer.acknowledged().await, 7);
}

#[tokio::test]
async fn a_delivery_that_was_dropped_is_never_acknowledged() {
    let fake = Fake::start().await;
    let (mut owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    peer.deliver(DOWN, vec![1], 1).await;
    peer.deliver(DOWN, vec![2], 2).await;
    let first = owner.delivery().await;
    owner.delivery().await.ack();
    drop(first);
    peer.closed().await;
    owner.disconnected().await;
    let mut peer = fake.serve().await;
    owner.connected().await;
    peer.deliver(DOWN, vec![3], 1).await;
    owner.delivery().await.ack();
    assert_eq!(peer.acknowledged().await, 1);
}

#[tokio::test]
async fn an_acknowledgement_after_the_loss_hits_nothing() {
    let fake = Fake::start().await;
    let (mut owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    peer.deliver(DOWN, vec![1], 1).await;
    let late = owner.delivery().await;
    drop(peer);
    owner.disconnected().await;
    let mut peer = fake.serve().await;
    owner.connected().await;
    peer.deliver(DOWN, vec![2], 1).await;
    let present = owner.delivery().await;
    late.ack();
    peer.deliver("x/unknown", vec![], 2).await;
    owner.publish("probe").await;
    assert_eq!(peer.published().await.payload, "probe");
    present.ack();
    assert_eq!(peer.acknowledged().await, 1);
    assert_eq!(peer.acknowledged().await, 2);
}

#[tokio::test]
async fn what_nobody_can_handle_blocks_nothing() {
    let fake = Fake::start().await;
    let (mut owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    peer.deliver("paylatch/v2/elsewhere", vec![], 1).await;
    peer.deliver(DOWN, vec![0; PAYLOAD_SIZE_MAX + 1], 2).await;
    peer.deliver(DOWN, vec![0; 200 * 1024], 3).await;
    peer.deliver(DOWN, vec![0; PAYLOAD_SIZE_MAX], 4).await;
    for id in 1..=3 {
        assert_eq!(peer.acknowledged().await, id);
    }
    let delivery = owner.delivery().await;
    assert_eq!(delivery.payload.len(), PAYLOAD_SIZE_MAX);
    assert_eq!(delivery.topic.to_string(), DOWN);
    delivery.ack();
    assert_eq!(peer.acknowledged().await, 4);
}

#[tokio::test]
async fn an_oversize_publish_is_refused_before_the_wire() {
    let fake = Fake::start().await;
    let (owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    let giant = vec![0; PAYLOAD_SIZE_MAX + 1];
    assert_eq!(
        owner.client.publish(up(), giant).await,
        Err(PublishError::TooLarge)
    );
    let largest = vec![0; PAYLOAD_SIZE_MAX];
    owner.client.publish(up(), largest).await.unwrap();
    assert_eq!(peer.published().await.payload.len(), PAYLOAD_SIZE_MAX);
}

#[tokio::test]
async fn a_full_queue_is_told_and_a_loss_frees_whoever_waits() {
    let fake = Fake::start().await;
    let options = Options {
        inflight_max: 1,
        queue_max: 1,
        ..options(&fake)
    };
    let (owner, mut peer) = Owner::ready(&fake, options).await;
    owner.publish("on the wire").await;
    peer.published().await;
    owner.publish("queued").await;
    assert_eq!(
        owner.client.try_publish(up(), vec![]),
        Err(PublishError::Full)
    );
    let client = owner.client.clone();
    let waiter = tokio::spawn(async move { client.publish(up(), vec![]).await });
    tokio::task::yield_now().await;
    drop(peer);
    assert_eq!(
        within(waiter).await.unwrap(),
        Err(PublishError::Disconnected)
    );
}

#[tokio::test]
async fn a_shutdown_sends_the_rest_and_says_goodbye() {
    let fake = Fake::start().await;
    let options = Options {
        inflight_max: 1,
        ..options(&fake)
    };
    let (mut owner, mut peer) = Owner::ready(&fake, options).await;
    owner.publish("one").await;
    owner.publish("two").await;
    owner.shutdown.cancel();
    for text in ["one", "two"] {
        let publish = peer.published().await;
        assert_eq!(publish.payload, text);
        peer.acknowledge(publish.pkid).await;
    }
    assert_eq!(peer.next().await, Packet::Disconnect);
    peer.closed().await;
    owner.disconnected().await;
    assert!(within(owner.incoming.next()).await.is_none());
    assert_eq!(
        owner.client.publish(up(), vec![]).await,
        Err(PublishError::Disconnected)
    );
}

#[tokio::test]
async fn an_owner_that_leaves_ends_the_client() {
    let fake = Fake::start().await;
    let (owner, mut peer) = Owner::ready(&fake, options(&fake)).await;
    drop(owner.incoming);
    assert_eq!(peer.next().await, Packet::Disconnect);
}

#[tokio::test]
async fn tls_trusts_the_named_authority() {
    let (server, authority) = server_and_authority();
    let fake = Fake::with_tls(server).await;
    let (_owner, mut peer) = Owner::ready(&fake, trusting(&fake, &authority)).await;
    peer.deliver("x/unknown", vec![], 1).await;
    assert_eq!(peer.acknowledged().await, 1);
}

#[tokio::test]
async fn tls_trusts_no_other_authority() {
    let (server, _) = server_and_authority();
    let (_, foreign) = server_and_authority();
    let fake = Fake::with_tls(server).await;
    let owner = Owner::start(trusting(&fake, &foreign));
    assert!(within(fake.try_accept()).await.is_err());
    assert!(!owner.client.is_connected());
}

fn trusting(fake: &Fake, authority: &str) -> Options {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, authority).unwrap();
    let options = options(fake);
    let tls = ClientTls::from_ca_file(&file).unwrap();
    Options {
        broker: options.broker.with_tls(tls),
        ..options
    }
}

/// A server for 127.0.0.1, and the PEM of its own authority.
fn server_and_authority() -> (std::sync::Arc<rustls::ServerConfig>, String) {
    let certified = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    (std::sync::Arc::new(server), certified.cert.pem())
}
