//! The payment server without its wires: requests, presses and deadlines in; records, publishes
//! and notes out. Pure: time and randomness are arguments.
//!
//! A `Record` output stands before every output that tells of it. The owner writes all records of a
//! drained machine down before it publishes, replies or acknowledges.

mod checkout;
mod delivery;
mod outside;
mod request;
mod scene;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::id::{Entropy, GatewayId, MessageId, PlatformId, TransactionId};
use protocol::message::GatewayEvent;
use protocol::signed::{Audience, Keyring, SigningKey, sign};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Gateway, Topic};

pub(crate) use checkout::{CheckoutView, NoView, Press, Pressed};
pub use outside::Outside;
pub(crate) use request::Arrival;

use crate::ledger::{self, Entry, Ledger};
use crate::scenario::{Action, Aspect, Outcome, RuleError, RuleText, Ruleset, Scenario, Step};
use crate::totals::OrderTotals;
use delivery::Wrapping;
use scene::Counts;

/// Messages that wait for their time: 1,024 of at most 8 KiB. A platform has one query in flight for
/// each order, so more means that nobody waits for them any more.
const DELAYED_MAX: usize = 1_024;

/// Who this payment server is, and whom it believes.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) gateway: GatewayId,
    pub(crate) key: SigningKey,
    pub(crate) platforms: BTreeMap<PlatformId, Keyring>,
    /// Without a slash at its end.
    pub(crate) public_url: String,
}

/// What the owner of the machine has to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    Record(Entry),
    Publish(Publication),
    Noted(Note),
}

/// A message for the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub topic: Topic,
    pub payload: Vec<u8>,
}

/// What happened, for the log and the counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    /// A delivery that is no request to us.
    RequestRefused {
        reason: &'static str,
    },
    Answered {
        platform: PlatformId,
        operation: &'static str,
        result: &'static str,
        order: Option<TransactionId>,
    },
    /// Done, and no answer given.
    AnswerWithheld {
        operation: &'static str,
        reason: &'static str,
    },
    Pressed {
        press: &'static str,
        result: &'static str,
    },
    PaymentBooked {
        order: TransactionId,
    },
    OrderCreated {
        order: TransactionId,
    },
    OrderClosed {
        order: TransactionId,
    },
    Refunded {
        order: TransactionId,
    },
    /// Something happened to a payment that no platform asked for.
    Befallen {
        order: TransactionId,
        deed: &'static str,
    },
    /// Something was to happen to a payment and can't.
    Spared {
        order: TransactionId,
        reason: String,
    },
    /// The scenario had its way; without a rule it was the order's outcome.
    Interfered {
        step: &'static str,
        action: &'static str,
        rule: Option<String>,
    },
    /// A value of ours could not be signed or written as a message.
    Unsendable {
        reason: String,
    },
}

/// A clone goes its own way from where it was taken: a model checker forks it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    identity: Arc<Identity>,
    ledger: Ledger,
    scenario: Scenario,
    started: Tick,
    counts: Counts,
    /// By due time, then by order of arrival.
    delayed: BTreeMap<(Tick, u64), Publication>,
    /// Waiting to be overtaken.
    held: BTreeMap<(Tick, u64), Publication>,
    delayed_count: u64,
    outputs: VecDeque<Output>,
}

impl Machine {
    pub(crate) fn new(
        identity: Arc<Identity>,
        ledger: Ledger,
        scenario: Scenario,
        started: Tick,
    ) -> Self {
        Self {
            identity,
            ledger,
            scenario,
            started,
            counts: Counts::default(),
            delayed: BTreeMap::new(),
            held: BTreeMap::new(),
            delayed_count: 0,
            outputs: VecDeque::new(),
        }
    }

    /// The outcome of orders that are created from now on.
    pub(crate) fn set_default_outcome(&mut self, outcome: Outcome) {
        self.scenario.default = outcome;
    }

    /// Changes the outcome of one order; false if there is no such order.
    pub(crate) fn handle_outcome(
        &mut self,
        order: TransactionId,
        outcome: Outcome,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let known = self.ledger.handle_outcome(order, outcome, now);
        self.drain_ledger(now, entropy);
        known
    }

    /// Books late money, ends lifetimes, and sends answers whose time has come.
    pub(crate) fn handle_timeout(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.ledger.handle_timeout(now);
        self.drain_ledger(now, entropy);
        self.send_due(now);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        let delayed = self.delayed.first_key_value().map(|((due, _), _)| *due);
        let held = self.held.first_key_value().map(|((due, _), _)| *due);
        [self.ledger.poll_timeout(), delayed, held]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) const fn rules(&self) -> &Ruleset {
        &self.scenario.rules
    }

