//! What a broker is told: where to listen, who may come in, and every bound.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use process::config::ConfigError;
use process::secret::{SecretError, SecretFile};
use serde::Deserialize;

use crate::authorization::Policy;
use crate::identity::Identity;

/// Settings of one broker. Every field has a default; a broker without users serves nobody.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<Listener>,
    /// Who may connect, and as whom.
    pub users: Vec<User>,
    pub limits: Limits,
    pub policy: Policy,
    /// Permits plain TCP on an address that others can reach.
    pub allow_plaintext: bool,
    /// Where `/livez`, `/readyz` and `/metrics` are served; nowhere if absent.
    pub health: Option<SocketAddr>,
    /// Text for people or JSON for machines.
    pub log: process::log::Format,
}

impl Config {
    /// Reads a configuration: file, `conf.d` beside it, `PAYLATCH__` environment. Relative paths
    /// count from the folder of the file.
    ///
    /// # Errors
    /// One line with file, field and fix.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = process::config::load(Some(path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for tls in config
            .listen
            .iter_mut()
            .filter_map(|listener| listener.tls.as_mut())
        {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        for user in &mut config.users {
            user.password.anchor(folder);
        }
        Ok(config)
    }

    /// A plain listener on a free port of 127.0.0.1, for tests and for brokers inside a process.
    #[must_use]
    pub fn loopback(users: Vec<User>) -> Self {
        Self {
            listen: vec![Listener {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                tls: None,
            }],
            users,
            ..Self::default()
        }
    }
}

/// One address, with TLS where the files are named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub address: SocketAddr,
    #[serde(default)]
    pub tls: Option<TlsFiles>,
}

/// The server's own certificate chain and key, as PEM files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A name and a password, and who that is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// In a file: `password_file = "PATH"`.
    #[serde(rename = "password_file")]
    pub password: Password,
    pub identity: Identity,
}

impl User {
    /// A user whose password the caller holds already.
    #[must_use]
    pub fn new(name: impl Into<String>, password: impl Into<String>, identity: Identity) -> Self {
        Self {
            name: name.into(),
            password: Password::Given(password.into()),
            identity,
        }
    }
}

/// Where a password comes from. A configuration file can only name another file.
#[derive(Clone, Deserialize)]
#[serde(from = "SecretFile")]
pub enum Password {
    File(SecretFile),
    Given(String),
}

impl Password {
    fn anchor(&mut self, folder: &Path) {
        if let Self::File(file) = self {
            *file = SecretFile::new(folder.join(file.path()));
        }
    }

    pub(crate) fn read(&self) -> Result<String, SecretError> {
        match self {
            Self::File(file) => file.read(),
            Self::Given(text) => Ok(text.clone()),
        }
    }
}

impl From<SecretFile> for Password {
    fn from(file: SecretFile) -> Self {
        Self::File(file)
    }
}

/// Never shows a password.
impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.path().display()),
            Self::Given(_) => f.write_str("given"),
        }
    }
}

/// Every bound of the door.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Sockets at once. Default 12,000: 10,000 terminals at about 7 KiB each, and reserve.
    pub connections_max: usize,
    /// Sockets that have not shown a valid CONNECT yet. Default 512: a fleet that reconnects at
    /// once passes in seconds, while strangers can hold only a part of the whole.
    pub unauthenticated_max: usize,
    /// Client ids of one user at once. Default 8: the party, its replacement during a takeover,
    /// and a person who looks into it.
    pub sessions_per_user_max: usize,
    /// Services at once, each with a link into the router. Default 64.
    pub services_max: usize,
    /// Largest packet after its fixed header. Default 16 KiB: a payload of 8 KiB, its topic, and
    /// enough above that an oversize payload is refused by name instead of by a closed socket.
    pub packet_bytes_max: usize,
    /// Messages that wait for one terminal. Default 64: what the platform has to say to a terminal
    /// is a handful per open transaction, and it repeats what nobody answered.
    pub terminal_queue_max: usize,
    /// Messages that wait between the router and one service; behind it the router's ring waits.
    /// Default 256: a quarter of a second at 1,000 a second.
    pub service_queue_max: usize,
    /// QoS 1 messages that a terminal has not acknowledged. Default 16: MQTT clients on small
    /// devices take no more at once.
    pub terminal_window_max: usize,
    /// The same for a service. Default 512: with one commit each 10 ms that is 51,200 a second.
    pub service_window_max: usize,
    /// Filters of one session. Default 16; the platform needs three.
    pub subscriptions_max: usize,
    /// Different filters over the broker's life: the router keeps a ring for each of them for
    /// ever. Default 64: three per platform and one per payment server and monitor.
    pub filters_max: usize,
    /// Different topics over the broker's life: the router remembers each of them for ever.
    /// Default 200,000: the 14 topics of each of 10,000 terminals, and reserve.
    pub topics_max: usize,
    /// Bytes that the router keeps for one filter while its reader is slow. Default 16 MiB: a
    /// minute at 400 messages of 600 bytes a second.
    pub ring_bytes_max: usize,
    /// Forbidden publishes and subscriptions before a connection is closed. Default 100: a
    /// misconfigured client shows itself in the metrics, a hostile one does not go on for ever.
    pub denials_max: u32,
    /// From accept to the end of the TLS handshake. Default 5 s: three lost SYNs.
    pub handshake_timeout_ms: u64,
    /// From there to a whole CONNECT. Default 5 s.
    pub connect_timeout_ms: u64,
    /// A client that takes nothing for so long is gone. Default 10 s.
    pub write_timeout_ms: u64,
    /// Age of the oldest unacknowledged QoS 1 message at which a client is closed. Default 120 s:
    /// the longest that a commit behind it may take, and reserve.
    pub acknowledge_timeout_ms: u64,
    /// Longest keepalive that is honoured; above it, or for 0, this one counts. Default 1,200 s.
    pub keep_alive_max_s: u16,
    /// How long an absent service's session is kept. Default 300 s.
    pub session_expiry_ms: u64,
    /// How long closing connections may take at the end. Default 5 s.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 12_000,
            unauthenticated_max: 512,
            sessions_per_user_max: 8,
            services_max: 64,
            packet_bytes_max: 16 * 1024,
            terminal_queue_max: 64,
            service_queue_max: 256,
            terminal_window_max: 16,
            service_window_max: 512,
            subscriptions_max: 16,
            filters_max: 64,
            topics_max: 200_000,
            ring_bytes_max: 16 * 1024 * 1024,
            denials_max: 100,
            handshake_timeout_ms: 5_000,
            connect_timeout_ms: 5_000,
            write_timeout_ms: 10_000,
            acknowledge_timeout_ms: 120_000,
            keep_alive_max_s: 1_200,
            session_expiry_ms: 300_000,
            drain_timeout_ms: 5_000,
        }
    }
}
