//! The one place where something that happened becomes a log line and a counter.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use protocol::id::{GatewayId, StoreEpoch, TransactionId};
use protocol::topic::TerminalName;

use crate::act::ActRow;
use crate::audit::Violation;
use crate::store::reader::Totals;
use crate::store::sqlite::Findings;
use crate::store::{Change, EventRow, StoreError};

const ORDERS: &str = "paylatch_platform_orders_total";
const SALE_EVENTS: &str = "paylatch_platform_sale_events_total";
const SALES_ENTERED: &str = "paylatch_platform_sales_entered_total";
const PAYMENTS: &str = "paylatch_platform_payments_total";
const PERMITS: &str = "paylatch_platform_permits_total";
const RESULTS: &str = "paylatch_platform_linkage_results_total";
const REFUNDS: &str = "paylatch_platform_refunds_total";
const REFUSALS: &str = "paylatch_platform_refusals_total";
const ANSWERS: &str = "paylatch_platform_gateway_answers_total";
const ANSWER_SECONDS: &str = "paylatch_platform_gateway_answer_seconds";
const CONFLICTS: &str = "paylatch_platform_conflicts_total";
const COMMITS: &str = "paylatch_platform_commits_total";
const COMMIT_FAILURES: &str = "paylatch_platform_commit_failures_total";
const COMMIT_SECONDS: &str = "paylatch_platform_commit_seconds";
const COMMIT_GROUP: &str = "paylatch_platform_commit_group_changes";
const QUEUE: &str = "paylatch_platform_queue_messages";
const OPEN_SALES: &str = "paylatch_platform_open_sales";
const OUTBOX: &str = "paylatch_platform_outbox_messages";
const SUSPENSE: &str = "paylatch_platform_suspense_minor_units";
const CONNECTED: &str = "paylatch_platform_broker_connected";
const PRESENCE: &str = "paylatch_platform_presence_changes_total";
const TASKS: &str = "paylatch_platform_open_tasks";
const VIOLATIONS: &str = "paylatch_platform_invariant_violations";
const CHECK_AGE: &str = "paylatch_platform_invariant_check_age_seconds";
const CHECK_SECONDS: &str = "paylatch_platform_invariant_check_seconds";
const CHECK_FAILURES: &str = "paylatch_platform_invariant_check_failures_total";
const UNCHECKED: &str = "paylatch_platform_invariant_unchecked_events";
const STATEMENT_LINES: &str = "paylatch_platform_statement_lines_total";
const STATEMENT_FAULTS: &str = "paylatch_platform_statement_faults_total";
const RECONCILIATIONS: &str = "paylatch_platform_reconciliations_total";
const ACTS: &str = "paylatch_platform_operator_acts_total";
const UNREAD: &str = "paylatch_platform_unread_journals";
const SELF_MENDING: &str = "paylatch_platform_self_mending";
const STRANGE_EPOCHS: &str = "paylatch_platform_strange_epochs_total";
const API_REFUSED: &str = "paylatch_platform_api_refused_total";
const PUBLIC_ANSWERED: &str = "paylatch_platform_public_answers_total";

/// Everything that a check can name.
const INVARIANTS: [&str; 14] = [
    "I1",
    "I2",
    "I3",
    "I4",
    "I5",
    "I6",
    "I7",
    "I8",
    "I9",
    "I10",
    "I11",
    "I13",
    "I14",
    "unreadable",
];

/// Violations of one check that are logged; the gauge counts all of them.
const VIOLATIONS_TOLD_MAX: usize = 20;

/// Gives every metric its help text and, where it has no labels, its first value.
pub(crate) fn describe() {
    describe_sales();
    describe_machinery();
    describe_books();
    for name in [CONFLICTS, COMMITS, COMMIT_FAILURES, CHECK_FAILURES] {
        counter!(name).absolute(0);
    }
    for name in [QUEUE, OPEN_SALES, OUTBOX, CONNECTED, TASKS, UNCHECKED] {
        gauge!(name).set(0.0);
    }
}

