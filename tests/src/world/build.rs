//! The parties of a world: who they are, what is sold, whose keys they know.

use std::time::Duration;

use edge_agent::simulation as edge;
use payment_mock::simulation as mock;
use platform::config::{
    CapLimits, Capabilities, Gateway, ReconciliationPolicy, Timeouts, UncertainPolicy,
};
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

/// One refund of each kind goes out by itself; the next one waits for a person.
#[must_use]
pub fn tight_caps() -> CapLimits {
    CapLimits {
        per_terminal: 1,
        breaker_count: 1,
        ..CapLimits::default()
    }
}

/// Statements are compared soon enough for a world to see what comes of it.
fn reconciliation() -> ReconciliationPolicy {
    let minute = 60_000;
    ReconciliationPolicy {
        interval_ms: 10 * minute,
        deep_interval_ms: 30 * minute,
        grace_ms: 20 * minute,
        ..ReconciliationPolicy::default()
    }
}

pub fn hub(plan: &Plan, rules: RuleBook, pace: &Pace, now: Now) -> anyhow::Result<hub::Platform> {
    let needs_statements = plan.rare.restore.is_some() || !plan.rare.deeds.is_empty();
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
        caps: if plan.rare.are_caps_tight {
            tight_caps()
        } else {
            CapLimits::default()
        },
        reconciliation: needs_statements.then(reconciliation),
        rules: rules.platform,
    };
    Ok(hub::Platform::start(setup, Dice::new(plan.seed, 1), now)?)
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
    (index, plan): (usize, &Plan),
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
        devices: devices(plan)?
            .into_iter()
            .map(|device| (device, Duration::from_secs(60)))
            .collect(),
        limits: pace.limits.clone(),
        journal_capacity: 512 * 1024,
        stepwise: true,
        rules: rules.terminal,
    };
    Ok(edge::Terminal::start(setup, now, entropy))
}

/// The first one decides.
fn devices(plan: &Plan) -> anyhow::Result<Vec<DeviceId>> {
    let names = ["washer", "light"].into_iter().take(plan.rare.devices);
    names.map(|name| Ok(name.parse()?)).collect()
}

fn name(index: usize) -> String {
    format!("washer-{}", index + 1)
}

pub(super) fn seed_of(index: usize) -> [u8; 32] {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&index.to_be_bytes());
    seed
}

fn site(plan: &Plan) -> anyhow::Result<Site> {
    let terminals: anyhow::Result<Vec<_>> = (0..plan.terminals)
        .map(|index| site_terminal(index, plan))
        .collect();
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
            price: if plan.rare.is_free { "0.00" } else { "12.00" }.to_owned(),
            quantity_max: 2,
        }],
        visit: None,
        terminals: terminals?,
    })
}

fn site_terminal(index: usize, plan: &Plan) -> anyhow::Result<Terminal> {
    Ok(Terminal {
        id: name(index).parse()?,
        place: Place {
            id: name(index).parse()?,
            name: format!("Machine {}", index + 1),
        },
        devices: devices(plan)?,
        public_key: SigningKey::from_seed(seed_of(index)).public(),
        retired_public_keys: vec![],
    })
}
