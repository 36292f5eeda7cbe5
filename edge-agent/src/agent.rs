//! One terminal: built from its settings, run until told to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use process::clock::Clock;
use process::entropy::SystemEntropy;
use process::health::{self, Health};
use process::listen::{ListenError, bind};
use process::secret::SecretError;
use protocol::codec::{CodecError, Envelope, encode};
use protocol::id::{BootId, DeviceId, Entropy as _, MessageId};
use protocol::message::Presence;
use protocol::signed::{PublicKey, SigningKey};
use protocol::topic::{Filter, Topic, Up};
use protocol_client::{BrokerAddress, ClientTls, Options, TlsError};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::desk::{CALLS_MAX, Call, Desk};
use crate::journal::JournalError;
use crate::linkage::config::Fault;
use crate::linkage::{LinkageError, Panel, Simulation, Switch};
use crate::shell::Shell;
use crate::shell::start::{Identity, Opening, open_all};
use crate::{metrics, page};

/// Longest client id that a broker must take (MQTT 3.1.1, 3.1.3.1, and our door's own limit).
const CLIENT_ID_LENGTH_MAX: usize = 64;

/// Why an agent was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("{path}: can't make the data folder")]
    DataFolder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Config(#[from] process::config::ConfigError),
    #[error("the devices can't work as configured")]
    Linkage(#[source] LinkageError),
    #[error("the payer's page can't be served")]
    Page(#[source] ListenError),
    #[error("health can't be served")]
    Health(#[source] ListenError),
    #[error("a listener has no address")]
    Address(#[source] io::Error),
    #[error("{path}: can't open the journal")]
    Journal {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("broker.address is wrong")]
    Broker(#[source] protocol_client::AddressError),
    #[error("broker.tls_ca_file can't be used")]
    Tls(#[source] TlsError),
    #[error("broker.password_file can't be used")]
    Password(#[source] SecretError),
    #[error("the will has no form")]
    Will(#[source] CodecError),
}

/// What only this terminal holds.
#[derive(Debug)]
pub struct Keys {
    pub signing: SigningKey,
}

/// A terminal whose devices are in their safe state and whose page is bound.
#[derive(Debug)]
pub struct Agent {
    identity: Identity,
    opening: Opening,
    panel: Arc<Panel>,
    options: Options,
    page: TcpListener,
    page_address: SocketAddr,
    health: Option<TcpListener>,
    health_address: Option<SocketAddr>,
    calls: mpsc::Receiver<Call>,
    changes: Arc<watch::Sender<u64>>,
    desk: Desk,
    clock: Clock,
    entropy: SystemEntropy,
}

/// A look at a running terminal from outside, for tests and demonstrations. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    simulation: Simulation,
}

impl Handle {
    /// What the simulated devices did, oldest first.
    #[must_use]
    pub fn device_log(&self) -> Vec<Switch> {
        self.simulation.log()
    }

    /// How often simulated devices were switched on.
    #[must_use]
    pub fn on_total(&self) -> u64 {
        self.simulation.on_total()
    }

    /// Whether a simulated device is on; none if there is no such device.
    #[must_use]
    pub fn is_on(&self, device: &DeviceId) -> Option<bool> {
        self.simulation.is_on(device)
    }

    /// Breaks or mends a simulated device; false if there is none of that name.
    pub fn set_fault(&self, device: &DeviceId, fault: Fault) -> bool {
        self.simulation.set_fault(device, fault)
    }
}

/// Opens the journal, brings the devices to their safe state, and binds the listeners. Nothing is
/// sent or served before [`Agent::run`].
///
/// Install the recorder ([`process::metrics::recorder`]) before, or this agent counts nothing.
pub async fn build(config: Config, keys: Keys) -> Result<Agent, BuildError> {
    config.check("configuration")?;
    metrics::describe();
    let clock = Clock::system();
    let panel = Panel::build_with(&config.devices, &clock).map_err(BuildError::Linkage)?;
    // The journal is locked first: a second agent by mistake must not drop the first one's gate.
    let opening = open(&config).await?;
    report_unsafe(&panel).await;
    let page = bind(config.page.listen, config.page.allow_plaintext)
        .await
        .map_err(BuildError::Page)?;
    let page_address = page.local_addr().map_err(BuildError::Address)?;
    let health = bind_health(&config).await?;
    let health_address = match &health {
        Some(listener) => Some(listener.local_addr().map_err(BuildError::Address)?),
        None => None,
    };
    let mut entropy = SystemEntropy::new();
    let options = options(&config, &mut entropy)?;
    let (changes, watched) = watch::channel(0);
    let (calls, waiting) = mpsc::channel(CALLS_MAX);
    let default_url = format!("http://{page_address}");
    let page_url = config.page.url.clone().unwrap_or(default_url);
    Ok(Agent {
        identity: Identity {
            key: Arc::new(keys.signing),
            boot: BootId::from_random(entropy.bytes()),
            page_url: page_url.trim_end_matches('/').to_owned(),
            config,
        },
        opening,
        panel: Arc::new(panel),
        options,
        page,
        page_address,
        health,
        health_address,
        calls: waiting,
        changes: Arc::new(changes),
        desk: Desk::new(calls, watched),
        clock,
        entropy,
    })
}

impl Agent {
    /// Where the payer's page is served.
    #[must_use]
    pub const fn page_address(&self) -> SocketAddr {
        self.page_address
    }

    /// Where `/livez`, `/readyz` and `/metrics` are served, if anywhere.
    #[must_use]
    pub const fn health_address(&self) -> Option<SocketAddr> {
        self.health_address
    }

    /// What the platform registers this terminal by.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.identity.key.public()
    }

    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            simulation: self.panel.simulation(),
        }
    }

    /// Serves until `shutdown`, then lets open requests end, writes what waits for the journal and
    /// switches off what it switched on.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        let health = Health::new(&["journal", "serving", "uplink"]);
        let (client, incoming) =
            protocol_client::start(self.options, SystemEntropy::new(), shutdown.clone());
        let shell = Shell {
            identity: self.identity,
            clock: self.clock,
            panel: self.panel,
            client,
            incoming,
            calls: self.calls,
            changes: self.changes,
            health: health.clone(),
            entropy: self.entropy,
        };
        let machine = shell.run(self.opening, shutdown.clone());
        let page = page::serve(self.page, self.desk, shutdown.clone());
        let health = serve_health(self.health, health, shutdown);
        let ((), page, health) = tokio::join!(machine, page, health);
        page.and(health)
    }
}

/// Devices come first: nothing may be on that nobody paid for, whatever the network says.
async fn report_unsafe(panel: &Panel) {
    for device in panel.safe_state().await {
        if device.state != protocol::message::DeviceState::Off {
            tracing::warn!(device = %device.device, state = ?device.state, "device is not in its safe state");
        }
    }
}

async fn open(config: &Config) -> Result<Opening, BuildError> {
    std::fs::create_dir_all(&config.data_folder).map_err(|source| BuildError::DataFolder {
        path: config.data_folder.clone(),
        source,
    })?;
    let place = crate::shell::start::place(config);
    open_all(place, config.site_config_path())
        .await
        .map_err(|source: JournalError| BuildError::Journal {
            path: config.journal_path(),
            source: Box::new(source),
        })
}

async fn bind_health(config: &Config) -> Result<Option<TcpListener>, BuildError> {
    match config.health.listen {
        None => Ok(None),
        Some(address) => bind(address, config.health.allow_plaintext)
            .await
            .map(Some)
            .map_err(BuildError::Health),
    }
}

fn options(config: &Config, entropy: &mut SystemEntropy) -> Result<Options, BuildError> {
    let broker = &config.broker;
    let mut address: BrokerAddress = broker.address.parse().map_err(BuildError::Broker)?;
    if let Some(path) = &broker.tls_ca_file {
        address = address.with_tls(ClientTls::from_ca_file(path).map_err(BuildError::Tls)?);
    }
    let password = match (&broker.password, &broker.password_file) {
        (Some(password), _) => password.0.clone(),
        (None, Some(file)) => file.read().map_err(BuildError::Password)?,
        (None, None) => String::new(),
    };
    let name = &config.terminal;
    let gone = Envelope::new(
        MessageId::from_random(entropy.bytes()),
        Clock::system().now().utc,
        Presence { online: false },
    );
    let will = encode(&gone).map_err(BuildError::Will)?;
    let mut client_id = format!("{}.{}", name.site, name.terminal);
    client_id.truncate(CLIENT_ID_LENGTH_MAX);
    Ok(
        Options::new("agent", address, client_id, broker.user.clone(), password)
            .subscribe(Filter::down(name))
            .with_will(Topic::Up(name.clone(), Up::Presence), will),
    )
}

async fn serve_health(
    listener: Option<TcpListener>,
    health: Health,
    shutdown: CancellationToken,
) -> io::Result<()> {
    match listener {
        Some(listener) => health::serve(listener, health::router(health), shutdown).await,
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
