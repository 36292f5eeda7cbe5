//! How many refunds go out by themselves (R13). Those that rest on a terminal's word are counted per
//! terminal and per payer; late, duplicate and wrong-amount ones have one breaker for all.
//!
//! Pure. Counted by ticks: what was counted before a restart counts for a full window after it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::id::{Pseudonym, RefundId};
use protocol::money::{Currency, Money};
use protocol::time::Tick;
use protocol::topic::TerminalName;
use serde::{Deserialize, Serialize};

/// Most refunds that are remembered: ten times what the default breaker lets through, and a few of
/// each of 10,000 terminals. Above it nothing more goes out by itself until the window has passed.
const COUNTED_MAX: usize = 65_536;

/// Above which a refund waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapLimits {
    /// For how long a refund counts, in milliseconds. Default 3,600,000: within an hour somebody
    /// has looked at a device that serves nobody.
    pub window_ms: u64,
    /// Refunds on the word of one terminal within the window. Default 30: one every two minutes,
    /// so all that a terminal sells.
    pub per_terminal: u32,
    /// Refunds on a terminal's word to one payer within the window. Default 5: nobody tries more
    /// often at a gate that does not open.
    pub per_payer: u32,
    /// Late, duplicate and wrong-amount refunds of all terminals within the window. Default 600:
    /// one in a hundred sales of a platform that sells 60,000 an hour.
    pub breaker_count: u32,
    /// Their sum per currency, in minor units. Default 1,000,000.
    pub breaker_sum_minor: i64,
}

impl Default for CapLimits {
    fn default() -> Self {
        Self {
            window_ms: 3_600_000,
            per_terminal: 30,
            per_payer: 5,
            breaker_count: 600,
            breaker_sum_minor: 1_000_000,
        }
    }
}

/// Which limit a refund counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CapClass {
    /// A terminal said that nobody was served.
    Word,
    /// The payment server holds money that we do not want.
    Mending,
}

/// A refund that asks to go out by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CapClaim<'a> {
    pub(crate) refund: RefundId,
    pub(crate) terminal: &'a TerminalName,
    pub(crate) payer: Option<&'a Pseudonym>,
    pub(crate) amount: Money,
}

/// A refund that was let out, as it is kept over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) refund: RefundId,
    pub(crate) class: CapClass,
    pub(crate) terminal: TerminalName,
    pub(crate) payer: Option<Pseudonym>,
    pub(crate) amount: Money,
}

/// What the store is to keep or to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CapNote {
    Counted(Counted),
    Passed(RefundId),
}

/// What was let out within the window.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caps {
    limits: CapLimits,
    counted: VecDeque<(Tick, Counted)>,
    of_terminal: BTreeMap<TerminalName, u32>,
    of_payer: BTreeMap<Pseudonym, u32>,
    mended: u32,
    mended_minor: BTreeMap<Currency, i64>,
    notes: Vec<CapNote>,
}

impl Caps {
    pub(crate) fn new(limits: CapLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Lets a refund out and counts it; `false` if a person must agree.
    pub(crate) fn admit(&mut self, class: CapClass, claim: &CapClaim<'_>, now: Tick) -> bool {
        self.forget_passed(now);
        if self.counted.len() >= COUNTED_MAX || !self.has_room(class, claim) {
            return false;
        }
        let counted = Counted {
            refund: claim.refund,
            class,
            terminal: claim.terminal.clone(),
            payer: claim.payer.cloned(),
            amount: claim.amount,
        };
        self.notes.push(CapNote::Counted(counted.clone()));
        self.count(counted, now);
        true
    }

    /// What was counted before a restart: nobody knows when, so for a full window from now.
    pub(crate) fn restore(&mut self, counted: Counted, now: Tick) {
        self.count(counted, now);
    }

    /// What has changed for the store.
    pub(crate) fn take_notes(&mut self) -> Vec<CapNote> {
        std::mem::take(&mut self.notes)
    }

    fn has_room(&self, class: CapClass, claim: &CapClaim<'_>) -> bool {
        match class {
            CapClass::Word => {
                let terminal = self.of_terminal.get(claim.terminal).copied().unwrap_or(0);
                let payer = claim
                    .payer
                    .and_then(|payer| self.of_payer.get(payer).copied())
                    .unwrap_or(0);
                terminal < self.limits.per_terminal && payer < self.limits.per_payer
            }
            CapClass::Mending => {
                let currency = claim.amount.currency();
                let minor = self.mended_minor.get(&currency).copied().unwrap_or(0);
                let sum = minor.saturating_add(claim.amount.minor());
                self.mended < self.limits.breaker_count && sum <= self.limits.breaker_sum_minor
            }
        }
    }

    fn count(&mut self, counted: Counted, now: Tick) {
        self.shift(&counted, 1);
        let passed_at = now + Duration::from_millis(self.limits.window_ms);
        self.counted.push_back((passed_at, counted));
    }

    /// What was counted before the window that ends now counts no more.
    pub(crate) fn forget_passed(&mut self, now: Tick) {
        while self.counted.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, counted)) = self.counted.pop_front() {
                self.shift(&counted, -1);
                self.notes.push(CapNote::Passed(counted.refund));
            }
        }
    }

    fn shift(&mut self, counted: &Counted, by: i32) {
        match counted.class {
            CapClass::Word => {
                shift(&mut self.of_terminal, &counted.terminal, by);
                if let Some(payer) = &counted.payer {
                    shift(&mut self.of_payer, payer, by);
                }
            }
            CapClass::Mending => {
                self.mended = self.mended.saturating_add_signed(by);
                let minor = counted.amount.minor().saturating_mul(i64::from(by));
                let sum = self
                    .mended_minor
                    .entry(counted.amount.currency())
                    .or_default();
                *sum = sum.saturating_add(minor);
            }
        }
    }
}

