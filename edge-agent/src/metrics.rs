//! The one place where an event becomes a log line and a counter.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::machine::event::Event;

const SESSIONS_OPENED: &str = "paylatch_agent_sessions_opened_total";
const SESSIONS_CLOSED: &str = "paylatch_agent_sessions_closed_total";
const ORDERS_REQUESTED: &str = "paylatch_agent_orders_requested_total";
const ORDERS_REFUSED: &str = "paylatch_agent_orders_refused_total";
const PERMITS_ACCEPTED: &str = "paylatch_agent_permits_accepted_total";
const PERMITS_REFUSED: &str = "paylatch_agent_permits_refused_total";
const MESSAGES_REFUSED: &str = "paylatch_agent_messages_refused_total";
const WITHDRAWN: &str = "paylatch_agent_requests_withdrawn_total";
const RESULTS: &str = "paylatch_agent_results_total";
const INQUIRIES: &str = "paylatch_agent_inquiries_total";
const CONFIGS: &str = "paylatch_agent_configs_applied_total";
const JOURNAL_FULL: &str = "paylatch_agent_journal_full_total";
const JOURNAL_FAILED: &str = "paylatch_agent_journal_failures_total";
const JOURNAL_SYNC: &str = "paylatch_agent_journal_sync_duration_seconds";
const SWITCH: &str = "paylatch_agent_switch_duration_seconds";
const CONNECTED: &str = "paylatch_agent_uplink_connected";
const SERVING: &str = "paylatch_agent_serving";

/// Gives every metric its help. Safe to call more than once.
pub(crate) fn describe() {
    let counters = [
        (SESSIONS_OPENED, "Phones that took the lease."),
        (
            SESSIONS_CLOSED,
            "Sessions by the state in which they ended.",
        ),
        (ORDERS_REQUESTED, "Order requests that were journaled."),
        (
            ORDERS_REFUSED,
            "Order requests that the platform refused, by reason.",
        ),
        (
            PERMITS_ACCEPTED,
            "Permits whose intent went to the journal.",
        ),
        (
            PERMITS_REFUSED,
            "Verified permits that were refused, by reason.",
        ),
        (
            MESSAGES_REFUSED,
            "Messages that were not believed or not understood.",
        ),
        (WITHDRAWN, "Open requests that an OFF withdrew."),
        (RESULTS, "Signed results by outcome."),
        (INQUIRIES, "Inquiries by what the journal knew."),
        (CONFIGS, "Site configs that were put in force."),
        (JOURNAL_FULL, "Writes that found no room in the journal."),
        (
            JOURNAL_FAILED,
            "Writes or syncs of the journal that failed.",
        ),
    ];
    for (name, help) in counters {
        describe_counter!(name, help);
    }
    describe_histogram!(JOURNAL_SYNC, Unit::Seconds, "Synced writes of the journal.");
    describe_histogram!(
        SWITCH,
        Unit::Seconds,
        "From the synced intent to the devices' word."
    );
    describe_gauge!(CONNECTED, "1 while there is a connection to the broker.");
    describe_gauge!(SERVING, "1 while a phone could be served.");
}

#[allow(
    clippy::cognitive_complexity,
    reason = "one flat table; the branches are inside the log macros, and depend on their features"
)]
pub(crate) fn record(event: &Event) {
    match *event {
        Event::SessionOpened => {
            tracing::info!("a phone took the lease");
            counter!(SESSIONS_OPENED).increment(1);
        }
        Event::SessionClosed { state } => {
            tracing::info!(state, "session ended");
            counter!(SESSIONS_CLOSED, "state" => state).increment(1);
        }
        Event::OrderRequested { transaction } => {
            tracing::info!(%transaction, "order requested");
            counter!(ORDERS_REQUESTED).increment(1);
        }
        Event::OrderRefused {
            transaction,
            reason,
        } => {
            tracing::warn!(%transaction, ?reason, "order refused by the platform");
            counter!(ORDERS_REFUSED, "reason" => word(&reason)).increment(1);
        }
        Event::PermitAccepted { transaction } => {
            tracing::info!(%transaction, "permit accepted");
            counter!(PERMITS_ACCEPTED).increment(1);
        }
        Event::PermitRefused {
            transaction,
            reason,
        } => {
            tracing::warn!(%transaction, ?reason, "permit refused");
            counter!(PERMITS_REFUSED, "reason" => word(&reason)).increment(1);
        }
        Event::MessageRefused { kind, reason } => {
            if is_first(kind, reason) {
                tracing::warn!(
                    kind,
                    reason,
                    "message refused; more of these are only counted"
                );
            }
            counter!(MESSAGES_REFUSED, "kind" => kind, "reason" => reason).increment(1);
        }
        Event::Withdrawn { transaction } => {
            tracing::info!(%transaction, "request withdrawn by the platform");
            counter!(WITHDRAWN).increment(1);
        }
        Event::Decided {
            transaction,
            outcome,
        } => {
            tracing::info!(%transaction, ?outcome, "result signed");
            counter!(RESULTS, "outcome" => outcome_word(&outcome)).increment(1);
        }
        Event::Inquired {
            transaction,
            finding,
        } => {
            tracing::info!(%transaction, finding, "the platform asked the journal");
            counter!(INQUIRIES, "finding" => finding).increment(1);
        }
        Event::ConfigApplied { serial } => {
            tracing::info!(serial, "site config in force");
            counter!(CONFIGS).increment(1);
        }
        Event::JournalFull => {
            tracing::error!("the journal is full; nothing is sold until sales are settled");
            counter!(JOURNAL_FULL).increment(1);
        }
    }
}

pub(crate) fn journal_failed(error: &(dyn std::error::Error + 'static)) {
    let error = process::exit::one_line(error);
    tracing::error!(error, "the journal failed; it is opened anew and verified");
    counter!(JOURNAL_FAILED).increment(1);
}

pub(crate) fn journal_synced(duration: Duration) {
    histogram!(JOURNAL_SYNC).record(duration);
}

pub(crate) fn switched(duration: Duration) {
    histogram!(SWITCH).record(duration);
}

pub(crate) fn connected(is_connected: bool) {
    gauge!(CONNECTED).set(if is_connected { 1.0 } else { 0.0 });
}

pub(crate) fn serving(is_serving: bool) {
    gauge!(SERVING).set(if is_serving { 1.0 } else { 0.0 });
}

/// Whether nothing of this kind was refused for this reason since the start. Both are words of
/// ours, so the set is as small as the code.
fn is_first(kind: &'static str, reason: &'static str) -> bool {
    static SEEN: Mutex<BTreeSet<(&str, &str)>> = Mutex::new(BTreeSet::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert((kind, reason))
}

/// The word that the contract has for it.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "other".to_owned(),
    }
}

fn outcome_word(outcome: &protocol::message::LinkageOutcome) -> String {
    let value = serde_json::to_value(outcome).unwrap_or_default();
    let word = value.get("outcome").and_then(serde_json::Value::as_str);
    word.unwrap_or("other").to_owned()
}
