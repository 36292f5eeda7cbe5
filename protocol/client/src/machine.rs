//! The life of a client: connect, subscribe, carry, lose the connection, wait, connect again.
//! Pure: the shell owns the library, the sockets and the clock.

mod input;
mod output;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use protocol::codec::PAYLOAD_SIZE_MAX;
use protocol::id::Entropy;
use protocol::time::Tick;
use protocol::topic::Topic;

use crate::arrivals::Arrivals;
use crate::backoff::Backoff;
use crate::window::Window;

pub(crate) use input::{Input, Loss, Message, Outgoing, Reason};
pub(crate) use output::{Arrived, Output, Record};

/// How long queued publishes may go on after the shutdown: within the 5 s of a service's drain.
const DRAIN: Duration = Duration::from_secs(2);

/// Unknown topics that are logged by name; the counter goes on. A flood must not fill a disk.
const UNKNOWN_TOPICS_LOGGED_MAX: usize = 16;

/// Bounds, as `Options` documents them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) connect_timeout: Duration,
    pub(crate) acknowledge_timeout: Duration,
    pub(crate) inflight_max: u16,
    pub(crate) unacknowledged_max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting { until: Tick },
    Connecting { deadline: Tick },
    Subscribing { deadline: Tick },
    Ready { since: Tick },
    Draining { deadline: Tick },
    Ended,
}

#[derive(Debug)]
pub(crate) struct Machine {
    limits: Limits,
    filters: Vec<String>,
    phase: Phase,
    backoff: Backoff,
    window: Window,
    arrivals: Arrivals,
    /// Came before SUBACK, as MQTT allows; owners see `Connected` first.
    early: Vec<(u64, Arrived)>,
    unknown_topics: BTreeSet<String>,
    queue_empty: bool,
    outputs: VecDeque<Output>,
}

impl Machine {
    /// A client that connects at its first timeout, which is due at once.
    pub(crate) fn new(limits: Limits, filters: Vec<String>) -> Self {
        Self {
            limits,
            filters,
            phase: Phase::Waiting {
                until: Tick::default(),
            },
            backoff: Backoff::default(),
            window: Window::new(usize::from(limits.inflight_max)),
            arrivals: Arrivals::default(),
            early: Vec::new(),
            unknown_topics: BTreeSet::new(),
            queue_empty: false,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) fn handle_input(&mut self, input: Input, now: Tick, entropy: &mut dyn Entropy) {
        match input {
            Input::Accepted => self.accepted(now),
            Input::Subscribed(granted) => self.subscribed(&granted, now, entropy),
            Input::Numbered(packet_id) => self.window.number(packet_id),
            Input::Acknowledged(packet_id) => self.acknowledged(packet_id),
            Input::Received(message) => self.received(message, now, entropy),
            Input::Lost(loss) => self.lost(loss, now, entropy),
            Input::Publish(outgoing) => self.publish(outgoing, now),
            Input::Settled(sequence) => self.settled(sequence),
            Input::Abandoned(sequence) => self.abandoned(sequence, now, entropy),
            Input::Shutdown => self.shutdown(now),
            Input::QueueEmpty => {
                self.queue_empty = true;
                self.end_when_drained();
            }
            Input::Timeout => self.timeout(now, entropy),
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Connecting { deadline } | Phase::Subscribing { deadline } => Some(deadline),
            Phase::Ready { .. } => self.acknowledge_deadline(),
            Phase::Draining { deadline } => Some(deadline),
            Phase::Ended => None,
        }
    }

    /// Whether the window has room on a connection that is ready.
    pub(crate) fn wants_publish(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. } | Phase::Draining { .. }) && self.window.has_room()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    fn accepted(&mut self, now: Tick) {
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        if self.filters.is_empty() {
            self.ready(now);
        } else {
            self.phase = Phase::Subscribing {
                deadline: now + self.limits.connect_timeout,
            };
            self.outputs.push_back(Output::Subscribe);
        }
    }

    fn subscribed(&mut self, granted: &[bool], now: Tick, entropy: &mut dyn Entropy) {
        if !matches!(self.phase, Phase::Subscribing { .. }) {
            return;
        }
        let refused = self.filters.iter().enumerate();
        let refused = refused.filter(|(index, _)| granted.get(*index) != Some(&true));
        let refused: Vec<&str> = refused.map(|(_, filter)| filter.as_str()).collect();
        if refused.is_empty() {
            self.ready(now);
        } else {
            let detail = format!(
                "the broker refuses to subscribe us to {}",
                refused.join(", ")
            );
            self.lost(Loss::new(Reason::SubscribeRefused, detail), now, entropy);
        }
    }

    fn ready(&mut self, now: Tick) {
        self.phase = Phase::Ready { since: now };
        self.record(Record::Connected);
        self.outputs.push_back(Output::Ready);
        let early = self.early.drain(..);
        let early = early.map(|(sequence, arrived)| Output::Deliver(sequence, arrived));
        self.outputs.extend(early);
    }

    fn publish(&mut self, outgoing: Outgoing, now: Tick) {
        if !self.wants_publish() {
            return;
        }
        self.window.push(now);
        self.record(Record::PublishTaken);
        self.outputs.push_back(Output::Publish(outgoing));
    }

    fn acknowledged(&mut self, packet_id: u16) {
        if self.window.acknowledge(packet_id) {
            self.record(Record::Published);
            self.end_when_drained();
        }
    }

