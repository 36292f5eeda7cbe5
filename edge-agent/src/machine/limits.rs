//! Every bound and wait of the machine, with the reason for its number.

use std::time::Duration;

/// How long a terminal waits for what. Defaults suit a gate with a payer standing before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Silence after which a phone that has not gone paying is gone: three refreshes of the page
    /// without JavaScript, and time to find one's glasses.
    pub heartbeat: Duration,
    /// Longest time from accepting to paying, heartbeat or not: the next phone waits.
    pub lease_cap: Duration,
    /// Wait for the quote: the platform's three tries of 5 s at the payment server.
    pub quote_timeout: Duration,
    /// What a nonce lives longer than its order: the last query, the permit and its way down.
    pub nonce_grace: Duration,
    /// Pause between two payment notices of one session: a hint more often than this helps nobody.
    pub notice_interval: Duration,
    /// Wait for the devices' word after switching; their own deadlines are far below it.
    pub actuating_timeout: Duration,
    /// How long before the end of that wait the last write may leave: what it moves has moved
    /// when the silence is told to the platform, unless the network brings it later still.
    pub write_lead: Duration,
    /// Pause between two looks at the devices while nothing moves.
    pub probe_interval: Duration,
    /// Oldest look at the devices on which money is asked for: two missed looks.
    pub probe_age_max: Duration,
    /// First pause before a message is sent again, doubled each time.
    pub resend_first: Duration,
    /// Longest pause before a message is sent again.
    pub resend_max: Duration,
    /// Pause between two health reports when nothing changes.
    pub health_interval: Duration,
    /// How far off the wall clock may be, as the operator knows it.
    pub clock_error: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(45),
            lease_cap: Duration::from_secs(300),
            quote_timeout: Duration::from_secs(15),
            nonce_grace: Duration::from_secs(60),
            notice_interval: Duration::from_secs(3),
            actuating_timeout: Duration::from_secs(60),
            write_lead: Duration::from_secs(5),
            probe_interval: Duration::from_secs(5),
            probe_age_max: Duration::from_secs(15),
            resend_first: Duration::from_secs(1),
            resend_max: Duration::from_secs(15),
            health_interval: Duration::from_secs(60),
            clock_error: Duration::from_secs(5),
        }
    }
}

/// Sessions that are remembered after their end, so that a payer can still read the receipt: an
/// hour of sales.
pub(crate) const SESSIONS_MAX: usize = 16;

/// Payment notices of one session; the platform asks by itself too.
pub(crate) const NOTICES_MAX: u32 = 20;

/// What one sale writes at most: order (1 KiB) with its request (4 KiB), quote (7 KiB), 20 notices
/// (8 KiB), permit request (2 KiB), end (1 KiB), intent (1 KiB), result twice (6 KiB), tombstone,
/// receipt (7 KiB), and its share of the mark.
pub(crate) const SALE_BYTES: u64 = 40 * 1024;

/// What an undecided sale may still write: all but order and quote.
pub(crate) const UNDECIDED_BYTES: u64 = 28 * 1024;
