//! Messages under way. The broker promises nothing: it loses, doubles, delays and reorders as the
//! weather says, and forgets everything when it restarts.

use std::sync::Arc;

use protocol::codec::{Envelope, decode, encode};
use protocol::id::{Entropy as _, MessageId};
use protocol::message::{GatewayRequest, Operation, Presence};
use protocol::signed::Jws;
use protocol::time::Utc;
use protocol::topic::{Gateway, Topic, Up};

use super::plan::Fault;
use super::tap::claims;
use super::{Happening, Party, World};

/// One message to one receiver.
#[derive(Debug, Clone)]
pub(super) struct Parcel {
    pub(super) to: Party,
    /// The connection it travels on; with the connection it is lost.
    generation: u64,
    pub(super) topic: Topic,
    pub(super) payload: Arc<[u8]>,
    number: u64,
}

impl Parcel {
    /// The same on another connection.
    pub(super) fn on(&self, generation: u64) -> Self {
        Self {
            generation,
            ..self.clone()
        }
    }
}

/// A party's connection to the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) generation: u64,
    pub(super) is_up: bool,
    /// No connection before this, in milliseconds of the world.
    pub(super) blocked_until: u64,
}

#[derive(Debug, Default)]
pub(super) struct Wires {
    sent: u64,
}

impl World {
    pub(super) fn publish(&mut self, from: Party, topic: Topic, payload: Vec<u8>) {
        let is_up = self.links.get(&from).is_some_and(|link| link.is_up);
        let Some(to) = self.receiver(&topic) else {
            return;
        };
        let generation = self.links.get(&to).map_or(0, |link| link.generation);
        if !is_up {
            return;
        }
        self.wires.sent += 1;
        let parcel = Parcel {
            to,
            generation,
            topic,
            payload: payload.into(),
            number: self.wires.sent,
        };
        let is_calm = self.tick.as_millis() >= self.plan.calm_ms;
        if !is_calm {
            self.repeat_later(&parcel);
        }
        let weather = self.plan.weather;
        if !is_calm && self.dice.chance(weather.drop) {
            return self.seen("message lost");
        }
        if !is_calm && self.dice.chance(weather.duplicate) {
            self.seen("message doubled");
            self.send(parcel.clone(), is_calm);
        }
        self.send(parcel, is_calm);
    }

    fn send(&mut self, parcel: Parcel, is_calm: bool) {
        let weather = self.plan.weather;
        let ms = if !is_calm && self.dice.chance(weather.late) {
            self.dice.between(500, weather.late_max_ms.max(501))
        } else {
            self.dice.between(1, 8)
        };
        self.after(ms, Happening::Deliver(parcel));
    }

    fn receiver(&self, topic: &Topic) -> Option<Party> {
        match topic {
            Topic::Up(..) | Topic::Gateway(_, Gateway::Response | Gateway::Event, _) => {
                Some(Party::Platform)
            }
            Topic::Gateway(_, Gateway::Request, _) => Some(Party::Server),
            Topic::Down(name, _) => {
                let of = |lane: &super::lane::Lane| lane.terminal.name() == name;
                self.lanes.iter().position(of).map(Party::Terminal)
            }
        }
    }

    pub(super) fn deliver(&mut self, parcel: &Parcel) {
        let link = self.links.get(&parcel.to).copied().unwrap_or_default();
        if !link.is_up || link.generation != parcel.generation {
            return;
        }
        let now = self.now();
        match parcel.to {
            Party::Platform => {
                let (topic, payload) = (&parcel.topic, &parcel.payload);
                self.tap.platform_hears(topic, payload, self.tick);
                self.platform.handle_delivery(topic, payload, false, now);
                self.commit_soon();
            }
            Party::Server => self.serve(parcel),
            Party::Terminal(lane) => {
                let own = &mut self.lanes[lane];
                let letter = (&parcel.topic, &*parcel.payload);
                own.terminal
                    .handle_delivery(parcel.number, letter, now, &mut own.dice);
                self.drain_lane(lane);
            }
        }
    }

