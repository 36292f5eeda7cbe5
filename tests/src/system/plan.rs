//! What a system is made of: names, keys, ports, prices, waits.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use edge_agent::config::{
    BrokerConfig, HealthConfig, JournalConfig, LogConfig, PageConfig, Password, PlatformConfig,
};
use edge_agent::linkage::config::{
    Action, DeviceConfig, DriverConfig, Fault, SafeState, SimulatedConfig, Span,
};
use payment_mock::{Delays, Outcome, Silence};
use platform::config::{Broker, External, Gateway, Public, ReconciliationPolicy, Timeouts};
use platform::site::{Described, Item, Site, Terminal};
use protocol::id::{GatewayId, PlatformId};
use protocol::message::{EntryPolicy, IdentityPolicy, Merchant, Payee, Place, Text};
use protocol::signed::{Keyring, SigningKey};
use protocol::topic::TerminalName;
use protocol_client::BrokerAddress;

/// Every party of a system in one process shares it: nothing outside the process can use it longer
/// than the process lives, and the broker listens on loopback only.
pub(super) const PASSWORD: &str = "loopback-only";

const PLATFORM_SEED: [u8; 32] = [1; 32];
const MOCK_SEED: [u8; 32] = [2; 32];

/// How patient the parties are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// The defaults of an operator.
    Real,
    /// Deadlines of seconds, for runs whose payer never pays or pays wrong.
    Brisk,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Plan {
    pub data: PathBuf,
    pub terminals: usize,
    pub outcome: Outcome,
    pub pace: Pace,
    /// First of the ports; without it the system chooses free ones.
    pub port_base: Option<u16>,
    /// Where the platform serves payers who have left; without it there are no links.
    pub public_port: Option<u16>,
    /// What is wrong with the terminals' devices.
    pub fault: Fault,
    /// When statements are compared.
    pub reconciliation: ReconciliationPolicy,
}

