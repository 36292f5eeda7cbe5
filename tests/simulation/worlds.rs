//! Worlds in which every rule holds.

use tests::campaign::{self, Goal};
use tests::world::build::RuleBook;
use tests::world::trace::Trace;

/// Payments of the normal run. `PAYLATCH_SIMULATED_PAYMENTS` asks for others.
const PAYMENTS: u64 = 5_000;

/// What a run of this size has to have met, or it has met nothing.
const MET: [&str; 29] = [
    "ON",
    "broker restarted",
    "by hand: hold",
    "by hand: open",
    "by hand: reconcile",
    "by hand: refund",
    "by hand: release",
    "by hand: resolve",
    "connection cut",
    "disk lost or damaged",
    "message doubled",
    "message lost",
    "overheard message repeated",
    "payment server killed before answering",
    "platform killed after a commit, before sending",
    "platform killed at any instant",
    "platform killed before a commit",
    "power cut after a write",
    "power cut at any instant",
    "power cut before a write",
    "sale done",
    "sale expired",
    "sale refunded",
    "served in part",
    "store restored",
    "stranger guesses the way back",
    "sync failed",
    "sync of a result failed",
    "terminal lies about the price",
];

#[test]
fn no_world_breaks_a_rule() {
    let asked = std::env::var("PAYLATCH_SIMULATED_PAYMENTS");
    let payments = asked.ok().and_then(|text| text.parse().ok());
    let goal = Goal {
        first_seed: 1,
        seeds: u64::MAX,
        payments: payments.unwrap_or(PAYMENTS),
        threads: 2,
    };
    let summary = campaign::run(goal, RuleBook::SOUND).unwrap();
    println!(
        "{} worlds, {} payments, {} steps: {:?}",
        summary.worlds, summary.payments, summary.steps, summary.sometimes
    );
    if let Some(broken) = summary.broken {
        panic!(
            "{:?}: cargo run --release --bin simulate -- --seed {}",
            broken.broken, broken.seed
        );
    }
    let unmet: Vec<_> = MET
        .into_iter()
        .filter(|what| !summary.sometimes.contains_key(what))
        .collect();
    assert_eq!(unmet, Vec::<&str>::new());
}

#[test]
fn the_same_seed_is_the_same_world_byte_for_byte() {
    for seed in 1..=100 {
        let run = || campaign::world(seed, RuleBook::SOUND, Trace::lines()).unwrap();
        let (first, second) = (run(), run());
        assert!(!first.lines.is_empty());
        assert_eq!(first, second, "seed {seed}");
    }
}
