//! Presence is the broker's own word, live and replayed.

use protocol::codec::decode;
use protocol::message::Presence;

use crate::support::*;

const ALL_PRESENCE: &str = "paylatch/v1/+/+/up/presence";

fn state(delivery: &Delivery) -> (&str, bool, bool) {
    let presence = decode::<Presence>(&delivery.payload).unwrap();
    (&delivery.topic, presence.body.online, delivery.retain)
}

#[tokio::test]
async fn coming_and_going_is_said_live() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_PRESENCE, 1)]).await;
    let gate = broker.client(GATE_1).await;
    assert_eq!(state(&platform.delivery().await), (PRESENCE_1, true, false));
    drop(gate);
    assert_eq!(
        state(&platform.delivery().await),
        (PRESENCE_1, false, false)
    );
    let mut gate = broker.client(GATE_1).await;
    assert_eq!(state(&platform.delivery().await), (PRESENCE_1, true, false));
    gate.send(&[0xe0, 0]).await;
    assert_eq!(
        state(&platform.delivery().await),
        (PRESENCE_1, false, false)
    );
    platform.ping().await;
}

#[tokio::test]
async fn the_last_state_of_each_terminal_greets_a_subscriber() {
    let broker = start(config()).await;
    let mut watcher = broker.client(MONITOR).await;
    watcher.subscribe(&[(ALL_PRESENCE, 1)]).await;
    let gone = broker.client(GATE_1).await;
    drop(gone);
    let _here = broker.client(GATE_2).await;
    // Once these came, nothing live is on its way any more.
    for _ in 0..3 {
        watcher.delivery().await;
    }
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_UP, 1)]).await;
    assert_eq!(state(&platform.delivery().await), (PRESENCE_1, false, true));
    assert_eq!(state(&platform.delivery().await), (PRESENCE_2, true, true));
    platform.ping().await;
    let narrow = broker.connect(Connect {
        client_id: "narrow".to_owned(),
        ..Connect::of(PLATFORM)
    });
    let mut narrow = narrow.await;
    narrow
        .subscribe(&[(PRESENCE_2, 1), (ALL_PAYMENTS, 1)])
        .await;
    assert_eq!(state(&narrow.delivery().await), (PRESENCE_2, true, true));
    narrow.ping().await;
}

#[tokio::test]
async fn more_terminals_than_the_window_are_all_replayed() {
    let mut config = config();
    for number in 0..300 {
        let identity = broker::Identity::Terminal(format!("south/t-{number:03}").parse().unwrap());
        config.users.push(broker::User::new(
            format!("t-{number:03}"),
            PASSWORD,
            identity,
        ));
    }
    config.limits.service_window_max = 8;
    let broker = start(config).await;
    let mut held = Vec::new();
    for number in 0..300 {
        held.push(broker.client(&format!("t-{number:03}")).await);
    }
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_PRESENCE, 1)]).await;
    // A live message may still be on its way beside the replay.
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 300 {
        let delivery = platform.delivery().await;
        assert!(state(&delivery).1);
        platform.acknowledge(&delivery).await;
        seen.insert(delivery.topic);
    }
}

#[tokio::test]
async fn a_will_on_presence_is_taken_and_the_broker_says_it() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_PRESENCE, 1)]).await;
    let gate = broker
        .connect(Connect {
            will: Some((PRESENCE_1.to_owned(), b"forged".to_vec(), 1)),
            ..Connect::of(GATE_1)
        })
        .await;
    assert_eq!(state(&platform.delivery().await), (PRESENCE_1, true, false));
    drop(gate);
    assert_eq!(
        state(&platform.delivery().await),
        (PRESENCE_1, false, false)
    );
    platform.ping().await;
}
