//! Worlds in which every rule holds.

use std::time::Duration;

use payment_mock::Outcome;
use process::clock::Clock;
use stateright::{Checker as _, HasDiscoveries, Model as _};
use tests::world::build::RuleBook;

use crate::start::Start;
use crate::state::{Budget, LETTERS_MAX};
use crate::world::{DONE, EXPIRED, MOVED, REFUNDED, REVIEWED, RULES, SECOND, SPENT, World};

/// Each large world ends after so many states were reached, about half of them different, or after
/// five minutes. More by `PAYLATCH_MODEL_STATES`.
const STATES: usize = 50_000;

const TIME_MAX: Duration = Duration::from_secs(300);

/// Explores `world` and prints what was covered; fails on a broken rule, and if anything of `met`
/// was never met.
fn explore(name: &str, world: World, states: usize, met: &[&'static str]) {
    let clock = Clock::system();
    let began = clock.now().tick;
    let budget = world.budget;
    let broken = HasDiscoveries::AnyOf([RULES].into());
    let checker = world
        .checker()
        .threads(2)
        .target_state_count(states)
        .timeout(TIME_MAX)
        .finish_when(broken)
        .spawn_bfs()
        .join();
    let unique = checker.unique_state_count();
    let is_whole = checker.is_done() && checker.state_count() < states;
    println!(
        "{name}: {unique} different states of {} reached, depth {}, {:.1} s, {}; at most {LETTERS_MAX} messages under way, {budget:?}",
        checker.state_count(),
        checker.max_depth(),
        clock.now().tick.since(began).as_secs_f64(),
        if is_whole {
            "all there are"
        } else {
            "cut there"
        },
    );
    if let Some(path) = checker.discovery(RULES) {
        let last = path.last_state().seen.broken;
        panic!("{name}: {last:?} after {:?}", path.into_actions());
    }
    let unmet = met.iter().filter(|what| checker.discovery(what).is_none());
    assert_eq!(
        unmet.collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "{name}: unmet"
    );
}

/// The policy under which nobody loses anything without a person: what goes back by itself after
/// an ON is a defect.
fn sound(start: Start, budget: Budget) -> World {
    World {
        rules: RuleBook::SOUND,
        budget,
        refund_as_loss: false,
        outcome: Outcome::Paid,
        start,
    }
}

#[test]
fn two_crashes_two_losses_and_a_duplicate_break_nothing() {
    let budget = Budget {
        crashes: 2,
        losses: 2,
        duplicates: 1,
        presses: 2,
        timers: 40,
        ..Budget::calm(40)
    };
    let states = std::env::var("PAYLATCH_MODEL_STATES");
    let states = states.ok().and_then(|text| text.parse().ok());
    let states = states.unwrap_or(STATES);
    let unpaid = sound(Start::AtPayPage, budget);
    explore("large, unpaid", unpaid, states, &[SPENT, EXPIRED]);
    let permitted = sound(Start::PaidUntil("commanded"), budget);
    explore("large, permitted", permitted, states, &[SPENT, MOVED]);
}

#[test]
fn a_second_session_after_the_first_breaks_nothing() {
    let world = sound(Start::Bill, Budget::calm(6));
    explore("two sessions", world, 10_000, &[SECOND]);
}

#[test]
fn a_journal_that_is_put_back_from_a_copy_never_serves_twice() {
    let budget = Budget {
        copies: 1,
        ..Budget::calm(6)
    };
    // What the copy has forgotten is the merchant's loss.
    let world = World {
        refund_as_loss: true,
        ..sound(Start::PaidUntil("commanded"), budget)
    };
    explore("copied journal", world, 10_000, &[SPENT, MOVED]);
}

#[test]
fn a_permit_that_comes_again_after_the_journal_was_pruned_does_nothing() {
    let budget = Budget {
        duplicates: 2,
        crashes: 1,
        presses: 0,
        ..Budget::calm(3)
    };
    let world = sound(Start::ServedAndPruned, budget);
    explore("pruned journal", world, 15_000, &[SPENT, MOVED, DONE]);
}

#[test]
fn a_store_that_is_restored_at_any_instant_breaks_nothing() {
    let budget = Budget {
        restores: 1,
        ..Budget::calm(6)
    };
    for start in [Start::AtPayPage, Start::Paid, Start::PaidUntil("commanded")] {
        explore(
            "restored store",
            sound(start, budget),
            8_000,
            &[SPENT, MOVED],
        );
    }
}

#[test]
fn a_process_that_was_paused_and_replaced_breaks_nothing() {
    let budget = Budget {
        pauses: 1,
        resumptions: 2,
        ..Budget::calm(5)
    };
    for start in [Start::Paid, Start::PaidUntil("commanded")] {
        explore("paused replica", sound(start, budget), 8_000, &[SPENT]);
    }
}

#[test]
fn a_refund_whose_key_was_forgotten_is_returned_once() {
    let budget = Budget {
        losses: 2,
        duplicates: 1,
        crashes: 1,
        presses: 0,
        ..Budget::calm(8)
    };
    for outcome in [Outcome::KeyForgotten, Outcome::Under] {
        let world = World {
            outcome,
            ..sound(Start::PaidUntil("refund_pending"), budget)
        };
        explore(outcome.as_str(), world, 10_000, &[SPENT, REFUNDED]);
    }
}

#[test]
fn what_is_forged_is_believed_by_nobody() {
    let budget = Budget {
        forgeries: 2,
        presses: 0,
        ..Budget::calm(3)
    };
    for start in [Start::Bill, Start::AtPayPage, Start::PaidUntil("commanded")] {
        explore("forged", sound(start, budget), 8_000, &[SPENT]);
    }
}

#[test]
fn a_journal_that_is_lost_at_any_instant_breaks_nothing() {
    let budget = Budget {
        journals: 1,
        ..Budget::calm(14)
    };
    explore(
        "lost journal",
        sound(Start::Paid, budget),
        10_000,
        &[SPENT, MOVED],
    );
}

#[test]
fn a_stepped_clock_with_a_living_permit_changes_nothing() {
    let budget = Budget {
        clock_steps: 1,
        crashes: 1,
        ..Budget::calm(10)
    };
    let world = sound(Start::PaidUntil("commanded"), budget);
    explore("stepped clock", world, 10_000, &[SPENT, MOVED, DONE]);
}

#[test]
fn every_treatment_of_an_order_ends_well() {
    let served = (Start::PaidUntil("commanded"), [MOVED, DONE].as_slice());
    let returned = (Start::Paid, [REFUNDED].as_slice());
    let unpaid = (Start::AtPayPage, [EXPIRED].as_slice());
    for (outcome, (start, met)) in [
        (Outcome::Twice, served),
        (Outcome::Under, returned),
        (Outcome::Over, returned),
        (Outcome::WrongCurrency, returned),
        (Outcome::WrongPayee, (Start::Paid, &[REVIEWED])),
        (Outcome::Late, unpaid),
        (Outcome::Declined, unpaid),
    ] {
        let world = World {
            outcome,
            ..sound(start, Budget::calm(12))
        };
        explore(outcome.as_str(), world, 5_000, met);
    }
}
