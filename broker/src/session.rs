//! One client's side of MQTT 3.1.1 as a pure machine: what it may do, what it is owed.
//!
//! It holds the subscriptions and the window of unacknowledged QoS 1 messages, and it outlives a
//! connection: [`Session::attach`] starts the next one, which resends the window if both sides
//! kept the session. Terminals always come with a clean session; services may come back to theirs.
//!
//! The shell feeds packets, messages and time, and after each of them takes every
//! [`Session::poll_output`] before it feeds the next.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::codec::PAYLOAD_SIZE_MAX;
use protocol::time::Tick;
use protocol::topic::filter_matches;

use crate::authorization::{Action, Policy};
use crate::identity::Identity;
use crate::message::{Message, Qos};
use crate::packet::{ConnectCode, Incoming, Outgoing, Violation};
use crate::syntax::{self, TopicFault};

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    Send(Outgoing),
    /// Hand to the router.
    Publish(Message),
    /// Subscribe to these, then say what came of it with [`Session::handle_subscribed`].
    Subscribe(Wanted),
    Unsubscribe(Vec<String>),
    /// Send the last presence of every terminal under this filter.
    Replay(String),
    Denied(Denial),
    /// A retain flag was ignored: nothing is kept for later subscribers.
    RetainIgnored,
    Close(CloseReason),
}

/// A SUBSCRIBE after authorization: filters with the QoS to grant, `None` where it is forbidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) packet_id: u16,
    pub(crate) filters: Vec<(String, Option<Qos>)>,
}

/// Something a client may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: DenialReason,
    pub(crate) topic: String,
    /// The first of this session: worth a line in the log, later ones are only counted.
    pub(crate) is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DenialReason {
    Publish,
    Subscribe,
    Topic,
    Filter,
    Payload,
    Subscriptions,
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// DISCONNECT: the only end that drops the will.
    Disconnect,
    Violation(Violation),
    KeepAlive,
    /// The oldest message in the window was never acknowledged.
    Acknowledge,
    Denials,
}

/// Bounds of one session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) window_max: usize,
    pub(crate) subscriptions_max: usize,
    pub(crate) denials_max: u32,
    pub(crate) acknowledge_timeout: Duration,
    pub(crate) keep_alive_max: Duration,
}

/// How the client came in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Both sides start from nothing.
    pub(crate) is_clean: bool,
    pub(crate) keep_alive_s: u16,
}

