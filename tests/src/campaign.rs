//! Many worlds, one after the other on each core, until enough was paid or one of them broke a
//! rule.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::world::build::RuleBook;
use crate::world::plan::Plan;
use crate::world::trace::Trace;
use crate::world::{Ending, World};

/// When a campaign is over, whatever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    pub first_seed: u64,
    pub seeds: u64,
    /// Payments that the payment servers booked.
    pub payments: u64,
    pub threads: usize,
}

/// What a campaign saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub worlds: u64,
    pub payments: u64,
    pub sales: u64,
    pub steps: u64,
    pub sometimes: BTreeMap<&'static str, u64>,
    /// The broken world of the lowest seed, if any broke.
    pub broken: Option<Ending>,
    /// Every seed below it was run.
    pub next_seed: u64,
}

/// Runs seeds until the goal is reached or a rule is broken.
///
/// # Errors
/// When a world can't be built.
pub fn run(goal: Goal, rules: RuleBook) -> anyhow::Result<Summary> {
    let next = AtomicU64::new(goal.first_seed);
    let paid = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let end = goal.first_seed.saturating_add(goal.seeds);
    let work = || -> anyhow::Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || paid.load(Ordering::Relaxed) >= goal.payments {
                next.fetch_min(seed, Ordering::Relaxed);
                break;
            }
            let ending = world(seed, rules, Trace::digest_only())?;
            paid.fetch_add(ending.payments, Ordering::Relaxed);
            if !ending.broken.is_empty() {
                is_over.store(true, Ordering::Relaxed);
            }
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(ending);
        }
        Ok(())
    };
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..goal.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        let joined = workers.into_iter().map(|worker| {
            let panicked = |_| Err(anyhow::anyhow!("a world was broken off by a panic"));
            worker.join().unwrap_or_else(panicked)
        });
        joined.collect::<anyhow::Result<Vec<()>>>()
    });
    results?;
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.next_seed = next.into_inner().min(end);
    Ok(summary)
}

/// One world from its seed to its end.
///
/// # Errors
/// When it can't be built.
pub fn world(seed: u64, rules: RuleBook, trace: Trace) -> anyhow::Result<Ending> {
    Ok(World::new(Plan::of(seed), rules, trace)?.run())
}

impl Summary {
    /// Both together; the lower seed of two broken worlds is kept.
    pub fn join(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.payments += other.payments;
        self.sales += other.sales;
        self.steps += other.steps;
        self.next_seed = self.next_seed.max(other.next_seed);
        for (what, count) in other.sometimes {
            *self.sometimes.entry(what).or_default() += count;
        }
        if self.broken.is_none() {
            self.broken = other.broken;
        }
    }

    fn add(&mut self, ending: Ending) {
        self.worlds += 1;
        self.payments += ending.payments;
        self.sales += ending.sales;
        self.steps += ending.steps;
        for (what, count) in &ending.sometimes {
            *self.sometimes.entry(what).or_default() += count;
        }
        let is_lower = self
            .broken
            .as_ref()
            .is_none_or(|broken| ending.seed < broken.seed);
        if !ending.broken.is_empty() && is_lower {
            self.broken = Some(ending);
        }
    }
}
