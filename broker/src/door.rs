//! What all connections of one broker share.

use std::sync::Arc;
use std::time::Duration;

use process::clock::Clock;
use process::entropy::SystemEntropy;
use protocol::id::{Entropy as _, MessageId};
use protocol::topic::TerminalName;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authorization::Policy;
use crate::bus::{Bus, RouterError, Uplink};
use crate::config::{Config, Limits};
use crate::identity::{Directory, Identity};
use crate::presence::{PresenceTable, Stamp};
use crate::registry::Registry;
use crate::service::LinkNames;
use crate::session::Bounds;

pub(crate) struct Door {
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    pub(crate) directory: Directory,
    pub(crate) registry: Registry,
    pub(crate) bus: Bus,
    pub(crate) uplink: Uplink,
    pub(crate) link_names: LinkNames,
    pub(crate) presence: Mutex<PresenceTable>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) unauthenticated: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    pub(crate) clock: Clock,
    pub(crate) shutdown: CancellationToken,
}

impl Door {
    pub(crate) fn new(config: &Config, directory: Directory, bus: Bus, uplink: Uplink) -> Self {
        let limits = config.limits.clone();
        Self {
            policy: config.policy,
            directory,
            registry: Registry::new(limits.sessions_per_user_max),
            bus,
            uplink,
            link_names: LinkNames::new(limits.services_max),
            presence: Mutex::default(),
            connections: Arc::new(Semaphore::new(limits.connections_max)),
            unauthenticated: Arc::new(Semaphore::new(limits.unauthenticated_max)),
            tasks: TaskTracker::new(),
            clock: Clock::system(),
            shutdown: CancellationToken::new(),
            limits,
        }
    }

    /// A terminal by the contract is kept outside the router. Under the open policy everybody may
    /// subscribe to anything, which only the router can serve.
    pub(crate) fn terminal_of<'a>(&self, identity: &'a Identity) -> Option<&'a TerminalName> {
        match (self.policy, identity) {
            (Policy::Contract, Identity::Terminal(name)) => Some(name),
            _ => None,
        }
    }

    pub(crate) fn bounds(&self, is_terminal: bool) -> Bounds {
        let limits = &self.limits;
        Bounds {
            window_max: if is_terminal {
                limits.terminal_window_max
            } else {
                limits.service_window_max
            },
            subscriptions_max: limits.subscriptions_max,
            denials_max: limits.denials_max,
            acknowledge_timeout: Duration::from_millis(limits.acknowledge_timeout_ms),
            keep_alive_max: Duration::from_secs(u64::from(limits.keep_alive_max_s)),
        }
    }

    pub(crate) async fn terminal_came(&self, name: &TerminalName) -> Result<(), RouterError> {
        // Held while the message is queued, so that two changes are published in their order.
        let mut presence = self.presence.lock().await;
        match presence.connected(name, self.stamp()) {
            Ok(Some(message)) => self.uplink.publish(message).await,
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::error!(%error, terminal = %name, "presence has no JSON form");
                Ok(())
            }
        }
    }

    pub(crate) async fn terminal_left(&self, name: &TerminalName) -> Result<(), RouterError> {
        let mut presence = self.presence.lock().await;
        match presence.disconnected(name, self.stamp()) {
            Ok(Some(message)) => self.uplink.publish(message).await,
            Ok(None) => Ok(()),
            Err(error) => {
                tracing::error!(%error, terminal = %name, "presence has no JSON form");
                Ok(())
            }
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            id: MessageId::from_random(SystemEntropy::new().bytes()),
            at: self.clock.now().utc,
        }
    }
}