/// Counts by key; a key at zero is forgotten.
fn shift<K: Ord + Clone>(counts: &mut BTreeMap<K, u32>, key: &K, by: i32) {
    let count = counts.entry(key.clone()).or_default();
    *count = count.saturating_add_signed(by);
    if *count == 0 {
        counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1_000)
    }

    fn money(minor: i64) -> Money {
        Money::new(minor, "CNY".parse().unwrap()).unwrap()
    }

    fn limits() -> CapLimits {
        CapLimits {
            per_terminal: 3,
            per_payer: 2,
            breaker_count: 3,
            breaker_sum_minor: 1_000,
            ..CapLimits::default()
        }
    }

    fn admit(caps: &mut Caps, class: CapClass, gate: &str, minor: i64, now: u64) -> bool {
        let (terminal, refund) = (gate.parse().unwrap(), RefundId::from_random([1; 16]));
        let claim = CapClaim {
            refund,
            terminal: &terminal,
            payer: None,
            amount: money(minor),
        };
        caps.admit(class, &claim, at(now))
    }

    #[test]
    fn a_terminals_word_is_good_for_so_many_refunds_an_hour() {
        let mut caps = Caps::new(limits());
        let said = |caps: &mut Caps, gate, now| admit(caps, CapClass::Word, gate, 450, now);
        for now in [0, 1, 2] {
            assert!(said(&mut caps, "north/gate-1", now));
        }
        assert!(!said(&mut caps, "north/gate-1", 3));
        assert!(said(&mut caps, "north/gate-2", 3));
        assert!(!said(&mut caps, "north/gate-1", 3_599));
        assert!(said(&mut caps, "north/gate-1", 3_600));
    }

    #[test]
    fn a_payer_is_counted_over_all_terminals() {
        let mut caps = Caps::new(limits());
        let payer = Pseudonym::from_random([2; 16]);
        let mut said = |gate: &str| {
            let claim = CapClaim {
                refund: RefundId::from_random([1; 16]),
                terminal: &gate.parse().unwrap(),
                payer: Some(&payer),
                amount: money(450),
            };
            caps.admit(CapClass::Word, &claim, at(0))
        };
        assert!(said("north/gate-1"));
        assert!(said("north/gate-2"));
        assert!(!said("north/gate-3"));
    }

    #[test]
    fn the_breaker_counts_refunds_and_their_sum_over_all_terminals() {
        let mut caps = Caps::new(limits());
        let mends = |caps: &mut Caps, minor, now| {
            admit(caps, CapClass::Mending, "north/gate-1", minor, now)
        };
        assert!(!mends(&mut caps, 1_001, 0));
        assert!(mends(&mut caps, 999, 0));
        assert!(!mends(&mut caps, 2, 0));
        assert!(mends(&mut caps, 1, 0));
        assert!(mends(&mut caps, 1_000, 3_600));
        let mut caps = Caps::new(limits());
        assert_eq!(
            [0; 4].map(|now| mends(&mut caps, 1, now)),
            [true, true, true, false]
        );
    }

    #[test]
    fn what_was_counted_before_a_restart_counts_for_a_full_window_after_it() {
        let mut before = Caps::new(limits());
        for now in [0, 0, 0] {
            assert!(admit(&mut before, CapClass::Word, "north/gate-1", 450, now));
        }
        let mut caps = Caps::new(limits());
        for note in before.take_notes() {
            let CapNote::Counted(counted) = note else {
                panic!("nothing has passed");
            };
            caps.restore(counted, at(10));
        }
        assert!(!admit(
            &mut caps,
            CapClass::Word,
            "north/gate-1",
            450,
            3_609
        ));
        assert_eq!(caps.take_notes(), vec![]);
        assert!(admit(&mut caps, CapClass::Word, "north/gate-1", 450, 3_610));
        let passed = |note: &&CapNote| matches!(note, CapNote::Passed(_));
        assert_eq!(caps.take_notes().iter().filter(passed).count(), 3);
    }
}
