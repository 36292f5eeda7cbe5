//! Every guard, taken away, lets the harm through that it is there for; and standing, does not.

use super::*;
use crate::rules::Rule;

#[derive(Debug)]
struct Without(Rule);

impl Rules for Without {
    fn holds(&self, rule: Rule) -> bool {
        rule != self.0
    }
}

#[test]
fn each_guard_stands_between_a_terminal_and_one_harm() {
    let mut wrong = Vec::new();
    for rule in Rule::ALL {
        let without: &'static Without = Box::leak(Box::new(Without(*rule)));
        match (is_harmed(*rule, &Sound), is_harmed(*rule, without)) {
            (false, true) => {}
            (stands, taken_away) => wrong.push((rule, stands, taken_away)),
        }
    }
    assert_eq!(wrong, []);
}

#[expect(clippy::too_many_lines, reason = "a flat table, a row for each guard")]
fn is_harmed(rule: Rule, rules: &'static dyn Rules) -> bool {
    let world = World::under(rules);
    match rule {
        Rule::AliveAtPermit => accepts_a_dead_nonce(world),
        Rule::AliveAfterSync => moves_after_a_slow_sync(world),
        Rule::DeadlineGoesAlong => lets_devices_be_late(world),
        Rule::NonceKnown => acts_on(world, |permit| permit.nonce = Nonce::from_random([0; 16])),
        Rule::NonceDiesWithBoot => {
            let mut world = world;
            let sale = world.paying();
            let mut world = world.reboot(|_| true);
            world.permit(&permit(&sale.request));
            !world.switched.is_empty()
        }
        Rule::NonceNeverExtended => extends_a_nonce(world),
        Rule::IntentSyncedFirst => forgets_what_it_did(world),
        Rule::IntentRefusesLater => {
            let mut world = world;
            let sale = world.paying();
            world.permit(&permit(&sale.request));
            world.permit(&permit(&sale.request));
            world.switched.len() == 2
        }
        Rule::DoneRefusesLater => acts_after(world, |world, sale| {
            world.off(&off(&sale.request, OffReason::Late));
        }),
        Rule::TombstoneRefusesLater | Rule::TombstoneBeforeNeverSaw => {
            acts_after(world, |world, sale| {
                world.inquire(sale.request.transaction, world.journal_id);
            })
        }
        Rule::PrunedIsUncertain => denies_what_it_did(world, |world, transaction| {
            world.reply(PaymentReply::Settled(Settled { transaction }));
        }),
        Rule::RecordsStayUntilSettled => denies_what_it_did(world, |world, _| {
            let journal = world.journal_id;
            let through = 99;
            world.deliver(Down::Ack, Ack { journal, through });
        }),
        Rule::OtherJournalIsUncertain => {
            let mut world = world;
            let other = JournalId::from_random([0; 16]);
            let transaction = TransactionId::from_random([3; 16]);
            world.inquire(transaction, other) == Some(Finding::Tombstone)
        }
        Rule::DamagedIsUncertain => crate::simulation::tests::sells_on_a_damaged_journal(rules),
        Rule::IntentNeverRepeated | Rule::FreshNonceOnlyIfOpen => acts_twice_over_a_start(world),
        Rule::IntentOutlastsOff => {
            let mut world = world;
            let sale = world.paying();
            world.permit(&permit(&sale.request));
            world.off(&off(&sale.request, OffReason::Expired));
            let reason = RefusalReason::Withdrawn;
            world.outcomes() == [LinkageOutcome::Refused { reason }]
        }
        Rule::TombstoneSyncedFirst => {
            let mut world = world;
            let transaction = TransactionId::from_random([3; 16]);
            world.inquire(transaction, world.journal_id);
            let unsynced = world.file.after_power_cut(|_| false).bytes();
            !unsynced
                .windows(11)
                .any(|window| window == b"\"tombstone\"")
        }
        Rule::NoFeedbackIsUncertain => says_failed(world, &[("gate", DeviceOutcome::Uncertain)]),
        Rule::PartIsUncertain => says_failed(
            world,
            &[
                ("gate", DeviceOutcome::Failed),
                ("light", DeviceOutcome::Done),
            ],
        ),
        Rule::SilenceIsUncertain => {
            let mut world = world;
            let sale = world.paying();
            world.permit(&permit(&sale.request));
            world.pass(Duration::from_secs(61));
            world.outcomes()[0] == LinkageOutcome::Failed
        }
        Rule::PayerAskedSinceBoot => {
            let mut world = world;
            world.paying();
            let world = world.reboot(|_| true);
            let is_asked =
                |body: &Body| matches!(body, Body::Payment(PaymentMessage::PermitRequest(_)));
            world.sent.iter().any(is_asked)
        }
        Rule::OffNamesNonce => {
            let mut world = world;
            let sale = world.paying();
            let mut off = off(&sale.request, OffReason::Expired);
            off.nonce = Nonce::from_random([0; 16]);
            world.off(&off);
            matches!(world.view(sale.token), View::NotConfirmed { .. })
        }
        Rule::OffNeverCutsARun => cuts_a_run(world),
        Rule::AcknowledgeAfterJournal => {
            let mut world = world;
            let sale = world.paying();
            world.permit(&permit(&sale.request))[0] == "ack"
        }
        Rule::GroundFitsQuote => acts_on(world, |permit| {
            permit.ground = Ground::ZeroBill {
                tariff_version: tariff().version(),
            };
        }),
        Rule::RoomBeforeSale => sells_without_room(world),
        Rule::FailedSyncIsFinal => crate::simulation::tests::believes_a_failed_sync(rules),
        Rule::OneLease => {
            let mut world = world;
            world.accept();
            world.try_accept().is_ok()
        }
        Rule::ReturnNeedsSecret => {
            let mut world = world;
            let sale = world.paying();
            let nobody = "0".repeat(32);
            let url = format!("http://x/return/{}/{nobody}", sale.request.transaction);
            world.try_returned(&url).is_ok()
        }
    }
}

