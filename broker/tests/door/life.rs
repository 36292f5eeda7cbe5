//! Keepalive, takeover, wills, and the broker's own beginning and end.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use crate::support::*;

fn with_will(user: &str, topic: &str) -> Connect {
    Connect {
        will: Some((topic.to_owned(), b"gone".to_vec(), 1)),
        ..Connect::of(user)
    }
}

#[tokio::test]
async fn a_will_is_published_when_its_client_vanishes() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_PAYMENTS, 1)]).await;
    let gate = broker.connect(with_will(GATE_1, UP_1)).await;
    drop(gate);
    let will = platform.delivery().await;
    assert_eq!(
        (will.topic.as_str(), &will.payload[..], will.retain),
        (UP_1, &b"gone"[..], false)
    );
    // A violation is an end without DISCONNECT too.
    let mut gate = broker.connect(with_will(GATE_1, UP_1)).await;
    gate.send(&[0xf0, 0]).await;
    gate.expect_close().await;
    assert_eq!(platform.delivery().await.payload, b"gone");
    platform.ping().await;
}

#[tokio::test]
async fn disconnect_drops_the_will() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_PAYMENTS, 1)]).await;
    let mut gate = broker.connect(with_will(GATE_1, UP_1)).await;
    gate.send(&[0xe0, 0]).await;
    gate.expect_close().await;
    let mut gate = broker.client(GATE_1).await;
    gate.publish(UP_1, b"back", 1).await;
    assert_eq!(platform.delivery().await.payload, b"back");
}

#[tokio::test]
async fn a_second_connect_takes_over_and_the_first_will_is_said() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_UP, 1)]).await;
    let mut first = broker.connect(with_will(GATE_1, UP_1)).await;
    first.subscribe(&[(ALL_DOWN_1, 1)]).await;
    assert_eq!(platform.delivery().await.topic, PRESENCE_1);
    let mut second = broker.connect(with_will(GATE_1, UP_1)).await;
    first.expect_close().await;
    assert_eq!(platform.delivery().await.payload, b"gone");
    // The subscription went with the first, and the terminal never was offline.
    platform.publish(DOWN_1, b"unheard", 1).await;
    second.ping().await;
    platform.ping().await;
    drop(second);
    assert_eq!(platform.delivery().await.payload, b"gone");
    assert_eq!(platform.delivery().await.topic, PRESENCE_1);
}

#[tokio::test]
async fn a_takeover_of_a_kept_session_goes_on_with_it() {
    let broker = start(config()).await;
    let kept = Connect {
        is_clean: false,
        ..Connect::of(PLATFORM)
    };
    let mut first = broker.connect(kept.clone()).await;
    first.subscribe(&[(ALL_PAYMENTS, 1)]).await;
    let mut gate = broker.client(GATE_1).await;
    gate.publish(UP_1, b"a", 1).await;
    let a = first.delivery().await;
    let mut second = broker.open().await;
    second.send(&kept.bytes()).await;
    second.expect(&connack(true, 0)).await;
    first.expect_close().await;
    let duplicate = true;
    assert_eq!(second.delivery().await, Delivery { duplicate, ..a });
    gate.publish(UP_1, b"b", 1).await;
    assert_eq!(second.delivery().await.payload, b"b");
}

#[tokio::test]
async fn a_stranger_with_the_same_client_id_takes_over_nothing() {
    let broker = start(config()).await;
    let mut gate = broker.client(GATE_1).await;
    let mut stranger = broker
        .connect(Connect {
            client_id: GATE_1.to_owned(),
            ..Connect::of(GATE_2)
        })
        .await;
    gate.ping().await;
    stranger.ping().await;
}

#[tokio::test]
async fn takeovers_without_end_leave_one_that_is_served() {
    let broker = start(config()).await;
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(broker.client(PLATFORM).await);
    }
    let mut last = all.pop().unwrap();
    for mut client in all {
        client.expect_close().await;
    }
    last.ping().await;
    drop(last);
    broker.assert_serves().await;
}

