//! What each party may say and hear, and what happens to those who try more.

use crate::support::*;

#[tokio::test]
async fn forbidden_filters_get_0x80_and_the_others_their_quality() {
    let broker = start(config()).await;
    let mut gate = broker.client(GATE_1).await;
    let codes = gate
        .subscribe_for(&[
            (ALL_DOWN_1, 1),
            (ALL_DOWN_2, 1),
            ("#", 0),
            (ALL_UP, 0),
            ("paylatch/v1/+/+/down/+", 0),
            ("$share/g/paylatch/v1/north/gate-1/down/+", 1),
            ("$SYS/#", 0),
            ("bad/#/filter", 0),
            (DOWN_1, 0),
        ])
        .await;
    assert_eq!(codes, [1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0]);
    let mut platform = broker.client(PLATFORM).await;
    let codes = platform
        .subscribe_for(&[
            (ALL_UP, 1),
            ("paylatch/v1/gateway/+/response/main", 1),
            ("paylatch/v1/gateway/+/response/other", 1),
            ("paylatch/v1/+/+/down/+", 1),
            ("paylatch/v1/#", 1),
        ])
        .await;
    assert_eq!(codes, [1, 1, 0x80, 0x80, 0x80]);
}

#[tokio::test]
async fn quality_2_is_granted_as_1_and_refused_when_published() {
    let broker = start(config()).await;
    let mut gate = broker.client(GATE_1).await;
    assert_eq!(gate.subscribe_for(&[(ALL_DOWN_1, 2)]).await, [1]);
    gate.send(&publish(UP_1, b"x", 2, 5)).await;
    gate.expect_close().await;
    broker.assert_serves().await;
}

#[tokio::test]
async fn a_forbidden_publish_is_acknowledged_and_reaches_nobody() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_UP, 1)]).await;
    let mut victim = broker.client(GATE_2).await;
    victim.subscribe(&[(ALL_DOWN_2, 1)]).await;
    let mut gate = broker.client(GATE_1).await;
    assert_eq!(platform.delivery().await.topic, PRESENCE_2);
    assert_eq!(platform.delivery().await.topic, PRESENCE_1);
    for topic in [
        DOWN_2,
        DOWN_1,
        UP_2,
        PRESENCE_1,
        "paylatch/v1/gateway/mock/response/main",
        "elsewhere",
        "支付/1",
        "$SYS/broker",
        &"x".repeat(300),
    ] {
        gate.publish(topic, b"forged", 1).await;
    }
    gate.publish(UP_1, b"honest", 1).await;
    assert_eq!(platform.delivery().await.payload, b"honest");
    platform.ping().await;
    victim.ping().await;
}

#[tokio::test]
async fn whoever_tries_again_and_again_is_closed() {
    let mut config = config();
    config.limits.denials_max = 5;
    let broker = start(config).await;
    let mut gate = broker.client(GATE_1).await;
    for _ in 0..4 {
        gate.publish(DOWN_2, b"forged", 1).await;
    }
    gate.send(&publish(DOWN_2, b"forged", 0, 0)).await;
    gate.expect_close().await;
    broker.assert_serves().await;
}

#[tokio::test]
async fn a_payload_over_8_kib_is_dropped_and_a_packet_over_16_closes() {
    let broker = start(config()).await;
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(ALL_PAYMENTS, 1)]).await;
    let mut gate = broker.client(GATE_1).await;
    gate.publish(UP_1, &[b'x'; 8 * 1024 + 1], 1).await;
    gate.publish(UP_1, &[b'y'; 8 * 1024], 1).await;
    assert_eq!(platform.delivery().await.payload, [b'y'; 8 * 1024]);
    platform.ping().await;
    gate.try_send(&publish(UP_1, &[b'z'; 16 * 1024], 1, 9))
        .await;
    gate.expect_close().await;
    broker.assert_serves().await;
}

#[tokio::test]
async fn gateways_and_platform_hear_each_other_and_nobody_else_does() {
    let broker = start(config()).await;
    let request = "paylatch/v1/gateway/mock/request/main";
    let response = "paylatch/v1/gateway/mock/response/main";
    let mut gateway = broker.client(GATEWAY).await;
    gateway
        .subscribe(&[("paylatch/v1/gateway/mock/request/+", 1)])
        .await;
    let mut platform = broker.client(PLATFORM).await;
    platform
        .subscribe(&[("paylatch/v1/gateway/+/response/main", 1)])
        .await;
    let mut monitor = broker.client(MONITOR).await;
    assert_eq!(
        monitor.subscribe_for(&[(request, 1), (response, 1)]).await,
        [0x80, 0x80]
    );
    platform.publish(request, b"query", 1).await;
    assert_eq!(gateway.delivery().await.payload, b"query");
    gateway.publish(response, b"answer", 1).await;
    gateway.publish(DOWN_1, b"forged", 1).await;
    gateway
        .publish("paylatch/v1/gateway/other/response/main", b"forged", 1)
        .await;
    assert_eq!(platform.delivery().await.payload, b"answer");
    platform.ping().await;
    gateway.ping().await;
}

#[tokio::test]
async fn the_router_learns_no_more_filters_than_it_may() {
    let mut config = config();
    config.limits.filters_max = 3;
    let broker = start(config).await;
    let mut monitor = broker.client(MONITOR).await;
    let filter = |site: u32| format!("paylatch/v1/site-{site}/+/up/+");
    let filters: Vec<_> = (0..4).map(filter).collect();
    let wanted: Vec<_> = filters.iter().map(|filter| (filter.as_str(), 1)).collect();
    // One of the three is the broker's own.
    assert_eq!(monitor.subscribe_for(&wanted).await, [1, 1, 0x80, 0x80]);
    // What is known stays good, also for another client.
    let mut platform = broker.client(PLATFORM).await;
    platform.subscribe(&[(&filters[0], 0)]).await;
}

#[tokio::test]
async fn a_session_holds_no_more_filters_than_it_may() {
    let mut config = config();
    config.limits.subscriptions_max = 2;
    let broker = start(config).await;
    let mut gate = broker.client(GATE_1).await;
    let ack = "paylatch/v1/north/gate-1/down/ack";
    let codes = gate
        .subscribe_for(&[(ack, 1), (DOWN_1, 1), (ALL_DOWN_1, 1), (ack, 0)])
        .await;
    assert_eq!(codes, [1, 1, 0x80, 0]);
}
