//! A sync fails, or the disk is full, at every single call of whole payments, over compactions of
//! the journal. No intent is lost once its device has moved, no device moves twice, nothing was said
//! that is not on the disk, and a terminal that goes on running forgets no device's word.

use super::*;

/// Calls of each kind that are made to fail, one after the other.
const CALLS: usize = 200;

/// Pays, is served, and has it settled, as far as the disk works.
fn sell(world: &mut World) -> Option<Sale> {
    let token = world.try_accept().ok()?;
    world.choose(token, "wash").ok()?;
    if world.has_failed {
        return None;
    }
    let sale = Sale {
        token,
        request: world.last_request(),
    };
    let transaction = sale.request.transaction;
    world.reply(PaymentReply::Quote(signed(&quote(&sale.request))));
    world.go_paying(token);
    world.permit(&permit(&sale.request));
    if world.switched.contains(&transaction) {
        world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
    }
    Some(sale)
}

fn settle(world: &mut World, sale: &Sale) {
    let transaction = sale.request.transaction;
    world.reply(PaymentReply::Settled(Settled { transaction }));
    world.sent.clear();
}

fn every_call(count: fn(&MemoryFile) -> usize, fail: fn(&MemoryFile, usize)) -> (usize, usize) {
    let mut base = World::ready();
    let (mut failed, mut moved) = (0, 0);
    let first = count(&base.file);
    while count(&base.file) < first + CALLS {
        let mut whole = base.fork();
        let sale = sell(&mut whole).unwrap();
        settle(&mut whole, &sale);
        for n in 0..count(&whole.file) - count(&base.file) {
            let mut world = base.fork();
            fail(&world.file, n);
            let sale = sell(&mut world);
            if !world.has_failed
                && let Some(sale) = &sale
            {
                settle(&mut world, sale);
            }
            assert!(world.has_failed, "call {n}");
            failed += 1;
            moved += usize::from(world.switched.len() > base.switched.len());
            check(
                &world,
                sale.as_ref(),
                &format!("after {}, call {n}", base.switched.len()),
            );
        }
        base = whole;
    }
    (failed, moved)
}

/// Both ways out: the journal is opened anew, or power is lost before that.
fn check(world: &World, sale: Option<&Sale>, at: &str) {
    let was_moved = world.switched.len();
    let Some(sale) = sale else {
        return;
    };
    let said: Vec<_> = world.sent.iter().filter_map(result_of).collect();
    let mut reopened = world.fork();
    assert!(reopened.reopen(), "{at}");
    check_truth(&reopened, sale, at);
    for mut after in [reopened, world.reboot(|_| false)] {
        after.permit(&permit(&sale.request));
        assert_eq!(after.switched.len(), was_moved, "{at}");
        let transaction = sale.request.transaction;
        let finding = after.inquire(transaction, after.journal_id).unwrap();
        let moved = world.switched.contains(&transaction);
        assert!(!moved || finding != Finding::Tombstone, "{at}");
        for result in &said {
            let pruned = Finding::Uncertain(UncertainReason::Pruned);
            let kept = Finding::Decided(result.clone());
            assert!(finding == kept || finding == pruned, "{at}: {finding:?}");
        }
        lapse(&mut after);
        assert!(sell(&mut after).is_some(), "{at}: it sells again");
        assert_eq!(after.switched.len(), was_moved + 1, "{at}");
    }
}

/// The process that switched still knows what came of it, says it once the journal takes it, and
/// says the same after a power cut.
fn check_truth(reopened: &World, sale: &Sale, at: &str) {
    let transaction = sale.request.transaction;
    let outcome_in = |world: &mut World| match world.inquire(transaction, world.journal_id) {
        Some(Finding::Decided(result)) => Some(claims(&result).outcome),
        _ => None,
    };
    let mut world = reopened.fork();
    let outcome = outcome_in(&mut world);
    match outcome {
        Some(LinkageOutcome::Done) => assert!(world.switched.contains(&transaction), "{at}"),
        Some(LinkageOutcome::Refused { .. }) => {
            assert!(!world.switched.contains(&transaction), "{at}");
        }
        Some(other) => panic!("{at}: {other:?}"),
        // Settled, or no intent was left of it.
        None => {}
    }
    assert_eq!(outcome_in(&mut world.reboot(|_| false)), outcome, "{at}");
}

/// Whoever held the lease has lost it.
fn lapse(world: &mut World) {
    world.stall(Duration::from_secs(181));
    world.terminal.handle_timeout(world.now, &mut world.entropy);
    world.drain();
    world.probe(DeviceState::Off);
}

fn result_of(body: &Body) -> Option<Jws<LinkageResult>> {
    match body {
        Body::Linkage(LinkageMessage::Result(result)) => Some(result.clone()),
        _ => None,
    }
}

#[test]
fn no_failed_sync_loses_an_intent_moves_twice_or_makes_a_word_untrue() {
    let (failed, moved) = every_call(|file| file.calls().0, MemoryFile::fail_sync);
    assert!(failed >= CALLS, "{failed}");
    assert!(moved > 0 && moved < failed, "{moved} of {failed}");
}

#[test]
fn no_full_disk_loses_an_intent_moves_twice_or_makes_a_word_untrue() {
    let (failed, moved) = every_call(|file| file.calls().1, MemoryFile::fail_write);
    assert!(failed >= CALLS, "{failed}");
    assert!(moved > 0 && moved < failed, "{moved} of {failed}");
}

#[test]
fn a_disk_that_never_works_sells_nothing() {
    let mut world = World::ready();
    world.file.fail_sync(0);
    let sale = world.quoted("wash");
    world.go_paying(sale.token);
    assert!(world.has_failed);
    for _ in 0..5 {
        world.file.fail_sync(0);
        assert!(!world.reopen());
        assert!(world.try_accept().is_err());
    }
    assert!(world.reopen(), "and sells again once it works");
    lapse(&mut world);
    assert!(sell(&mut world).is_some());
}

/// A bit of every byte of header and seal, and of every sixteenth byte of the records: that the
/// journal notices every bit of them is a test of the journal's own.
#[test]
fn no_flipped_bit_makes_a_served_transaction_unseen_or_served_again() {
    let mut world = World::ready();
    let sale = world.paying();
    let transaction = sale.request.transaction;
    world.permit(&permit(&sale.request));
    let bytes = world.file.after_power_cut(|_| false).bytes();
    let places: Vec<_> = (0..bytes.len())
        .filter(|place| bytes[*place] != 0)
        .collect();
    assert!(places.len() > 1_000, "{}", places.len());
    for (number, place) in places.into_iter().enumerate() {
        if number >= 80 && number % 16 != 0 {
            continue;
        }
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (number % 8);
        let millis = world.now.tick.as_millis() + 1_000;
        let config = world.config.clone();
        let mut after = World::on(MemoryFile::of(flipped), millis, config, &Sound);
        after.drain();
        after.connect();
        let finding = after.inquire(transaction, world.journal_id).unwrap();
        match finding {
            Finding::Uncertain(UncertainReason::JournalLost) => {}
            Finding::Decided(result) => {
                let reason = UncertainReason::IntentWithoutDone;
                assert_eq!(
                    claims(&result).outcome,
                    LinkageOutcome::Uncertain { reason }
                );
            }
            other => panic!("byte {place}: {other:?}"),
        }
        after.permit(&permit(&sale.request));
        assert_eq!(after.switched, [], "byte {place}");
    }
}
