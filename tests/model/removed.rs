//! Worlds that lack a rule, with the second line of its defence: a counterexample must be found,
//! or the model sees nothing.

use edge_agent::rules::Rule as Edge;
use payment_mock::Outcome;
use platform::rules::Rule as Hub;
use stateright::{Checker as _, HasDiscoveries, Model as _};
use tests::world::build::RuleBook;
use tests::world::planted::without;

use crate::start::Start;
use crate::state::Budget;
use crate::world::{Action, RULES, World};

/// Many times what any of them takes.
const STATES_MAX: usize = 200_000;

/// Explores from the start outwards, so that what is found first is the shortest.
fn find(name: &str, world: &World) {
    let checker = world
        .clone()
        .checker()
        .threads(2)
        .target_state_count(STATES_MAX)
        .finish_when(HasDiscoveries::AnyOf([RULES].into()))
        .spawn_bfs()
        .join();
    let states = checker.unique_state_count();
    let path = checker.discovery(RULES);
    let path = path.unwrap_or_else(|| panic!("{name}: unnoticed in {states} states"));
    let broken = path.last_state().seen.broken;
    let actions = path.into_actions();
    assert_holds(name, world, &actions);
    println!(
        "{name}: {broken:?} after {} steps, among {states} states: {actions:?}",
        actions.len()
    );
}

/// The same acts, as far as they can be done while the rules stand, break nothing: what was found is
/// the rule and not the judge.
fn assert_holds(name: &str, world: &World, actions: &[Action]) {
    let sound = World {
        rules: RuleBook::SOUND,
        ..world.clone()
    };
    let mut state = sound.first().expect("the world is built");
    for action in actions {
        let mut possible = vec![];
        sound.actions(&state, &mut possible);
        let next = possible
            .contains(action)
            .then(|| sound.next_state(&state, *action));
        state = next.flatten().unwrap_or(state);
        assert_eq!(state.seen.broken, None, "{name}: {action:?}");
    }
}

fn lacking((hub, edge): (&'static [Hub], &'static [Edge]), start: Start, budget: Budget) -> World {
    World {
        rules: without(hub, edge),
        budget,
        refund_as_loss: false,
        outcome: Outcome::Paid,
        start,
    }
}

#[test]
fn removed_r2_the_exact_payment() {
    let hub = &[
        Hub::AmountEqual,
        Hub::CurrencyEqual,
        Hub::PayeeEqual,
        Hub::UntouchedPayment,
        Hub::NonceAnswered,
        Hub::OwnOrder,
        Hub::OrderAsMade,
        Hub::PaidIsFinal,
        Hub::GroundExact,
    ];
    for outcome in [Outcome::Under, Outcome::WrongPayee, Outcome::WrongCurrency] {
        let world = World {
            outcome,
            ..lacking(
                (hub, &[Edge::GroundFitsQuote]),
                Start::Paid,
                Budget::calm(3),
            )
        };
        find(&format!("R2, {}", outcome.as_str()), &world);
    }
}

#[test]
fn removed_r3_silence_is_no_answer() {
    let hub = &[
        Hub::UnknownIsNotClosed,
        Hub::AskBeforeResend,
        Hub::KeyRetention,
        Hub::RefundKeyFixed,
    ];
    let budget = Budget {
        losses: 2,
        ..Budget::calm(4)
    };
    let silent = World {
        outcome: Outcome::Under,
        ..lacking((hub, &[]), Start::PaidUntil("refund_pending"), budget)
    };
    find("R3, a refund that is lost", &silent);
    let silent = World {
        outcome: Outcome::Late,
        ..lacking((hub, &[]), Start::AtPayPage, budget)
    };
    find("R3, a close that is lost", &silent);
}

#[test]
fn removed_r4_one_open_order() {
    let hub = &[Hub::OneOpenOrder, Hub::DuplicateRefunded];
    let budget = Budget {
        sessions: 1,
        ..Budget::calm(1)
    };
    find("R4", &lacking((hub, &[]), Start::Bill, budget));
}

