//! The journal fails while a result is on its way to it, and the process goes on.

use super::*;

/// A sale whose device was told to move.
fn moving() -> (World, OrderRequest) {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched, [sale.request.transaction]);
    (world, sale.request)
}

/// What the terminal has told of `request`, in messages and answers.
fn found(world: &mut World, request: &OrderRequest) -> Option<LinkageResult> {
    match world.inquire(request.transaction, world.journal_id) {
        Some(Finding::Decided(result)) => Some(claims(&result)),
        _ => None,
    }
}

const WORDS: [(DeviceOutcome, LinkageOutcome); 2] = [
    (DeviceOutcome::Done, LinkageOutcome::Done),
    (DeviceOutcome::Failed, LinkageOutcome::Failed),
];

#[test]
fn a_result_that_the_disk_did_not_take_is_said_once_it_takes_it() {
    for (word, outcome) in WORDS {
        let (mut world, request) = moving();
        world.file.fail_write(0);
        world.switched(request.transaction, &[("gate", word)]);
        let decided_at = world.now.utc;
        assert!(world.has_failed);
        world.stall(Duration::from_secs(5));
        assert_eq!(world.outcomes(), [], "nothing is said before it is written");
        assert!(world.reopen());
        assert_eq!(world.outcomes(), [outcome]);
        assert_eq!(world.results()[0].decided_at, decided_at);
        let said = found(&mut world, &request);
        assert_eq!(said.as_ref(), world.results().first());
        let mut world = world.reboot(|_| false);
        assert_eq!(found(&mut world, &request), said, "nor unsaid later");
        world.permit(&permit(&request));
        assert_eq!(world.switched.len(), 1);
    }
}

#[test]
fn a_word_that_comes_while_the_journal_is_down_is_not_lost() {
    for (word, outcome) in WORDS {
        let (mut world, request) = moving();
        world.fail();
        world.switched(request.transaction, &[("gate", word)]);
        assert_eq!(world.outcomes(), []);
        assert!(world.reopen());
        assert_eq!(world.outcomes(), [outcome]);
    }
}

#[test]
fn it_is_known_over_any_number_of_failures() {
    let (mut world, request) = moving();
    world.file.fail_write(0);
    world.switched(request.transaction, &[("gate", DeviceOutcome::Done)]);
    for write in 0..5 {
        world.file.fail_write(write);
        assert!(!world.reopen(), "the fifth is the result's");
        assert_eq!(world.outcomes(), []);
    }
    assert!(world.reopen());
    assert_eq!(world.outcomes(), [LinkageOutcome::Done]);
    assert_eq!(world.terminal.known_count(), 0, "the journal knows it now");
}

#[test]
fn without_its_process_nobody_knows_it() {
    let (mut world, request) = moving();
    world.file.fail_write(0);
    world.switched(request.transaction, &[("gate", DeviceOutcome::Done)]);
    let world = world.reboot(|_| true);
    let reason = UncertainReason::IntentWithoutDone;
    assert_eq!(world.outcomes(), [LinkageOutcome::Uncertain { reason }]);
}

#[test]
fn an_intent_that_failed_before_anything_moved_is_a_refusal() {
    let mut world = World::ready();
    let sale = world.paying();
    // The record is in the file and can be read again, but nothing promised that.
    world.file.fail_sync(0);
    world.permit(&permit(&sale.request));
    assert!(world.reopen());
    let reason = RefusalReason::JournalUnavailable;
    assert_eq!(world.outcomes(), [LinkageOutcome::Refused { reason }]);
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched, []);
    assert!(matches!(world.view(sale.token), View::Failed { .. }));
}

/// R9: nothing stands against a permit under a fresh nonce.
#[test]
fn an_intent_of_which_nothing_is_left_is_as_if_no_permit_had_come() {
    let mut world = World::ready();
    let sale = world.paying();
    world.file.fail_write(0);
    world.permit(&permit(&sale.request));
    assert!(world.reopen());
    assert_eq!(world.outcomes(), []);
    assert_eq!(world.terminal.known_count(), 0);
    assert!(matches!(world.view(sale.token), View::Verifying { .. }));
}

#[test]
fn what_a_reopened_journal_already_says_stands() {
    let (mut world, request) = moving();
    world.file.fail_sync(0);
    world.switched(request.transaction, &[("gate", DeviceOutcome::Done)]);
    assert!(world.reopen());
    assert_eq!(world.outcomes(), [LinkageOutcome::Done]);
    assert_eq!(world.terminal.known_count(), 0);
}
