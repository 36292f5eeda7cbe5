//! The configuration file. Every field, its unit and its default; see `deploy/platform`.
//!
//! Relative paths count from the folder of the file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use broker::{Limits, Listener, User};
use process::config::ConfigError;
use process::exit::{Code, Failure};
use process::secret::SecretFile;
use protocol::id::{GatewayId, PlatformId};
use protocol::signed::{KeyId, Keyring, PublicKey};
use protocol_client::{BrokerAddress, ClientTls};
use serde::Deserialize;

use super::{
    Broker, Config, Embedded, External, Gateway, Public, PublicAddress, Published,
    ReconciliationPolicy, Timeouts, UncertainPolicy,
};
use crate::caps::CapLimits;

/// IANA's port for plain MQTT.
const MQTT_PORT: u16 = 1_883;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Our name in topics and signatures. A data folder belongs to one platform for ever.
    pub platform: PlatformId,
    /// Where the store and the API's token are kept. Default `data`.
    #[serde(default = "data_folder")]
    pub data_folder: PathBuf,
    /// A site file, or a folder of them. Default `sites`.
    #[serde(default = "sites")]
    pub sites: PathBuf,
    /// Payment servers.
    pub gateways: Vec<GatewaySettings>,
    #[serde(default)]
    pub keys: KeySettings,
    #[serde(default)]
    pub broker: BrokerSettings,
    #[serde(default)]
    pub api: ApiSettings,
    #[serde(default)]
    pub health: HealthSettings,
    /// Pages for payers and third parties. Off without this section.
    #[serde(default)]
    pub public: Option<PublicSettings>,
    /// Allows listening on, and connecting to, addresses of other machines without encryption.
    /// Default false.
    #[serde(default)]
    pub allow_plaintext: bool,
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What becomes of the money when nobody can say whether a device moved: `review` (default)
    /// or `refund_as_loss`.
    #[serde(default)]
    pub uncertain: UncertainPolicy,
    /// When statements of payment servers are compared with our books.
    #[serde(default)]
    pub reconciliation: ReconciliationPolicy,
    /// Above which a refund waits for a person.
    #[serde(default)]
    pub caps: CapLimits,
    #[serde(default)]
    pub log: LogSettings,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    pub id: GatewayId,
    /// As the payment server's `keys init` prints them; several during a rotation.
    pub public_keys: Vec<PublicKey>,
    /// Ids of keys among them that are no longer believed.
    #[serde(default)]
    pub revoked_key_ids: Vec<KeyId>,
    #[serde(default)]
    pub capabilities: Capabilities,
}

/// What a payment server can do. The defaults are those of `paylatch-payment-mock`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// An order younger than this can't be closed. Default 0.
    pub close_minimum_age_ms: u64,
    /// How long the same key answers the same call. Default 86,400,000: a day.
    pub key_retention_ms: u64,
    /// How long after a payment it can be refunded. Default 15,552,000,000: 180 days.
    pub refund_window_ms: u64,
    /// It tells us when money arrives. Default true.
    pub push: bool,
    /// How long a query may wait there for a change. Default 0: it answers at once.
    pub waiting_query_ms: u64,
    /// An order exists there only once the payer has scanned it. Default false.
    pub order_after_scan: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            close_minimum_age_ms: 0,
            key_retention_ms: 86_400_000,
            refund_window_ms: 15_552_000_000,
            push: true,
            waiting_query_ms: 0,
            order_after_scan: false,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// File that `keys init` makes. Default `platform.key` in the data folder.
    pub signing_file: Option<PathBuf>,
    /// Earlier public keys of ours: still published, so that what they signed can be checked.
    pub retired_public_keys: Vec<PublicKey>,
    /// Ids of keys, ours or of terminals, that are published as no longer to be believed.
    pub revoked_key_ids: Vec<KeyId>,
}