fn accepts_a_dead_nonce(mut world: World) -> bool {
    let sale = world.paying();
    world.stall(Duration::from_secs(180));
    let words = world.permit(&permit(&sale.request));
    words.contains(&"note PermitAccepted".to_owned())
}

fn moves_after_a_slow_sync(mut world: World) -> bool {
    let sale = world.paying();
    world.stall(Duration::from_millis(179_999));
    let command = LinkageCommand::Permit(signed(&permit(&sale.request)));
    let envelope = Envelope::new(MessageId::from_random([9; 16]), Utc::EPOCH, command);
    let inbound = Inbound {
        delivery: 99,
        kind: Down::Linkage,
        payload: &encode(&envelope).unwrap(),
        retained: false,
    };
    world
        .terminal
        .handle_delivery(inbound, world.now, &mut world.entropy);
    world.stall(Duration::from_millis(1));
    world.drain();
    !world.switched.is_empty()
}

fn lets_devices_be_late(mut world: World) -> bool {
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.deadlines[0] > world.now.tick + Duration::from_secs(180)
}

fn acts_on(mut world: World, change: impl Fn(&mut Permit)) -> bool {
    let sale = world.paying();
    let mut permit = permit(&sale.request);
    change(&mut permit);
    world.permit(&permit);
    !world.switched.is_empty()
}

fn extends_a_nonce(mut world: World) -> bool {
    let token = world.accept();
    world.choose(token, "wash").unwrap();
    let request = world.last_request();
    world.stall(Duration::from_secs(10));
    world.reply(PaymentReply::Quote(signed(&quote(&request))));
    world.go_paying(token);
    world.stall(Duration::from_secs(175));
    world.permit(&permit(&request));
    !world.switched.is_empty()
}

fn forgets_what_it_did(mut world: World) -> bool {
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched.len(), 1);
    let mut world = world.reboot(|_| false);
    let finding = world.inquire(sale.request.transaction, world.journal_id);
    finding == Some(Finding::Tombstone)
}

fn acts_after(mut world: World, what: impl Fn(&mut World, &Sale)) -> bool {
    let sale = world.paying();
    what(&mut world, &sale);
    world.permit(&permit(&sale.request));
    !world.switched.is_empty()
}

fn denies_what_it_did(mut world: World, what: impl Fn(&mut World, TransactionId)) -> bool {
    let sale = world.paying();
    let transaction = sale.request.transaction;
    world.permit(&permit(&sale.request));
    world.switched(transaction, &[("gate", DeviceOutcome::Done)]);
    what(&mut world, transaction);
    world.inquire(transaction, world.journal_id) == Some(Finding::Tombstone)
}

fn acts_twice_over_a_start(mut world: World) -> bool {
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    let mut world = world.reboot(|_| true);
    world.view(sale.token);
    let asked = world.sent.iter().find_map(|body| match body {
        Body::Payment(PaymentMessage::PermitRequest(jws)) => Some(claims(jws).nonce),
        _ => None,
    });
    let mut permit = permit(&sale.request);
    permit.nonce = asked.unwrap_or(permit.nonce);
    world.permit(&permit);
    world.switched.len() == 2
}

fn says_failed(mut world: World, results: &[(&str, DeviceOutcome)]) -> bool {
    let sale = world.paying();
    world.permit(&permit(&sale.request));
    world.switched(sale.request.transaction, results);
    world.outcomes() == [LinkageOutcome::Failed]
}

fn cuts_a_run(mut world: World) -> bool {
    let first = world.paying();
    world.permit(&permit(&first.request));
    world.switched(first.request.transaction, &[("gate", DeviceOutcome::Done)]);
    let second = world.paying();
    let words = world.off(&off(&second.request, OffReason::Expired));
    words.contains(&"off gate".to_owned())
}

/// Sales that are never settled fill the journal.
fn sells_without_room(mut world: World) -> bool {
    for _ in 0..200 {
        let Ok(token) = world.try_accept() else {
            return false;
        };
        if world.choose(token, "wash").is_err() {
            return true;
        }
        let request = world.last_request();
        world.reply(PaymentReply::Quote(signed(&quote(&request))));
        world.go_paying(token);
        world.permit(&permit(&request));
        world.switched(request.transaction, &[("gate", DeviceOutcome::Done)]);
    }
    true
}
