use super::*;
use crate::packet::Connect;

const UP: &str = "paylatch/v1/north/gate-1/up/payment";
const DOWN: &str = "paylatch/v1/north/gate-1/down/payment";
const ALL_DOWN: &str = "paylatch/v1/north/gate-1/down/+";

const BOUNDS: Bounds = Bounds {
    window_max: 2,
    subscriptions_max: 2,
    denials_max: 3,
    acknowledge_timeout: Duration::from_secs(100),
    keep_alive_max: Duration::from_secs(1_000),
};

const CLEAN: Arrival = Arrival {
    is_clean: true,
    keep_alive_s: 60,
};

const KEPT: Arrival = Arrival {
    is_clean: false,
    keep_alive_s: 60,
};

fn at(seconds: u64) -> Tick {
    Tick::from_millis(seconds * 1_000)
}

/// A terminal that has had its CONNACK at second 0.
fn attached(arrival: Arrival) -> Session {
    let identity = Identity::Terminal("north/gate-1".parse().unwrap());
    let mut session = Session::new(identity, Policy::Contract, BOUNDS);
    session.attach(arrival, at(0));
    assert_eq!(drain(&mut session), [connack(false)]);
    session
}

fn subscribed(arrival: Arrival) -> Session {
    let mut session = attached(arrival);
    let filters = vec![(ALL_DOWN.to_owned(), Qos::AtLeastOnce)];
    session.handle_packet(
        Incoming::Subscribe {
            packet_id: 1,
            filters,
        },
        at(0),
    );
    answer_subscribe(&mut session);
    drain(&mut session);
    session
}

/// What a shell does that grants all.
fn answer_subscribe(session: &mut Session) {
    for output in drain(session) {
        if let Output::Subscribe(wanted) = output {
            session.handle_subscribed(wanted);
        }
    }
}

