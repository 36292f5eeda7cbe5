//! The configuration file. Every field, its unit and its default; see `deploy/payment-mock`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::config::ConfigError;
use process::exit::{self, Code, Failure};
use process::keys::KeyError;
use process::secret::SecretFile;
use protocol::id::{GatewayId, PayeeId, PlatformId};
use protocol::signed::{KeyId, Keyring, PublicKey, SigningKey};
use protocol_client::{BrokerAddress, ClientTls};
use serde::Deserialize;

use super::{Broker, Capabilities, Config, Delays, Forgotten, KeyRetention};
use crate::scenario::{Outcome, Ruleset, Silence};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Our name in topics and signatures.
    pub gateway: GatewayId,
    /// Permits serving pages to, and talking MQTT with, other machines without encryption.
    /// Default false.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// Whose requests are taken.
    pub platforms: Vec<PlatformSettings>,
    pub broker: BrokerSettings,
    pub ledger: LedgerSettings,
    pub keys: KeySettings,
    #[serde(default)]
    pub http: HttpSettings,
    #[serde(default)]
    pub scenario: ScenarioSettings,
    #[serde(default)]
    pub admin: AdminSettings,
    #[serde(default)]
    pub log: LogSettings,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformSettings {
    pub id: PlatformId,
    /// As the platform's `keys init` prints them; several during a rotation.
    pub public_keys: Vec<PublicKey>,
    /// Ids of keys among them that are no longer believed.
    #[serde(default)]
    pub revoked_key_ids: Vec<KeyId>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSettings {
    /// `host:port`.
    pub address: String,
    pub user: String,
    /// File with the password, readable by its owner alone.
    pub password_file: SecretFile,
    /// Default: the user.
    #[serde(default)]
    pub client_id: Option<String>,
    /// CA certificates in PEM form; with it the connection is TLS.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerSettings {
    /// Where the ledger is kept; without it in memory, lost with the process.
    #[serde(default)]
    pub data_folder: Option<PathBuf>,
    /// Accounts that orders may pay to.
    pub payees: Vec<PayeeId>,
    /// Orders younger than this can't be closed. Default 0.
    #[serde(default)]
    pub close_minimum_age_ms: u64,
    /// Payments older than this can't be refunded. Default: always can.
    #[serde(default)]
    pub refund_window_ms: Option<u64>,
    /// For how long order numbers and refund ids are idempotency keys. Default: for ever.
    #[serde(default)]
    pub key_retention_ms: Option<u64>,
    /// What becomes of a call whose key was forgotten: `new` or `refused`. Default `new`.
    #[serde(default)]
    pub forgotten_key: Forgotten,
    /// An order can't be found before its page was opened. Default false.
    #[serde(default)]
    pub order_after_scan: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// File that `keys init` makes.
    pub signing_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Default `127.0.0.1:8090`.
    pub listen: SocketAddr,
    /// How payers reach the pages. Default: `http://` and the address above.
    pub public_url: Option<String>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8_090)),
            public_url: None,
        }
    }
}

/// What goes wrong on purpose. The defaults are those of [`Delays`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScenarioSettings {
    pub outcome: Outcome,
    pub slow_answer_ms: Option<u64>,
    pub late_booking_ms: Option<u64>,
    /// `no-answer`: how long queries stay without an answer.
    pub no_answer_ms: Option<u64>,
    /// `no-answer`: how many queries stay without an answer; replaces the time.
    pub no_answer_queries: Option<u32>,
    /// `refund-pending` and its kin: from the refund to its turn.
    pub refund_settle_ms: Option<u64>,
    /// `outage`: from the payment on.
    pub outage_ms: Option<u64>,
    /// Rules beyond the outcomes; see `scenario.toml`.
    pub scenario_file: Option<PathBuf>,
}

