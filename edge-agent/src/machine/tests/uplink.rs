use super::*;

#[test]
fn a_connection_begins_with_hello_and_everything_that_waits() {
    let mut world = World::new();
    assert_eq!(world.drain(), Vec::<String>::new());
    assert_eq!(world.connect(), ["send hello", "send health"]);
    assert_eq!(
        world.deliver(Down::Config, signed(&site_config(1))),
        [
            "store config",
            "note ConfigApplied serial: 1",
            "send config",
            "send health",
            "ack"
        ]
    );
    assert_eq!(world.probe(DeviceState::Off), ["send health"]);
    let sale = world.paying();
    world.terminal.handle_disconnected();
    assert_eq!(world.returned(&sale.request), ["write notice"]);
    assert_eq!(
        world.connect(),
        ["send hello", "send health", "send notice"]
    );
    let Some(Body::Hello(hello)) = world
        .sent
        .iter()
        .rev()
        .find(|body| matches!(body, Body::Hello(_)))
    else {
        panic!("no hello");
    };
    assert_eq!(hello.open, [sale.request.transaction]);
    assert_eq!(hello.journal, world.journal_id);
    assert_eq!(hello.config_version, Some(signed(&site_config(1)).digest()));
}

#[test]
fn hello_is_said_again_where_the_platform_asks_and_nothing_else_is() {
    let mut world = World::ready();
    let asked = |world: &mut World| world.deliver(Down::Hello, HelloRequest {});
    assert_eq!(asked(&mut world), ["ack", "send hello"]);
    assert_eq!(asked(&mut world), ["ack", "send hello"]);
    world.terminal.handle_disconnected();
    assert_eq!(asked(&mut world), ["ack"]);
}

#[test]
fn a_message_is_repeated_under_its_id_until_it_is_acknowledged() {
    let mut world = World::ready();
    let token = world.accept();
    world.choose(token, "wash").unwrap();
    let (mut words, mut sent) = (Vec::new(), 0);
    for _ in 0..7 {
        words.extend(world.pass(Duration::from_secs(1)));
        world.probe(DeviceState::Off);
    }
    sent += words
        .iter()
        .filter(|word| *word == "send order_request")
        .count();
    assert_eq!(sent, 3, "after 1, 3 and 7 seconds");
    let ack = |through| Ack {
        journal: JournalId::from_random([7; 16]),
        through,
    };
    assert_eq!(world.deliver(Down::Ack, ack(0)), ["ack"]);
    let other = Ack {
        journal: JournalId::from_random([0; 16]),
        through: 9,
    };
    assert_eq!(world.deliver(Down::Ack, other), ["ack"]);
    assert_eq!(
        world.deliver(Down::Ack, ack(1)),
        ["write acknowledged", "ack"]
    );
    assert_eq!(world.deliver(Down::Ack, ack(1)), ["ack"]);
    assert_eq!(world.pass(Duration::from_millis(900)), Vec::<String>::new());
    assert!(!world.connect().contains(&"send order_request".to_owned()));
}

#[test]
fn what_waits_is_sent_after_a_start_under_the_same_sequence() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    let result = world.results();
    let world = world.reboot(|_| false);
    assert_eq!(world.results(), result);
}

#[test]
fn what_cannot_be_read_is_acknowledged_counted_and_forgotten() {
    let mut world = World::ready();
    let newer = encode(&Envelope::new(
        MessageId::from_random([9; 16]),
        Utc::EPOCH,
        Presence { online: true },
    ));
    let newer = String::from_utf8(newer.unwrap()).unwrap();
    let newer = newer.replace("\"version\":1", "\"version\":2");
    let rows: [(&[u8], &str); 4] = [
        (b"", "malformed"),
        (b"\xff\xff", "malformed"),
        (&[b' '; 9_000], "too_large"),
        (newer.as_bytes(), "version"),
    ];
    for kind in [
        Down::Ack,
        Down::Payment,
        Down::Linkage,
        Down::Config,
        Down::Inquiry,
        Down::Hello,
    ] {
        for (payload, reason) in rows {
            assert_eq!(
                world.deliver_bytes(kind, payload, false),
                [
                    format!(
                        "note MessageRefused kind: \"{}\" reason: \"{reason}\"",
                        kind.as_str()
                    ),
                    "ack".to_owned()
                ]
            );
        }
    }
}

#[test]
fn only_a_newer_config_for_what_is_attached_replaces_the_one_in_force() {
    let mut world = World::ready();
    let serial = |world: &World| {
        world
            .terminal
            .landing(world.now)
            .shop
            .map(|shop| shop.items.len())
    };
    assert_eq!(serial(&world), Some(2));
    let mut newer = site_config(3);
    newer.tariff.items.truncate(1);
    newer.tariff_version = newer.tariff.version();
    assert_eq!(
        world.deliver(Down::Config, signed(&newer)),
        [
            "store config",
            "note ConfigApplied serial: 3",
            "send config",
            "ack"
        ]
    );
    let mut door = site_config(4);
    door.devices = vec!["door".parse().unwrap()];
    let mut lying = site_config(4);
    lying.tariff.items.clear();
    for refused in [site_config(2), door, lying] {
        assert_eq!(
            world.deliver(Down::Config, signed(&refused)),
            [
                "note MessageRefused kind: \"config\" reason: \"content\"",
                "ack",
                "send config"
            ]
        );
        let Some(Body::Config(report)) = world.sent.last() else {
            panic!("no report");
        };
        assert_eq!(report.applied, Some(signed(&newer).digest()));
        assert!(report.refused.is_some());
    }
    assert_eq!(serial(&world), Some(1));
    assert_eq!(
        world.deliver(Down::Config, signed(&newer)),
        ["ack", "send config"]
    );
}

#[test]
fn configs_are_kept_one_at_a_time_and_only_the_newest_of_those_that_wait() {
    let mut world = World::ready();
    let mut stored = Vec::new();
    for serial in 2..6 {
        let id = MessageId::from_random([9; 16]);
        let payload = encode(&Envelope::new(id, Utc::EPOCH, signed(&site_config(serial)))).unwrap();
        let inbound = Inbound {
            delivery: serial,
            kind: Down::Config,
            payload: &payload,
            retained: false,
        };
        world
            .terminal
            .handle_delivery(inbound, world.now, &mut world.entropy);
        while let Some(output) = world.terminal.poll_output() {
            stored.push(word(&output));
        }
    }
    assert_eq!(
        stored,
        ["store config", "ack", "ack"],
        "serials 3 and 4 are replaced"
    );
    world
        .terminal
        .handle_config_stored(world.now, &mut world.entropy);
    assert_eq!(
        world.drain(),
        [
            "note ConfigApplied serial: 2",
            "send config",
            "ack",
            "store config",
            "note ConfigApplied serial: 5",
            "send config",
            "ack",
        ]
    );
}

#[test]
fn the_cached_config_serves_after_a_start() {
    let world = World::ready();
    let mut world = world.reboot(|_| false);
    assert!(world.try_accept().is_ok());
}

#[test]
fn devices_are_looked_at_and_health_is_said_regularly() {
    let mut world = World::ready();
    let mut words = Vec::new();
    for _ in 0..60 {
        words.extend(world.pass(Duration::from_secs(1)));
        world.probe(DeviceState::Off);
    }
    let count = |what: &str| words.iter().filter(|word| *word == what).count();
    assert_eq!((count("probe"), count("send health")), (13, 1));
    assert_eq!(words.len(), 14);
}