#[test]
fn removed_r5_closed_before_the_end() {
    let hub = &[
        Hub::FinalQuery,
        Hub::ClosedBeforeExpired,
        Hub::CloseTooEarlyWaits,
        Hub::AlreadyPaidAsks,
        Hub::LateNeverOn,
        Hub::LateRefunded,
        Hub::WithdrawnNeverOn,
        Hub::LateWatch,
    ];
    find(
        "R5",
        &lacking((hub, &[]), Start::AtPayPage, Budget::calm(4)),
    );
}

#[test]
fn removed_r6_a_permit_dies() {
    let hub = &[
        Hub::PermitNeedsLife,
        Hub::PermitDeathWaited,
        Hub::FullWaitAfterRestart,
    ];
    let edge = &[
        Edge::AliveAtPermit,
        Edge::AliveAfterSync,
        Edge::DeadlineGoesAlong,
        Edge::NonceKnown,
        Edge::NonceDiesWithBoot,
        Edge::NonceNeverExtended,
    ];
    let budget = Budget {
        losses: 1,
        ..Budget::calm(3)
    };
    find(
        "R6",
        &lacking((hub, edge), Start::PaidUntil("commanded"), budget),
    );
}

#[test]
fn removed_r7_the_journal_remembers() {
    let hub = &[Hub::OtherJournalIsUncertain, Hub::SettledOnlyAfterEnd];
    let edge = &[
        Edge::IntentSyncedFirst,
        Edge::IntentRefusesLater,
        Edge::DoneRefusesLater,
        Edge::TombstoneRefusesLater,
        Edge::PrunedIsUncertain,
        Edge::OtherJournalIsUncertain,
        Edge::DamagedIsUncertain,
        Edge::IntentNeverRepeated,
        Edge::IntentOutlastsOff,
        Edge::RecordsStayUntilSettled,
    ];
    let budget = Budget {
        duplicates: 1,
        crashes: 1,
        ..Budget::calm(2)
    };
    find(
        "R7",
        &lacking((hub, edge), Start::PaidUntil("commanded"), budget),
    );
}

#[test]
fn removed_r8_the_journal_is_asked() {
    let hub = &[
        Hub::AskJournalBeforeRefund,
        Hub::GiveUpOnlyWhenDead,
        Hub::LateDoneCancelsOnlyUnsent,
        Hub::LateDoneIsLoss,
        Hub::UncertainFollowsPolicy,
        Hub::PartialIsReviewed,
        Hub::SensorSettles,
    ];
    let edge = &[Edge::TombstoneBeforeNeverSaw, Edge::TombstoneSyncedFirst];
    let budget = Budget {
        losses: 1,
        ..Budget::calm(3)
    };
    find(
        "R8",
        &lacking((hub, edge), Start::PaidUntil("commanded"), budget),
    );
}

#[test]
fn removed_r9_a_fresh_nonce_only_for_what_the_journal_has_not_closed() {
    let hub = &[
        Hub::NoFreshNonceAfterRefund,
        Hub::BootDiffers,
        Hub::FreshNonceOwnJournal,
    ];
    let both = &[
        Edge::FreshNonceOnlyIfOpen,
        Edge::PayerAskedSinceBoot,
        Edge::IntentRefusesLater,
        Edge::DoneRefusesLater,
    ];
    let world = |edge| lacking((hub, edge), Start::ServedAndRebooted, Budget::calm(2));
    find("R9", &world(both));
    // The second line alone does not carry the finding.
    let second = World {
        rules: without(&[], &both[2..]),
        ..world(both)
    };
    let checker = second.checker().threads(2).target_state_count(10_000);
    let found = checker.spawn_bfs().join().discovery(RULES);
    assert!(
        found.is_none(),
        "{:?}",
        found.map(|path| path.into_actions())
    );
}