fn describe_books() {
    describe_gauge!(TASKS, "Tasks that wait for a person.");
    describe_gauge!(
        VIOLATIONS,
        "Rows that break an invariant of the books, by invariant, as of the last check."
    );
    describe_gauge!(
        CHECK_AGE,
        "Time since the invariants were last checked, in seconds."
    );
    describe_histogram!(CHECK_SECONDS, "Time that one check of the invariants took.");
    describe_counter!(
        CHECK_FAILURES,
        "Checks of the invariants that could not be run."
    );
    describe_gauge!(UNCHECKED, "Events that no check has looked at yet.");
    describe_counter!(
        STATEMENT_LINES,
        "Lines of statements, and rows of ours without one, by payment server and finding."
    );
    describe_counter!(
        STATEMENT_FAULTS,
        "Reconciliations that were given up, by payment server and fault."
    );
    describe_counter!(
        RECONCILIATIONS,
        "Reconciliations that came to the end of both sides, by payment server."
    );
}

fn describe_sales() {
    describe_counter!(ORDERS, "Order requests that became a sale.");
    describe_counter!(SALE_EVENTS, "Events of sales, by kind.");
    describe_counter!(SALES_ENTERED, "Sales that entered a state, by state.");
    describe_counter!(PAYMENTS, "Payments that our own queries found.");
    describe_counter!(
        PERMITS,
        "Permits that were signed and committed, by ground."
    );
    describe_counter!(RESULTS, "Linkage results of terminals, by outcome.");
    describe_counter!(REFUNDS, "Changes of refunds, by status.");
    describe_counter!(
        REFUSALS,
        "Messages that were not believed or not done, by reason."
    );
    describe_counter!(
        ANSWERS,
        "Calls to payment servers, by operation and result."
    );
    describe_histogram!(
        ANSWER_SECONDS,
        "Time from a call to a payment server to its answer."
    );
    describe_gauge!(
        SUSPENSE,
        "Money taken without service yet, in minor units, by currency."
    );
    describe_gauge!(OPEN_SALES, "Sales with something still to be done.");
}

fn describe_machinery() {
    describe_counter!(
        CONFLICTS,
        "Commits refused because somebody else had changed the row."
    );
    describe_counter!(COMMITS, "Synced commits.");
    describe_counter!(
        COMMIT_FAILURES,
        "Commits that the disk or the database refused."
    );
    describe_histogram!(
        COMMIT_SECONDS,
        "Time to write and sync one group of changes."
    );
    describe_histogram!(COMMIT_GROUP, "Changes in one synced commit.");
    describe_gauge!(QUEUE, "Messages that wait for the engine.");
    describe_gauge!(
        OUTBOX,
        "Messages that wait for their receiver's own acknowledgement."
    );
    describe_gauge!(CONNECTED, "1 while connected to the broker.");
    describe_counter!(PRESENCE, "Terminals that came or went, by state.");
    describe_gauge!(
        UNREAD,
        "Terminals whose journal must still be read in this store epoch."
    );
    describe_gauge!(
        SELF_MENDING,
        "1 while refunds that rest on the store alone go out by themselves."
    );
    describe_counter!(
        STRANGE_EPOCHS,
        "Terminals that had worked for a store epoch unknown here: ours is stale."
    );
    describe_counter!(ACTS, "Acts of operators that were done, by kind.");
    describe_counter!(
        API_REFUSED,
        "API requests that were refused, by HTTP status."
    );
    describe_counter!(
        PUBLIC_ANSWERED,
        "Answers of the pages for payers, by HTTP status."
    );
}

/// A group is on the disk.
pub(crate) fn committed(changes: &[Change], took: Duration) {
    counter!(COMMITS).increment(1);
    histogram!(COMMIT_SECONDS).record(took);
    histogram!(COMMIT_GROUP).record(f64::from(u32::try_from(changes.len()).unwrap_or(u32::MAX)));
    for change in changes {
        if change.expected_version.is_none() {
            counter!(ORDERS).increment(1);
        }
        for event in &change.events {
            happened(change.sale.transaction, event);
        }
    }
}

