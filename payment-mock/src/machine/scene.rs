//! What the scenario is told of a call, and how calls are counted.

use std::collections::BTreeMap;

use protocol::id::{PlatformId, TransactionId};
use protocol::message::CreateOrder;
use protocol::time::Now;

use super::{Machine, Note};
use crate::ledger::ORDERS_MAX;
use crate::scenario::{Action, Aspect, Call, Decision, Step};

/// Calls that are counted one by one: some for each of as many orders as a ledger holds would be
/// hundreds of megabytes. Beyond it a call counts as the first of its kind.
const COUNTED_MAX: usize = ORDERS_MAX;

/// Since the start of this process; a restart counts anew, as it does lifetimes.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    calls: BTreeMap<(Option<TransactionId>, Step), u64>,
    queries_since_booking: BTreeMap<TransactionId, u32>,
    requests: u64,
}

impl Counts {
    pub(super) const fn request(&mut self) {
        self.requests += 1;
    }

    /// Counts one more and says the how manieth it is.
    pub(super) fn call(&mut self, order: Option<TransactionId>, step: Step) -> u64 {
        let key = (order, step);
        if self.calls.len() >= COUNTED_MAX && !self.calls.contains_key(&key) {
            return 1;
        }
        let count = self.calls.entry(key).or_default();
        *count += 1;
        *count
    }

    pub(super) fn booked(&mut self, order: TransactionId) {
        self.queries_since_booking.insert(order, 0);
    }

    fn query(&mut self, order: TransactionId) {
        if let Some(count) = self.queries_since_booking.get_mut(&order) {
            *count = count.saturating_add(1);
        }
    }
}

impl Machine {
    /// Counts a call; one about an order that does not exist counts among all of its kind, but for
    /// creates, which are about to make it.
    pub(super) fn count(&mut self, order: Option<TransactionId>, step: Step) -> u64 {
        let exists = |order: &TransactionId| self.ledger.order(*order).is_some();
        let order = order.filter(|order| step == Step::Create || exists(order));
        if let (Some(order), Step::Query) = (order, step) {
            self.counts.query(order);
        }
        self.counts.call(order, step)
    }

    pub(super) fn call<'a>(
        &'a self,
        step: Step,
        platform: &'a PlatformId,
        order: Option<TransactionId>,
        n: u64,
        now: Now,
    ) -> Call<'a> {
        let found = order.and_then(|order| self.ledger.order(order));
        let found = found.filter(|found| found.platform == *platform);
        let since_booking = order.and_then(|order| self.counts.queries_since_booking.get(&order));
        let first = found.and_then(|found| found.payments.first());
        Call {
            step,
            platform,
            order,
            create: found.map(|found| &found.create),
            n,
            request: self.counts.requests,
            age: now.tick.since(self.started),
            outcome: found.map(|found| found.opening.outcome),
            booked_for: first.map(|payment| now.tick.since(payment.booked)),
            n_since_booking: since_booking.copied().unwrap_or_default(),
        }
    }

    /// As [`Machine::call`], of an order that is being created: one that is not there yet is treated
    /// as it will be.
    pub(super) fn create_call<'a>(
        &'a self,
        platform: &'a PlatformId,
        create: &'a CreateOrder,
        n: u64,
        now: Now,
    ) -> Call<'a> {
        let call = Call {
            create: Some(create),
            ..self.call(Step::Create, platform, Some(create.order), n, now)
        };
        let outcome = call
            .outcome
            .unwrap_or_else(|| self.scenario.outcome_of(&call));
        Call {
            outcome: Some(outcome),
            ..call
        }
    }

    pub(super) fn is_decided(&self, aspect: Aspect, call: &Call<'_>) -> bool {
        self.scenario.decide(aspect, call).is_some()
    }

    /// Whether the payer's browser is told that the server is not available: before a press or page
    /// does anything, or after.
    pub(super) fn is_unavailable(&mut self, aspect: Aspect, step: Step, of: PageCall<'_>) -> bool {
        let call = self.call(step, of.platform, Some(of.order), of.n, of.now);
        let Some(decision) = self.scenario.decide(aspect, &call) else {
            return false;
        };
        let fails = matches!(
            decision.action,
            Action::Drop | Action::Outage | Action::DropAnswer
        );
        if fails {
            self.note_decision(&decision, step);
        }
        fails
    }

    pub(super) fn note_decision(&mut self, decision: &Decision, step: Step) {
        self.note(Note::Interfered {
            step: step.as_str(),
            action: decision.action.as_str(),
            rule: decision.rule.clone(),
        });
    }
}

/// A payer's call.
#[derive(Clone, Copy)]
pub(super) struct PageCall<'a> {
    pub(super) platform: &'a PlatformId,
    pub(super) order: TransactionId,
    pub(super) n: u64,
    pub(super) now: Now,
}
