//! Everything that a payment server is asked, while payers press.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::codec::{Envelope, decode, encode};
use protocol::id::{MessageId, Nonce, PlatformId, TransactionId};
use protocol::message::{GatewayAnswer, GatewayEvent, GatewayRequest};
use protocol::signed::{Audience, Jws, Keyring, SigningKey, sign, verify};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Gateway, Topic};

use crate::simulation::{Publication, Server, Setup};

/// The platform of the published vectors.
const PLATFORM_SEED: [u8; 32] = [0x11; 32];

/// A step costs up to three signatures.
const STEPS_MAX: usize = 16;

/// Steps, one in a line:
///
/// | line | what it does |
/// |---|---|
/// | `ask` and claims | a request, signed by the platform |
/// | `raw` and a payload | a request as it stands |
/// | `pay`, `decline` and an order | the payer presses |
/// | `wait` and milliseconds | time passes |
/// | `restart` | a crash and another start |
///
/// Answers are signed, for the platform, and repeat a nonce that was asked with; nothing gives more
/// back than came in; a restart changes no total. Accepted if every line is a step.
pub fn request(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut world = World::new();
    let lines = text.lines().filter(|line| !line.is_empty());
    // Every line is a step, whatever became of the one before it.
    let steps: Vec<bool> = lines
        .take(STEPS_MAX)
        .map(|line| world.step(line).is_some())
        .collect();
    steps.into_iter().all(|understood| understood)
}

struct World {
    server: Server,
    now_ms: u64,
    drawn: u64,
    asked: BTreeSet<Nonce>,
}

impl World {
    fn new() -> Self {
        let mut setup = Setup::new("mock".parse().unwrap(), [0x44; 32]);
        let key = SigningKey::from_seed(PLATFORM_SEED).public();
        setup.platforms.insert(platform(), Keyring::of(key));
        setup.payees = vec!["shop".parse().unwrap()];
        Self {
            server: Server::new(setup, at(0)),
            now_ms: 0,
            drawn: 0,
            asked: BTreeSet::new(),
        }
    }

    /// `None` if the line is no step.
    fn step(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let now = at(self.now_ms);
        let drawn = &mut self.drawn;
        let mut entropy = || {
            *drawn += 1;
            u128::from(*drawn).to_be_bytes()
        };
        match name {
            "ask" => {
                let request: GatewayRequest = serde_json::from_str(rest).ok()?;
                let jws = sign(&SigningKey::from_seed(PLATFORM_SEED), &request).ok()?;
                let id = MessageId::from_random([5; 16]);
                let payload = encode(&Envelope::new(id, Utc::EPOCH, jws)).ok()?;
                self.asked.insert(request.nonce);
                let topic = topic(Gateway::Request);
                self.server
                    .handle_request(&topic, &payload, now, &mut entropy);
            }
            "raw" => {
                let topic = topic(Gateway::Request);
                self.server
                    .handle_request(&topic, rest.as_bytes(), now, &mut entropy);
            }
            "pay" => {
                self.server.press_pay(order(rest)?, now, &mut entropy);
            }
            "decline" => {
                self.server.press_decline(order(rest)?, now, &mut entropy);
            }
            "wait" => {
                self.now_ms += u64::from(rest.parse::<u32>().ok()?);
                self.server.handle_timeout(at(self.now_ms), &mut entropy);
            }
            "restart" => {
                let before = self.server.totals();
                self.server.restart(now);
                assert_eq!(self.server.totals(), before);
            }
            _ => return None,
        }
        self.look();
        Some(())
    }

    fn look(&mut self) {
        while let Some(publication) = self.server.poll_output() {
            self.assert_said(&publication);
        }
        for order in self.server.totals() {
            for (currency, back) in &order.refunded {
                let came = order.received.get(currency).copied().unwrap_or(0);
                assert!((0..=came).contains(back), "more back than came");
            }
        }
    }

    fn assert_said(&self, Publication { topic: to, payload }: &Publication) {
        let keyring = Keyring::of(self.server.public_key());
        let audience = Audience::platform(&platform());
        if *to == topic(Gateway::Response) {
            let envelope: Envelope<Jws<GatewayAnswer>> = decode(payload).unwrap();
            let answer = verify(&envelope.body, &keyring, &audience).unwrap();
            assert!(self.asked.contains(&answer.nonce));
        } else {
            assert_eq!(*to, topic(Gateway::Event));
            let envelope: Envelope<Jws<GatewayEvent>> = decode(payload).unwrap();
            verify(&envelope.body, &keyring, &audience).unwrap();
        }
    }
}

fn platform() -> PlatformId {
    "main".parse().unwrap()
}

fn topic(kind: Gateway) -> Topic {
    Topic::Gateway("mock".parse().unwrap(), kind, platform())
}

fn order(text: &str) -> Option<TransactionId> {
    text.parse().ok()
}

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::EPOCH.saturating_add(Duration::from_millis(millis)),
        tick: Tick::from_millis(millis),
    }
}