fn drain(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

fn connack(session_present: bool) -> Output {
    let code = ConnectCode::Accepted;
    Output::Send(Outgoing::Connack {
        session_present,
        code,
    })
}

fn message(topic: &str, payload: &str, qos: Qos) -> Message {
    Message::copied(topic.as_bytes(), payload.as_bytes(), qos)
}

fn sent(packet_id: u16, payload: &str, duplicate: bool) -> Output {
    let message = message(DOWN, payload, Qos::AtLeastOnce);
    Output::Send(Outgoing::Publish {
        packet_id,
        message,
        duplicate,
    })
}

fn puback(packet_id: u16) -> Output {
    Output::Send(Outgoing::Puback { packet_id })
}

fn incoming(packet_id: u16, topic: &str, qos: Qos, retain: bool) -> Incoming {
    let Message { topic, payload, .. } = message(topic, "x", qos);
    Incoming::Publish {
        packet_id,
        topic,
        payload,
        qos,
        retain,
    }
}

fn denied(reason: DenialReason, topic: &str, is_first: bool) -> Output {
    let topic = topic.to_owned();
    Output::Denied(Denial {
        reason,
        topic,
        is_first,
    })
}

#[test]
fn a_permitted_publish_is_handed_on_and_then_acknowledged() {
    let mut session = attached(CLEAN);
    session.handle_packet(incoming(7, UP, Qos::AtLeastOnce, false), at(1));
    let handed = Output::Publish(message(UP, "x", Qos::AtLeastOnce));
    assert_eq!(drain(&mut session), [handed, puback(7)]);
    session.handle_packet(incoming(0, UP, Qos::AtMostOnce, true), at(1));
    let handed = Output::Publish(message(UP, "x", Qos::AtMostOnce));
    assert_eq!(drain(&mut session), [Output::RetainIgnored, handed]);
}

#[test]
fn a_forbidden_publish_is_acknowledged_and_counted_until_it_closes() {
    let mut session = attached(CLEAN);
    session.handle_packet(incoming(7, DOWN, Qos::AtLeastOnce, false), at(1));
    assert_eq!(
        drain(&mut session),
        [denied(DenialReason::Publish, DOWN, true), puback(7)]
    );
    session.handle_packet(incoming(0, "支付", Qos::AtMostOnce, false), at(1));
    assert_eq!(
        drain(&mut session),
        [denied(DenialReason::Topic, "支付", false)]
    );
    session.handle_packet(incoming(0, DOWN, Qos::AtMostOnce, false), at(1));
    let close = Output::Close(CloseReason::Denials);
    assert_eq!(
        drain(&mut session),
        [denied(DenialReason::Publish, DOWN, false), close]
    );
}

#[test]
fn wildcards_in_a_publish_and_a_second_connect_close() {
    let mut session = attached(CLEAN);
    session.handle_packet(incoming(0, "a/+", Qos::AtMostOnce, false), at(1));
    let close = |violation| Output::Close(CloseReason::Violation(violation));
    assert_eq!(drain(&mut session), [close(Violation::Topic)]);
    let connect = Connect {
        client_id: "a".to_owned(),
        clean_session: true,
        keep_alive_s: 0,
        user: String::new(),
        password: String::new(),
        will: None,
    };
    session.handle_packet(Incoming::Connect(Box::new(connect)), at(1));
    assert_eq!(drain(&mut session), [close(Violation::Order)]);
    session.handle_packet(Incoming::Disconnect, at(1));
    assert_eq!(
        drain(&mut session),
        [Output::Close(CloseReason::Disconnect)]
    );
}

#[test]
fn a_subscribe_is_decided_filter_by_filter_and_answered_after_the_shell() {
    let mut session = attached(CLEAN);
    let filters = ["#", ALL_DOWN, "bad#"].map(|filter| (filter.to_owned(), Qos::AtLeastOnce));
    let packet_id = 3;
    session.handle_packet(
        Incoming::Subscribe {
            packet_id,
            filters: filters.to_vec(),
        },
        at(1),
    );
    let wanted = Wanted {
        packet_id,
        filters: vec![
            ("#".to_owned(), None),
            (ALL_DOWN.to_owned(), Some(Qos::AtLeastOnce)),
            ("bad#".to_owned(), None),
        ],
    };
    let outputs = drain(&mut session);
    assert_eq!(
        outputs,
        [
            denied(DenialReason::Subscribe, "#", true),
            denied(DenialReason::Filter, "bad#", false),
            Output::Subscribe(wanted.clone()),
        ]
    );
    session.handle_subscribed(wanted);
    let granted = vec![None, Some(Qos::AtLeastOnce), None];
    assert_eq!(
        drain(&mut session),
        [
            Output::Send(Outgoing::Suback { packet_id, granted }),
            Output::Replay(ALL_DOWN.to_owned()),
        ]
    );
}

#[test]
fn a_filter_that_the_router_may_not_learn_is_not_held() {
    let mut session = attached(CLEAN);
    let wanted = Wanted {
        packet_id: 3,
        filters: vec![(ALL_DOWN.to_owned(), None)],
    };
    session.handle_subscribed(wanted);
    drain(&mut session);
    assert!(!session.handle_message(message(DOWN, "a", Qos::AtLeastOnce), at(1)));
    assert_eq!(drain(&mut session), []);
}

#[test]
fn the_window_fills_and_acknowledgements_in_any_order_empty_it() {
    let mut session = subscribed(CLEAN);
    for payload in ["a", "b"] {
        assert!(session.has_room());
        assert!(session.handle_message(message(DOWN, payload, Qos::AtLeastOnce), at(1)));
    }
    assert!(!session.has_room());
    assert_eq!(
        drain(&mut session),
        [sent(1, "a", false), sent(2, "b", false)]
    );
    session.handle_packet(Incoming::Puback { packet_id: 2 }, at(2));
    assert!(session.has_room());
    session.handle_packet(Incoming::Puback { packet_id: 9 }, at(2));
    session.handle_message(message(DOWN, "c", Qos::AtLeastOnce), at(2));
    assert_eq!(drain(&mut session), [sent(3, "c", false)]);
    assert!(!session.has_room());
}

#[test]
fn packet_ids_skip_zero_and_those_in_flight() {
    let mut session = subscribed(CLEAN);
    session.handle_message(message(DOWN, "a", Qos::AtLeastOnce), at(1));
    session.packet_id_last = u16::MAX;
    session.handle_message(message(DOWN, "b", Qos::AtLeastOnce), at(1));
    assert_eq!(
        drain(&mut session),
        [sent(1, "a", false), sent(2, "b", false)]
    );
}

#[test]
fn quality_0_is_not_held() {
    let mut session = subscribed(CLEAN);
    for _ in 0..10 {
        session.handle_message(message(DOWN, "a", Qos::AtMostOnce), at(1));
    }
    assert!(session.has_room());
    assert_eq!(drain(&mut session).len(), 10);
}

#[test]
fn a_kept_session_resends_its_window_in_order_with_dup() {
    let mut session = subscribed(KEPT);
    for payload in ["a", "b"] {
        session.handle_message(message(DOWN, payload, Qos::AtLeastOnce), at(1));
    }
    drain(&mut session);
    session.attach(KEPT, at(50));
    assert_eq!(
        drain(&mut session),
        [connack(true), sent(1, "a", true), sent(2, "b", true)]
    );
    session.handle_packet(Incoming::Puback { packet_id: 1 }, at(51));
    session.attach(KEPT, at(60));
    assert_eq!(drain(&mut session), [connack(true), sent(2, "b", true)]);
    assert!(session.handle_message(message(DOWN, "c", Qos::AtLeastOnce), at(61)));
}

#[test]
fn a_clean_session_forgets_and_lets_the_router_forget() {
    let mut session = subscribed(KEPT);
    session.handle_message(message(DOWN, "a", Qos::AtLeastOnce), at(1));
    drain(&mut session);
    session.attach(CLEAN, at(50));
    let forgotten = Output::Unsubscribe(vec![ALL_DOWN.to_owned()]);
    assert_eq!(drain(&mut session), [forgotten, connack(false)]);
    assert!(!session.handle_message(message(DOWN, "b", Qos::AtLeastOnce), at(51)));
}

#[test]
fn unsubscribe_is_always_answered_and_ends_what_was_held() {
    let mut session = subscribed(CLEAN);
    let filters = vec!["never/held".to_owned(), ALL_DOWN.to_owned()];
    session.handle_packet(
        Incoming::Unsubscribe {
            packet_id: 4,
            filters,
        },
        at(1),
    );
    assert_eq!(
        drain(&mut session),
        [
            Output::Unsubscribe(vec![ALL_DOWN.to_owned()]),
            Output::Send(Outgoing::Unsuback { packet_id: 4 }),
        ]
    );
}

#[test]
fn keepalive_ends_one_and_a_half_times_after_the_last_packet() {
    let mut session = attached(CLEAN);
    assert_eq!(session.poll_timeout(), at(90));
    session.handle_packet(Incoming::Pingreq, at(30));
    assert_eq!(drain(&mut session), [Output::Send(Outgoing::Pingresp)]);
    assert_eq!(session.poll_timeout(), at(120));
    session.handle_timeout(Tick::from_millis(119_999));
    assert_eq!(drain(&mut session), []);
    session.handle_timeout(at(120));
    assert_eq!(drain(&mut session), [Output::Close(CloseReason::KeepAlive)]);
}

#[test]
fn messages_to_a_client_do_not_keep_it_alive() {
    let mut session = subscribed(CLEAN);
    session.handle_message(message(DOWN, "a", Qos::AtMostOnce), at(89));
    assert_eq!(session.poll_timeout(), at(90));
}

#[test]
fn no_keepalive_and_a_very_long_one_are_bounded() {
    for keep_alive_s in [0, 1_001, u16::MAX] {
        let session = attached(Arrival {
            keep_alive_s,
            ..CLEAN
        });
        assert_eq!(session.poll_timeout(), at(1_500), "{keep_alive_s}");
    }
}

#[test]
fn a_message_that_is_never_acknowledged_closes_the_connection() {
    let mut session = subscribed(Arrival {
        keep_alive_s: 0,
        ..CLEAN
    });
    session.handle_message(message(DOWN, "a", Qos::AtLeastOnce), at(10));
    session.handle_message(message(DOWN, "b", Qos::AtLeastOnce), at(20));
    drain(&mut session);
    assert_eq!(session.poll_timeout(), at(110));
    session.handle_packet(Incoming::Puback { packet_id: 1 }, at(100));
    assert_eq!(session.poll_timeout(), at(120));
    session.handle_timeout(at(120));
    assert_eq!(
        drain(&mut session),
        [Output::Close(CloseReason::Acknowledge)]
    );
}
