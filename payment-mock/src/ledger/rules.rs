//! What a payment server allows.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::id::PayeeId;
use serde::Deserialize;

/// What a payment server declares to its platforms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Orders younger than this can't be closed by a platform. Default 0.
    pub close_minimum_age: Duration,
    /// Payments older than this can't be refunded. Default none: always.
    pub refund_window: Option<Duration>,
    /// For how long order numbers and refund ids are idempotency keys. Default none: for ever.
    pub key_retention: Option<KeyRetention>,
    /// An order can't be found before its page was opened. Default false.
    pub order_after_scan: bool,
}

/// How idempotency keys are forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRetention {
    /// From the first call with the key.
    pub lasts: Duration,
    pub afterwards: Forgotten,
}

/// What becomes of a call whose key was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgotten {
    /// It is done again: a second refund, a new page for the order.
    #[default]
    New,
    /// It is refused, as if the key were taken by other content.
    Refused,
}

#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// Accounts that orders may pay to.
    pub(crate) payees: BTreeSet<PayeeId>,
    pub(crate) capabilities: Capabilities,
    /// From the close of a promised order to its late money.
    pub(crate) late_booking: Duration,
}
