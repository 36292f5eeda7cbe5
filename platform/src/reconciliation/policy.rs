//! When a run begins, and what it may do.

use serde::{Deserialize, Serialize};

/// When a run begins, and what it may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconciliationPolicy {
    /// From the start of the process to the first run. Default 30,000: terminals and payment
    /// servers connect first, and open sales ask their own questions first.
    pub start_ms: u64,
    /// Between two runs. Default 3,600,000: a payment that nobody knows of is found within an
    /// hour, and a payment server is asked for little.
    pub interval_ms: u64,
    /// Between two runs that look at everything of the last `deep_window_ms` again. Default
    /// 86,400,000: a day, the rhythm in which payment servers close their books.
    pub deep_interval_ms: u64,
    /// How far back such a run looks. Default 2,592,000,000: 30 days, above the late watch of an
    /// order and the usual time for a refund.
    pub deep_window_ms: u64,
    /// How old a difference must be before it is one: until then a side is only newer than the
    /// other. Default 3,600,000: the longest order and every wait after it.
    pub grace_ms: u64,
    /// One question to the payment server. Default 5,000.
    pub call_ms: u64,
    /// Questions in a row without an answer until a run is given up. Default 3.
    pub tries: u32,
    /// Orders that one run may ask about again, so that the sale mends itself. Default 20: more at
    /// once is no accident, and waits for a person.
    pub mends_max: u32,
    /// Who has to see to what a run has found. Default `operations`.
    pub owner: String,
    /// Until a task is overdue. Default 259,200,000: three days; the payment server's own time for
    /// complaints is counted in days too.
    pub task_ms: u64,
}

impl Default for ReconciliationPolicy {
    fn default() -> Self {
        Self {
            start_ms: 30_000,
            interval_ms: 3_600_000,
            deep_interval_ms: 86_400_000,
            deep_window_ms: 2_592_000_000,
            grace_ms: 3_600_000,
            call_ms: 5_000,
            tries: 3,
            mends_max: 20,
            owner: "operations".to_owned(),
            task_ms: 259_200_000,
        }
    }
}
