//! Power is lost before each single output of every flow, and of what was not synced every prefix
//! stays. Whatever comes after, a device moves at most once, what was said is still so, and the
//! platform gets a definite answer.

use super::*;

/// What happens, as far as the power lasts; the sale once its order was sent.
type Act = fn(&mut World, Option<Sale>) -> Option<Sale>;

/// A flow, the world in which it begins, and how many outputs it has.
type Flow = (&'static str, fn() -> (World, Option<Sale>), Act, usize);

const FLOWS: [Flow; 9] = [
    ("sale", fresh_world, sell, 20),
    ("declined and withdrawn", fresh_world, decline, 16),
    ("cancelled", fresh_world, cancel, 7),
    ("expired", fresh_world, expire, 13),
    ("inquired, then permitted", fresh_world, inquire, 18),
    ("refused", fresh_world, refuse, 14),
    ("failed", fresh_world, fail, 16),
    ("fresh nonce after a start", rebooted_world, resume, 12),
    ("withdrawn after a start", rebooted_world, withdraw, 11),
];

fn fresh_world() -> (World, Option<Sale>) {
    (World::ready(), None)
}

fn rebooted_world() -> (World, Option<Sale>) {
    let mut world = World::ready();
    let sale = world.paying();
    (world.reboot(|_| false), Some(sale))
}

/// A sale whose payer is on the payment server's page.
fn pay(world: &mut World) -> Option<Sale> {
    let token = world.try_accept().ok()?;
    world.choose(token, "wash").ok()?;
    let is_sent = |body: &Body| matches!(body, Body::Payment(PaymentMessage::OrderRequest(_)));
    if !world.sent.iter().any(is_sent) {
        return None;
    }
    let sale = Sale {
        token,
        request: world.last_request(),
    };
    world.reply(PaymentReply::Quote(signed(&quote(&sale.request))));
    world.go_paying(token);
    Some(sale)
}

fn act(world: &mut World, request: &OrderRequest, outcome: DeviceOutcome) {
    world.permit(&permit(request));
    let transaction = request.transaction;
    if world.switched.contains(&transaction) {
        world.switched(transaction, &[("gate", outcome)]);
    }
}

fn sell(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let sale = pay(world)?;
    drop(world.try_returned(&sale.request.return_url));
    act(world, &sale.request, DeviceOutcome::Done);
    let transaction = sale.request.transaction;
    world.reply(PaymentReply::Settled(Settled { transaction }));
    Some(sale)
}

fn decline(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let sale = pay(world)?;
    let transaction = sale.request.transaction;
    let standing = Standing::Declined;
    world.reply(PaymentReply::Standing(PaymentStanding {
        transaction,
        standing,
    }));
    world.off(&off(&sale.request, OffReason::Declined));
    Some(sale)
}

fn cancel(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let token = world.try_accept().ok()?;
    world.choose(token, "wash").ok()?;
    drop(world.cancel(token));
    None
}

fn expire(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let sale = pay(world)?;
    world.stall(Duration::from_secs(180));
    world.terminal.handle_timeout(world.now, &mut world.entropy);
    world.drain();
    Some(sale)
}

fn inquire(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let sale = pay(world)?;
    world.inquire(sale.request.transaction, world.journal_id);
    world.permit(&permit(&sale.request));
    Some(sale)
}

fn refuse(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let sale = pay(world)?;
    let mut permit = permit(&sale.request);
    permit.devices = vec!["door".parse().unwrap()];
    world.permit(&permit);
    Some(sale)
}

fn fail(world: &mut World, _: Option<Sale>) -> Option<Sale> {
    let sale = pay(world)?;
    act(world, &sale.request, DeviceOutcome::Failed);
    Some(sale)
}

fn resume(world: &mut World, sale: Option<Sale>) -> Option<Sale> {
    let sale = sale?;
    let request = reopened(world, &sale);
    act(world, &request, DeviceOutcome::Done);
    Some(sale)
}

fn withdraw(world: &mut World, sale: Option<Sale>) -> Option<Sale> {
    let sale = sale?;
    reopened(world, &sale);
    world.off(&off(&sale.request, OffReason::Late));
    Some(sale)
}

/// The payer comes back; the order under its newest nonce.
fn reopened(world: &mut World, sale: &Sale) -> OrderRequest {
    let looked = world
        .terminal
        .handle_view(sale.token, world.now, &mut world.entropy);
    drop(looked);
    world.drain();
    let asked = world.sent.iter().rev().find_map(|body| match body {
        Body::Payment(PaymentMessage::PermitRequest(jws)) => Some(claims(jws).nonce),
        _ => None,
    });
    OrderRequest {
        nonce: asked.unwrap_or(sale.request.nonce),
        ..sale.request.clone()
    }
}

#[test]
fn at_most_one_on_and_a_definite_answer_wherever_the_power_is_cut() {
    let totals = FLOWS.map(|(name, start, act, _)| {
        let (mut whole, sale) = start();
        let before = whole.outputs_seen;
        act(&mut whole, sale);
        (name, whole.outputs_seen - before)
    });
    assert_eq!(totals, FLOWS.map(|(name, _, _, total)| (name, total)));
    for (name, start, act, total) in FLOWS {
        for cut in 0..=total {
            let (mut world, sale) = start();
            world.power_cut_at = Some(world.outputs_seen + cut);
            if let Some(sale) = act(&mut world, sale) {
                for kept in 0..=world.file.unsynced_count() {
                    check(
                        &world,
                        &sale,
                        kept,
                        &format!("{name}, cut {cut}, kept {kept}"),
                    );
                }
            }
        }
    }
}

fn check(before: &World, sale: &Sale, kept: usize, at: &str) {
    let transaction = sale.request.transaction;
    let was_switched = before.switched.contains(&transaction);
    let mut world = before.reboot(|index| index < kept);
    // The platform says it again, the payer comes back, and it says it once more.
    world.permit(&permit(&sale.request));
    let request = reopened(&mut world, sale);
    world.permit(&permit(&request));
    assert!(world.switched.len() <= 1, "{at}");
    let finding = world.inquire(transaction, world.journal_id).unwrap();
    let is_switched = world.switched.contains(&transaction);
    match &finding {
        Finding::Tombstone => assert!(!is_switched, "{at}"),
        Finding::Decided(result) => match claims(result).outcome {
            LinkageOutcome::Done => assert!(was_switched, "{at}"),
            LinkageOutcome::Uncertain { .. } => {}
            LinkageOutcome::Refused { .. } => assert!(!is_switched, "{at}"),
            // The device itself said that it did not move.
            LinkageOutcome::Failed => assert!(was_switched && at.starts_with("failed"), "{at}"),
        },
        Finding::Uncertain(reason) => assert_eq!(*reason, UncertainReason::Pruned, "{at}"),
        Finding::Acting => assert!(is_switched && !was_switched, "{at}"),
    }
    check_words(before, &finding, at);
    assert_eq!(world.inquire(transaction, world.journal_id), Some(finding));
    world.permit(&permit(&request));
    assert!(world.switched.len() <= 1, "{at}");
}

/// What the platform was told before the cut is so after it.
fn check_words(before: &World, finding: &Finding, at: &str) {
    for body in &before.sent {
        match body {
            Body::Linkage(LinkageMessage::Result(result)) => match finding {
                Finding::Decided(found) => assert_eq!(found, result, "{at}"),
                // Settled and pruned.
                Finding::Uncertain(UncertainReason::Pruned) => {}
                _ => panic!("{at}: {finding:?}"),
            },
            Body::Linkage(LinkageMessage::Answer(answer)) => {
                assert_eq!(claims(answer).finding, Finding::Tombstone, "{at}");
                let is_refusal = matches!(finding, Finding::Decided(found)
                    if matches!(claims(found).outcome, LinkageOutcome::Refused { .. }));
                assert!(
                    is_refusal || *finding == Finding::Tombstone,
                    "{at}: {finding:?}"
                );
            }
            _ => {}
        }
    }
}

#[test]
fn an_intent_without_a_result_is_uncertain_after_a_start_and_never_repeated() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched.len(), 1);
    let mut world = world.reboot(|_| false);
    let reason = UncertainReason::IntentWithoutDone;
    assert_eq!(world.outcomes(), [LinkageOutcome::Uncertain { reason }]);
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched.len(), 1);
    assert!(matches!(world.view(sale.token), View::Failed { .. }));
    assert!(world.try_accept().is_ok());
}

