//! How often one address may ask. Pure: time is an argument, memory is bounded.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use protocol::time::Tick;

/// Requests that one address may make at once: a few payers behind the one address of their mobile
/// network, each with a reload or two.
const BURST: u32 = 60;

/// After the burst: two a second. An open page asks every ten seconds at most.
const INTERVAL: Duration = Duration::from_millis(500);

/// From all addresses together, at once and then per second: what the store's second reader
/// answers beside the sales, with most of a core to spare.
const BURST_OF_ALL: u32 = 400;
const INTERVAL_OF_ALL: Duration = Duration::from_millis(5);

/// Addresses that are remembered in each of two generations: together about half a megabyte.
/// Whoever has more addresses than that still meets the limit for all.
const ADDRESSES_MAX: usize = 4_096;

/// Two generations of addresses: when the newer one is full, the older one is forgotten.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    newer: BTreeMap<IpAddr, Meter>,
    older: BTreeMap<IpAddr, Meter>,
    all: Meter,
}

/// When everything that was let in would have been let in at the steady rate.
#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    busy_until: Tick,
}

impl Throttle {
    /// Whether a request from `address` is answered now. Refused ones cost nothing.
    pub(super) fn admit(&mut self, address: IpAddr, now: Tick) -> bool {
        let source = source(address);
        let known = self.newer.get(&source).or_else(|| self.older.get(&source));
        let mut meter = known.copied().unwrap_or_default();
        let mut all = self.all;
        let is_admitted =
            meter.take(INTERVAL, BURST, now) && all.take(INTERVAL_OF_ALL, BURST_OF_ALL, now);
        if is_admitted {
            self.all = all;
            self.remember(source, meter);
        }
        is_admitted
    }

    fn remember(&mut self, source: IpAddr, meter: Meter) {
        if self.newer.len() >= ADDRESSES_MAX && !self.newer.contains_key(&source) {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(source, meter);
    }
}

impl Meter {
    fn take(&mut self, interval: Duration, burst: u32, now: Tick) -> bool {
        let from = self.busy_until.max(now);
        let is_free = from.since(now) <= interval * (burst - 1);
        if is_free {
            self.busy_until = from + interval;
        }
        is_free
    }
}

/// Whom an address stands for: in IPv6 everybody has a network of 2^64.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits())),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn admitted(throttle: &mut Throttle, address: &str, times: u32, now: Tick) -> u32 {
        let address = address.parse().unwrap();
        let asked = (0..times).map(|_| u32::from(throttle.admit(address, now)));
        asked.sum()
    }

    #[test]
    fn an_address_has_its_burst_and_then_its_rate() {
        let mut throttle = Throttle::default();
        assert_eq!(admitted(&mut throttle, "192.0.2.1", 100, at(0)), BURST);
        assert_eq!(admitted(&mut throttle, "192.0.2.1", 100, at(499)), 0);
        assert_eq!(admitted(&mut throttle, "192.0.2.1", 100, at(1_000)), 2);
        assert_eq!(admitted(&mut throttle, "192.0.2.2", 1, at(1_000)), 1);
        assert_eq!(
            admitted(&mut throttle, "192.0.2.1", 100, at(3_600_000)),
            BURST
        );
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let mut throttle = Throttle::default();
        assert_eq!(admitted(&mut throttle, "2001:db8::1", 100, at(0)), BURST);
        assert_eq!(admitted(&mut throttle, "2001:db8::ffff:2", 1, at(0)), 0);
        assert_eq!(admitted(&mut throttle, "2001:db8:0:1::1", 1, at(0)), 1);
        assert_eq!(admitted(&mut throttle, "192.0.2.1", 60, at(0)), 60);
        assert_eq!(admitted(&mut throttle, "::ffff:192.0.2.1", 1, at(0)), 0);
    }

    #[test]
    fn all_together_meet_a_limit_and_memory_stays_bounded() {
        let mut throttle = Throttle::default();
        let mut let_in = 0;
        for number in 0..100_000_u32 {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            let_in += u32::from(throttle.admit(address, at(0)));
        }
        assert_eq!(let_in, BURST_OF_ALL);
        for number in 0..100_000_u32 {
            let address = IpAddr::V4(Ipv4Addr::from_bits(number));
            assert!(throttle.admit(address, at((u64::from(number) + 10) * 1_000)));
        }
        assert!(throttle.newer.len() + throttle.older.len() <= 2 * ADDRESSES_MAX);
    }
}
