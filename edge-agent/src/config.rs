//! What a terminal is told by its operator. Every field says what it is for; unknown ones are
//! refused. Relative paths count from the folder of the file.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::config::ConfigError;
use process::secret::SecretFile;
use protocol::id::PlatformId;
use protocol::signed::{KeyId, Keyring, PublicKey};
use protocol::topic::TerminalName;
use protocol_client::BrokerAddress;
use serde::Deserialize;

use crate::journal::{JOURNAL_SIZE_MAX, JOURNAL_SIZE_MIN};
use crate::linkage::{self, DeviceConfig};
use crate::machine::limits::Limits;

/// Settings of one terminal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `SITE/TERMINAL`, as the platform's registry names it.
    pub terminal: TerminalName,
    /// Folder of key, journal and cached site config. On a disk that syncs; never in memory.
    pub data_folder: PathBuf,
    #[serde(default)]
    pub page: PageConfig,
    pub broker: BrokerConfig,
    pub platform: PlatformConfig,
    /// What is attached. A site may also sell what no device serves.
    #[serde(default)]
    pub devices: Vec<DeviceConfig>,
    #[serde(default)]
    pub journal: JournalConfig,
    #[serde(default)]
    pub health: HealthConfig,
    #[serde(default)]
    pub timeouts: Timeouts,
    #[serde(default)]
    pub log: LogConfig,
}

/// The payer's page.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageConfig {
    /// Default `127.0.0.1:8080`; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Allows an address that phones can reach: the access point's own. The page is plain HTTP
    /// there, because phones trust no certificate of a name that exists on one access point only;
    /// no credential is ever typed on it.
    pub allow_plaintext: bool,
    /// Where phones find the page, `http://10.0.0.1`. Default: the listener's own address.
    pub url: Option<String>,
}

impl Default for PageConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8_080)),
            allow_plaintext: false,
            url: None,
        }
    }
}

/// The way to the platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// `HOST:PORT`.
    pub address: String,
    /// PEM file of the CA that signed the broker's certificate; plain MQTT without it.
    #[serde(default)]
    pub tls_ca_file: Option<PathBuf>,
    /// Allows plain MQTT to another machine. The contract is signed, the password is not hidden.
    #[serde(default)]
    pub allow_plaintext: bool,
    pub user: String,
    /// File with the password, mode 0600.
    #[serde(default)]
    pub password_file: Option<SecretFile>,
    /// The password itself, for callers that build a config in code; no file can hold it.
    #[serde(skip)]
    pub password: Option<Password>,
}

/// A password that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Whose word counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformConfig {
    pub id: PlatformId,
    /// As the platform's `keys init` prints them; several during a rotation.
    pub public_keys: Vec<PublicKey>,
    /// Ids of keys among them that are no longer believed.
    #[serde(default)]
    pub revoked_key_ids: Vec<KeyId>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Size of the journal's file, made once and never grown. Default 4 MiB: forty sales that the
    /// platform has not settled yet, in each of two halves.
    pub size_bytes: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            size_bytes: 4 * 1024 * 1024,
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Where `/livez`, `/readyz` and `/metrics` are served; nowhere if absent.
    pub listen: Option<SocketAddr>,
    /// Allows an address that other machines can reach.
    pub allow_plaintext: bool,
}

/// Waits of one sale.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Silence after which a phone that has not gone paying is gone. Default 45,000.
    pub heartbeat_ms: u64,
    /// Longest time from accepting to paying. Default 300,000.
    pub lease_cap_ms: u64,
    /// Wait for the platform's quote. Default 15,000: its three tries of 5 s.
    pub quote_timeout_ms: u64,
    /// What a permit may come later than its order's end. Default 60,000.
    pub nonce_grace_ms: u64,
    /// Pause between two looks at the devices. Default 5,000.
    pub probe_interval_ms: u64,
    /// How far off this terminal's wall clock may be. Default 5,000.
    pub clock_error_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            heartbeat_ms: 45_000,
            lease_cap_ms: 300_000,
            quote_timeout_ms: 15_000,
            nonce_grace_ms: 60_000,
            probe_interval_ms: 5_000,
            clock_error_ms: 5_000,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `text` (default) or `json`.
    pub format: process::log::Format,
    /// Default `info`; `PAYLATCH_LOG` overrides it.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: process::log::Format::Text,
            level: "info".to_owned(),
        }
    }
}