#[test]
fn an_order_before_paying_ends_with_the_power_and_the_platform_is_told() {
    let mut world = World::ready();
    let sale = world.quoted("wash");
    let world = world.reboot(|_| true);
    let ended = world.sent.iter().find_map(|body| match body {
        Body::Payment(PaymentMessage::Ended(ended)) => Some(ended.clone()),
        _ => None,
    });
    let ended = ended.unwrap();
    assert_eq!(
        (ended.transaction, ended.reason),
        (Some(sale.request.transaction), EndReason::Idle)
    );
}

#[test]
fn a_payer_who_comes_back_after_a_start_gets_a_permit_under_a_new_nonce() {
    let mut world = World::ready();
    let sale = world.paying();
    let mut world = world.reboot(|_| false);
    assert_eq!(
        world.permit(&permit(&sale.request)),
        ["note PermitRefused reason: NonceUnknown", "ack"],
        "the old nonce died with the power"
    );
    assert_eq!(world.try_accept(), Err(crate::desk::DeskError::Busy));
    assert!(matches!(world.view(sale.token), View::Verifying { .. }));
    let asked = world.sent.iter().find_map(|body| match body {
        Body::Payment(PaymentMessage::PermitRequest(jws)) => Some(claims(jws)),
        _ => None,
    });
    let asked = asked.unwrap();
    assert_eq!(
        (asked.transaction, asked.session),
        (sale.request.transaction, sale.request.session)
    );
    assert_ne!(asked.nonce, sale.request.nonce);
    assert_eq!(asked.nonce_lifetime_ms, 180_000);
    let mut fresh = permit(&sale.request);
    fresh.nonce = asked.nonce;
    world.permit(&fresh);
    assert_eq!(world.switched, [sale.request.transaction]);
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched.len(), 1);
}

