//! The connection: what comes down, what goes up, and when.

use protocol::codec::{self, decode};
use protocol::id::{Entropy, MessageId, TransactionId};
use protocol::message::{
    Ack, HELLO_OPEN_MAX, Health, Hello, HelloRequest, Inquiry, LinkageCommand, Message as Wire,
    PaymentReply, ServiceState, SiteConfig,
};
use protocol::signed::Jws;
use protocol::time::Now;
use protocol::topic::Down;

use super::{After, DeliveryId, Inbound, Output, Terminal};
use crate::machine::message::{Body, Message};
use crate::machine::record::Record;

impl Terminal {
    /// Subscribed: hello, how we are, and everything that waits; but nothing before all that was
    /// written so far is in the journal, so that hello never tells what a power cut could undo.
    pub(crate) fn handle_connected(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.connection += 1;
        match self.tickets.last_entry() {
            Some(mut last) => last.get_mut().push(After::Greet(self.connection)),
            None => self.greet_if(self.connection, now, entropy),
        }
    }

    pub(crate) fn handle_disconnected(&mut self) {
        self.connection += 1;
        self.is_connected = false;
        self.outbox.handle_disconnected();
        self.changes += 1;
    }

    /// Says hello, unless the connection it was meant for is gone.
    pub(super) fn greet_if(&mut self, connection: u64, now: Now, entropy: &mut dyn Entropy) {
        if connection != self.connection {
            return;
        }
        self.is_connected = true;
        self.outbox.handle_connected(now.tick);
        self.say_hello_if(connection, now, entropy);
        self.reported_health = None;
        self.report_health(now, entropy);
        self.changes += 1;
        self.pump(now);
    }

    /// Says which journal and epoch this is, unless the connection it was meant for is gone.
    pub(super) fn say_hello_if(&mut self, connection: u64, now: Now, entropy: &mut dyn Entropy) {
        if connection != self.connection {
            return;
        }
        let hello = Hello {
            boot: self.setup.boot,
            journal: self.room.id,
            open: self.open_transactions(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            public_key: self.setup.key.public(),
            config_version: self.applied(),
            store_epoch: self.config.as_ref().map(|config| config.store_epoch),
        };
        self.send(Body::Hello(hello), now, entropy);
    }

    /// A message of the platform. Its acknowledgement is an output, once its effect is journaled.
    pub(crate) fn handle_delivery(
        &mut self,
        inbound: Inbound<'_>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let Inbound { delivery, kind, .. } = inbound;
        if inbound.retained {
            // Nothing that acts may greet whoever connects later.
            return self.refuse(delivery, kind.as_str(), "retained");
        }
        match kind {
            Down::Ack => self.read(inbound, |this, ack: Ack| this.handle_ack(delivery, ack)),
            Down::Payment => self.read(inbound, |this, reply: PaymentReply| {
                this.handle_reply(delivery, reply, now);
            }),
            Down::Linkage => self.read(inbound, |this, command: LinkageCommand| {
                this.handle_linkage(delivery, &command, now, entropy);
            }),
            Down::Config => self.read(inbound, |this, config: Jws<SiteConfig>| {
                this.handle_config(delivery, &config, now, entropy);
            }),
            Down::Inquiry => self.read(inbound, |this, inquiry: Jws<Inquiry>| {
                this.handle_inquiry(delivery, &inquiry, now, entropy);
            }),
            Down::Hello => self.read(inbound, |this, HelloRequest {}: HelloRequest| {
                this.handle_hello_request(delivery, now, entropy);
            }),
            // Visits are not served by this version.
            Down::Visits => self.once_written(After::Acknowledge(delivery)),
        }
        self.pump(now);
    }

    /// Like the first hello it waits for what is being written, so that it tells nothing that a power
    /// cut could undo.
    fn handle_hello_request(&mut self, delivery: DeliveryId, now: Now, entropy: &mut dyn Entropy) {
        self.once_written(After::Acknowledge(delivery));
        match self.tickets.last_entry() {
            Some(mut last) => last.get_mut().push(After::Hello(self.connection)),
            None => self.say_hello_if(self.connection, now, entropy),
        }
    }

    /// Sends what is due of the outbox.
    pub(super) fn pump(&mut self, now: Now) {
        for sequence in self.outbox.take_due(now.tick, &self.setup.limits) {
            let Some(posted) = self.book.posted(sequence) else {
                continue;
            };
            let message = Message {
                id: posted.id,
                at: posted.at,
                record: Some(codec::Record {
                    journal: self.room.id,
                    sequence,
                }),
                body: posted.body.clone().into(),
            };
            self.outputs.push_back(Output::Send(message));
        }
    }

    /// Says something that nobody waits for.
    pub(super) fn send(&mut self, body: Body, now: Now, entropy: &mut dyn Entropy) {
        if self.is_connected {
            let message = Message {
                id: MessageId::from_random(entropy.bytes()),
                at: now.utc,
                record: None,
                body,
            };
            self.outputs.push_back(Output::Send(message));
        }
    }

    /// Says how the terminal is when that changed, or nobody was told for a while.
    pub(super) fn report_health(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let service = match self.unavailable(now.tick) {
            None => ServiceState::Serving,
            Some(reason) => ServiceState::Unavailable {
                reason: reason.to_owned(),
            },
        };
        let is_old = self.is_connected && now.tick >= self.health_at;
        if !is_old && self.reported_health.as_ref() == Some(&service) {
            return;
        }
        self.health_at = now.tick + self.setup.limits.health_interval;
        self.reported_health = Some(service.clone());
        self.changes += 1;
        let devices = self.probed.as_ref().map(|(_, health)| health.clone());
        let health = Health {
            service,
            devices: devices.unwrap_or_default(),
            journal_capacity_bytes: self.room.capacity,
            journal_used_bytes: self.room.used,
            clock_error_ms: self.clock_error_ms(),
        };
        self.send(Body::Health(health), now, entropy);
    }

    fn read<M: Wire>(&mut self, inbound: Inbound<'_>, act: impl FnOnce(&mut Self, M)) {
        match decode::<M>(inbound.payload) {
            Ok(envelope) => act(self, envelope.body),
            Err(error) => self.refuse(inbound.delivery, inbound.kind.as_str(), error.as_str()),
        }
    }

    fn handle_ack(&mut self, delivery: DeliveryId, ack: Ack) {
        let covers = |through: u64| {
            let mut waiting = self.book.outbox();
            waiting.any(|posted| posted.sequence <= through)
        };
        // More than was ever written can't have been committed.
        let through = ack.through.min(self.book.next_sequence().saturating_sub(1));
        let records = if ack.journal == self.room.id && covers(through) {
            vec![Record::Acknowledged { through }]
        } else {
            Vec::new()
        };
        self.write_or_acknowledge(delivery, records);
    }

    /// Newest first.
    fn open_transactions(&self) -> Vec<TransactionId> {
        let mut entries: Vec<_> = self.book.entries().collect();
        entries.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.serial));
        let open = entries.into_iter().map(|(transaction, _)| transaction);
        open.take(HELLO_OPEN_MAX).collect()
    }
}