impl Config {
    /// Reads and checks a config: file, `conf.d` beside it, `PAYLATCH__` environment.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let mut config: Self = process::config::load(path)?;
        config.anchor(path.and_then(Path::parent).unwrap_or(Path::new("")));
        let origin = path.map_or_else(
            || "configuration".to_owned(),
            |path| path.display().to_string(),
        );
        config.check(&origin)?;
        Ok(config)
    }

    /// What the types of the fields can't say. `origin` is the file that errors name.
    pub fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let field = |field: &str, reason: String, fix| ConfigError::Field {
            origin: origin.to_owned(),
            field: field.to_owned(),
            reason,
            fix,
        };
        if !(JOURNAL_SIZE_MIN..=JOURNAL_SIZE_MAX).contains(&self.journal.size_bytes) {
            let reason = format!("{} is out of range", self.journal.size_bytes);
            let fix = "use 524288 to 33554432";
            return Err(field("journal.size_bytes", reason, fix));
        }
        if let Err((at, reason, fix)) = self.check_broker().and_then(|()| self.check_rest()) {
            return Err(field(at, reason, fix));
        }
        linkage::check(&self.devices)
            .map_err(|error| field("devices", error.to_string(), "correct the device"))
    }

    /// Relative paths count from the folder of the file, wherever the program was started.
    fn anchor(&mut self, folder: &Path) {
        self.data_folder = folder.join(&self.data_folder);
        let ca_file = self.broker.tls_ca_file.take();
        self.broker.tls_ca_file = ca_file.map(|file| folder.join(file));
        let password_file = self.broker.password_file.take();
        self.broker.password_file =
            password_file.map(|file| SecretFile::new(folder.join(file.path())));
    }

    /// Where the key is that only this terminal holds.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.data_folder.join("terminal.key")
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        self.data_folder.join("journal")
    }

    pub(crate) fn site_config_path(&self) -> PathBuf {
        self.data_folder.join("site-config.jws")
    }

    pub(crate) fn keyring(&self) -> Keyring {
        let mut keyring: Keyring = self.platform.public_keys.iter().copied().collect();
        for id in &self.platform.revoked_key_ids {
            keyring.revoke(id);
        }
        keyring
    }

    pub(crate) fn limits(&self) -> Limits {
        let timeouts = &self.timeouts;
        let probe_interval = Duration::from_millis(timeouts.probe_interval_ms);
        Limits {
            heartbeat: Duration::from_millis(timeouts.heartbeat_ms),
            lease_cap: Duration::from_millis(timeouts.lease_cap_ms),
            quote_timeout: Duration::from_millis(timeouts.quote_timeout_ms),
            nonce_grace: Duration::from_millis(timeouts.nonce_grace_ms),
            probe_interval,
            probe_age_max: probe_interval * 3,
            clock_error: Duration::from_millis(timeouts.clock_error_ms),
            ..Limits::default()
        }
    }

    fn check_broker(&self) -> Result<(), (&'static str, String, &'static str)> {
        let address: BrokerAddress = match self.broker.address.parse() {
            Ok(address) => address,
            Err(error) => {
                let error: protocol_client::AddressError = error;
                return Err(("broker.address", error.to_string(), "correct the address"));
            }
        };
        let is_plain = self.broker.tls_ca_file.is_none() && !self.broker.allow_plaintext;
        if is_plain && !is_loopback(&address.host) {
            return Err((
                "broker.address",
                format!("{} is another machine", address.host),
                "set broker.tls_ca_file, or broker.allow_plaintext = true",
            ));
        }
        if self.broker.password_file.is_none() && self.broker.password.is_none() {
            let reason = "there is no password".to_owned();
            let fix = "name a file that holds it";
            return Err(("broker.password_file", reason, fix));
        }
        Ok(())
    }

    fn check_rest(&self) -> Result<(), (&'static str, String, &'static str)> {
        let keys: BTreeSet<_> = self.platform.public_keys.iter().collect();
        if keys.is_empty() {
            return Err((
                "platform.public_keys",
                "nobody's word would count".to_owned(),
                "add what the platform's `keys init` prints",
            ));
        }
        if let Some(url) = &self.page.url
            && !is_page_url(url)
        {
            return Err((
                "page.url",
                format!("'{url}' is no address of a page"),
                "write http://HOST or http://HOST:PORT",
            ));
        }
        self.check_timeouts()
    }

    fn check_timeouts(&self) -> Result<(), (&'static str, String, &'static str)> {
        let timeouts = &self.timeouts;
        // Below a second a phone on a weak signal is always late; above an hour nobody waits.
        let ranged = [
            ("timeouts.heartbeat_ms", timeouts.heartbeat_ms),
            ("timeouts.lease_cap_ms", timeouts.lease_cap_ms),
            ("timeouts.quote_timeout_ms", timeouts.quote_timeout_ms),
            ("timeouts.nonce_grace_ms", timeouts.nonce_grace_ms),
            ("timeouts.probe_interval_ms", timeouts.probe_interval_ms),
        ];
        match ranged
            .into_iter()
            .find(|(_, millis)| !(1_000..=3_600_000).contains(millis))
        {
            None => Ok(()),
            Some((field, millis)) => Err((
                field,
                format!("{millis} is out of range"),
                "use 1000 to 3600000",
            )),
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback())
}

fn is_page_url(url: &str) -> bool {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|host| {
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        !host.is_empty() && host.bytes().all(is_host)
    })
}

#[cfg(test)]
mod tests;