/// It gets a message each 100 ms and never says a word.
#[tokio::test]
async fn keepalive_is_enforced_on_a_client_that_only_receives() {
    let broker = start(config()).await;
    let mut gate = broker
        .connect(Connect {
            keep_alive_s: 1,
            ..Connect::of(GATE_1)
        })
        .await;
    gate.subscribe(&[(ALL_DOWN_1, 0)]).await;
    let begun = Instant::now();
    let mut platform = broker.client(PLATFORM).await;
    let talking = tokio::spawn(async move {
        loop {
            platform.publish(DOWN_1, b"tick", 0).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let received = gate.drain().await;
    let lasted = begun.elapsed();
    talking.abort();
    assert!(received.len() > 5, "{}", received.len());
    assert!(lasted > Duration::from_millis(1_300), "{lasted:?}");
    assert!(lasted < Duration::from_secs(6), "{lasted:?}");
}

#[tokio::test]
async fn pings_keep_a_connection_alive() {
    let broker = start(config()).await;
    let mut gate = broker
        .connect(Connect {
            keep_alive_s: 1,
            ..Connect::of(GATE_1)
        })
        .await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        gate.ping().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    gate.ping().await;
}

#[tokio::test]
async fn a_client_that_never_acknowledges_is_closed() {
    let mut config = config();
    config.limits.acknowledge_timeout_ms = 300;
    let broker = start(config).await;
    let mut gate = broker.client(GATE_1).await;
    gate.subscribe(&[(ALL_DOWN_1, 1)]).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.publish(DOWN_1, b"x", 1).await;
    assert_eq!(gate.delivery().await.payload, b"x");
    gate.expect_close().await;
}

#[tokio::test]
async fn a_kept_session_expires() {
    let mut config = config();
    config.limits.session_expiry_ms = 100;
    config.limits.services_max = 1;
    let broker = start(config).await;
    let kept = Connect {
        is_clean: false,
        ..Connect::of(PLATFORM)
    };
    let mut platform = broker.connect(kept).await;
    platform.subscribe(&[(ALL_PAYMENTS, 1)]).await;
    drop(platform);
    // Its place is the only one: whoever gets it shows that the session is gone.
    broker.connect_at_last(Connect::of(MONITOR)).await;
}

#[tokio::test]
async fn an_absent_session_gives_way_to_a_client_that_is_here() {
    let mut config = config();
    config.limits.services_max = 2;
    let broker = start(config).await;
    for client_id in ["first", "second"] {
        let kept = Connect {
            is_clean: false,
            client_id: client_id.to_owned(),
            ..Connect::of(PLATFORM)
        };
        drop(broker.connect(kept).await);
    }
    broker
        .connect_at_last(Connect::of(MONITOR))
        .await
        .ping()
        .await;
}

#[tokio::test]
async fn stopping_closes_everybody_and_frees_the_port() {
    let broker = start(config()).await;
    let address = broker.address();
    let mut gate = broker.client(GATE_1).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_UP, 1)]).await;
    let mut idle = broker.open().await;
    let begun = Instant::now();
    broker.stop().await;
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    gate.expect_close().await;
    idle.expect_close().await;
    platform.drain().await;
    TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn many_brokers_live_in_one_process() {
    let mut brokers = Vec::new();
    for _ in 0..12 {
        brokers.push(start(config()).await);
    }
    for broker in &brokers {
        broker.assert_serves().await;
    }
    // What one says the others don't hear.
    let mut here = brokers[0].client(PLATFORM).await;
    here.subscribe(&[(ALL_PAYMENTS, 1)]).await;
    let mut there = brokers[1].client(GATE_1).await;
    there.publish(UP_1, b"there", 1).await;
    let mut gate = brokers[0].client(GATE_1).await;
    gate.publish(UP_1, b"here", 1).await;
    assert_eq!(here.delivery().await.payload, b"here");
    for broker in brokers {
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_broker_can_be_stopped_and_started_again_and_again() {
    for _ in 0..10 {
        let broker = start(config()).await;
        broker.assert_serves().await;
        broker.stop().await;
    }
}
