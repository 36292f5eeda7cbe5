use super::*;

/// What a permit is changed into, and the reason it is refused for.
type Row = (&'static str, fn(&mut Permit), RefusalReason);

const ROWS: [Row; 13] = [
    (
        "unknown nonce",
        |permit| permit.nonce = Nonce::from_random([0; 16]),
        RefusalReason::NonceUnknown,
    ),
    (
        "another session",
        |permit| permit.session = SessionId::from_random([0; 16]),
        RefusalReason::NonceMismatch,
    ),
    (
        "unknown device",
        |permit| permit.devices = vec!["door".parse().unwrap()],
        RefusalReason::DevicesUnknown,
    ),
    (
        "a device twice",
        |permit| permit.devices = vec![gate(), gate()],
        RefusalReason::DevicesUnknown,
    ),
    (
        "too many devices",
        |permit| permit.devices = vec![gate(); DEVICES_MAX + 1],
        RefusalReason::DevicesUnknown,
    ),
    (
        "less money",
        |permit| set_paid(permit, yuan(1_199), "north-ltd", "mock"),
        RefusalReason::GroundMismatch,
    ),
    (
        "more money",
        |permit| set_paid(permit, yuan(1_201), "north-ltd", "mock"),
        RefusalReason::GroundMismatch,
    ),
    (
        "another currency",
        |permit| {
            let euro = Money::new(1_200, "EUR".parse().unwrap()).unwrap();
            set_paid(permit, euro, "north-ltd", "mock");
        },
        RefusalReason::GroundMismatch,
    ),
    (
        "another payee",
        |permit| set_paid(permit, yuan(1_200), "thief", "mock"),
        RefusalReason::GroundMismatch,
    ),
    (
        "another gateway",
        |permit| set_paid(permit, yuan(1_200), "north-ltd", "other"),
        RefusalReason::GroundMismatch,
    ),
    (
        "zero bill",
        |permit| {
            permit.ground = Ground::ZeroBill {
                tariff_version: tariff().version(),
            }
        },
        RefusalReason::GroundMismatch,
    ),
    (
        "entry visit",
        |permit| {
            permit.ground = Ground::EntryVisit {
                visit: VisitId::from_random([0; 16]),
            }
        },
        RefusalReason::GroundMismatch,
    ),
    (
        "nameless operator",
        |permit| {
            permit.ground = Ground::Operator {
                name: " ".to_owned(),
                reason: "x".to_owned(),
            }
        },
        RefusalReason::GroundMismatch,
    ),
];

fn set_paid(permit: &mut Permit, amount: Money, payee: &str, gateway: &str) {
    permit.ground = Ground::Paid {
        gateway: gateway.parse().unwrap(),
        payment: PaymentId::from_random([8; 16]),
        amount,
        payee: payee.parse().unwrap(),
    };
}

fn refused(reason: RefusalReason) -> Vec<String> {
    vec![
        format!("note PermitRefused reason: {reason:?}"),
        "sync done result".to_owned(),
        format!("note Decided outcome: Refused reason: {reason:?}"),
        "note SessionClosed state: \"failed\"".to_owned(),
        "ack".to_owned(),
        "send result".to_owned(),
    ]
}

#[test]
fn no_write_leaves_so_late_that_it_moves_after_the_silence_was_told() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    let limits = Limits::default();
    let silence_at = world.now.tick + limits.actuating_timeout;
    assert_eq!(world.deadlines[0] + limits.write_lead, silence_at);
}

#[test]
fn each_refusal_has_its_name_and_the_device_stays() {
    for (what, change, reason) in ROWS {
        let mut world = World::ready();
        let sale = world.paying();
        let mut permit = permit(&sale.request);
        change(&mut permit);
        // An unknown nonce is only final once the payer is not awaited any more.
        let words = world.permit(&permit);
        if reason == RefusalReason::NonceUnknown {
            assert_eq!(
                words,
                ["note PermitRefused reason: NonceUnknown", "ack"],
                "{what}"
            );
            assert_eq!(world.outcomes(), []);
        } else {
            assert_eq!(words, refused(reason), "{what}");
            assert_eq!(
                world.outcomes(),
                [LinkageOutcome::Refused { reason }],
                "{what}"
            );
        }
        assert_eq!(world.switched, [], "{what}");
    }
}

#[test]
fn a_permit_of_a_stranger_transaction_gets_a_tombstone_and_a_result() {
    let mut world = World::ready();
    let mut sale = world.paying();
    sale.request.transaction = TransactionId::from_random([0; 16]);
    sale.request.nonce = Nonce::from_random([0; 16]);
    world.permit(&permit(&sale.request));
    let reason = RefusalReason::NonceUnknown;
    assert_eq!(world.outcomes(), [LinkageOutcome::Refused { reason }]);
    assert!(
        matches!(world.view(sale.token), View::Paying { .. }),
        "the sale goes on"
    );
}

#[test]
fn the_nonce_of_another_sale_does_not_fit() {
    let mut world = World::ready();
    let sale = world.paying();
    let mut permit = permit(&sale.request);
    permit.transaction = TransactionId::from_random([0; 16]);
    world.permit(&permit);
    let reason = RefusalReason::NonceMismatch;
    assert_eq!(world.outcomes(), [LinkageOutcome::Refused { reason }]);
    assert_eq!(world.switched, []);
}

