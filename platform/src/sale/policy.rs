//! How long to wait for what, what a gateway can do, and what to do when nobody knows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rules::{Rule, Rules};

/// Every wait of a sale, in milliseconds. The demo shortens them; nothing else should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// One question to the payment server. Default 5,000: above its slowest good answer, within a
    /// payer's patience.
    pub gateway_call_ms: u64,
    /// Questions in a row without an answer until the order counts as unknown. Default 3.
    pub gateway_tries: u32,
    /// From the order request to the quote. Default 15,000: three questions; a payer who saw no
    /// bill by then has left.
    pub quote_ms: u64,
    /// Between two queries while nobody said that money came; twice that at a payment server that
    /// pushes events. Default 5,000: what payment servers ask their clients to keep to (3 to 6 s).
    pub query_interval_ms: u64,
    /// Waits before the queries after a payment notice. Default 0, 1, 1, 2, 3, 5, 5 s: the payer
    /// stands there, and most answers come within two seconds.
    pub notice_schedule_ms: Vec<u64>,
    /// Shortest time between two queries that hints ask for. Default 250: a flood of hints costs
    /// four queries a second and no more.
    pub hint_interval_ms: u64,
    /// Least life of a nonce for which a permit is still signed. Default 5,000: the way to the
    /// terminal, the synced intent and the device.
    pub permit_minimum_ms: u64,
    /// Added to a nonce's lifetime before it counts as dead here. Default 10,000: clocks of two
    /// machines drift by less than 0.1 % in the longest lifetime, plus a pause of either process.
    pub nonce_margin_ms: u64,
    /// Longest nonce lifetime that is taken. Default 3,600,000: no order lives longer.
    pub nonce_lifetime_max_ms: u64,
    /// From a permit to its repetition while no result came. Default 1,000.
    pub acknowledge_ms: u64,
    /// From an OFF to its first repetition; it doubles. Default 2,000: OFF is not urgent.
    pub off_repeat_ms: u64,
    /// Between two inquiries of a terminal's journal. Default 5,000.
    pub inquiry_interval_ms: u64,
    /// From a terminal's reboot, which ends its permits, to the question to its journal. Default
    /// 15,000: a payer's page that is still open asks for a fresh permit within a few seconds (R9).
    pub reboot_grace_ms: u64,
    /// From the permit to giving up on its result, never before the nonce is dead. Default
    /// 900,000: a terminal that restarts is back within minutes, and 15 is what a payer may wait
    /// for money.
    pub give_up_ms: u64,
    /// Between two attempts to close an order; it doubles up to a minute. Default 5,000.
    pub close_retry_ms: u64,
    /// From the first attempt to close until a person looks at it. Default 900,000.
    pub closing_ms: u64,
    /// Between two attempts of one refund; it doubles up to five minutes. Default 5,000.
    pub refund_retry_ms: u64,
    /// Times that one refund is sent or asked about until a person looks at it. Default 12: about
    /// half an hour.
    pub refund_tries: u32,
    /// From a refund's decision until a person looks at it, while the payment server works on it or
    /// it may not be sent. Default 259,200,000: three days, as banks promise.
    pub refund_wait_ms: u64,
    /// How long the last words of a sale stay in the outbox. Default 60,000: a restarted broker
    /// is back by then, and a terminal that is away for longer asks with its hello.
    pub linger_ms: u64,
    /// Queries after an order was closed without money. Default 5 min, 1 h, then daily for 5
    /// days (R5).
    pub late_watch_ms: Vec<u64>,
    /// Queries after a paid sale is over, for a second payment whose event was lost. Default
    /// 5 min.
    pub paid_watch_ms: Vec<u64>,
    /// Until a review is overdue. Default 604,800,000: 7 days (I7).
    pub review_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            gateway_call_ms: 5_000,
            gateway_tries: 3,
            quote_ms: 15_000,
            query_interval_ms: 5_000,
            notice_schedule_ms: vec![0, 1_000, 1_000, 2_000, 3_000, 5_000, 5_000],
            hint_interval_ms: 250,
            permit_minimum_ms: 5_000,
            nonce_margin_ms: 10_000,
            nonce_lifetime_max_ms: 3_600_000,
            acknowledge_ms: 1_000,
            off_repeat_ms: 2_000,
            inquiry_interval_ms: 5_000,
            reboot_grace_ms: 15_000,
            give_up_ms: 900_000,
            close_retry_ms: 5_000,
            closing_ms: 900_000,
            refund_retry_ms: 5_000,
            refund_tries: 12,
            refund_wait_ms: 259_200_000,
            linger_ms: 60_000,
            late_watch_ms: vec![
                300_000, 3_600_000, 86_400_000, 86_400_000, 86_400_000, 86_400_000, 86_400_000,
            ],
            paid_watch_ms: vec![300_000],
            review_ms: 604_800_000,
        }
    }
}

/// What a payment server can do. Declared per gateway, used by the machines instead of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// An order younger than this can't be closed.
    pub(crate) close_age_minimum: Duration,
    /// How long the same key answers the same call; after it we only ask (R3).
    pub(crate) key_retention: Duration,
    /// How long after a payment it can be refunded.
    pub(crate) refund_window: Duration,
    /// It tells us when money arrives. A hint, so nothing depends on it.
    pub(crate) push: bool,
    /// How long a query may wait for a change at the payment server; zero if it answers at once.
    pub(crate) waiting_query: Duration,
    /// An order exists there only once the payer scanned it: "not found" then means open.
    pub(crate) order_after_scan: bool,
}

/// What becomes of the money when nobody can say whether a device moved (R8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UncertainPolicy {
    /// The payer gets the money back; if the device moved, the price is our loss.
    RefundAsLoss,
    /// A person decides.
    #[default]
    Review,
}

/// All that a sale's decisions depend on beside its own history.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) timeouts: Timeouts,
    pub(crate) capabilities: Capabilities,
    pub(crate) uncertain: UncertainPolicy,
    /// Whether refunds that rest on what our store knows go out by themselves. Not after a restore,
    /// until every terminal's journal was read: the store may have forgotten an ON.
    pub(crate) self_mending: bool,
    pub(crate) rules: &'static dyn Rules,
}

impl Policy {
    pub(crate) fn holds(&self, rule: Rule) -> bool {
        self.rules.holds(rule)
    }
}

/// `first`, doubled for each of `times`, up to `most`.
pub(crate) fn doubled(first_ms: u64, times: u32, most_ms: u64) -> Duration {
    let factor = 1_u64.checked_shl(times.min(32)).unwrap_or(u64::MAX);
    Duration::from_millis(first_ms.saturating_mul(factor).min(most_ms))
}