/// The hand on the scenario while the server runs. It asks no password, so it is for this machine
/// alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSettings {
    /// A loopback address. Default none: there is no admin API.
    pub listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Default text.
    pub format: process::log::Format,
    /// Default `info`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: process::log::Format::Text,
            level: "info".to_owned(),
        }
    }
}

impl Settings {
    /// Reads the file, what lies in `conf.d` beside it, and the environment. Relative paths count
    /// from the folder of the file.
    ///
    /// # Errors
    /// One line with file, field and fix.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut settings: Self = process::config::load(Some(path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let broker = &mut settings.broker;
        broker.password_file = SecretFile::new(folder.join(broker.password_file.path()));
        broker.ca_file = broker.ca_file.as_ref().map(|file| folder.join(file));
        settings.keys.signing_file = folder.join(&settings.keys.signing_file);
        let data_folder = settings.ledger.data_folder.as_ref();
        settings.ledger.data_folder = data_folder.map(|data| folder.join(data));
        let scenario_file = settings.scenario.scenario_file.as_ref();
        settings.scenario.scenario_file = scenario_file.map(|file| folder.join(file));
        Ok(settings)
    }

    /// The values of these settings; reads the files they name.
    ///
    /// # Errors
    /// The first field that can't be used, with its fix. All of them end the process with 78.
    pub fn resolve(self) -> Result<Config, Failure> {
        self.check_plaintext()?;
        let broker = self.broker.resolve()?;
        let mut config = Config::new(self.gateway, broker);
        for platform in self.platforms {
            let (id, keyring) = platform.resolve()?;
            if config.platforms.insert(id.clone(), keyring).is_some() {
                return Err(wrong(
                    "platforms",
                    format!("'{id}' is there twice; remove one"),
                ));
            }
        }
        if config.platforms.is_empty() || self.ledger.payees.is_empty() {
            return Err(wrong(
                "platforms and ledger.payees",
                "name at least one of each",
            ));
        }
        config.capabilities = self.ledger.capabilities();
        config.payees = self.ledger.payees;
        config.listen = self.http.listen;
        config.allow_plaintext = self.allow_plaintext;
        config.public_url = self.http.public_url.map(checked_url).transpose()?;
        config.outcome = self.scenario.outcome;
        config.delays = self.scenario.delays();
        config.rules = self.scenario.rules()?;
        config.admin = self.admin.resolve()?;
        config.data_folder = self.ledger.data_folder;
        Ok(config)
    }

    fn check_plaintext(&self) -> Result<(), Failure> {
        if self.allow_plaintext {
            return Ok(());
        }
        let listen = self.http.listen;
        if !listen.ip().to_canonical().is_loopback() {
            return Err(wrong("http.listen", open_to_others(&listen)));
        }
        let address = self.broker.parse_address()?;
        if self.broker.ca_file.is_none() && !is_this_machine(&address.host) {
            return Err(wrong("broker.address", open_to_others(&address)));
        }
        Ok(())
    }
}

impl KeySettings {
    /// Makes the key and, if need be, its folder.
    ///
    /// # Errors
    /// There is a key already, or it can't be written.
    pub fn create(&self) -> Result<SigningKey, KeyError> {
        if let Some(folder) = self.signing_file.parent() {
            std::fs::create_dir_all(folder).map_err(|source| KeyError::Write {
                path: self.signing_file.clone(),
                source,
            })?;
        }
        process::keys::create(&self.signing_file)
    }

    /// Reads the key.
    ///
    /// # Errors
    /// There is none, others may read it, or it is no key.
    pub fn load(&self) -> Result<SigningKey, KeyError> {
        process::keys::load(&self.signing_file)
    }
}

impl PlatformSettings {
    fn resolve(self) -> Result<(PlatformId, Keyring), Failure> {
        if self.public_keys.is_empty() {
            let field = format!("platforms.{}.public_keys", self.id);
            return Err(wrong(
                &field,
                "name the key that the platform's `keys init` printed",
            ));
        }
        let mut keyring: Keyring = self.public_keys.into_iter().collect();
        for id in &self.revoked_key_ids {
            keyring.revoke(id);
        }
        Ok((self.id, keyring))
    }
}