/// Acts that are on the disk.
pub(crate) fn acted(acts: &[ActRow]) {
    for act in acts {
        let ActRow {
            id, name, reason, ..
        } = act;
        let deed = serde_json::to_string(&act.deed).unwrap_or_default();
        tracing::warn!(act = %id, %name, %reason, deed, "an operator acted");
        counter!(ACTS, "kind" => act.deed.kind()).increment(1);
    }
}

/// How many journals a new store epoch still waits for.
pub(crate) fn unread(journals: usize, is_mending: bool) {
    gauge!(UNREAD).set(f64::from(u32::try_from(journals).unwrap_or(u32::MAX)));
    gauge!(SELF_MENDING).set(if is_mending { 1.0 } else { 0.0 });
}

pub(crate) fn mending(is_mending: bool, unread: usize) {
    gauge!(SELF_MENDING).set(if is_mending { 1.0 } else { 0.0 });
    if is_mending {
        tracing::info!("every journal is read: refunds mend themselves again");
    } else {
        tracing::warn!(
            unread,
            "refunds wait: the store is restored or stale, and journals are unread"
        );
    }
}

/// A terminal has worked for a later store than this one.
pub(crate) fn strange_epoch(terminal: &TerminalName, epoch: StoreEpoch) {
    tracing::error!(
        %terminal,
        %epoch,
        "a terminal knows a store epoch that we don't: our store is old; it sells nothing until a \
         person vouches for it"
    );
    counter!(STRANGE_EPOCHS).increment(1);
}

/// One event of a sale, after its commit.
fn happened(transaction: TransactionId, event: &EventRow) {
    let EventRow { kind, detail, .. } = event;
    tracing::info!(%transaction, kind, %detail, "sale");
    counter!(SALE_EVENTS, "kind" => kind.clone()).increment(1);
    let label = |name: &str| match &detail[name] {
        serde_json::Value::String(text) => text.clone(),
        // A tagged enum names its variant under its tag.
        value => value["kind"]
            .as_str()
            .or(value["outcome"].as_str())
            .unwrap_or("none")
            .to_owned(),
    };
    match kind.as_str() {
        "state" => counter!(SALES_ENTERED, "state" => label("to")).increment(1),
        "payment_found" => counter!(PAYMENTS).increment(1),
        "permit" => counter!(PERMITS, "ground" => label("ground")).increment(1),
        "result" => counter!(RESULTS, "outcome" => label("outcome")).increment(1),
        "refund" => counter!(REFUNDS, "status" => label("to")).increment(1),
        _ => {}
    }
}

pub(crate) fn commit_failed(error: &StoreError) {
    let line = process::exit::one_line(error);
    if let StoreError::Conflict { .. } = error {
        tracing::warn!(error = line, "commit refused");
        counter!(CONFLICTS).increment(1);
    } else {
        tracing::error!(error = line, "commit failed");
        counter!(COMMIT_FAILURES).increment(1);
    }
}

/// Something that came in was not believed, or believed and not done. `what` is the kind of
/// message, `reason` a name out of a fixed list: both are labels.
pub(crate) fn refused(what: &'static str, reason: &'static str, from: &str) {
    counter!(REFUSALS, "message" => what, "reason" => reason).increment(1);
    // A hostile or broken party repeats itself: the counter tells how often, the log tells once.
    static TOLD: Mutex<BTreeSet<(&str, &str)>> = Mutex::new(BTreeSet::new());
    if TOLD
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert((what, reason))
    {
        tracing::warn!(
            what,
            reason,
            from,
            "refused; further ones of this kind are only counted"
        );
    } else {
        tracing::debug!(what, reason, from, "refused");
    }
}

/// A payment server answered a call of ours, or (`result` = `silent`) did not in time.
pub(crate) fn gateway_answered(operation: &'static str, result: &'static str, took: Duration) {
    tracing::debug!(operation, result, ?took, "payment server");
    counter!(ANSWERS, "operation" => operation, "result" => result).increment(1);
    histogram!(ANSWER_SECONDS).record(took);
}

