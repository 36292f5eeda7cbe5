//! The one place where something that happened becomes a log line and a counter.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use protocol::id::{PlatformId, TransactionId};

use crate::machine::Note;

static REFUSALS_TOLD: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

const REQUESTS_REFUSED: &str = "paylatch_mock_requests_refused_total";
const ANSWERS: &str = "paylatch_mock_answers_total";
const ANSWERS_WITHHELD: &str = "paylatch_mock_answers_withheld_total";
const PRESSES: &str = "paylatch_mock_presses_total";
const ORDERS: &str = "paylatch_mock_orders_created_total";
const ORDERS_CLOSED: &str = "paylatch_mock_orders_closed_total";
const PAYMENTS: &str = "paylatch_mock_payments_booked_total";
const REFUNDS: &str = "paylatch_mock_refunds_total";
const OUTSIDE: &str = "paylatch_mock_outside_total";
const INTERFERENCES: &str = "paylatch_mock_interferences_total";
const PUBLISHES_LOST: &str = "paylatch_mock_publishes_lost_total";
const COMMIT_SECONDS: &str = "paylatch_mock_commit_duration_seconds";
const CONNECTED: &str = "paylatch_mock_broker_connected";

/// Gives every metric its help text and its first value, so that none is missing until something
/// happens.
pub(crate) fn describe() {
    describe_counter!(
        REQUESTS_REFUSED,
        "Deliveries that are no request of a known platform."
    );
    describe_counter!(ANSWERS, "Signed answers, by operation and result.");
    describe_counter!(
        ANSWERS_WITHHELD,
        "Requests that were done and got no answer."
    );
    describe_counter!(PRESSES, "Buttons that payers pressed, by what it led to.");
    describe_counter!(ORDERS, "Orders created.");
    describe_counter!(
        ORDERS_CLOSED,
        "Orders closed by a platform or by their lifetime."
    );
    describe_counter!(PAYMENTS, "Payments booked.");
    describe_counter!(REFUNDS, "Refunds booked.");
    describe_counter!(
        OUTSIDE,
        "Disputes, refunds by other hands and fees that no platform asked for."
    );
    describe_counter!(
        INTERFERENCES,
        "Calls and events that outcome or rules changed, by action."
    );
    describe_counter!(
        PUBLISHES_LOST,
        "Answers and events that the broker connection did not take."
    );
    describe_histogram!(
        COMMIT_SECONDS,
        "Time to write a group of entries to the disk."
    );
    describe_gauge!(CONNECTED, "1 while connected to the broker.");
    for name in [ORDERS, ORDERS_CLOSED, PAYMENTS, REFUNDS, PUBLISHES_LOST] {
        counter!(name).absolute(0);
    }
    gauge!(CONNECTED).set(0.0);
}

pub(crate) fn note(note: &Note) {
    match note {
        Note::RequestRefused { reason } => request_refused(reason),
        Note::Answered {
            platform,
            operation,
            result,
            order,
        } => answered(platform, operation, result, *order),
        Note::AnswerWithheld { operation, reason } => answer_withheld(operation, reason),
        Note::Pressed { press, result } => pressed(press, result),
        Note::OrderCreated { order } => order_event(ORDERS, "order created", *order),
        Note::OrderClosed { order } => order_event(ORDERS_CLOSED, "order closed", *order),
        Note::PaymentBooked { order } => order_event(PAYMENTS, "payment booked", *order),
        Note::Refunded { order } => order_event(REFUNDS, "refunded", *order),
        Note::Befallen { order, deed } => befallen(*order, deed),
        Note::Interfered { step, action, rule } => interfered(step, action, rule.as_deref()),
        Note::Spared { order, reason } => {
            tracing::warn!(%order, reason, "what was to befall a payment can't");
        }
        Note::Unsendable { reason } => unsendable(reason),
    }
}

/// Counted every time; told once for each reason, since whoever sends nonsense sends much of it.
fn request_refused(reason: &'static str) {
    let is_new = REFUSALS_TOLD
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(reason);
    if is_new {
        tracing::warn!(reason, "request refused; further ones are only counted");
    }
    counter!(REQUESTS_REFUSED, "reason" => reason).increment(1);
}

fn answered(
    platform: &PlatformId,
    operation: &'static str,
    result: &'static str,
    order: Option<TransactionId>,
) {
    let order = order.map(|order| order.to_string());
    tracing::debug!(%platform, operation, result, order, "answered");
    counter!(ANSWERS, "operation" => operation, "result" => result).increment(1);
}

fn answer_withheld(operation: &'static str, reason: &'static str) {
    tracing::info!(operation, reason, "answer withheld");
    counter!(ANSWERS_WITHHELD, "operation" => operation, "reason" => reason).increment(1);
}

fn pressed(press: &'static str, result: &'static str) {
    tracing::debug!(press, result, "payer pressed");
    counter!(PRESSES, "press" => press, "result" => result).increment(1);
}

fn order_event(name: &'static str, event: &'static str, order: TransactionId) {
    tracing::info!(%order, event, "ledger");
    counter!(name).increment(1);
}

fn befallen(order: TransactionId, deed: &'static str) {
    tracing::info!(%order, deed, "befallen");
    counter!(OUTSIDE, "deed" => deed).increment(1);
}

fn interfered(step: &'static str, action: &'static str, rule: Option<&str>) {
    tracing::info!(step, action, rule, "scenario interfered");
    counter!(INTERFERENCES, "step" => step, "action" => action).increment(1);
}

fn unsendable(reason: &str) {
    tracing::error!(reason, "message can't be made");
    counter!(PUBLISHES_LOST).increment(1);
}

pub(crate) fn publish_lost(error: &dyn std::error::Error) {
    tracing::info!(%error, "publish not taken");
    counter!(PUBLISHES_LOST).increment(1);
}

pub(crate) fn committed(seconds: f64) {
    histogram!(COMMIT_SECONDS).record(seconds);
}

pub(crate) fn connected(connected: bool) {
    tracing::info!(connected, "broker connection");
    gauge!(CONNECTED).set(if connected { 1.0 } else { 0.0 });
}
