//! What stops a raw rumqttd leaves the door serving.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use broker::{Listener, TlsFiles};
use proptest::test_runner::{RngAlgorithm, TestRng};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::support::*;

fn with_tls(folder: &Path) -> broker::Config {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.join("server.pem"),
        key: folder.join("server.key"),
    };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut config = config();
    config.listen.push(Listener {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        tls: Some(files),
    });
    config
}

async fn open_tls(broker: &Running, folder: &Path) -> Raw {
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(folder.join("server.pem")).unwrap();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(broker.addresses[1]).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let session = TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await;
    Raw::over(session.unwrap())
}

#[tokio::test]
async fn idle_sockets_on_plain_and_tls_listeners_hold_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(with_tls(folder.path())).await;
    let mut idle = Vec::new();
    for address in broker.addresses.clone() {
        for _ in 0..50 {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
    }
    broker.assert_serves().await;
    let mut gate = open_tls(&broker, folder.path()).await;
    gate.send(&Connect::of(GATE_1).bytes()).await;
    gate.expect(&connack(false, 0)).await;
    gate.subscribe(&[(ALL_DOWN_1, 1)]).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.publish(DOWN_1, &[b'x'; 8 * 1024], 1).await;
    assert_eq!(gate.delivery().await.payload, [b'x'; 8 * 1024]);
    broker.stop().await;
}

#[tokio::test]
async fn plain_bytes_on_the_tls_listener_are_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(with_tls(folder.path())).await;
    let mut plain = Raw::open(broker.addresses[1]).await;
    plain.send(&Connect::of(GATE_1).bytes()).await;
    // Whatever TLS says to that, the end follows.
    plain.drain().await;
    open_tls(&broker, folder.path()).await;
}

#[tokio::test]
async fn idle_sockets_are_closed_at_their_deadlines() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = with_tls(folder.path());
    config.limits.handshake_timeout_ms = 200;
    config.limits.connect_timeout_ms = 200;
    let broker = start(config).await;
    Raw::open(broker.addresses[0]).await.expect_close().await;
    Raw::open(broker.addresses[1]).await.expect_close().await;
    // A CONNECT that comes one byte short of whole.
    let mut slow = broker.open().await;
    let connect = Connect::of(GATE_1).bytes();
    slow.send(&connect[..connect.len() - 1]).await;
    slow.expect_close().await;
}

#[tokio::test]
async fn strangers_can_not_take_all_places() {
    let mut config = config();
    config.limits.unauthenticated_max = 4;
    let broker = start(config).await;
    let mut held = Vec::new();
    let mut gate = broker.client(GATE_1).await;
    for _ in 0..4 {
        held.push(broker.open().await);
    }
    // All four are counted once one more is turned away; who is in stays in.
    broker.open().await.expect_close().await;
    gate.ping().await;
    drop(held);
    broker
        .connect_when_open(Connect::of(PLATFORM))
        .await
        .ping()
        .await;
}

#[tokio::test]
async fn bad_client_ids_again_and_again() {
    let broker = start(config()).await;
    for round in 0..20 {
        for mark in ["+", "$", "#", "/"] {
            let mut client = broker.open().await;
            let connect = Connect {
                client_id: format!("bad{mark}{}", round % 2),
                ..Connect::of(GATE_1)
            };
            client.send(&connect.bytes()).await;
            client.expect(&connack(false, 2)).await;
            client.expect_close().await;
        }
    }
    broker.assert_serves().await;
}

#[tokio::test]
async fn the_connection_limit_with_a_client_that_keeps_trying() {
    let mut config = config();
    config.limits.connections_max = 2;
    let broker = start(config).await;
    let mut gate = broker.client(GATE_1).await;
    let mut platform = broker.client(PLATFORM).await;
    for _ in 0..100 {
        let mut refused = broker.open().await;
        refused.try_send(&Connect::of(GATE_2).bytes()).await;
        refused.expect_close().await;
    }
    gate.ping().await;
    platform.ping().await;
    drop(platform);
    broker
        .connect_when_open(Connect::of(GATE_2))
        .await
        .ping()
        .await;
    gate.ping().await;
}

#[tokio::test]
async fn topics_of_several_bytes_a_character() {
    let broker = start(config()).await;
    for user in [GATE_1, PLATFORM, GATEWAY, MONITOR] {
        let mut client = broker.client(user).await;
        for qos in [0, 1] {
            client.publish("支付/1", b"x", qos).await;
            client
                .publish("paylatch/v1/支付/gate-1/up/payment", b"x", qos)
                .await;
        }
        let codes = client.subscribe_for(&[("支付/#", 1), ("支付/1", 1)]).await;
        assert_eq!(codes, [0x80, 0x80]);
        client.ping().await;
    }
    broker.assert_serves().await;
}

#[tokio::test]
async fn packets_that_no_client_sends_and_the_same_id_again() {
    let broker = start(config()).await;
    for user in [GATE_1, PLATFORM] {
        // Reserved, CONNACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PINGRESP, AUTH of MQTT 5.
        for first in [0x00, 0x20, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xf0] {
            let mut client = broker.connect_when_open(Connect::of(user)).await;
            client.send(&[first, 2, 0, 1]).await;
            client.expect_close().await;
            let mut stranger = broker.open().await;
            stranger.send(&[first, 2, 0, 1]).await;
            stranger.expect_close().await;
        }
    }
    broker.assert_serves().await;
}