    fn serve(&mut self, parcel: &Parcel) {
        let now = self.now();
        self.requests += 1;
        let (topic, payload) = (&parcel.topic, &parcel.payload);
        self.tap.server_hears(payload, now.tick);
        self.server
            .handle_request(topic, payload, now, &mut self.server_dice);
        self.choose_outcome(payload);
        if self.fault_at_request() == Some(Fault::KillServer) {
            self.seen("payment server killed before answering");
            return self.kill_server();
        }
        self.drain_server();
    }

    /// The plan says how the payment server treats its n-th order.
    fn choose_outcome(&mut self, payload: &[u8]) {
        let orders = self.server.totals();
        if orders.len() <= self.orders {
            return;
        }
        self.orders = orders.len();
        let outcome = self
            .plan
            .outcomes
            .get(self.orders % self.plan.outcomes.len().max(1));
        let created = decode::<Jws<GatewayRequest>>(payload)
            .ok()
            .map(|envelope: Envelope<_>| envelope.body);
        let order = created.and_then(|jws| created_order(&jws, &orders));
        if let (Some(outcome), Some(order)) = (outcome, order) {
            let now = self.now();
            self.server
                .set_order_outcome(order, *outcome, now, &mut self.server_dice);
        }
    }

    pub(super) fn drain_server(&mut self) {
        while let Some(publication) = self.server.poll_output() {
            self.publish(Party::Server, publication.topic, publication.payload);
        }
    }

    pub(super) fn connect_soon(&mut self, party: Party, most_ms: u64) {
        let generation = match self.links.get_mut(&party) {
            Some(link) => {
                link.is_up = false;
                link.generation += 1;
                link.generation
            }
            None => return,
        };
        let blocked = self.links.get(&party).map_or(0, |link| link.blocked_until);
        let wait = blocked.saturating_sub(self.tick.as_millis());
        let ms = wait + self.dice.between(1, most_ms);
        self.after(ms, Happening::Connect(party, generation));
    }

    pub(super) fn connect(&mut self, party: Party, generation: u64) {
        let is_up = match party {
            Party::Platform => self.is_platform_up,
            Party::Server => self.is_server_up,
            Party::Terminal(lane) => self.lanes[lane].is_up,
        };
        let Some(link) = self.links.get_mut(&party) else {
            return;
        };
        if !is_up || link.generation != generation {
            return;
        }
        link.is_up = true;
        let now = self.now();
        match party {
            Party::Platform => {
                self.platform.handle_connected();
                for lane in 0..self.lanes.len() {
                    if self.links[&Party::Terminal(lane)].is_up {
                        self.tell_presence(lane, true, true);
                    }
                }
                self.commit_soon();
            }
            Party::Server => {}
            Party::Terminal(lane) => {
                let own = &mut self.lanes[lane];
                own.terminal.handle_connected(now, &mut own.dice);
                self.drain_lane(lane);
                self.tell_presence(lane, true, false);
            }
        }
    }

    /// The connection breaks, and what is under way on it is lost.
    pub(super) fn disconnect(&mut self, party: Party) {
        if let Some(link) = self.links.get_mut(&party) {
            link.is_up = false;
            link.generation += 1;
        }
        if let Party::Terminal(lane) = party {
            self.lanes[lane].terminal.handle_disconnected();
            self.tell_presence(lane, false, false);
        }
    }

    /// The broker says who is there: at once to a platform that is connected, and again to one that
    /// connects.
    fn tell_presence(&mut self, lane: usize, online: bool, is_replayed: bool) {
        let is_platform_up = self
            .links
            .get(&Party::Platform)
            .is_some_and(|link| link.is_up);
        let name = self.lanes[lane].terminal.name().clone();
        let id = MessageId::from_random(self.dice.bytes());
        let said = Envelope::new(id, Utc::EPOCH, Presence { online });
        let (true, Ok(payload)) = (is_platform_up, encode(&said)) else {
            return;
        };
        let (topic, now) = (Topic::Up(name, Up::Presence), self.now());
        self.platform
            .handle_delivery(&topic, &payload, is_replayed, now);
        self.commit_soon();
    }
}

/// The newest order is the one that this request has made.
fn created_order(
    jws: &Jws<GatewayRequest>,
    orders: &[payment_mock::OrderTotals],
) -> Option<protocol::id::TransactionId> {
    let Operation::Create(create) = claims(jws)?.operation else {
        return None;
    };
    let is_there = orders.iter().any(|order| order.order == create.order);
    is_there.then_some(create.order)
}