pub(crate) fn presence(terminal: &TerminalName, online: bool) {
    let state = if online { "online" } else { "offline" };
    tracing::info!(%terminal, state, "terminal");
    counter!(PRESENCE, "state" => state).increment(1);
}

pub(crate) fn connected(connected: bool) {
    if connected {
        tracing::info!("connected to the broker");
    } else {
        tracing::warn!("no connection to the broker");
    }
    gauge!(CONNECTED).set(if connected { 1.0 } else { 0.0 });
}

pub(crate) fn queued(messages: usize) {
    gauge!(QUEUE).set(f64::from(u32::try_from(messages).unwrap_or(u32::MAX)));
}

pub(crate) fn totals(totals: &Totals) {
    let whole = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    gauge!(OPEN_SALES).set(whole(totals.open_sales));
    gauge!(OUTBOX).set(whole(totals.outbox));
    gauge!(TASKS).set(whole(totals.open_tasks));
    for (currency, minor) in &totals.suspense_minor {
        gauge!(SUSPENSE, "currency" => currency.code().to_owned()).set(approximate(*minor));
    }
}

/// Gauges are floating point; up to 2^53 minor units they are exact, and money is never computed
/// from them.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is for people, the ledger is exact"
)]
fn approximate(minor: i64) -> f64 {
    minor as f64
}

/// The invariants were checked. Each violation is said once while it lasts.
pub(crate) fn checked(findings: &Findings, took: Duration) {
    for invariant in INVARIANTS {
        let of = |found: &&Violation| found.invariant == invariant;
        let count = findings.violations.iter().filter(of).count();
        let count = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        gauge!(VIOLATIONS, "invariant" => invariant).set(count);
    }
    histogram!(CHECK_SECONDS).record(took);
    let unchecked = u32::try_from(findings.unchecked_events).unwrap_or(u32::MAX);
    gauge!(UNCHECKED).set(f64::from(unchecked));
    static TOLD: Mutex<BTreeSet<Violation>> = Mutex::new(BTreeSet::new());
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let found: BTreeSet<Violation> = findings.violations.iter().cloned().collect();
    for violation in found.difference(&told).take(VIOLATIONS_TOLD_MAX) {
        let Violation {
            invariant,
            rule,
            subject,
            detail,
        } = violation;
        tracing::error!(invariant, rule, subject, detail, "an invariant is broken");
    }
    *told = found;
}

pub(crate) fn check_failed(error: &StoreError) {
    let error = process::exit::one_line(error);
    tracing::warn!(error, "the invariants could not be checked");
    counter!(CHECK_FAILURES).increment(1);
}

pub(crate) fn check_age(age: Duration) {
    gauge!(CHECK_AGE).set(age.as_secs_f64());
}

/// A line was compared. `finding` is a name out of a fixed list.
pub(crate) fn line_found(gateway: &GatewayId, finding: &'static str) {
    tracing::debug!(%gateway, finding, "statement line");
    let gateway = gateway.to_string();
    counter!(STATEMENT_LINES, "gateway" => gateway, "finding" => finding).increment(1);
}

/// A reconciliation was given up. `fault` is a name out of a fixed list.
pub(crate) fn statement_fault(gateway: &GatewayId, fault: &'static str) {
    tracing::warn!(%gateway, fault, "reconciliation given up");
    let gateway = gateway.to_string();
    counter!(STATEMENT_FAULTS, "gateway" => gateway, "fault" => fault).increment(1);
}

pub(crate) fn reconciled(gateway: &GatewayId) {
    tracing::info!(%gateway, "reconciled");
    counter!(RECONCILIATIONS, "gateway" => gateway.to_string()).increment(1);
}

pub(crate) fn api_refused(status: u16) {
    tracing::debug!(status, "API request refused");
    counter!(API_REFUSED, "status" => status.to_string()).increment(1);
}

/// Without the address: a token stands in it.
pub(crate) fn public_answered(status: u16) {
    counter!(PUBLIC_ANSWERED, "status" => status.to_string()).increment(1);
}