#[test]
fn an_off_under_the_nonce_of_before_the_start_is_taken() {
    let mut world = World::ready();
    let sale = world.paying();
    let mut world = world.reboot(|_| false);
    assert!(matches!(world.view(sale.token), View::Verifying { .. }));
    world.off(&off(&sale.request, OffReason::Late));
    assert!(matches!(world.view(sale.token), View::NotConfirmed { .. }));
    let reason = RefusalReason::Withdrawn;
    assert_eq!(world.outcomes(), [LinkageOutcome::Refused { reason }]);
    assert_eq!(world.switched, []);
}

#[test]
fn nobody_asks_for_a_permit_unless_the_payer_does() {
    let mut world = World::ready();
    world.paying();
    let mut world = world.reboot(|_| false);
    world.pass(Duration::from_secs(170));
    assert!(world.sent.iter().all(|body| !matches!(
        body,
        Body::Payment(PaymentMessage::PermitRequest(_) | PaymentMessage::Notice(_))
    )));
    world.pass(Duration::from_secs(20));
    world.probe(DeviceState::Off);
    assert!(world.try_accept().is_ok(), "the lease has an end");
}

#[test]
fn results_form_a_chain_over_starts() {
    let mut world = World::ready();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    let first = world.sent.iter().rev().find_map(|body| match body {
        Body::Linkage(LinkageMessage::Result(jws)) => Some(jws.digest()),
        _ => None,
    });
    let mut world = world.reboot(|_| false);
    world.sent.clear();
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.switched(sale.request.transaction, &[("gate", DeviceOutcome::Done)]);
    assert_eq!(world.results()[0].previous, first);
}
