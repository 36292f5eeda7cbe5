//! The parties of a world: who they are, what is sold, whose keys they know.

use std::collections::BTreeMap;
use std::time::Duration;

use edge_agent::simulation as edge;
use payment_mock::simulation as mock;
use platform::config::{CapLimits, Capabilities, Gateway, Timeouts, UncertainPolicy};
use platform::simulation as hub;
use platform::site::{Described, Item, Site, Terminal};
use protocol::id::{DeviceId, ItemId};
use protocol::message::{EntryPolicy, IdentityPolicy, Merchant, Payee, Place, Text};
use protocol::signed::{Keyring, PublicKey, SigningKey};
use protocol::time::Now;

use super::dice::Dice;
use super::plan::Plan;

const PLATFORM_SEED: [u8; 32] = [1; 32];
const SERVER_SEED: [u8; 32] = [2; 32];

/// What the rules of a world are: sound, or with one taken away.
#[derive(Debug, Clone, Copy)]
pub struct RuleBook {
    pub platform: &'static dyn platform::rules::Rules,
    pub terminal: &'static dyn edge_agent::rules::Rules,
}

impl RuleBook {
    /// As shipped.
    pub const SOUND: Self = Self {
        platform: &platform::rules::Sound,
        terminal: &edge_agent::rules::Sound,
    };
}

/// What the machines wait for.
#[derive(Debug, Clone)]
pub struct Pace {
    pub timeouts: Timeouts,
    pub limits: edge::Limits,
}

impl Pace {
    /// As shipped. Devices are always there, so looking at them hourly loses nothing but events.
    #[must_use]
    pub fn shipped() -> Self {
        let hours = Duration::from_secs(3_600);
        Self {
            timeouts: Timeouts::default(),
            limits: edge::Limits {
                probe_interval: hours,
                probe_age_max: 3 * hours,
                health_interval: hours,
                ..edge::Limits::default()
            },
        }
    }
}

/// Of the platform.
#[must_use]
pub fn platform_key() -> PublicKey {
    SigningKey::from_seed(PLATFORM_SEED).public()
}

/// Of the payment server.
#[must_use]
pub fn server_key() -> PublicKey {
    SigningKey::from_seed(SERVER_SEED).public()
}

pub fn item() -> anyhow::Result<ItemId> {
    Ok("wash-40".parse()?)
}

pub fn hub(plan: &Plan, rules: RuleBook, pace: &Pace) -> anyhow::Result<hub::Platform> {
    let setup = hub::Setup {
        platform: "main".parse()?,
        key: SigningKey::from_seed(PLATFORM_SEED),
        sites: vec![Described::from(site(plan)?)],
        gateways: vec![Gateway {
            id: "mock".parse()?,
            keyring: Keyring::of(server_key()),
            capabilities: Capabilities::default(),
        }],
        timeouts: pace.timeouts.clone(),
        uncertain: if plan.refund_as_loss {
            UncertainPolicy::RefundAsLoss
        } else {
            UncertainPolicy::Review
        },
        caps: CapLimits::default(),
        rules: rules.platform,
    };
    Ok(hub::Platform::start(setup, Dice::new(plan.seed, 1))?)
}

pub fn server(plan: &Plan, now: Now) -> anyhow::Result<mock::Server> {
    let mut setup = mock::Setup::new("mock".parse()?, SERVER_SEED);
    setup
        .platforms
        .insert("main".parse()?, Keyring::of(platform_key()));
    setup.payees = vec!["north-laundry".parse()?];
    setup.outcome = plan.outcomes.first().copied().unwrap_or_default();
    Ok(mock::Server::new(setup, now))
}

pub fn terminal(
    index: usize,
    rules: RuleBook,
    pace: &Pace,
    now: Now,
    entropy: &mut Dice,
) -> anyhow::Result<edge::Terminal> {
    let setup = edge::Setup {
        name: format!("north/{}", name(index)).parse()?,
        platform: "main".parse()?,
        platform_keys: Keyring::of(platform_key()),
        key_seed: seed_of(index),
        page_url: format!("http://{}", name(index)),
        devices: BTreeMap::from([(device()?, Duration::from_secs(60))]),
        limits: pace.limits.clone(),
        journal_capacity: 512 * 1024,
        stepwise: true,
        rules: rules.terminal,
    };
    Ok(edge::Terminal::start(setup, now, entropy))
}

fn device() -> anyhow::Result<DeviceId> {
    Ok("washer".parse()?)
}

fn name(index: usize) -> String {
    format!("washer-{}", index + 1)
}

fn seed_of(index: usize) -> [u8; 32] {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&index.to_be_bytes());
    seed
}

fn site(plan: &Plan) -> anyhow::Result<Site> {
    let terminals: anyhow::Result<Vec<_>> = (0..plan.terminals).map(site_terminal).collect();
    Ok(Site {
        id: "north".parse()?,
        merchant: Merchant {
            name: "North Street Laundry".to_owned(),
            about: Text::english("Washing, day and night."),
            help: "+86 10 5555 0100".to_owned(),
        },
        payee: Payee {
            id: "north-laundry".parse()?,
            name: "North Street Laundry Ltd".to_owned(),
        },
        currency: "CNY".parse()?,
        time_zone: "Asia/Shanghai".to_owned(),
        gateway: "mock".parse()?,
        order_lifetime_ms: if plan.is_brisk { 20_000 } else { 120_000 },
        identity: IdentityPolicy::Off,
        entry: EntryPolicy::None,
        items: vec![Item {
            id: item()?,
            name: Text::english("Wash 40 °C"),
            price: "12.00".to_owned(),
            quantity_max: 2,
        }],
        terminals: terminals?,
    })
}

fn site_terminal(index: usize) -> anyhow::Result<Terminal> {
    Ok(Terminal {
        id: name(index).parse()?,
        place: Place {
            id: name(index).parse()?,
            name: format!("Machine {}", index + 1),
        },
        devices: vec![device()?],
        public_key: SigningKey::from_seed(seed_of(index)).public(),
        retired_public_keys: vec![],
    })
}