impl BrokerSettings {
    fn parse_address(&self) -> Result<BrokerAddress, Failure> {
        let address = self.address.parse();
        address.map_err(|error| wrong("broker.address", error))
    }

    fn resolve(self) -> Result<Broker, Failure> {
        let address = self.parse_address()?;
        let tls = self.ca_file.as_deref().map(ClientTls::from_ca_file);
        let address = match tls.transpose() {
            Ok(Some(tls)) => address.with_tls(tls),
            Ok(None) => address,
            Err(error) => return Err(wrong("broker.ca_file", error)),
        };
        let password = self
            .password_file
            .read()
            .map_err(|error| wrong("broker.password_file", exit::one_line(&error)))?;
        let mut broker = Broker::new(address, self.user, password);
        if let Some(client_id) = self.client_id {
            broker.client_id = client_id;
        }
        Ok(broker)
    }
}

impl LedgerSettings {
    fn capabilities(&self) -> Capabilities {
        let retention = self.key_retention_ms.map(|lasts_ms| KeyRetention {
            lasts: Duration::from_millis(lasts_ms),
            afterwards: self.forgotten_key,
        });
        Capabilities {
            close_minimum_age: Duration::from_millis(self.close_minimum_age_ms),
            refund_window: self.refund_window_ms.map(Duration::from_millis),
            key_retention: retention,
            order_after_scan: self.order_after_scan,
        }
    }
}

impl AdminSettings {
    fn resolve(&self) -> Result<Option<SocketAddr>, Failure> {
        match self.listen {
            Some(listen) if !listen.ip().to_canonical().is_loopback() => Err(wrong(
                "admin.listen",
                format!("{listen} can be reached by others; use 127.0.0.1"),
            )),
            listen => Ok(listen),
        }
    }
}

impl ScenarioSettings {
    fn rules(&self) -> Result<Ruleset, Failure> {
        let file = self.scenario_file.as_deref();
        let rules = file.map(super::load_scenario).transpose();
        let rules = rules.map_err(|error| wrong("scenario.scenario_file", exit::one_line(&error)));
        Ok(rules?.unwrap_or_default())
    }

    fn delays(&self) -> Delays {
        let default = Delays::default();
        let millis = |millis: Option<u64>, default| millis.map_or(default, Duration::from_millis);
        let silence = match (self.no_answer_queries, self.no_answer_ms) {
            (Some(queries), _) => Silence::Queries(queries),
            (None, Some(millis)) => Silence::Lasting(Duration::from_millis(millis)),
            (None, None) => default.silence,
        };
        Delays {
            slow_answer: millis(self.slow_answer_ms, default.slow_answer),
            late_booking: millis(self.late_booking_ms, default.late_booking),
            silence,
            refund_settle: millis(self.refund_settle_ms, default.refund_settle),
            outage: millis(self.outage_ms, default.outage),
        }
    }
}

fn checked_url(url: String) -> Result<String, Failure> {
    match crate::ledger::ReturnUrl::parse(&url) {
        Some(_) => Ok(url),
        None => Err(wrong(
            "http.public_url",
            format!("'{url}' is no web address; write for example https://pay.example"),
        )),
    }
}

fn is_this_machine(host: &str) -> bool {
    let loopback = |ip: std::net::IpAddr| ip.to_canonical().is_loopback();
    host == "localhost" || host.parse().is_ok_and(loopback)
}

fn open_to_others(address: &dyn std::fmt::Display) -> String {
    format!(
        "{address} is another machine or reachable by others, without encryption; use 127.0.0.1, \
         or set allow_plaintext = true"
    )
}

fn wrong(field: &str, reason: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Config, format!("{field}: {reason}"))
}

#[cfg(test)]
mod tests;
