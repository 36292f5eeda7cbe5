//! What a platform needs to know: as values ([`Config`]), and as a file ([`Settings`]).

mod address;
mod init;
mod keep;
mod settings;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use process::config::ConfigError;
use protocol::id::{GatewayId, PlatformId};
use protocol::signed::{KeyId, Keyring, PublicKey};
use protocol_client::BrokerAddress;

pub use crate::caps::CapLimits;
pub use crate::reconciliation::ReconciliationPolicy;
pub use crate::sale::{Timeouts, UncertainPolicy};
pub use address::{AddressError, PublicAddress};
pub use keep::Export;
pub use settings::{
    ApiSettings, BrokerSettings, Capabilities, EmbeddedSettings, ExternalSettings, GatewaySettings,
    HealthSettings, LogSettings, Overrides, PublicSettings, Settings,
};

use crate::site::Described;

/// Everything but the key. [`Config::new`] sets every default; change fields afterwards.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our name in topics and signatures. A data folder belongs to one platform for ever.
    pub platform_id: PlatformId,
    /// Where the store and the API's token are kept; made if it is not there.
    pub data: PathBuf,
    pub sites: Vec<Described>,
    pub gateways: Vec<Gateway>,
    pub broker: Broker,
    /// Where the API is served. Default `127.0.0.1:0`: a free port.
    pub api: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are served. Default none: where the API is.
    pub health: Option<SocketAddr>,
    /// Pages for payers and third parties. Default none.
    pub public: Option<Public>,
    /// Keys of ours and of terminals that are published beside those in use. Default none.
    pub published: Published,
    /// Allows listening on, and connecting to, addresses of other machines without encryption.
    /// Default false.
    pub allow_plaintext: bool,
    pub timeouts: Timeouts,
    /// What becomes of the money when nobody can say whether a device moved.
    pub uncertain: UncertainPolicy,
    /// When statements are compared with our books, and what that may do.
    pub reconciliation: ReconciliationPolicy,
    /// Above which a refund waits for a person.
    pub caps: CapLimits,
}

/// Pages that need no password: a sale by its unguessable link, the published keys.
#[derive(Debug, Clone)]
pub struct Public {
    pub listen: SocketAddr,
    /// Under which payers reach `listen`; without it no link is given out.
    pub address: Option<PublicAddress>,
    /// Requests come through a proxy of ours that adds their origin to `X-Forwarded-For`.
    pub is_behind_proxy: bool,
}

/// So that receipts of earlier keys can still be checked.
#[derive(Debug, Clone, Default)]
pub struct Published {
    /// Keys of ours that we no longer sign with.
    pub retired: Vec<PublicKey>,
    /// Of any owner: nothing that they signed is to be believed.
    pub revoked: Vec<KeyId>,
}

/// A payment server.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub id: GatewayId,
    /// Keys that its answers may be signed with.
    pub keyring: Keyring,
    pub capabilities: Capabilities,
}

/// The message bus.
#[derive(Debug, Clone)]
pub enum Broker {
    /// Inside this process.
    Embedded(Embedded),
    /// Any MQTT 3.1.1 broker.
    External(External),
}

/// The broker inside this process. The platform itself comes in by a listener and a password of
/// its own.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// For terminals and payment servers. Port 0 lets the system choose.
    pub listen: Vec<broker::Listener>,
    /// Terminals, payment servers and monitors.
    pub users: Vec<broker::User>,
    pub limits: broker::Limits,
}

/// A broker elsewhere, and who we are there.
#[derive(Clone)]
pub struct External {
    pub address: BrokerAddress,
    pub user: String,
    pub password: String,
}

/// Without the password.
impl std::fmt::Debug for External {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("External")
            .field("address", &self.address.to_string())
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Config {
    #[must_use]
    pub fn new(platform_id: PlatformId, data: impl Into<PathBuf>, broker: Broker) -> Self {
        Self {
            platform_id,
            data: data.into(),
            sites: Vec::new(),
            gateways: Vec::new(),
            broker,
            api: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            health: None,
            public: None,
            published: Published::default(),
            allow_plaintext: false,
            timeouts: Timeouts::default(),
            uncertain: UncertainPolicy::default(),
            reconciliation: ReconciliationPolicy::default(),
            caps: CapLimits::default(),
        }
    }

    /// Refuses what no single field can tell.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.check_gateways()?;
        self.check_plaintext()
    }

    fn check_gateways(&self) -> Result<(), ConfigError> {
        for described in &self.sites {
            let wanted = &described.site.gateway;
            if !self.gateways.iter().any(|gateway| gateway.id == *wanted) {
                return Err(ConfigError::Field {
                    origin: described.origin.clone(),
                    field: "gateway".to_owned(),
                    reason: format!("the platform knows no payment server '{wanted}'"),
                    fix: "add it to [[gateways]] of the platform, or correct the name",
                });
            }
        }
        Ok(())
    }

    fn check_plaintext(&self) -> Result<(), ConfigError> {
        if let Some(public) = &self.public {
            public.check_plaintext(self.allow_plaintext)?;
        }
        match &self.broker {
            Broker::External(external) if !self.allow_plaintext => external.check_plaintext(),
            Broker::External(_) | Broker::Embedded(_) => Ok(()),
        }
    }
}

impl Embedded {
    /// A plain listener on a free port of 127.0.0.1, for tests and for one process alone.
    #[must_use]
    pub fn loopback(users: Vec<broker::User>) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: vec![broker::Listener { address, tls: None }],
            users,
            limits: broker::Limits::default(),
        }
    }
}

impl Public {
    /// A link that crosses the network in clear can be read and used by whoever listens.
    fn check_plaintext(&self, is_allowed: bool) -> Result<(), ConfigError> {
        match &self.address {
            Some(address) if !is_allowed && !address.is_protected() => Err(ConfigError::Field {
                origin: "public".to_owned(),
                field: "url".to_owned(),
                reason: format!("links to {address} would be opened without encryption"),
                fix: "use https:// with a proxy that has a certificate, or pass --allow-plaintext",
            }),
            _ => Ok(()),
        }
    }
}

impl External {
    fn check_plaintext(&self) -> Result<(), ConfigError> {
        let host = self.address.host.as_str();
        let parsed: Option<std::net::IpAddr> = host.parse().ok();
        let local = host == "localhost" || parsed.is_some_and(|ip| ip.to_canonical().is_loopback());
        if local || self.address.tls.is_some() {
            return Ok(());
        }
        Err(ConfigError::Field {
            origin: "broker".to_owned(),
            field: "external.address".to_owned(),
            reason: format!(
                "the password would go to {} without encryption",
                self.address
            ),
            fix: "set broker.external.ca_file, or pass --allow-plaintext",
        })
    }
}

#[cfg(test)]
mod tests;
