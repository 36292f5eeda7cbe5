//! Power is lost after each single output of a sale. Whatever comes after, a device moves at most
//! once, and the platform gets a definite answer.

use super::*;

/// One whole sale, as far as the power lasts.
fn sell(world: &mut World) -> Option<Sale> {
    let token = world.try_accept().ok()?;
    world.choose(token, "wash").ok()?;
    let sent = world
        .sent
        .iter()
        .any(|body| matches!(body, Body::Payment(PaymentMessage::OrderRequest(_))));
    if !sent {
        return None;
    }
    let sale = Sale {
        token,
        request: world.last_request(),
    };
    let transaction = sale.request.transaction;
    world.reply(PaymentReply::Quote(signed(&quote(&sale.request))));
    world.go_paying(token);
    drop(world.try_returned(&sale.request.return_url));
    world.permit(&permit(&sale.request));
    if world.switched.contains(&transaction) {
        world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
    }
    world.reply(PaymentReply::Settled(Settled { transaction }));
    Some(sale)
}

fn outputs_of_a_sale() -> usize {
    let mut world = World::ready();
    let before = world.outputs_seen;
    sell(&mut world);
    world.outputs_seen - before
}

#[test]
fn at_most_one_on_and_a_definite_answer_wherever_the_power_is_cut() {
    let total = outputs_of_a_sale();
    assert_eq!(total, 20, "the sale is whole");
    for cut in 0..=total {
        for kept in [0_u64, u64::MAX, 0b0101, 0b1010] {
            check_cut(cut, kept);
        }
    }
}

fn check_cut(cut: usize, kept: u64) {
    let mut world = World::ready();
    world.power_cut_at = Some(world.outputs_seen + cut);
    let Some(sale) = sell(&mut world) else {
        return;
    };
    let transaction = sale.request.transaction;
    let was_switched = world.switched.contains(&transaction);
    let mut world = world.reboot(|index| kept >> (index % 64) & 1 == 1);
    // The platform says it again, the payer comes back, and it says it once more.
    world.permit(&permit(&sale.request));
    if let Ok(View::Verifying { .. }) =
        world
            .terminal
            .handle_view(sale.token, world.now, &mut world.entropy)
    {
        world.drain();
        world.permit(&permit(&sale.request));
    }
    assert!(world.switched.len() <= 1, "cut {cut} kept {kept:b}");
    let finding = world.inquire(transaction, world.journal_id).unwrap();
    let at = format!("cut {cut} kept {kept:b}: {finding:?}");
    match &finding {
        Finding::Tombstone => assert!(!was_switched, "{at}"),
        Finding::Decided(result) => match claims(result).outcome {
            LinkageOutcome::Done => assert!(was_switched, "{at}"),
            LinkageOutcome::Uncertain { .. } => {}
            LinkageOutcome::Refused { .. } | LinkageOutcome::Failed => {
                assert!(!was_switched, "{at}");
            }
        },
        Finding::Uncertain(reason) => assert_eq!(*reason, UncertainReason::JournalLost, "{at}"),
        Finding::Acting => panic!("{at}"),
    }
    assert_eq!(world.inquire(transaction, world.journal_id), Some(finding));
    world.permit(&permit(&sale.request));
    assert!(world.switched.len() <= 1, "{at}");
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