#[derive(Debug)]
struct InFlight {
    packet_id: u16,
    message: Message,
    sent_at: Tick,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Session {
    identity: Identity,
    policy: Policy,
    bounds: Bounds,
    subscriptions: BTreeMap<String, Qos>,
    window: VecDeque<InFlight>,
    packet_id_last: u16,
    /// Something was attached before, so a session may be present.
    is_known: bool,
    denials: u32,
    idle_max: Duration,
    heard_at: Tick,
    outputs: VecDeque<Output>,
}

impl Session {
    pub(crate) fn new(identity: Identity, policy: Policy, bounds: Bounds) -> Self {
        Self {
            identity,
            policy,
            bounds,
            subscriptions: BTreeMap::new(),
            window: VecDeque::new(),
            packet_id_last: 0,
            is_known: false,
            denials: 0,
            idle_max: bounds.keep_alive_max,
            heard_at: Tick::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Starts a connection: CONNACK, then what is unacknowledged again with DUP set.
    pub(crate) fn attach(&mut self, arrival: Arrival, now: Tick) {
        self.outputs.clear();
        self.denials = 0;
        self.heard_at = now;
        self.idle_max = self.idle_max_for(arrival.keep_alive_s);
        if arrival.is_clean {
            self.forget();
        }
        self.send(Outgoing::Connack {
            session_present: self.is_known && !arrival.is_clean,
            code: ConnectCode::Accepted,
        });
        self.is_known = true;
        for entry in &mut self.window {
            entry.sent_at = now;
            self.outputs.push_back(Output::Send(Outgoing::Publish {
                packet_id: entry.packet_id,
                message: entry.message.clone(),
                duplicate: true,
            }));
        }
    }

    fn forget(&mut self) {
        let filters: Vec<_> = std::mem::take(&mut self.subscriptions)
            .into_keys()
            .collect();
        self.window.clear();
        if !filters.is_empty() {
            self.outputs.push_back(Output::Unsubscribe(filters));
        }
    }

    /// One and a half times the keepalive (MQTT 3.1.1, section 3.1.2.10), which 0 does not ask for.
    fn idle_max_for(&self, keep_alive_s: u16) -> Duration {
        let asked = match keep_alive_s {
            0 => self.bounds.keep_alive_max,
            seconds => Duration::from_secs(u64::from(seconds)).min(self.bounds.keep_alive_max),
        };
        asked + asked / 2
    }

    pub(crate) fn handle_packet(&mut self, packet: Incoming, now: Tick) {
        self.heard_at = now;
        match packet {
            Incoming::Connect(_) => self.close(CloseReason::Violation(Violation::Order)),
            Incoming::Publish {
                packet_id,
                topic,
                payload,
                qos,
                retain,
            } => {
                self.publish(&topic, &payload, qos, retain);
                if qos == Qos::AtLeastOnce {
                    self.send(Outgoing::Puback { packet_id });
                }
            }
            Incoming::Puback { packet_id } => {
                self.window.retain(|entry| entry.packet_id != packet_id);
            }
            Incoming::Subscribe { packet_id, filters } => self.subscribe(packet_id, filters),
            Incoming::Unsubscribe { packet_id, filters } => self.unsubscribe(packet_id, filters),
            Incoming::Pingreq => self.send(Outgoing::Pingresp),
            Incoming::Disconnect => self.close(CloseReason::Disconnect),
        }
    }

    /// MQTT 3.1.1 has no negative PUBACK: what is forbidden is dropped, counted, acknowledged.
    fn publish(&mut self, topic: &[u8], payload: &[u8], qos: Qos, retain: bool) {
        let denied = match syntax::check_topic(topic) {
            Err(TopicFault::Illegal) => {
                return self.close(CloseReason::Violation(Violation::Topic));
            }
            Err(TopicFault::Unsupported) => Some(DenialReason::Topic),
            Ok(_) if payload.len() > PAYLOAD_SIZE_MAX => Some(DenialReason::Payload),
            Ok(topic) => {
                let permitted = self.policy.permits(&self.identity, Action::Publish, topic);
                (!permitted).then_some(DenialReason::Publish)
            }
        };
        if let Some(reason) = denied {
            return self.deny(reason, &String::from_utf8_lossy(topic));
        }
        if retain {
            self.outputs.push_back(Output::RetainIgnored);
        }
        let message = Message::copied(topic, payload, qos);
        self.outputs.push_back(Output::Publish(message));
    }

    fn subscribe(&mut self, packet_id: u16, filters: Vec<(String, Qos)>) {
        let mut room = self
            .bounds
            .subscriptions_max
            .saturating_sub(self.subscriptions.len());
        let mut decided: Vec<(String, Option<Qos>)> = Vec::with_capacity(filters.len());
        for (filter, qos) in filters {
            let is_new = !self.subscriptions.contains_key(&filter)
                && !decided
                    .iter()
                    .any(|(known, granted)| *known == filter && granted.is_some());
            let granted = match self.subscribe_denial(&filter, is_new && room == 0) {
                None => Some(qos),
                Some(reason) => {
                    self.deny(reason, &filter);
                    None
                }
            };
            if is_new && granted.is_some() {
                room -= 1;
            }
            decided.push((filter, granted));
        }
        self.outputs.push_back(Output::Subscribe(Wanted {
            packet_id,
            filters: decided,
        }));
    }

    fn subscribe_denial(&self, filter: &str, is_full: bool) -> Option<DenialReason> {
        if !syntax::is_filter(filter) {
            Some(DenialReason::Filter)
        } else if !self
            .policy
            .permits(&self.identity, Action::Subscribe, filter)
        {
            Some(DenialReason::Subscribe)
        } else {
            is_full.then_some(DenialReason::Subscriptions)
        }
    }

    /// The shell's answer to [`Output::Subscribe`], in its order: SUBACK, then what is replayed.
    pub(crate) fn handle_subscribed(&mut self, wanted: Wanted) {
        let granted = wanted.filters.iter().map(|(_, qos)| *qos).collect();
        self.send(Outgoing::Suback {
            packet_id: wanted.packet_id,
            granted,
        });
        for (filter, qos) in wanted.filters {
            if let Some(qos) = qos {
                self.subscriptions.insert(filter.clone(), qos);
                self.outputs.push_back(Output::Replay(filter));
            }
        }
    }

    fn unsubscribe(&mut self, packet_id: u16, filters: Vec<String>) {
        let held: Vec<_> = filters
            .into_iter()
            .filter(|filter| self.subscriptions.remove(filter).is_some())
            .collect();
        if !held.is_empty() {
            self.outputs.push_back(Output::Unsubscribe(held));
        }
        self.send(Outgoing::Unsuback { packet_id });
    }

    /// Whether another message may be handed in.
    pub(crate) fn has_room(&self) -> bool {
        self.window.len() < self.bounds.window_max
    }

    /// A message for this client; false if it subscribed to nothing of the kind.
    pub(crate) fn handle_message(&mut self, mut message: Message, now: Tick) -> bool {
        let Some(granted) = self.granted_for(&message.topic) else {
            return false;
        };
        message.qos = message.qos.min(granted);
        let packet_id = match message.qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce => self.hold(message.clone(), now),
        };
        self.send(Outgoing::Publish {
            packet_id,
            message,
            duplicate: false,
        });
        true
    }

    fn granted_for(&self, topic: &[u8]) -> Option<Qos> {
        let topic = std::str::from_utf8(topic).ok()?;
        let matching = self.subscriptions.iter();
        matching
            .filter(|(filter, _)| filter_matches(filter, topic))
            .map(|(_, qos)| *qos)
            .max()
    }

    fn hold(&mut self, message: Message, now: Tick) -> u16 {
        let packet_id = self.free_packet_id();
        self.packet_id_last = packet_id;
        self.window.push_back(InFlight {
            packet_id,
            message,
            sent_at: now,
        });
        packet_id
    }

    /// The window is far smaller than the 65,535 ids, so one of the next ids is free.
    fn free_packet_id(&self) -> u16 {
        let mut packet_id = self.packet_id_last;
        loop {
            packet_id = packet_id.checked_add(1).unwrap_or(1);
            if self.window.iter().all(|entry| entry.packet_id != packet_id) {
                return packet_id;
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Tick) {
        if now >= self.heard_at + self.idle_max {
            self.close(CloseReason::KeepAlive);
        } else if self.acknowledge_deadline().is_some_and(|at| now >= at) {
            self.close(CloseReason::Acknowledge);
        }
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Tick {
        let keep_alive = self.heard_at + self.idle_max;
        self.acknowledge_deadline()
            .map_or(keep_alive, |at| at.min(keep_alive))
    }

    fn acknowledge_deadline(&self) -> Option<Tick> {
        let oldest = self.window.front()?;
        Some(oldest.sent_at + self.bounds.acknowledge_timeout)
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deny(&mut self, reason: DenialReason, topic: &str) {
        self.denials += 1;
        self.outputs.push_back(Output::Denied(Denial {
            reason,
            topic: topic.to_owned(),
            is_first: self.denials == 1,
        }));
        if self.denials >= self.bounds.denials_max {
            self.close(CloseReason::Denials);
        }
    }

    fn send(&mut self, packet: Outgoing) {
        self.outputs.push_back(Output::Send(packet));
    }

    fn close(&mut self, reason: CloseReason) {
        self.outputs.push_back(Output::Close(reason));
    }
}

#[cfg(test)]
mod tests;
