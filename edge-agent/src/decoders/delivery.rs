//! Everything that a terminal is told, while one payer is at it.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use protocol::codec::{Envelope, encode};
use protocol::id::{DeviceId, MessageId, TransactionId};
use protocol::message::{
    DeviceOutcome, DeviceResult, Feedback, Inquiry, LinkageCommand, PaymentReply, Permit,
    SiteConfig,
};
use protocol::signed::{Claims, Jws, Keyring, SigningKey, sign};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Down, TerminalName, Topic};
use serde::Serialize;

use crate::rules::Sound;
use crate::simulation::{Limits, Output, Phone, Setup, Terminal};

/// The platform of the published vectors.
const PLATFORM_SEED: [u8; 32] = [0x11; 32];

/// All random bytes of this terminal, so that inputs can name its ids: transaction, session and
/// nonce are different kinds of ids.
const DRAWN: [u8; 16] = [7; 16];

/// A step costs up to a signature and its verification, a tenth of a millisecond.
const STEPS_MAX: usize = 16;

const SITE_CONFIG: &str = include_str!("../../../fuzz/corpus/claims/site_config");

/// Ready to sell, and one payer has ordered: `DRAWN` names the transaction.
static ORDERED: LazyLock<(Terminal, Phone)> = LazyLock::new(ordered);

/// Steps, one in a line:
///
/// | line | what it does |
/// |---|---|
/// | `quote`, `permit`, `off`, `receipt`, `inquiry`, `site_config` and claims | comes down, signed by the platform |
/// | `raw`, a kind of topic and a payload | comes down as it stands |
/// | `pay`, `cancel` | the payer does that |
/// | `wait` and milliseconds | time passes |
/// | `power` and a number | a power cut that keeps so many unsynced records |
///
/// Whatever comes down, no device moves without a permit of the platform that names it, and none
/// twice for one transaction. Accepted if every line is a step.
pub fn delivery(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let (terminal, phone) = ORDERED.clone();
    let mut world = World {
        terminal,
        phone,
        now_ms: 2_000,
        deliveries: 0,
        acknowledged: Vec::new(),
        permitted: BTreeMap::new(),
        switched: Vec::new(),
    };
    let lines = text.lines().filter(|line| !line.is_empty());
    // Every line is a step, whatever became of the one before it.
    let steps: Vec<bool> = lines
        .take(STEPS_MAX)
        .map(|line| world.step(line).is_some())
        .collect();
    steps.into_iter().all(|understood| understood)
}

struct World {
    terminal: Terminal,
    phone: Phone,
    now_ms: u64,
    deliveries: u64,
    acknowledged: Vec<u64>,
    permitted: BTreeMap<TransactionId, Vec<DeviceId>>,
    switched: Vec<TransactionId>,
}