    fn received(&mut self, message: Message, now: Tick, entropy: &mut dyn Entropy) {
        if matches!(
            self.phase,
            Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Ended
        ) {
            return;
        }
        if self.arrivals.len() >= self.limits.unacknowledged_max {
            let detail = format!("{} deliveries wait for their owner", self.arrivals.len());
            return self.lost(Loss::new(Reason::Overrun, detail), now, entropy);
        }
        let sequence = self.arrivals.push(message.packet_id);
        self.record(Record::Delivered);
        let Ok(topic) = message.topic.parse::<Topic>() else {
            let topic = self.first_sight(&message.topic);
            self.record(Record::UnknownTopic { topic });
            return self.settled(sequence);
        };
        let length = message.payload.len();
        if length > PAYLOAD_SIZE_MAX {
            self.record(Record::Oversize { topic, length });
            return self.settled(sequence);
        }
        let arrived = Arrived {
            topic,
            payload: message.payload,
            retained: message.retained,
        };
        if matches!(self.phase, Phase::Subscribing { .. }) {
            self.early.push((sequence, arrived));
        } else {
            self.outputs.push_back(Output::Deliver(sequence, arrived));
        }
    }

    fn settled(&mut self, sequence: u64) {
        if self.arrivals.is_open(sequence) {
            let due = self.arrivals.settle(sequence);
            self.record(Record::Settled);
            self.outputs
                .extend(due.into_iter().map(Output::Acknowledge));
        }
    }

    fn abandoned(&mut self, sequence: u64, now: Tick, entropy: &mut dyn Entropy) {
        // While draining, owners drop what they hold; their own publishes still have to leave.
        let draining = matches!(self.phase, Phase::Draining { .. });
        if !draining && self.arrivals.is_open(sequence) {
            let detail = "a delivery was dropped without an acknowledgement";
            self.lost(Loss::new(Reason::Abandoned, detail), now, entropy);
        }
    }

    fn lost(&mut self, loss: Loss, now: Tick, entropy: &mut dyn Entropy) {
        let lived = match self.phase {
            Phase::Waiting { .. } | Phase::Ended => return,
            Phase::Ready { since } => Some(now.since(since)),
            Phase::Connecting { .. } | Phase::Subscribing { .. } | Phase::Draining { .. } => None,
        };
        let draining = matches!(self.phase, Phase::Draining { .. });
        if lived.is_some() || draining {
            self.outputs.push_back(Output::NotReady);
        }
        self.forget(loss);
        self.outputs.push_back(Output::Drop);
        self.phase = if draining {
            Phase::Ended
        } else {
            Phase::Waiting {
                until: now + self.backoff.next(lived, entropy),
            }
        };
    }

    /// What was on the connection is gone: owners send it again, senders deliver it again.
    fn forget(&mut self, loss: Loss) {
        self.early.clear();
        let publishes = self.window.clear();
        let deliveries = self.arrivals.clear();
        self.record(Record::Lost {
            loss,
            publishes,
            deliveries,
        });
    }

    fn shutdown(&mut self, now: Tick) {
        match self.phase {
            Phase::Ready { .. } => {
                self.phase = Phase::Draining {
                    deadline: now + DRAIN,
                };
                self.end_when_drained();
            }
            Phase::Connecting { .. } | Phase::Subscribing { .. } => {
                self.forget(Loss::new(Reason::Shutdown, "ended while connecting"));
                self.outputs.push_back(Output::Drop);
                self.phase = Phase::Ended;
            }
            Phase::Waiting { .. } => self.phase = Phase::Ended,
            Phase::Draining { .. } | Phase::Ended => {}
        }
    }

    fn end_when_drained(&mut self) {
        let draining = matches!(self.phase, Phase::Draining { .. });
        if draining && self.queue_empty && self.window.is_empty() {
            self.end("everything was sent");
        }
    }

    fn end(&mut self, detail: &str) {
        self.outputs.push_back(Output::NotReady);
        self.forget(Loss::new(Reason::Shutdown, detail));
        self.outputs.push_back(Output::Disconnect);
        self.phase = Phase::Ended;
    }

    fn timeout(&mut self, now: Tick, entropy: &mut dyn Entropy) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.phase {
            Phase::Waiting { .. } => {
                self.phase = Phase::Connecting {
                    deadline: now + self.limits.connect_timeout,
                };
                self.outputs.push_back(Output::Connect);
            }
            Phase::Connecting { .. } => {
                self.too_late(Reason::ConnectTimeout, "CONNACK", now, entropy);
            }
            Phase::Subscribing { .. } => {
                self.too_late(Reason::ConnectTimeout, "SUBACK", now, entropy);
            }
            Phase::Ready { .. } => {
                self.too_late(Reason::AcknowledgeTimeout, "PUBACK", now, entropy);
            }
            Phase::Draining { .. } => self.end("the drain deadline came first"),
            Phase::Ended => {}
        }
    }

    fn too_late(&mut self, reason: Reason, packet: &str, now: Tick, entropy: &mut dyn Entropy) {
        let detail = format!("no {packet} in time");
        self.lost(Loss::new(reason, detail), now, entropy);
    }

    fn acknowledge_deadline(&self) -> Option<Tick> {
        let oldest = self.window.oldest()?;
        Some(oldest + self.limits.acknowledge_timeout)
    }

    /// The topic, if it was not named before and not too many were.
    fn first_sight(&mut self, topic: &str) -> Option<String> {
        let topic: String = topic.chars().take(128).collect();
        let room = self.unknown_topics.len() < UNKNOWN_TOPICS_LOGGED_MAX;
        (room && self.unknown_topics.insert(topic.clone())).then_some(topic)
    }

    fn record(&mut self, record: Record) {
        self.outputs.push_back(Output::Record(record));
    }
}
