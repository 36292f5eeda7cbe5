//! Worlds in which every rule holds.

use std::time::Duration;

use payment_mock::Outcome;
use process::clock::Clock;
use stateright::{Checker as _, HasDiscoveries, Model as _};
use tests::world::build::RuleBook;

use crate::start::Start;
use crate::state::{Budget, LETTERS_MAX};
use crate::world::{RULES, World};

/// The large world ends after so many states were reached, about half of them different, or after
/// five minutes. More by `PAYLATCH_MODEL_STATES`.
const STATES: usize = 100_000;

const TIME_MAX: Duration = Duration::from_secs(300);

/// Explores `world` and prints what was covered; fails on a broken rule. Gives how many different
/// states there were, and whether these are all.
fn explore(name: &str, world: World, states: usize) -> (usize, bool) {
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
    (unique, is_whole)
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
    let (unique, _) = explore(
        "large",
        sound(Start::AtPayPage, budget),
        states.unwrap_or(STATES),
    );
    assert!(unique > 1_000, "{unique} states are no exploration");
}

#[test]
fn a_second_session_after_the_first_breaks_nothing() {
    let budget = Budget {
        sessions: 2,
        presses: 2,
        ..Budget::calm(6)
    };
    explore("two sessions", sound(Start::Empty, budget), 10_000);
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
        ..sound(Start::AtPayPage, budget)
    };
    explore("copied journal", world, 10_000);
}

#[test]
fn a_permit_that_comes_again_after_the_journal_was_pruned_does_nothing() {
    let budget = Budget {
        duplicates: 2,
        crashes: 1,
        presses: 0,
        ..Budget::calm(3)
    };
    explore(
        "pruned journal",
        sound(Start::PaidUntil("commanded"), budget),
        40_000,
    );
}

#[test]
fn a_store_that_is_restored_at_any_instant_breaks_nothing() {
    let budget = Budget {
        restores: 1,
        ..Budget::calm(6)
    };
    for start in [Start::AtPayPage, Start::Paid, Start::PaidUntil("commanded")] {
        explore("restored store", sound(start, budget), 8_000);
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
        explore("paused replica", sound(start, budget), 8_000);
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
        explore(outcome.as_str(), world, 10_000);
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
        explore("forged", sound(start, budget), 8_000);
    }
}

#[test]
fn a_journal_that_is_lost_at_any_instant_breaks_nothing() {
    let budget = Budget {
        journals: 1,
        ..Budget::calm(14)
    };
    explore("lost journal", sound(Start::Paid, budget), 10_000);
}

#[test]
fn a_stepped_clock_with_a_living_permit_changes_nothing() {
    let budget = Budget {
        clock_steps: 1,
        crashes: 1,
        ..Budget::calm(10)
    };
    explore("stepped clock", sound(Start::Paid, budget), 10_000);
}

#[test]
fn every_treatment_of_an_order_ends_well() {
    for outcome in [
        Outcome::Twice,
        Outcome::Under,
        Outcome::Over,
        Outcome::WrongPayee,
        Outcome::WrongCurrency,
        Outcome::Late,
        Outcome::Declined,
    ] {
        let world = World {
            outcome,
            ..sound(Start::AtPayPage, Budget::calm(12))
        };
        explore(outcome.as_str(), world, 5_000);
    }
}