/// One of both; the embedded one if there is neither.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerSettings {
    pub embedded: Option<EmbeddedSettings>,
    pub external: Option<ExternalSettings>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedSettings {
    /// Default `127.0.0.1:1883`, plain.
    pub listen: Vec<Listener>,
    /// Terminals, payment servers and monitors.
    pub users: Vec<User>,
    pub limits: Limits,
}

impl Default for EmbeddedSettings {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, MQTT_PORT));
        Self {
            listen: vec![Listener { address, tls: None }],
            users: vec![],
            limits: Limits::default(),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalSettings {
    /// `host:port`.
    pub address: String,
    /// Default: the platform's name.
    #[serde(default)]
    pub user: Option<String>,
    /// File with the password, readable by its owner alone. Default `broker.password` in the data
    /// folder.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// CA certificates in PEM form; with it the connection is TLS.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// Default `127.0.0.1:7080`.
    pub listen: SocketAddr,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7_080)),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthSettings {
    /// Where `/livez`, `/readyz` and `/metrics` are served. Default: where the API is.
    pub listen: Option<SocketAddr>,
}

/// Status pages by unguessable links, the published keys, the page that checks receipts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PublicSettings {
    /// Default `127.0.0.1:7081`, for a proxy with a certificate in front.
    pub listen: SocketAddr,
    /// Under which payers reach `listen`: `https://pay.example`. Default none: no links.
    pub url: Option<PublicAddress>,
    /// Whether that proxy adds the payer's address to `X-Forwarded-For`. Default false.
    pub behind_proxy: bool,
}

impl Default for PublicSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7_081)),
            url: None,
            behind_proxy: false,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `text` (default) or `json`.
    pub format: process::log::Format,
    /// Default `info,rumqttd=warn`: the router tells each of its clients twice.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: process::log::Format::Text,
            level: "info,rumqttd=warn".to_owned(),
        }
    }
}

/// What the command line says instead of the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Replaces `data_folder`; counts from the current folder.
    pub data_folder: Option<PathBuf>,
    /// An external broker at this `host:port`.
    pub broker: Option<String>,
    /// Sets `allow_plaintext`.
    pub allow_plaintext: bool,
}

