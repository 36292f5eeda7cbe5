//! What a payment server needs to know: as values ([`Config`]), and as a file ([`Settings`]).

mod scenario_file;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protocol::id::{GatewayId, PayeeId, PlatformId};
use protocol::signed::Keyring;
use protocol_client::BrokerAddress;

pub use scenario_file::{ScenarioFileError, load as load_scenario};
pub use settings::{
    AdminSettings, BrokerSettings, HttpSettings, KeySettings, LedgerSettings, LogSettings,
    PlatformSettings, ScenarioSettings, Settings,
};

pub use crate::ledger::{Capabilities, Forgotten, KeyRetention};

use crate::ledger::Rules;
use crate::scenario::{Outcome, Ruleset, Scenario, Silence};

/// Everything but the key. [`Config::new`] sets every default; change fields afterwards.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our name in topics and signatures.
    pub gateway: GatewayId,
    /// Whose requests are taken, and by which keys.
    pub platforms: BTreeMap<PlatformId, Keyring>,
    /// Accounts that orders may pay to. An order to another one is refused.
    pub payees: Vec<PayeeId>,
    /// Where the pages are served. Default `127.0.0.1:0`: a free port.
    pub listen: SocketAddr,
    /// Allows a `listen` address that others can reach, without encryption. Default false.
    pub allow_plaintext: bool,
    /// How payers reach the pages, without a slash at the end. Default `http://` and the bound
    /// address.
    pub public_url: Option<String>,
    pub broker: Broker,
    /// The outcome of orders that name none. Default `paid`.
    pub outcome: Outcome,
    pub delays: Delays,
    pub capabilities: Capabilities,
    /// What goes wrong beyond the outcomes. Default none.
    pub rules: Ruleset,
    /// Where rules and orders can be changed by hand; a loopback address. Default none: nowhere.
    pub admin: Option<SocketAddr>,
    /// Where the ledger is kept. Default none: in memory.
    pub data_folder: Option<PathBuf>,
}

/// How to reach the broker.
#[derive(Clone)]
pub struct Broker {
    pub address: BrokerAddress,
    pub user: String,
    pub password: String,
    /// Unique at the broker. Default: the user.
    pub client_id: String,
}

/// How long the slow outcomes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// `slow-answer`: every answer about the order. Default 2 s, under the 5 s that a gateway call
    /// may take.
    pub slow_answer: Duration,
    /// `late`: from the close of the order to its money. Default 500 ms.
    pub late_booking: Duration,
    /// `no-answer`: for how long. Default 200 s, longer than the default nonce lifetime of 180 s,
    /// so that the money is found when it is too late to switch anything on.
    pub silence: Silence,
    /// `refund-pending` and its kin: from the refund to its turn. Default 2 s.
    pub refund_settle: Duration,
    /// `outage`: from the payment on. Default 3 s, shorter than three tries of a gateway call.
    pub outage: Duration,
}

impl Config {
    #[must_use]
    pub fn new(gateway: GatewayId, broker: Broker) -> Self {
        Self {
            gateway,
            platforms: BTreeMap::new(),
            payees: Vec::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            allow_plaintext: false,
            public_url: None,
            broker,
            outcome: Outcome::default(),
            delays: Delays::default(),
            capabilities: Capabilities::default(),
            rules: Ruleset::default(),
            admin: None,
            data_folder: None,
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        rules(&self.payees, &self.capabilities, &self.delays)
    }

    pub(crate) fn scenario(&self) -> Scenario {
        Scenario::new(self.outcome, self.rules.clone(), &self.delays)
    }
}

pub(crate) fn rules(payees: &[PayeeId], capabilities: &Capabilities, delays: &Delays) -> Rules {
    Rules {
        payees: payees.iter().cloned().collect(),
        capabilities: *capabilities,
        late_booking: delays.late_booking,
    }
}

impl Broker {
    #[must_use]
    pub fn new(
        address: impl Into<BrokerAddress>,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        let user = user.into();
        Self {
            address: address.into(),
            client_id: user.clone(),
            user,
            password: password.into(),
        }
    }
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            slow_answer: Duration::from_secs(2),
            late_booking: Duration::from_millis(500),
            silence: Silence::Lasting(Duration::from_secs(200)),
            refund_settle: Duration::from_secs(2),
            outage: Duration::from_secs(3),
        }
    }
}

/// Without the password.
impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("address", &self.address.to_string())
            .field("user", &self.user)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
