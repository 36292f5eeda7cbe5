//! What a client needs to know, with defaults for the rest.

use std::time::Duration;

use protocol::topic::{Filter, Topic};

use crate::address::BrokerAddress;

/// Settings of one client. [`Options::new`] sets every default; change fields afterwards.
#[derive(Clone)]
pub struct Options {
    /// Label of this client's metrics and log lines: `agent`, `platform`, `mock`.
    pub service: &'static str,
    pub broker: BrokerAddress,
    /// At most 64 of `A-Za-z0-9_.-`, unique at the broker.
    pub client_id: String,
    pub user: String,
    pub password: String,
    /// Subscribed at QoS 1 on every connection, before [`crate::Event::Connected`]. Default none.
    pub subscriptions: Vec<Filter>,
    /// What the broker says for us when we vanish. Default none.
    pub will: Option<(Topic, Vec<u8>)>,
    /// A silent connection is dead after at most twice this. Whole seconds, at least 1.
    /// Default 10 s: a terminal's page should know within half a minute that its uplink is gone.
    pub keep_alive: Duration,
    /// From the first SYN to CONNACK, and from there to SUBACK. Whole seconds, at least 1.
    /// Default 5 s: three lost SYNs.
    pub connect_timeout: Duration,
    /// Longest time that a publish waits for its PUBACK; then the connection is built anew. Default 10 s: far above a loaded broker's delay, within a payer's patience.
    pub acknowledge_timeout: Duration,
    /// Publishes that may wait for their PUBACK. Default 32: a full window at 1 ms round trip is
    /// 32,000 publishes a second, and a lost connection loses no more than 32.
    pub inflight_max: u16,
    /// Publishes that wait for room in the window. Default 256: 2 MiB at the payload limit.
    pub queue_max: usize,
    /// Deliveries that their owner has not acknowledged. Default 1,024: twice the window that our
    /// broker gives a service, and far above that of others; beyond it the owner is stuck and the
    /// connection is given up.
    pub unacknowledged_max: usize,
}

impl Options {
    #[must_use]
    pub fn new(
        service: &'static str,
        broker: BrokerAddress,
        client_id: impl Into<String>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        Self {
            service,
            broker,
            client_id: client_id.into(),
            user: user.into(),
            password: password.into(),
            subscriptions: Vec::new(),
            will: None,
            keep_alive: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            acknowledge_timeout: Duration::from_secs(10),
            inflight_max: 32,
            queue_max: 256,
            unacknowledged_max: 1_024,
        }
    }

    #[must_use]
    pub fn subscribe(mut self, filter: Filter) -> Self {
        self.subscriptions.push(filter);
        self
    }

    #[must_use]
    pub fn with_will(mut self, topic: Topic, payload: Vec<u8>) -> Self {
        self.will = Some((topic, payload));
        self
    }
}

/// Without the password.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("service", &self.service)
            .field("broker", &self.broker.to_string())
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
