//! Everything that the platform is told, as it comes from the bus.

use std::sync::LazyLock;

use protocol::codec::{Envelope, encode};
use protocol::id::{MessageId, PlatformId};
use protocol::message::{
    GatewayAnswer, GatewayEvent, JournalAnswer, LinkageMessage, LinkageResult, OrderRequest,
    PaymentMessage, PermitRequest,
};
use protocol::signed::{Audience, Claims, Jws, Keyring, SigningKey, sign};
use protocol::time::Utc;
use protocol::topic::Topic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config;
use crate::engine::gateway::{Gateways, gateways};
use crate::engine::intake::{Intake, Intent, TerminalStep};
use crate::registry::Registry;
use crate::rules::Sound;
use crate::sale::{Timeouts, UncertainPolicy};
use crate::site::{Described, Site};

/// The terminal of the published vectors.
const TERMINAL_SEED: [u8; 32] = [0x22; 32];
const GATEWAY_SEED: [u8; 32] = [0x44; 32];

const SITE: &str = include_str!("../../../fuzz/corpus/site/north.toml");

static GROUND: LazyLock<Ground> = LazyLock::new(Ground::new);

struct Ground {
    platform: PlatformId,
    registry: Registry,
    gateways: Gateways,
}

impl Ground {
    fn new() -> Self {
        let site: Site = process::config::parse("north.toml", SITE).unwrap();
        let gateway = config::Gateway {
            id: "mock".parse().unwrap(),
            keyring: Keyring::of(SigningKey::from_seed(GATEWAY_SEED).public()),
            capabilities: config::Capabilities::default(),
        };
        Self {
            platform: "main".parse().unwrap(),
            registry: Registry::build(&[Described::from(site)]).unwrap(),
            gateways: gateways(
                &[gateway],
                &Timeouts::default(),
                UncertainPolicy::default(),
                &Sound,
            ),
        }
    }
}

/// The topic in the first line, the payload in the rest. A first line `sign NAME` takes the rest
/// for claims of that type and has them signed by whoever may sign them, so that what stands
/// behind a right signature is reached too.
///
/// What is believed was meant for us, by whom the topic names.
pub fn intake(bytes: &[u8]) -> bool {
    let Some((topic, payload)) = message(bytes) else {
        return false;
    };
    let intake = Intake {
        platform: &GROUND.platform,
        registry: &GROUND.registry,
        gateways: &GROUND.gateways,
    };
    // A broker keeps nothing that acts, and a message that it kept all the same is no message.
    let kept = intake.take(&topic, &payload, true);
    assert!(is_harmless(&kept.intent) || kept.refused.is_none() && !is_terminals(&topic));
    let taken = intake.take(&topic, &payload, false);
    if taken.refused.is_some() {
        assert!(matches!(taken.intent, Intent::Nothing));
        return false;
    }
    assert_meant(&topic, &taken.intent);
    true
}

fn is_terminals(topic: &Topic) -> bool {
    matches!(topic, Topic::Up(..))
}

fn is_harmless(intent: &Intent) -> bool {
    matches!(intent, Intent::Nothing | Intent::Presence { .. })
}

fn message(bytes: &[u8]) -> Option<(Topic, Vec<u8>)> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let first = std::str::from_utf8(&bytes[..end]).ok()?;
    let rest = &bytes[end + 1..];
    match first.strip_prefix("sign ") {
        None => Some((first.parse().ok()?, rest.to_vec())),
        Some(name) => signed(name, rest),
    }
}

fn signed(name: &str, claims: &[u8]) -> Option<(Topic, Vec<u8>)> {
    let (terminal, gateway) = (TERMINAL_SEED, GATEWAY_SEED);
    let (topic, payload) = match name {
        "order_request" => {
            let jws = by::<OrderRequest>(terminal, claims)?;
            (
                "north/gate-1/up/payment",
                enveloped(PaymentMessage::OrderRequest(jws)),
            )
        }
        "permit_request" => {
            let jws = by::<PermitRequest>(terminal, claims)?;
            (
                "north/gate-1/up/payment",
                enveloped(PaymentMessage::PermitRequest(jws)),
            )
        }
        "linkage_result" => {
            let jws = by::<LinkageResult>(terminal, claims)?;
            (
                "north/gate-1/up/linkage",
                enveloped(LinkageMessage::Result(jws)),
            )
        }
        "journal_answer" => {
            let jws = by::<JournalAnswer>(terminal, claims)?;
            (
                "north/gate-1/up/linkage",
                enveloped(LinkageMessage::Answer(jws)),
            )
        }
        "gateway_answer" => {
            let jws = by::<GatewayAnswer>(gateway, claims)?;
            ("gateway/mock/response/main", enveloped(jws))
        }
        "gateway_event" => {
            let jws = by::<GatewayEvent>(gateway, claims)?;
            ("gateway/mock/event/main", enveloped(jws))
        }
        _ => return None,
    };
    Some((format!("paylatch/v1/{topic}").parse().unwrap(), payload?))
}

fn by<T: Claims + DeserializeOwned>(seed: [u8; 32], claims: &[u8]) -> Option<Jws<T>> {
    let claims: T = serde_json::from_slice(claims).ok()?;
    sign(&SigningKey::from_seed(seed), &claims).ok()
}

fn enveloped<M: Serialize>(message: M) -> Option<Vec<u8>> {
    encode(&Envelope::new(
        MessageId::from_random([5; 16]),
        Utc::EPOCH,
        message,
    ))
    .ok()
}

fn assert_meant(topic: &Topic, intent: &Intent) {
    let ours = Audience::platform(&GROUND.platform);
    let meant = |claims: &dyn Meant| {
        assert_eq!(*claims.meant_for(), ours);
        let named = match topic {
            Topic::Up(name, _) => name.to_string(),
            other => format!("nobody's topic {other}"),
        };
        assert_eq!(claims.said_by(), named);
    };
    match intent {
        Intent::Order { request, .. } => meant(&***request),
        Intent::Terminal { terminal, step, .. } => {
            assert!(matches!(topic, Topic::Up(name, _) if name == terminal));
            match step {
                TerminalStep::PermitRequest(request) => meant(&***request),
                TerminalStep::Result(result) => meant(&***result),
                TerminalStep::Answer(answer, result) => {
                    meant(&***answer);
                    if let Some(result) = result {
                        meant(&***result);
                    }
                }
                TerminalStep::Notice(_) | TerminalStep::Ended(..) => {}
            }
        }
        Intent::Answer(answer) => {
            assert_eq!(answer.aud, ours);
            assert!(matches!(topic, Topic::Gateway(gateway, _, _) if *gateway == answer.gateway));
        }
        Intent::Event { gateway, .. } => {
            assert!(matches!(topic, Topic::Gateway(named, _, _) if named == gateway));
        }
        Intent::Hello { terminal, .. } | Intent::Presence { terminal, .. } => {
            assert!(matches!(topic, Topic::Up(name, _) if name == terminal));
        }
        Intent::Identity { .. } | Intent::Nothing => assert!(is_terminals(topic)),
    }
}

/// A terminal's claims that act.
trait Meant {
    fn meant_for(&self) -> &Audience;
    fn said_by(&self) -> String;
}

macro_rules! meant {
    ($($claims:ty),+) => {$(
        impl Meant for $claims {
            fn meant_for(&self) -> &Audience {
                &self.aud
            }

            fn said_by(&self) -> String {
                self.terminal.to_string()
            }
        }
    )+};
}

meant!(OrderRequest, PermitRequest, LinkageResult, JournalAnswer);

#[cfg(test)]
mod tests;
