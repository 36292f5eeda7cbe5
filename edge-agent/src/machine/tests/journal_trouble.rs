use super::*;
use crate::desk::DeskError;
use crate::machine::view::LandingState;

fn is_unavailable(world: &World) -> bool {
    let landing = world.terminal.landing(world.now);
    matches!(landing.state, LandingState::Unavailable { .. })
}

#[test]
fn a_failed_sync_moves_nothing_promises_nothing_and_sells_nothing_more() {
    let mut world = World::ready();
    let sale = world.paying();
    world.file.fail_sync(0);
    let words = world.permit(&permit(&sale.request));
    assert_eq!(words, ["seal intent", "note PermitAccepted", "send health"]);
    assert_eq!((world.switched.len(), world.outcomes()), (0, vec![]));
    assert!(matches!(world.try_accept(), Err(DeskError::Busy)));
    assert_eq!(
        world.inquire(TransactionId::from_random([0; 16]), world.journal_id),
        None
    );
    let mut world = world.reboot(|_| false);
    let finding = world.inquire(sale.request.transaction, world.journal_id);
    assert_eq!(finding, Some(Finding::Tombstone));
}

#[test]
fn no_sync_that_fails_lets_a_device_move_twice() {
    for n in 0..4 {
        let mut world = World::ready();
        let sale = world.quoted("wash");
        world.file.fail_sync(n);
        world.go_paying(sale.token);
        world.permit(&permit(&sale.request));
        if !world.switched.is_empty() {
            world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
        }
        let mut world = world.reboot(|index| index % 2 == 0);
        world.permit(&permit(&sale.request));
        assert!(world.switched.len() <= 1, "sync {n}");
        let finding = world.inquire(sale.request.transaction, world.journal_id);
        assert!(finding.is_some(), "sync {n}");
        let was_switched = !world.switched.is_empty();
        assert!(
            finding != Some(Finding::Tombstone) || !was_switched,
            "sync {n}"
        );
    }
}

#[test]
fn a_payer_is_not_sent_to_pay_unless_the_order_is_on_the_disk() {
    let mut world = World::ready();
    let sale = world.quoted("wash");
    world.file.fail_sync(0);
    assert_eq!(world.go_paying(sale.token), ["sync paying", "send health"]);
    assert!(is_unavailable(&world) || world.try_accept() == Err(DeskError::Busy));
}

#[test]
fn a_full_journal_sells_nothing_until_sales_are_settled_and_still_serves_the_open_one() {
    let mut world = World::ready();
    let mut served = Vec::new();
    while !is_unavailable(&world) {
        let sale = world.paying();
        world.permit(&permit(&sale.request));
        let transaction = sale.request.transaction;
        world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
        served.push(transaction);
        assert!(served.len() < 1_000, "the journal has an end");
        if served.len() % 8 == 0 {
            world.pass(Duration::from_secs(4));
            world.probe(DeviceState::Off);
        }
    }
    assert_eq!(world.switched, served, "every open sale found its room");
    let refused = world.try_accept();
    assert!(matches!(refused, Err(DeskError::Unavailable { .. })));
    for transaction in served {
        world.reply(PaymentReply::Settled(Settled { transaction }));
    }
    assert!(!is_unavailable(&world));
}

#[test]
fn a_damaged_journal_answers_uncertain_and_takes_no_permit() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    let mut bytes = world.file.bytes();
    let intent = bytes.windows(8).position(|window| window == b"\"intent\"");
    bytes[intent.unwrap()] ^= 1;
    world.file = MemoryFile::of(bytes);
    let mut world = world.reboot(|_| true);
    assert!(is_unavailable(&world));
    let lost = Some(Finding::Uncertain(UncertainReason::JournalLost));
    let finding = world.inquire(sale.request.transaction, world.journal_id);
    assert_eq!(finding, lost);
    let unseen = TransactionId::from_random([0; 16]);
    assert_eq!(world.inquire(unseen, world.journal_id), lost);
    let words = world.permit(&permit(&sale.request));
    assert_eq!(words.last().unwrap(), "ack");
    assert_eq!(world.switched.len(), 1);
}