    pub(crate) fn set_rules(&mut self, rules: Ruleset) {
        self.scenario.rules = rules;
    }

    pub(crate) fn add_rule(&mut self, rule: RuleText) -> Result<(), RuleError> {
        self.scenario.rules.add(rule)
    }

    /// At most `limit` orders after the one of this number.
    pub(crate) fn totals_after(
        &self,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Vec<OrderTotals> {
        let orders = self.ledger.orders_after(after);
        orders.take(limit).map(OrderTotals::of).collect()
    }

    pub(crate) fn totals_of(&self, order: TransactionId) -> Option<OrderTotals> {
        self.ledger.order(order).map(OrderTotals::of)
    }

    pub(crate) fn totals(&self) -> Vec<OrderTotals> {
        self.ledger.orders().map(OrderTotals::of).collect()
    }

    /// Turns what the ledger has to tell into records, events and notes.
    fn drain_ledger(&mut self, now: Now, entropy: &mut dyn Entropy) {
        while let Some(output) = self.ledger.poll_output() {
            match output {
                ledger::Output::Record(entry) => {
                    self.note_entry(&entry);
                    let booked = match &entry {
                        Entry::PaymentBooked { order, booking, .. } => {
                            Some((*order, booking.payment))
                        }
                        _ => None,
                    };
                    self.outputs.push_back(Output::Record(entry));
                    if let Some((order, payment)) = booked {
                        self.befall(order, payment, now, entropy);
                    }
                }
                ledger::Output::Changed {
                    platform,
                    order,
                    at,
                } => self.push_event(&platform, order, at, now, entropy),
            }
        }
    }

    fn note_entry(&mut self, entry: &Entry) {
        let note = match entry {
            Entry::OrderCreated { create, .. } => Note::OrderCreated {
                order: create.order,
            },
            Entry::PaymentBooked { order, .. } => {
                self.counts.booked(*order);
                Note::PaymentBooked { order: *order }
            }
            Entry::OrderClosed { order, .. } => Note::OrderClosed { order: *order },
            Entry::Refunded { refund, .. } | Entry::RefundBegun { refund, .. } => Note::Refunded {
                order: refund.order,
            },
            Entry::DeedDone { order, deed, .. } => Note::Befallen {
                order: *order,
                deed: deed.as_str(),
            },
            Entry::OutcomeSet { .. }
            | Entry::OrderReopened { .. }
            | Entry::PageOpened { .. }
            | Entry::RefundTurned { .. }
            | Entry::DeedPlanned { .. }
            | Entry::DeedDropped { .. }
            | Entry::PaidOut { .. }
            | Entry::AttemptFailed { .. }
            | Entry::PaymentPromised { .. } => return,
        };
        self.outputs.push_back(Output::Noted(note));
    }

    /// An event is a hint: it is sent once, and losing it loses nothing (R1).
    fn push_event(
        &mut self,
        platform: &PlatformId,
        order: TransactionId,
        at: Utc,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let n = self.count(Some(order), Step::Event);
        let call = self.call(Step::Event, platform, Some(order), n, now);
        let before = self.scenario.decide(Aspect::Before, &call);
        let decision = before.or_else(|| self.scenario.decide(Aspect::Answer, &call));
        if let Some(decision) = &decision {
            self.note_decision(decision, Step::Event);
        }
        let action = decision.map(|decision| decision.action);
        if matches!(action, Some(Action::Outage | Action::DropAnswer)) {
            return;
        }
        let event = GatewayEvent {
            aud: Audience::platform(platform),
            gateway: self.identity.gateway.clone(),
            event: MessageId::from_random(entropy.bytes()),
            order,
            happened_at: at,
        };
        let wrapping = Wrapping {
            platform,
            id: event.event,
            traceparent: None,
            now,
        };
        match sign(&self.identity.key, &event) {
            Ok(jws) => {
                // Too many wait already: losing an event loses nothing.
                let _sent = self.deliver(&event, jws, &wrapping, action.as_ref(), entropy);
            }
            Err(error) => self.note(Note::Unsendable {
                reason: error.to_string(),
            }),
        }
    }

    fn topic(&self, kind: Gateway, platform: &PlatformId) -> Topic {
        Topic::Gateway(self.identity.gateway.clone(), kind, platform.clone())
    }

    fn note(&mut self, note: Note) {
        self.outputs.push_back(Output::Noted(note));
    }
}
