//! Which points a run visits: every kind of point of every program in turn, and which one of a
//! kind by a hash of the seed and the case's number. Same seed and same profile, same cases.

use std::collections::BTreeMap;
use std::time::Duration;

use super::point::{Call, Effect, Nth, Point, When};
use crate::stand::Role;

/// What a whole payment does in the programs of one shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The last point of each kind, in one fixed order.
    last: Vec<Point>,
}

impl Profile {
    /// From what each program did during one payment that took `payment`, and during a start.
    #[must_use]
    pub fn new(
        payment: Duration,
        during: &BTreeMap<Role, BTreeMap<Call, u32>>,
        starting: &BTreeMap<Role, BTreeMap<Call, u32>>,
    ) -> Self {
        let mut last = Vec::new();
        for (&role, calls) in during {
            let kill = |when| Point {
                role,
                effect: Effect::Kill,
                when,
            };
            last.extend(nths(calls).map(|nth| kill(When::Call(nth))));
            last.push(kill(When::After(payment)));
        }
        for (&role, calls) in starting {
            last.extend(nths(calls).map(|nth| Point {
                role,
                effect: Effect::Kill,
                when: When::Restart(nth),
            }));
        }
        Self { last }
    }

    /// As it was written down.
    #[must_use]
    pub const fn of(last: Vec<Point>) -> Self {
        Self { last }
    }

    /// The last point of each kind.
    #[must_use]
    pub fn last(&self) -> &[Point] {
        &self.last
    }

    /// The kill of case `number`.
    #[must_use]
    pub fn kill(&self, seed: u64, number: u64) -> Option<Point> {
        draw(&self.last, seed, number)
    }

    /// The error of case `number`: of a sync of these programs.
    #[must_use]
    pub fn sync_error(&self, roles: &[Role], seed: u64, number: u64) -> Option<Point> {
        let is_sync = |point: &&Point| match point.when {
            When::Call(nth) => nth.call.is_sync() && roles.contains(&point.role),
            When::Restart(_) | When::After(_) => false,
        };
        let failing = |point: &Point| Point {
            effect: Effect::InputOutput,
            ..*point
        };
        let errors: Vec<_> = self.last.iter().filter(is_sync).map(failing).collect();
        draw(&errors, seed, number)
    }
}

fn nths(calls: &BTreeMap<Call, u32>) -> impl Iterator<Item = Nth> {
    calls.iter().map(|(&call, &count)| Nth { call, count })
}

/// Kinds in turn, so that a short run has seen them all.
fn draw(last: &[Point], seed: u64, number: u64) -> Option<Point> {
    let kinds = u64::try_from(last.len()).ok().filter(|kinds| *kinds > 0)?;
    let kind = usize::try_from(number % kinds).ok()?;
    let point = last.get(kind)?;
    let random = mix(seed ^ mix(number));
    let within = |nth: Nth| Nth {
        count: u32::try_from(1 + random % u64::from(nth.count)).unwrap_or(nth.count),
        ..nth
    };
    let when = match point.when {
        When::Call(nth) => When::Call(within(nth)),
        When::Restart(nth) => When::Restart(within(nth)),
        When::After(most) => {
            let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
            When::After(Duration::from_millis(random % most.max(1)))
        }
    };
    Some(Point { when, ..*point })
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input moves every
/// bit of the output.
pub(super) const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let calls = BTreeMap::from([(Call::Fdatasync, 4), (Call::Sendto, 9)]);
        let during = BTreeMap::from([(Role::Platform, calls.clone()), (Role::Mock, calls)]);
        let starting = BTreeMap::from([(Role::Mock, BTreeMap::from([(Call::Fsync, 2)]))]);
        Profile::new(Duration::from_millis(300), &during, &starting)
    }

    #[test]
    fn a_seed_draws_the_same_cases_again_and_another_draws_others() {
        let cases = |seed| (0..50).map(|n| profile().kill(seed, n)).collect::<Vec<_>>();
        assert_eq!(cases(1), cases(1));
        assert_ne!(cases(1), cases(2));
    }

    #[test]
    fn every_point_of_every_kind_is_drawn_in_the_end() {
        let mut drawn: Vec<_> = (0..2_000)
            .filter_map(|number| profile().kill(7, number))
            .filter(|point| !matches!(point.when, When::After(_)))
            .map(|point| point.to_string())
            .collect();
        drawn.sort();
        drawn.dedup();
        // Two programs with 4 syncs and 9 sends, and one start with 2.
        assert_eq!(drawn.len(), 2 * (4 + 9) + 2);
    }

    #[test]
    fn a_short_run_sees_every_kind() {
        let kinds = profile().last().len();
        let first: Vec<_> = (0..7).filter_map(|n| profile().kill(3, n)).collect();
        let kind = |point: &Point| match point.when {
            When::Call(nth) => (point.role, false, Some(nth.call)),
            When::Restart(nth) => (point.role, true, Some(nth.call)),
            When::After(_) => (point.role, false, None),
        };
        let seen: std::collections::BTreeSet<_> = first.iter().map(kind).collect();
        assert_eq!((kinds, seen.len()), (7, 7));
    }

    #[test]
    fn sync_errors_are_those_of_the_programs_asked_for() {
        let drawn: Vec<_> = (0..100)
            .filter_map(|number| profile().sync_error(&[Role::Platform], 5, number))
            .map(|point| point.to_string())
            .collect();
        assert_eq!(drawn.len(), 100);
        let known: Vec<_> = (1..=4)
            .map(|n| format!("platform/eio/fdatasync/{n}"))
            .collect();
        assert!(drawn.iter().all(|point| known.contains(point)), "{drawn:?}");
        assert_eq!(profile().sync_error(&[Role::Broker], 5, 0), None);
    }
}