impl Plan {
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            terminals: 1,
            outcome: Outcome::Paid,
            pace: Pace::Brisk,
            port_base: None,
            public_port: None,
            fault: Fault::None,
            reconciliation: ReconciliationPolicy::default(),
        }
    }

    #[must_use]
    pub const fn with_terminals(mut self, terminals: usize) -> Self {
        self.terminals = terminals;
        self
    }

    #[must_use]
    pub const fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    #[must_use]
    pub const fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    #[must_use]
    pub const fn with_public(mut self, port: u16) -> Self {
        self.public_port = Some(port);
        self
    }

    pub(super) fn port(&self, offset: u16) -> u16 {
        self.port_base.map_or(0, |base| base.saturating_add(offset))
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    pub(super) fn platform_id(&self) -> anyhow::Result<PlatformId> {
        Ok("main".parse()?)
    }

    pub(super) fn gateway_id(&self) -> anyhow::Result<GatewayId> {
        Ok("mock".parse()?)
    }

    pub(super) fn terminal_name(&self, index: usize) -> anyhow::Result<TerminalName> {
        Ok(TerminalName {
            site: "north".parse()?,
            terminal: terminal_user(index).parse()?,
        })
    }

    pub(super) fn platform(
        &self,
        broker: SocketAddr,
    ) -> anyhow::Result<(platform::Config, platform::Keys)> {
        let external = External {
            address: BrokerAddress::from(broker),
            user: "platform".to_owned(),
            password: PASSWORD.to_owned(),
        };
        let id = self.platform_id()?;
        let folder = self.folder("platform");
        let mut config = platform::Config::new(id, folder, Broker::External(external));
        config.api = loopback(self.port(1));
        config.timeouts = self.timeouts();
        config.reconciliation = self.reconciliation.clone();
        config.public = self.public()?;
        config.gateways = vec![Gateway {
            id: self.gateway_id()?,
            keyring: Keyring::of(SigningKey::from_seed(MOCK_SEED).public()),
            capabilities: platform::config::Capabilities::default(),
        }];
        config.sites = vec![Described {
            origin: "plan".to_owned(),
            site: self.site()?,
        }];
        Ok((
            config,
            platform::Keys {
                signing: SigningKey::from_seed(PLATFORM_SEED),
            },
        ))
    }

    fn public(&self) -> anyhow::Result<Option<Public>> {
        let Some(port) = self.public_port else {
            return Ok(None);
        };
        Ok(Some(Public {
            listen: loopback(port),
            address: Some(format!("http://127.0.0.1:{port}").parse()?),
            is_behind_proxy: false,
        }))
    }

    pub(super) fn mock(
        &self,
        broker: SocketAddr,
    ) -> anyhow::Result<(payment_mock::Config, payment_mock::Keys)> {
        let access = payment_mock::Broker::new(broker, "mock", PASSWORD);
        let mut config = payment_mock::Config::new(self.gateway_id()?, access);
        let port = match self.port(2) {
            0 => crate::programs::free_port()?,
            port => port,
        };
        config.listen = loopback(port);
        // Another host name than the terminals' pages: two origins, as in a shop.
        config.public_url = Some(format!("http://localhost:{port}"));
        let key = SigningKey::from_seed(PLATFORM_SEED).public();
        config
            .platforms
            .insert(self.platform_id()?, Keyring::of(key));
        config.payees = vec!["north-laundry".parse()?];
        config.outcome = self.outcome;
        config.delays = self.delays();
        config.data_folder = Some(self.folder("mock"));
        Ok((
            config,
            payment_mock::Keys {
                signing: SigningKey::from_seed(MOCK_SEED),
            },
        ))
    }

    pub(super) fn terminal(
        &self,
        broker: SocketAddr,
        index: usize,
    ) -> anyhow::Result<(edge_agent::Config, edge_agent::Keys)> {
        let name = self.terminal_name(index)?;
        let platform_key = SigningKey::from_seed(PLATFORM_SEED).public();
        let config = edge_agent::Config {
            terminal: name,
            data_folder: self.folder(&terminal_user(index)),
            page: PageConfig {
                listen: loopback(self.port(3 + u16::try_from(index)?)),
                ..PageConfig::default()
            },
            broker: BrokerConfig {
                address: broker.to_string(),
                tls_ca_file: None,
                allow_plaintext: false,
                user: terminal_user(index),
                password_file: None,
                password: Some(Password(PASSWORD.to_owned())),
            },
            platform: PlatformConfig {
                id: self.platform_id()?,
                public_keys: vec![platform_key],
                revoked_key_ids: vec![],
            },
            devices: self.devices()?,
            journal: JournalConfig::default(),
            health: HealthConfig::default(),
            timeouts: self.terminal_timeouts(),
            log: LogConfig::default(),
        };
        Ok((
            config,
            edge_agent::Keys {
                signing: SigningKey::from_seed(terminal_seed(index)),
            },
        ))
    }

    fn terminal_timeouts(&self) -> edge_agent::config::Timeouts {
        let defaults = edge_agent::config::Timeouts::default();
        match self.pace {
            Pace::Real => defaults,
            Pace::Brisk => edge_agent::config::Timeouts {
                nonce_grace_ms: 4_000,
                ..defaults
            },
        }
    }

    fn devices(&self) -> anyhow::Result<Vec<DeviceConfig>> {
        Ok(vec![DeviceConfig {
            id: "washer".parse()?,
            driver: DriverConfig::Simulated(SimulatedConfig { fault: self.fault }),
            action: Action::Pulse(Span { ms: 500 }),
            safe_state: SafeState::Off,
            on_max_ms: 60_000,
        }])
    }

    fn site(&self) -> anyhow::Result<Site> {
        let terminals: anyhow::Result<Vec<_>> = (0..self.terminals).map(site_terminal).collect();
        Ok(Site {
            id: "north".parse()?,
            merchant: Merchant {
                name: "North Street Laundry".to_owned(),
                about: Text::english("Self-service washing and drying, day and night."),
                help: "+86 10 5555 0100".to_owned(),
            },
            payee: Payee {
                id: "north-laundry".parse()?,
                name: "North Street Laundry Ltd".to_owned(),
            },
            currency: "CNY".parse()?,
            time_zone: "Asia/Shanghai".to_owned(),
            gateway: self.gateway_id()?,
            order_lifetime_ms: match self.pace {
                Pace::Real => 120_000,
                Pace::Brisk => 6_000,
            },
            identity: IdentityPolicy::Off,
            entry: EntryPolicy::None,
            items: vec![
                item("wash-40", "Wash 40 °C", "12.00")?,
                item("dry-30", "Dry 30 minutes", "4.50")?,
            ],
            visit: None,
            terminals: terminals?,
        })
    }

    fn timeouts(&self) -> Timeouts {
        match self.pace {
            Pace::Real => Timeouts::default(),
            Pace::Brisk => Timeouts {
                gateway_call_ms: 1_000,
                query_interval_ms: 1_000,
                permit_minimum_ms: 500,
                nonce_margin_ms: 1_000,
                off_repeat_ms: 500,
                inquiry_interval_ms: 500,
                give_up_ms: 15_000,
                close_retry_ms: 500,
                refund_retry_ms: 500,
                ..Timeouts::default()
            },
        }
    }

    fn delays(&self) -> Delays {
        match self.pace {
            Pace::Real => Delays::default(),
            Pace::Brisk => Delays {
                slow_answer: Duration::from_millis(700),
                late_booking: Duration::from_millis(500),
                // Beyond the nonce's life: the money is found when nothing may be switched on.
                silence: Silence::Lasting(Duration::from_secs(14)),
                refund_settle: Duration::from_millis(700),
                outage: Duration::from_secs(2),
            },
        }
    }
}

pub(super) fn terminal_user(index: usize) -> String {
    format!("washer-{}", index + 1)
}

fn terminal_seed(index: usize) -> [u8; 32] {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&index.to_be_bytes());
    seed
}

fn site_terminal(index: usize) -> anyhow::Result<Terminal> {
    Ok(Terminal {
        id: terminal_user(index).parse()?,
        place: Place {
            id: terminal_user(index).parse()?,
            name: format!("Machine {}", index + 1),
        },
        devices: vec!["washer".parse()?],
        public_key: SigningKey::from_seed(terminal_seed(index)).public(),
        retired_public_keys: vec![],
    })
}

fn item(id: &str, name: &str, price: &str) -> anyhow::Result<Item> {
    Ok(Item {
        id: id.parse()?,
        name: Text::english(name),
        price: price.to_owned(),
        quantity_max: 2,
    })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