impl World {
    /// `None` if the line is no step.
    fn step(&mut self, line: &str) -> Option<()> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let now = at(self.now_ms);
        match name {
            "quote" => self.down(Down::Payment, &PaymentReply::Quote(signed(rest)?)),
            "receipt" => self.down(Down::Payment, &PaymentReply::Receipt(signed(rest)?)),
            "permit" => {
                let permit: Permit = serde_json::from_str(rest).ok()?;
                let jws = signed(rest)?;
                let devices = self.permitted.entry(permit.transaction).or_default();
                devices.extend(permit.devices);
                self.down(Down::Linkage, &LinkageCommand::Permit(jws))
            }
            "off" => self.down(Down::Linkage, &LinkageCommand::Off(signed(rest)?)),
            "inquiry" => self.down(Down::Inquiry, &signed::<Inquiry>(rest)?),
            "site_config" => self.down(Down::Config, &signed::<SiteConfig>(rest)?),
            "raw" => {
                let (kind, payload) = rest.split_once(' ')?;
                self.deliver(kind.parse().ok()?, payload.as_bytes());
                Some(())
            }
            "pay" => {
                self.terminal.go_paying(self.phone, now, &mut drawn);
                Some(())
            }
            "cancel" => {
                self.terminal.cancel(self.phone, now, &mut drawn);
                Some(())
            }
            "wait" => {
                self.now_ms += u64::from(rest.parse::<u32>().ok()?);
                self.terminal.handle_timeout(at(self.now_ms), &mut drawn);
                Some(())
            }
            "power" => {
                let kept = rest.parse::<u16>().ok()?;
                self.terminal.power_cut(usize::from(kept), now, &mut drawn);
                self.terminal.handle_connected(now, &mut drawn);
                Some(())
            }
            _ => None,
        }?;
        self.look();
        Some(())
    }

    /// `None` if it is no message that a platform could send.
    fn down<M: Serialize>(&mut self, kind: Down, message: &M) -> Option<()> {
        let envelope = Envelope::new(MessageId::from_random(DRAWN), Utc::EPOCH, message);
        self.deliver(kind, &encode(&envelope).ok()?);
        Some(())
    }

    fn deliver(&mut self, kind: Down, payload: &[u8]) {
        self.deliveries += 1;
        let topic = Topic::Down(name(), kind);
        let now = at(self.now_ms);
        self.terminal
            .handle_delivery(self.deliveries, (&topic, payload), now, &mut drawn);
    }

    fn look(&mut self) {
        while let Some(output) = self.terminal.poll_output() {
            match output {
                Output::Switch {
                    transaction,
                    devices,
                    ..
                } => self.switch(transaction, devices),
                Output::Acknowledge(delivery) => {
                    assert!((1..=self.deliveries).contains(&delivery));
                    assert!(!self.acknowledged.contains(&delivery), "twice");
                    self.acknowledged.push(delivery);
                }
                Output::Publish { topic, .. } => {
                    assert!(matches!(topic, Topic::Up(own, _) if own == name()));
                }
                Output::SafeState { .. } | Output::SwitchOff { .. } | Output::PayPage { .. } => {}
            }
        }
    }

    fn switch(&mut self, transaction: TransactionId, devices: Vec<DeviceId>) {
        let permitted = self.permitted.get(&transaction);
        let named = |device| permitted.is_some_and(|permitted| permitted.contains(device));
        assert!(
            permitted.is_some() && devices.iter().all(named),
            "no permit"
        );
        assert!(!self.switched.contains(&transaction), "a second ON");
        self.switched.push(transaction);
        let result = |device| DeviceResult {
            device,
            outcome: DeviceOutcome::Done,
            feedback: Feedback::None,
        };
        let results = devices.into_iter().map(result).collect();
        let now = at(self.now_ms);
        self.terminal
            .switched(transaction, results, now, &mut drawn);
    }
}

fn signed<T: Claims>(claims: &str) -> Option<Jws<T>> {
    let claims: T = serde_json::from_str(claims).ok()?;
    sign(&SigningKey::from_seed(PLATFORM_SEED), &claims).ok()
}

fn ordered() -> (Terminal, Phone) {
    let setup = Setup {
        name: name(),
        platform: "main".parse().unwrap(),
        platform_keys: Keyring::of(SigningKey::from_seed(PLATFORM_SEED).public()),
        key_seed: [0x22; 32],
        page_url: "http://10.0.0.1".to_owned(),
        devices: BTreeMap::from([("barrier".parse().unwrap(), Duration::from_secs(60))]),
        limits: Limits::default(),
        journal_capacity: 256 * 1024,
        stepwise: false,
        rules: &Sound,
    };
    let now = at(1_000);
    let mut terminal = Terminal::start(setup, now, &mut drawn);
    terminal.handle_timeout(now, &mut drawn);
    terminal.handle_connected(now, &mut drawn);
    let mut config: SiteConfig = serde_json::from_str(SITE_CONFIG).unwrap();
    config.tariff_version = config.tariff.version();
    let config = sign(&SigningKey::from_seed(PLATFORM_SEED), &config).unwrap();
    let envelope = Envelope::new(MessageId::from_random(DRAWN), Utc::EPOCH, config);
    let topic = Topic::Down(name(), Down::Config);
    terminal.handle_delivery(0, (&topic, &encode(&envelope).unwrap()), now, &mut drawn);
    let phone = terminal.accept(now, &mut drawn).unwrap();
    assert!(terminal.choose(phone, "short-stay".parse().unwrap(), now, &mut drawn));
    while terminal.poll_output().is_some() {}
    (terminal, phone)
}

fn name() -> TerminalName {
    "north/gate-1".parse().unwrap()
}

fn drawn() -> [u8; 16] {
    DRAWN
}

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::EPOCH.saturating_add(Duration::from_millis(millis)),
        tick: Tick::from_millis(millis),
    }
}
