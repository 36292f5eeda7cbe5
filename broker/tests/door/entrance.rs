//! Who gets in, and what a CONNECT may say.

use std::net::SocketAddr;

use broker::{BuildError, Config, Identity, Policy, User};

use crate::support::*;

async fn answer_to(broker: &Running, connect: &Connect) -> Vec<Vec<u8>> {
    let mut client = broker.open().await;
    client.send(&connect.bytes()).await;
    client.drain().await
}

#[tokio::test]
async fn only_the_right_password_opens() {
    let broker = start(config()).await;
    for (user, password) in [
        (GATE_1, "wrong"),
        (GATE_1, ""),
        ("stranger", PASSWORD),
        ("", ""),
        (GATE_1, "open sesame "),
    ] {
        let connect = Connect {
            password: password.to_owned(),
            ..Connect::of(user)
        };
        let connect = Connect {
            client_id: "somebody".to_owned(),
            ..connect
        };
        assert_eq!(
            answer_to(&broker, &connect).await,
            [connack(false, 4)],
            "{user}"
        );
    }
    broker.assert_serves().await;
}

#[tokio::test]
async fn a_connect_without_a_user_is_refused() {
    let broker = start(config()).await;
    let mut body = text("MQTT");
    body.extend([4, 2, 0, 60]);
    body.extend(text("somebody"));
    let mut client = broker.open().await;
    client.send(&packet(0x10, &body)).await;
    assert_eq!(client.drain().await, [connack(false, 4)]);
}

#[tokio::test]
async fn other_protocol_versions_are_named_as_such() {
    let broker = start(config()).await;
    for level in [3, 5, 6] {
        let connect = Connect {
            level,
            ..Connect::of(GATE_1)
        };
        // MQTT 5 has a property length where 3.1.1 has the client id; either way: code 1.
        assert_eq!(answer_to(&broker, &connect).await, [connack(false, 1)]);
    }
}

#[tokio::test]
async fn bad_client_ids_are_refused_with_their_code() {
    let broker = start(config()).await;
    for client_id in [
        "",
        "a+b",
        "a#b",
        "$a",
        "a/b",
        "gate 1",
        "支付",
        &"x".repeat(65),
    ] {
        let connect = Connect {
            client_id: client_id.to_owned(),
            ..Connect::of(GATE_1)
        };
        assert_eq!(
            answer_to(&broker, &connect).await,
            [connack(false, 2)],
            "{client_id}"
        );
    }
}

#[tokio::test]
async fn a_will_outside_ones_rights_is_refused() {
    let broker = start(config()).await;
    for (topic, qos, expected) in [
        (UP_2, 1, Some(5)),
        (DOWN_1, 1, Some(5)),
        ("a/+", 0, Some(5)),
        ("支付/1", 0, Some(5)),
        (UP_1, 2, None),
    ] {
        let connect = Connect {
            will: Some((topic.to_owned(), b"gone".to_vec(), qos)),
            ..Connect::of(GATE_1)
        };
        let expected: Vec<_> = expected
            .map(|code| connack(false, code))
            .into_iter()
            .collect();
        assert_eq!(answer_to(&broker, &connect).await, expected, "{topic}");
    }
    broker.assert_serves().await;
}

#[tokio::test]
async fn anything_before_connect_and_a_second_connect_close() {
    let broker = start(config()).await;
    for first in [
        publish(UP_1, b"x", 1, 1),
        vec![0xc0, 0],
        subscribe(1, &[(ALL_UP, 0)]),
    ] {
        let mut client = broker.open().await;
        client.send(&first).await;
        client.expect_close().await;
    }
    let mut client = broker.client(GATE_1).await;
    client.send(&Connect::of(GATE_1).bytes()).await;
    client.expect_close().await;
}

#[tokio::test]
async fn connect_flags_that_contradict_are_refused() {
    let broker = start(config()).await;
    let good = Connect::of(GATE_1).bytes();
    let flags_at = 9;
    assert_eq!(good[flags_at], 0xc2);
    // Reserved bit; will QoS without will; password without user; bytes that no field owns.
    for flags in [0xc3, 0xca, 0x42, 0x82] {
        let mut bad = good.clone();
        bad[flags_at] = flags;
        let mut client = broker.open().await;
        client.send(&bad).await;
        client.expect_close().await;
    }
}

#[tokio::test]
async fn one_user_can_not_take_all_places() {
    let mut config = config();
    config.limits.sessions_per_user_max = 2;
    let broker = start(config).await;
    let named = |client_id: &str| Connect {
        client_id: client_id.to_owned(),
        ..Connect::of(GATE_1)
    };
    let mut held = [
        broker.connect(named("a")).await,
        broker.connect(named("b")).await,
    ];
    assert_eq!(answer_to(&broker, &named("c")).await, [connack(false, 3)]);
    let mut other = broker.client(GATE_2).await;
    other.ping().await;
    held[0].send(&[0xe0, 0]).await;
    held[0].expect_close().await;
    broker.connect_at_last(named("c")).await.ping().await;
    held[1].ping().await;
}

#[tokio::test]
async fn services_are_bounded_and_their_places_come_back() {
    let mut config = config();
    config.limits.services_max = 1;
    let broker = start(config).await;
    // More rounds than the router has room for links: each must be freed.
    for _ in 0..40 {
        let mut platform = broker.connect_at_last(Connect::of(PLATFORM)).await;
        platform.subscribe(&[(ALL_UP, 1)]).await;
        assert_eq!(
            answer_to(&broker, &Connect::of(MONITOR)).await,
            [connack(false, 3)]
        );
        platform.send(&[0xe0, 0]).await;
        platform.expect_close().await;
    }
}

async fn refusal_of(config: Config) -> String {
    let error = broker::build(config).await.unwrap_err();
    process::exit::one_line(&error)
}

#[tokio::test]
async fn bad_settings_are_refused_in_one_line_that_names_the_field() {
    let user = |name: &str, password: &str| User::new(name, password, Identity::Monitor);
    let everywhere: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let mut exposed = config();
    exposed.listen[0].address = everywhere;
    let mut open = exposed.clone();
    open.policy = Policy::Open;
    open.allow_plaintext = true;
    let mut deaf = config();
    deaf.listen.clear();
    for (config, start) in [
        (
            Config::loopback(vec![user("a", "b"), user("a", "c")]),
            "users: 'a' is named twice",
        ),
        (
            Config::loopback(vec![user("a", "")]),
            "users: the password of 'a' is refused",
        ),
        (
            Config::loopback(vec![user("a b", "b")]),
            "users: 'a b' is no user name",
        ),
        (
            exposed,
            "0.0.0.0:0 is reachable by others without encryption",
        ),
        (open, "policy: 'open' lets everybody do everything"),
        (deaf, "listen: there is no address"),
    ] {
        let line = refusal_of(config).await;
        assert!(line.starts_with(start), "{line}");
    }
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let first = start(config()).await;
    let mut second = config();
    second.listen[0].address = first.address();
    let error = broker::build(second).await.unwrap_err();
    assert!(matches!(error, BuildError::Listen(_)), "{error:?}");
    first.assert_serves().await;
}

#[tokio::test]
async fn the_open_policy_lets_everybody_do_everything() {
    let mut config = config();
    config.policy = Policy::Open;
    let broker = start(config).await;
    let mut reader = broker.client(GATE_1).await;
    reader.subscribe(&[("#", 1), ("any/+/thing", 0)]).await;
    let mut writer = broker.client(GATE_2).await;
    writer.publish("some/where", b"x", 1).await;
    assert_eq!(reader.delivery().await.topic, "some/where");
}