#[test]
fn a_permit_for_another_journal_is_uncertain_since_that_one_may_have_acted() {
    let mut world = World::ready();
    let sale = world.paying();
    let mut permit = permit(&sale.request);
    permit.journal = JournalId::from_random([0; 16]);
    world.permit(&permit);
    let reason = UncertainReason::JournalLost;
    assert_eq!(world.outcomes(), [LinkageOutcome::Uncertain { reason }]);
    assert_eq!(world.switched, []);
}

#[test]
fn a_permit_is_good_to_the_last_moment_of_its_nonce_and_not_at_its_end() {
    for (millis, is_good) in [(179_999, true), (180_000, false)] {
        let mut world = World::ready();
        let sale = world.paying();
        world.stall(Duration::from_millis(millis));
        let words = world.permit(&permit(&sale.request));
        assert_eq!(world.switched.len(), usize::from(is_good), "at {millis}");
        if !is_good {
            assert_eq!(words, refused(RefusalReason::NonceExpired));
        }
    }
}

#[test]
fn a_nonce_that_dies_while_its_intent_is_synced_moves_nothing() {
    let mut world = World::ready();
    let sale = world.paying();
    world.stall(Duration::from_millis(179_999));
    let payload = Envelope::new(
        MessageId::from_random([9; 16]),
        Utc::EPOCH,
        LinkageCommand::Permit(signed(&permit(&sale.request))),
    );
    let payload = encode(&payload).unwrap();
    let inbound = Inbound {
        delivery: 99,
        kind: Down::Linkage,
        payload: &payload,
        retained: false,
    };
    world
        .terminal
        .handle_delivery(inbound, world.now, &mut world.entropy);
    world.stall(Duration::from_millis(1));
    assert_eq!(
        world.drain(),
        [
            "seal intent",
            "note PermitAccepted",
            "ack",
            "note PermitRefused reason: NonceExpired",
            "sync done result",
            "note Decided outcome: Refused reason: NonceExpired",
            "note SessionClosed state: \"failed\"",
            "send result",
        ]
    );
    assert_eq!(world.switched, []);
}

#[test]
fn a_permit_is_good_once_however_often_it_comes() {
    let mut world = World::ready();
    let sale = world.paying();
    let permit = permit(&sale.request);
    world.permit(&permit);
    let again = ["note PermitRefused reason: AlreadyDecided", "ack"];
    assert_eq!(world.permit(&permit), again, "while it acts");
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    let result = [again[0], again[1], "send result"];
    assert_eq!(world.permit(&permit), result, "after it acted");
    let settled = Settled {
        transaction: sale.request.transaction,
    };
    world.reply(PaymentReply::Settled(settled));
    assert_eq!(world.permit(&permit), again, "after it was settled");
    let mut fresh = permit.clone();
    fresh.nonce = Nonce::from_random([0; 16]);
    assert_eq!(world.permit(&fresh), again, "under another nonce");
    assert_eq!(world.switched, [sale.request.transaction]);
}

#[test]
fn what_the_platform_did_not_sign_for_us_is_not_believed() {
    let mut world = World::ready();
    let sale = world.paying();
    let good = permit(&sale.request);
    let foreign = sign(&SigningKey::from_seed([9; 32]), &good).unwrap();
    let elsewhere = signed(&Permit {
        aud: Audience::terminal("north/gate-2".parse().unwrap()),
        ..good.clone()
    });
    let wrong_type = signed(&off(&sale.request, OffReason::Expired));
    let wrong_type = wrong_type.as_str().parse::<Jws<Permit>>().unwrap();
    let unsigned = signed(&good)
        .as_str()
        .rsplit_once('.')
        .unwrap()
        .0
        .to_owned()
        + ".";
    let mut tampered = signed(&good).as_str().to_owned();
    let middle = tampered.find('.').unwrap() + 9;
    let swapped = if tampered.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    tampered.replace_range(middle..=middle, swapped);
    let rows = [
        (foreign, "unknown_key"),
        (elsewhere, "audience"),
        (wrong_type, "type"),
        (unsigned.parse().unwrap(), "signature"),
        (tampered.parse().unwrap(), "signature"),
    ];
    for (jws, reason) in rows {
        assert_eq!(
            world.deliver(Down::Linkage, LinkageCommand::Permit(jws)),
            [
                format!("note MessageRefused kind: \"permit\" reason: \"{reason}\""),
                "ack".to_owned()
            ]
        );
    }
    assert_eq!(world.switched, []);
    world.permit(&good);
    assert_eq!(
        world.switched,
        [sale.request.transaction],
        "the real one still counts"
    );
}

#[test]
fn a_retained_permit_does_not_act() {
    let mut world = World::ready();
    let sale = world.paying();
    let command = LinkageCommand::Permit(signed(&permit(&sale.request)));
    let envelope = Envelope::new(MessageId::from_random([9; 16]), Utc::EPOCH, command);
    let words = world.deliver_bytes(Down::Linkage, &encode(&envelope).unwrap(), true);
    assert_eq!(
        words,
        [
            "note MessageRefused kind: \"linkage\" reason: \"retained\"",
            "ack"
        ]
    );
    assert_eq!(world.switched, []);
}

#[test]
fn an_operator_with_name_and_reason_is_a_ground() {
    let mut world = World::ready();
    let sale = world.paying();
    let mut permit = permit(&sale.request);
    permit.ground = Ground::Operator {
        name: "Li Wei".to_owned(),
        reason: "gate stuck".to_owned(),
    };
    world.permit(&permit);
    assert_eq!(world.switched, [sale.request.transaction]);
}
