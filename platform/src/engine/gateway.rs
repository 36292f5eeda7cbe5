//! Payment servers as the engine knows them. Today all of them are reached over MQTT; what differs
//! between them is declared as capabilities, so that one over HTTP needs no other machine.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::id::{GatewayId, Nonce, PlatformId};
use protocol::message::{GatewayRequest, Operation};
use protocol::signed::{Audience, Keyring};
use protocol::time::{Tick, Utc};

use crate::config;
use crate::metrics;
use crate::rules::Rules;
use crate::sale::{Capabilities, Policy, Timeouts, UncertainPolicy};

/// Calls whose answer is still awaited for the metrics. Above it the oldest are forgotten; the
/// sales themselves know what they asked.
const CALLS_MAX: usize = 16_384;

/// Whose answers we believe, and what it can do.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) keyring: Keyring,
    pub(crate) policy: Policy,
}

pub(crate) type Gateways = BTreeMap<GatewayId, Gateway>;

/// The gateways of a configuration, each with the policy for its sales.
pub(crate) fn gateways(
    configured: &[config::Gateway],
    timeouts: &Timeouts,
    uncertain: UncertainPolicy,
    rules: &'static dyn Rules,
) -> Gateways {
    let gateway = |gateway: &config::Gateway| Gateway {
        keyring: gateway.keyring.clone(),
        policy: Policy {
            timeouts: timeouts.clone(),
            capabilities: capabilities(&gateway.capabilities),
            uncertain,
            self_mending: true,
            rules,
        },
    };
    configured
        .iter()
        .map(|configured| (configured.id.clone(), gateway(configured)))
        .collect()
}

fn capabilities(configured: &config::Capabilities) -> Capabilities {
    Capabilities {
        close_age_minimum: Duration::from_millis(configured.close_minimum_age_ms),
        key_retention: Duration::from_millis(configured.key_retention_ms),
        refund_window: Duration::from_millis(configured.refund_window_ms),
        push: configured.push,
        waiting_query: Duration::from_millis(configured.waiting_query_ms),
        order_after_scan: configured.order_after_scan,
    }
}

/// The claims of one call.
pub(crate) fn request(
    platform: &PlatformId,
    gateway: &GatewayId,
    (operation, nonce): (Operation, Nonce),
    asked_at: Utc,
) -> GatewayRequest {
    GatewayRequest {
        aud: Audience::gateway(gateway),
        platform: platform.clone(),
        nonce,
        operation,
        asked_at,
    }
}

/// When what was asked, for the metrics alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    asked: BTreeMap<Nonce, (&'static str, Tick)>,
}

impl Calls {
    pub(crate) fn asked(&mut self, nonce: Nonce, operation: &'static str, at: Tick) {
        if self.asked.len() >= CALLS_MAX {
            let oldest = self.asked.values().map(|(_, at)| *at).min();
            self.asked.retain(|_, (_, at)| Some(*at) != oldest);
        }
        self.asked.insert(nonce, (operation, at));
    }

    pub(crate) fn answered(&mut self, nonce: Nonce, result: &'static str, at: Tick) {
        if let Some((operation, asked_at)) = self.asked.remove(&nonce) {
            metrics::gateway_answered(operation, result, at.since(asked_at));
        }
    }
}
