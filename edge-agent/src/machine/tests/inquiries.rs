use super::*;
use crate::machine::view::NotConfirmedReason;

#[test]
fn never_having_seen_it_writes_a_tombstone_before_the_answer() {
    let mut world = World::ready();
    let transaction = TransactionId::from_random([3; 16]);
    let inquiry = Inquiry {
        aud: ours(),
        transaction,
        nonce: Nonce::from_random([4; 16]),
        journal: world.journal_id,
        asked_at: Utc::EPOCH,
    };
    assert_eq!(
        world.deliver(Down::Inquiry, signed(&inquiry)),
        [
            "note Inquired finding: \"tombstone\"",
            "sync tombstone",
            "send answer",
            "ack"
        ]
    );
    let again = world.inquire(transaction, world.journal_id);
    assert_eq!(again, Some(Finding::Tombstone));
    assert_eq!(
        world
            .reboot(|_| false)
            .inquire(transaction, world.journal_id),
        Some(Finding::Tombstone)
    );
}

#[test]
fn an_open_sale_gets_a_tombstone_and_no_permit_afterwards() {
    let mut world = World::ready();
    let sale = world.paying();
    let transaction = sale.request.transaction;
    let finding = world.inquire(transaction, world.journal_id);
    assert_eq!(finding, Some(Finding::Tombstone));
    let reason = NotConfirmedReason::Withdrawn;
    let refund = None;
    assert_eq!(
        world.view(sale.token),
        View::NotConfirmed { reason, refund }
    );
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched, []);
    let reason = RefusalReason::AlreadyDecided;
    assert_eq!(world.outcomes(), [LinkageOutcome::Refused { reason }]);
}

#[test]
fn what_acts_is_acting_and_what_is_done_is_decided() {
    let mut world = World::ready();
    let sale = world.paying();
    let transaction = sale.request.transaction;
    world.permit(&permit(&sale.request));
    let acting = world.inquire(transaction, world.journal_id);
    assert_eq!(acting, Some(Finding::Acting));
    world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
    let Some(Finding::Decided(result)) = world.inquire(transaction, world.journal_id) else {
        panic!("not decided");
    };
    assert_eq!(claims(&result), world.results()[0]);
}

#[test]
fn another_journal_knows_nothing() {
    let mut world = World::ready();
    let sale = world.paying();
    let lost = Some(Finding::Uncertain(UncertainReason::JournalLost));
    let other = JournalId::from_random([0; 16]);
    assert_eq!(world.inquire(sale.request.transaction, other), lost);
    assert!(matches!(world.view(sale.token), View::Paying { .. }));
}

#[test]
fn what_was_settled_and_pruned_is_uncertain_and_never_unseen() {
    let mut world = World::ready();
    let sale = world.paying();
    let transaction = sale.request.transaction;
    world.permit(&permit(&sale.request));
    world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
    world.reply(PaymentReply::Settled(Settled { transaction }));
    let pruned = Some(Finding::Uncertain(UncertainReason::Pruned));
    assert_eq!(world.inquire(transaction, world.journal_id), pruned);
    let mut world = world.reboot(|_| true);
    assert_eq!(world.inquire(transaction, world.journal_id), pruned);
}

#[test]
fn a_settlement_of_what_acts_is_not_believed() {
    let mut world = World::ready();
    let sale = world.paying();
    let transaction = sale.request.transaction;
    world.permit(&permit(&sale.request));
    assert_eq!(
        world.reply(PaymentReply::Settled(Settled { transaction })),
        ["ack"]
    );
    let acting = world.inquire(transaction, world.journal_id);
    assert_eq!(acting, Some(Finding::Acting));
}

#[test]
fn an_answer_waits_for_its_tombstone_also_while_a_config_is_being_kept() {
    let mut world = World::ready();
    let config = Envelope::new(
        MessageId::from_random([9; 16]),
        Utc::EPOCH,
        signed(&site_config(2)),
    );
    let inquiry = Inquiry {
        aud: ours(),
        transaction: TransactionId::from_random([3; 16]),
        nonce: Nonce::from_random([4; 16]),
        journal: world.journal_id,
        asked_at: Utc::EPOCH,
    };
    let inquiry = Envelope::new(
        MessageId::from_random([8; 16]),
        Utc::EPOCH,
        signed(&inquiry),
    );
    let payloads = [
        (Down::Inquiry, encode(&inquiry).unwrap()),
        (Down::Config, encode(&config).unwrap()),
        (Down::Inquiry, encode(&inquiry).unwrap()),
    ];
    for (delivery, (kind, payload)) in (50..).zip(&payloads) {
        let inbound = Inbound {
            delivery,
            kind: *kind,
            payload,
            retained: false,
        };
        world
            .terminal
            .handle_delivery(inbound, world.now, &mut world.entropy);
    }
    // The config's file is written first, whatever the journal does.
    let mut words = Vec::new();
    let mut ticket = None;
    while let Some(output) = world.terminal.poll_output() {
        words.push(word(&output));
        match output {
            Output::StoreConfig { .. } => world
                .terminal
                .handle_config_stored(world.now, &mut world.entropy),
            Output::Journal {
                ticket: waiting, ..
            } => ticket = Some(waiting),
            _ => {}
        }
    }
    let before = [
        "note Inquired finding: \"tombstone\"",
        "sync tombstone",
        "store config",
        "note Inquired finding: \"tombstone\"",
        "note ConfigApplied serial: 2",
        "send config",
    ];
    assert_eq!(words, before);
    world
        .terminal
        .handle_written(ticket.unwrap(), world.now, &mut world.entropy);
    assert_eq!(
        world.drain(),
        ["send answer", "ack", "send answer", "ack", "ack"]
    );
}

#[test]
fn a_foreign_inquiry_gets_no_answer() {
    let mut world = World::ready();
    let inquiry = Inquiry {
        aud: ours(),
        transaction: TransactionId::from_random([3; 16]),
        nonce: Nonce::from_random([4; 16]),
        journal: world.journal_id,
        asked_at: Utc::EPOCH,
    };
    let forged = sign(&SigningKey::from_seed([9; 32]), &inquiry).unwrap();
    assert_eq!(
        world.deliver(Down::Inquiry, forged),
        [
            "note MessageRefused kind: \"inquiry\" reason: \"unknown_key\"",
            "ack"
        ]
    );
}