#[tokio::test]
async fn subscribers_of_a_busy_topic_that_come_and_go() {
    let broker = start(config()).await;
    let mut gate = broker.client(GATE_1).await;
    let flooding = tokio::spawn(async move {
        loop {
            for _ in 0..64 {
                gate.publish(UP_1, &[b'x'; 200], 0).await;
            }
            gate.ping().await;
        }
    });
    for round in 0..40 {
        let mut platform = broker.connect_at_last(Connect::of(PLATFORM)).await;
        platform.subscribe(&[(ALL_UP, round % 2)]).await;
        platform.delivery().await;
        if round % 3 > 0 {
            platform.send(&[0xe0, 0]).await;
            platform.drain().await;
        }
    }
    flooding.abort();
    broker.assert_serves().await;
    broker.stop().await;
}

#[tokio::test]
async fn persistent_subscribers_that_drop_with_unacknowledged_messages() {
    let broker = start(config()).await;
    let kept = Connect {
        is_clean: false,
        ..Connect::of(PLATFORM)
    };
    let mut gate = broker.client(GATE_1).await;
    let shared = format!("$share/group/{ALL_PAYMENTS}");
    for round in 0..10 {
        let mut platform = broker.open().await;
        platform.send(&kept.bytes()).await;
        platform.expect(&connack(round > 0, 0)).await;
        // Whatever was unacknowledged before comes first.
        for _ in 0..round {
            assert!(platform.delivery().await.duplicate);
        }
        assert_eq!(
            platform
                .subscribe_for(&[(&shared, 1), (ALL_PAYMENTS, 1)])
                .await,
            [0x80, 1]
        );
        gate.publish(UP_1, b"x", 1).await;
        assert!(!platform.delivery().await.duplicate);
    }
    broker.stop().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_and_holds_nobody_up() {
    let mut config = config();
    config.limits.write_timeout_ms = 500;
    let broker = start(config).await;
    let mut deaf = broker.client(GATE_1).await;
    deaf.subscribe(&[(ALL_DOWN_1, 0)]).await;
    let mut monitor = broker.client(MONITOR).await;
    monitor
        .subscribe(&[("paylatch/v1/north/gate-1/up/presence", 1)])
        .await;
    assert_eq!(monitor.delivery().await.topic, PRESENCE_1);
    let mut other = broker.client(GATE_2).await;
    other.subscribe(&[(ALL_DOWN_2, 1)]).await;
    let mut platform = broker.client(PLATFORM).await;
    let flooding = tokio::spawn(async move {
        loop {
            for _ in 0..16 {
                platform.publish(DOWN_1, &[b'x'; 8 * 1024], 0).await;
            }
            platform.publish(DOWN_2, b"through", 0).await;
            platform.ping().await;
        }
    });
    for _ in 0..50 {
        assert_eq!(other.delivery().await.payload, b"through");
    }
    // The second state of presence is that it is gone.
    assert_eq!(monitor.delivery().await.topic, PRESENCE_1);
    flooding.abort();
    broker.assert_serves().await;
}

#[tokio::test]
async fn a_client_that_publishes_and_never_reads_its_answers_is_closed() {
    let mut config = config();
    config.limits.write_timeout_ms = 500;
    let broker = start(config).await;
    let mut deaf = broker.client(GATE_1).await;
    let burst: Vec<u8> = (0..1_000).flat_map(|_| publish(UP_1, b"x", 1, 1)).collect();
    // Some megabytes of PUBACK fill every buffer on the way back.
    let mut bursts = 0;
    while deaf.try_send(&burst).await {
        bursts += 1;
        assert!(bursts < 10_000, "never closed");
    }
    broker.assert_serves().await;
}

const MALFORMED_SESSIONS: u64 = 20_000;

/// So many at once: more would wait for each other on the places of the unauthenticated.
const AT_ONCE: usize = 64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_malformed_sessions() {
    let broker = start(config()).await;
    let address = broker.address();
    let mut tasks = JoinSet::new();
    for seed in 0..MALFORMED_SESSIONS {
        if tasks.len() >= AT_ONCE {
            tasks.join_next().await.unwrap().unwrap();
        }
        tasks.spawn(async move {
            let mut client = Raw::open(address).await;
            client.try_send(&malformed_session(seed)).await;
        });
    }
    tasks.join_all().await;
    // Sessions that were kept give way to those who are here.
    broker
        .connect_at_last(Connect::of(PLATFORM))
        .await
        .ping()
        .await;
    broker.assert_serves().await;
    broker.stop().await;
}

/// A valid session of several packets with some bytes changed, cut or doubled. The same for the
/// same seed.
fn malformed_session(seed: u64) -> Vec<u8> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
    let user = [GATE_1, GATE_2, PLATFORM, GATEWAY, MONITOR][below(&mut random, 5)];
    let connect = Connect {
        client_id: format!("{user}-{}", below(&mut random, 4)),
        is_clean: below(&mut random, 2) == 0,
        ..Connect::of(user)
    };
    let mut bytes = connect.bytes();
    // Half of them get past the CONNECT.
    let first = if below(&mut random, 2) == 0 {
        bytes.len()
    } else {
        0
    };
    bytes.extend(subscribe(1, &[(ALL_UP, 1), (ALL_DOWN_1, 1)]));
    bytes.extend(publish(UP_1, b"hello", 1, 2));
    bytes.extend(unsubscribe(3, &[ALL_UP]));
    bytes.extend([0x40, 2, 0, 1, 0xc0, 0]);
    for _ in 0..=below(&mut random, 6) {
        let at = first + below(&mut random, bytes.len() - first);
        match below(&mut random, 4) {
            0 => bytes[at] = bytes[at].wrapping_add(1),
            1 => bytes[at] = u8::try_from(below(&mut random, 256)).unwrap(),
            2 => bytes.truncate(at.max(first + 1)),
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

fn below(random: &mut TestRng, bound: usize) -> usize {
    use proptest::prelude::Rng as _;
    usize::try_from(random.next_u64() % u64::try_from(bound).unwrap()).unwrap()
}
