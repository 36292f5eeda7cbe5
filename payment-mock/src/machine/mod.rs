//! The payment server without its wires: requests, presses and deadlines in; records, publishes
//! and notes out. Pure: time and randomness are arguments.
//!
//! A `Record` output stands before every output that tells of it. The owner writes all records of a
//! drained machine down before it publishes, replies or acknowledges.

mod checkout;
mod request;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::codec::{Envelope, encode};
use protocol::id::{Entropy, GatewayId, MessageId, PlatformId, TransactionId};
use protocol::message::GatewayEvent;
use protocol::signed::{Audience, Keyring, SigningKey, sign};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Gateway, Topic};

pub(crate) use checkout::{CheckoutView, Press, Pressed};
pub(crate) use request::Arrival;

use crate::ledger::{self, Entry, Ledger};
use crate::scenario::{Outcome, Scenario, Step};
use crate::totals::OrderTotals;

/// Answers that wait for their time: 1,024 of at most 8 KiB. A platform has one query in flight for
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
    /// How often a step was taken, as [`Scenario::decide`] counts it.
    counts: BTreeMap<(TransactionId, Step), u32>,
    /// By due time, then by order of arrival.
    delayed: BTreeMap<(Tick, u64), Publication>,
    delayed_count: u64,
    outputs: VecDeque<Output>,
}

impl Machine {
    pub(crate) fn new(identity: Arc<Identity>, ledger: Ledger, scenario: Scenario) -> Self {
        Self {
            identity,
            ledger,
            scenario,
            counts: BTreeMap::new(),
            delayed: BTreeMap::new(),
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
        while let Some(first) = self.delayed.first_entry() {
            if first.key().0 > now.tick {
                return;
            }
            self.outputs.push_back(Output::Publish(first.remove()));
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        let delayed = self.delayed.first_key_value().map(|((due, _), _)| *due);
        [self.ledger.poll_timeout(), delayed]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn totals(&self) -> Vec<OrderTotals> {
        self.ledger.orders().map(OrderTotals::of).collect()
    }

    /// Counts one more step of an order and says the how manieth it is.
    fn count(&mut self, order: TransactionId, step: Step) -> u32 {
        let count = self.counts.entry((order, step)).or_default();
        *count = count.saturating_add(1);
        *count
    }

    /// Turns what the ledger has to tell into records, events and notes.
    fn drain_ledger(&mut self, now: Now, entropy: &mut dyn Entropy) {
        while let Some(output) = self.ledger.poll_output() {
            match output {
                ledger::Output::Record(entry) => {
                    self.note_entry(&entry);
                    self.outputs.push_back(Output::Record(entry));
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
                self.counts.remove(&(*order, Step::Query));
                Note::PaymentBooked { order: *order }
            }
            Entry::OrderClosed { order, .. } => Note::OrderClosed { order: *order },
            Entry::Refunded { refund, .. } => Note::Refunded {
                order: refund.order,
            },
            Entry::OutcomeSet { .. }
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
        let event = GatewayEvent {
            aud: Audience::platform(platform),
            gateway: self.identity.gateway.clone(),
            event: MessageId::from_random(entropy.bytes()),
            order,
            happened_at: at,
        };
        let id = event.event;
        let payload = sign(&self.identity.key, &event)
            .map_err(|error| error.to_string())
            .and_then(|jws| {
                encode(&Envelope::new(id, now.utc, jws)).map_err(|error| error.to_string())
            });
        match payload {
            Ok(payload) => self.outputs.push_back(Output::Publish(Publication {
                topic: self.topic(Gateway::Event, platform),
                payload,
            })),
            Err(reason) => self.note(Note::Unsendable { reason }),
        }
    }

    fn topic(&self, kind: Gateway, platform: &PlatformId) -> Topic {
        Topic::Gateway(self.identity.gateway.clone(), kind, platform.clone())
    }

    fn note(&mut self, note: Note) {
        self.outputs.push_back(Output::Noted(note));
    }
}