impl Settings {
    /// Reads the file, what lies in `conf.d` beside it, and the environment; then the command line.
    ///
    /// # Errors
    /// One line with file, field and fix.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let mut settings: Self = process::config::load(Some(path))?;
        settings.anchor(path.parent().unwrap_or(Path::new("")));
        settings.override_by(overrides);
        Ok(settings)
    }

    /// The values of these settings; reads the files they name.
    ///
    /// # Errors
    /// One line with file, field and fix.
    pub fn config(&self) -> Result<Config, anyhow::Error> {
        let config = Config {
            platform_id: self.platform.clone(),
            data: self.data_folder.clone(),
            sites: crate::site::read(&self.sites)?,
            gateways: self.gateways.iter().map(GatewaySettings::gateway).collect(),
            broker: self.broker()?,
            api: self.api.listen,
            health: self.health.listen,
            public: self.public.as_ref().map(PublicSettings::public),
            published: Published {
                retired: self.keys.retired_public_keys.clone(),
                revoked: self.keys.revoked_key_ids.clone(),
            },
            allow_plaintext: self.allow_plaintext,
            timeouts: self.timeouts.clone(),
            uncertain: self.uncertain,
            reconciliation: self.reconciliation.clone(),
            caps: self.caps.clone(),
        };
        config.check()?;
        Ok(config)
    }

    /// Where our private key is.
    #[must_use]
    pub fn signing_file(&self) -> PathBuf {
        let default = || self.data_folder.join("platform.key");
        self.keys.signing_file.clone().unwrap_or_else(default)
    }

    /// Where the API of a running platform is reached from this machine.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        let listen = self.api.listen;
        if listen.ip().is_unspecified() {
            return SocketAddr::from((Ipv4Addr::LOCALHOST, listen.port()));
        }
        listen
    }

    /// The file with the API's token.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.data_folder.join(crate::api::TOKEN_FILE)
    }

    /// The password files of the embedded broker's users.
    pub fn password_files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let embedded = self.broker.embedded.as_ref();
        let users = embedded.map_or(&[][..], |embedded| embedded.users.as_slice());
        users.iter().filter_map(|user| match &user.password {
            broker::Password::File(file) => Some((user.name.as_str(), file.path())),
            broker::Password::Given(_) => None,
        })
    }

    fn broker(&self) -> Result<Broker, anyhow::Error> {
        match (&self.broker.embedded, &self.broker.external) {
            (Some(_), Some(_)) => {
                let line = "broker: has [broker.embedded] and [broker.external]; remove one";
                Err(Failure::new(Code::Config, line).into())
            }
            (None, Some(external)) => self.external(external).map(Broker::External),
            (embedded, None) => Ok(Broker::Embedded(
                embedded.clone().unwrap_or_default().into(),
            )),
        }
    }

    fn external(&self, external: &ExternalSettings) -> Result<External, anyhow::Error> {
        let address = external.address.parse::<BrokerAddress>();
        let mut address = address.map_err(|error| {
            Failure::new(Code::Config, format!("broker.external.address: {error}"))
        })?;
        if let Some(file) = &external.ca_file {
            let tls = ClientTls::from_ca_file(file).map_err(|error| {
                let line = process::exit::one_line(&error);
                Failure::new(Code::Config, format!("broker.external.ca_file: {line}"))
            })?;
            address = address.with_tls(tls);
        }
        let default = || self.data_folder.join("broker.password");
        let password_file = external.password_file.clone().unwrap_or_else(default);
        Ok(External {
            address,
            user: external
                .user
                .clone()
                .unwrap_or_else(|| self.platform.to_string()),
            password: SecretFile::new(password_file).read()?,
        })
    }

    /// Makes relative paths count from the file's folder.
    fn anchor(&mut self, folder: &Path) {
        self.data_folder = folder.join(&self.data_folder);
        self.sites = folder.join(&self.sites);
        let anchor = |path: &mut Option<PathBuf>| {
            *path = path.take().map(|path| folder.join(path));
        };
        anchor(&mut self.keys.signing_file);
        if let Some(external) = &mut self.broker.external {
            anchor(&mut external.password_file);
            anchor(&mut external.ca_file);
        }
        if let Some(embedded) = &mut self.broker.embedded {
            embedded.anchor(folder);
        }
    }

    fn override_by(&mut self, overrides: &Overrides) {
        if let Some(folder) = &overrides.data_folder {
            self.data_folder.clone_from(folder);
        }
        self.allow_plaintext |= overrides.allow_plaintext;
        let Some(address) = &overrides.broker else {
            return;
        };
        self.broker.embedded = None;
        let external = self.broker.external.get_or_insert_default();
        external.address.clone_from(address);
    }
}

impl From<EmbeddedSettings> for Embedded {
    fn from(settings: EmbeddedSettings) -> Self {
        Self {
            listen: settings.listen,
            users: settings.users,
            limits: settings.limits,
        }
    }
}

impl EmbeddedSettings {
    fn anchor(&mut self, folder: &Path) {
        for user in &mut self.users {
            if let broker::Password::File(file) = &user.password {
                let path = folder.join(file.path());
                user.password = SecretFile::new(path).into();
            }
        }
        for tls in self
            .listen
            .iter_mut()
            .filter_map(|listener| listener.tls.as_mut())
        {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
    }
}

impl PublicSettings {
    fn public(&self) -> Public {
        Public {
            listen: self.listen,
            address: self.url.clone(),
            is_behind_proxy: self.behind_proxy,
        }
    }
}

impl GatewaySettings {
    fn gateway(&self) -> Gateway {
        let mut keyring: Keyring = self.public_keys.iter().copied().collect();
        for id in &self.revoked_key_ids {
            keyring.revoke(id);
        }
        Gateway {
            id: self.id.clone(),
            keyring,
            capabilities: self.capabilities.clone(),
        }
    }
}

fn data_folder() -> PathBuf {
    PathBuf::from("data")
}

fn sites() -> PathBuf {
    PathBuf::from("sites")
}
