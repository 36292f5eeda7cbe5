//! Binds, serves, drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use process::exit::Code;
use process::health::Health;
use process::listen::ListenError;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::authorization::Policy;
use crate::bus::{Bus, RouterError, Uplink, UplinkDriver};
use crate::config::{Config, Listener};
use crate::dispatcher::Dispatcher;
use crate::door::Door;
use crate::handshake;
use crate::identity::{Directory, DirectoryError};
use crate::metrics;
use crate::tls::{self, TlsError};

/// Pause after a failed accept: the cause (no file descriptors) does not go away by asking again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a task of the broker itself may take to end: it only leaves the router.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

const ROUTER_CHECK: &str = "router";
const LISTENERS_CHECK: &str = "listeners";

/// Why a broker was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("listen: there is no address: name at least one")]
    NoListener,
    #[error("policy: 'open' lets everybody do everything: listen on 127.0.0.1 only, not {address}")]
    OpenPolicy { address: SocketAddr },
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the router does not start")]
    Router(#[source] RouterError),
}

/// A broker whose ports are bound and that serves nobody yet.
pub struct Broker {
    door: Arc<Door>,
    listeners: Vec<(TcpListener, Option<TlsAcceptor>)>,
    addresses: Vec<SocketAddr>,
    health: Health,
    health_listener: Option<TcpListener>,
    uplink: UplinkDriver,
    dispatcher: Dispatcher,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl BuildError {
    /// Whose matter it is: the configuration's, or the machine's.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NoListener
            | Self::OpenPolicy { .. }
            | Self::Directory(_)
            | Self::Tls(_)
            | Self::Listen(ListenError::Plaintext { .. }) => Code::Config,
            Self::Listen(ListenError::Bind { .. }) => Code::Unavailable,
            Self::Router(_) => Code::Software,
        }
    }
}

/// Reads all secrets and certificates, binds every port and starts the router.
///
/// # Errors
/// [`BuildError`], whose text names the field to mend. A taken port is [`BuildError::Listen`].
pub async fn build(config: Config) -> Result<Broker, BuildError> {
    metrics::describe();
    let prepared = prepare(&config)?;
    let mut listeners = Vec::new();
    for (listener, acceptor) in config.listen.iter().zip(prepared.acceptors) {
        let allow_plaintext = config.allow_plaintext || acceptor.is_some();
        let bound = process::listen::bind(listener.address, allow_plaintext).await?;
        listeners.push((bound, acceptor));
    }
    let addresses = listeners
        .iter()
        .filter_map(|(listener, _)| listener.local_addr().ok())
        .collect();
    let health_listener = match config.health {
        Some(address) => Some(process::listen::bind(address, config.allow_plaintext).await?),
        None => None,
    };
    let (door, uplink, dispatcher) = start(&config, prepared.directory)
        .await
        .map_err(BuildError::Router)?;
    Ok(Broker {
        door,
        listeners,
        addresses,
        health: Health::new(&[ROUTER_CHECK, LISTENERS_CHECK]),
        health_listener,
        uplink,
        dispatcher,
    })
}

/// Reads secrets and certificates and judges the rest, without binding anything.
///
/// # Errors
/// What [`build`] would say, but for what the machine says to a port.
pub fn check(config: &Config) -> Result<(), BuildError> {
    prepare(config).map(|_| ())
}

struct Prepared {
    directory: Directory,
    acceptors: Vec<Option<TlsAcceptor>>,
}

fn prepare(config: &Config) -> Result<Prepared, BuildError> {
    if config.listen.is_empty() {
        return Err(BuildError::NoListener);
    }
    for Listener { address, tls } in &config.listen {
        let address = *address;
        let is_exposed = !address.ip().to_canonical().is_loopback();
        if is_exposed && config.policy == Policy::Open {
            return Err(BuildError::OpenPolicy { address });
        }
        if is_exposed && tls.is_none() && !config.allow_plaintext {
            return Err(ListenError::Plaintext { address }.into());
        }
    }
    let acceptors = config
        .listen
        .iter()
        .map(|listener| listener.tls.as_ref().map(tls::acceptor).transpose())
        .collect::<Result<_, _>>()?;
    let directory = Directory::new(&config.users)?;
    Ok(Prepared {
        directory,
        acceptors,
    })
}

async fn start(
    config: &Config,
    directory: Directory,
) -> Result<(Arc<Door>, UplinkDriver, Dispatcher), RouterError> {
    let bus = Bus::start(&config.limits);
    let (uplink, driver) = Uplink::open(&bus, &config.limits).await?;
    let dispatcher = Dispatcher::open(&bus).await?;
    let door = Door::new(config, directory, bus, uplink);
    Ok((Arc::new(door), driver, dispatcher))
}

impl Broker {
    /// The addresses that are listened on, in the order of the configuration.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where health and metrics are served, if they are.
    #[must_use]
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health_listener.as_ref()?.local_addr().ok()
    }

    /// Serves until `shutdown`, or until the router fails; then closes every connection, lets each
    /// take its last bytes within the drain deadline, and ends.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            door,
            listeners,
            health,
            health_listener,
            uplink,
            dispatcher,
            addresses,
        } = self;
        let health_address = health_listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let stop_bus = CancellationToken::new();
        let mut uplink = tokio::spawn(uplink.run());
        let mut dispatching = tokio::spawn(dispatcher.run(door.clone(), stop_bus.clone()));
        for (listener, acceptor) in listeners {
            door.tasks.spawn(accept(door.clone(), listener, acceptor));
        }
        let serving_health = serve_health(health_listener, health.clone(), door.shutdown.clone());
        health.set(ROUTER_CHECK, Ok(()));
        health.set(LISTENERS_CHECK, Ok(()));
        announce(&addresses, health_address);
        let has_failed = tokio::select! {
            () = shutdown.cancelled() => false,
            _ = &mut uplink => true,
            _ = &mut dispatching => true,
        };
        announce_end(&health, has_failed);
        drain(door).await;
        stop_bus.cancel();
        if !has_failed {
            // The uplink ends by itself with the last of its users.
            settle("dispatcher", dispatching).await;
            settle("uplink", uplink).await;
        }
        settle("health", serving_health).await;
    }
}

fn announce(addresses: &[SocketAddr], health: Option<SocketAddr>) {
    for address in addresses {
        tracing::info!(%address, "listening");
    }
    if let Some(address) = health {
        tracing::info!(%address, "health and metrics");
    }
}

fn announce_end(health: &Health, has_failed: bool) {
    if has_failed {
        tracing::error!("the router has failed; stopping");
        health.set(ROUTER_CHECK, Err("the router has failed".to_owned()));
    } else {
        tracing::info!("stopping");
    }
    health.set(LISTENERS_CHECK, Err("stopping".to_owned()));
}

/// Waits for a task that was told to end, and ends it if it does not.
async fn settle<T>(name: &str, mut task: tokio::task::JoinHandle<T>) {
    if timeout(SETTLE_TIMEOUT, &mut task).await.is_err() {
        tracing::warn!(name, "did not end in time");
        task.abort();
    }
}

async fn drain(door: Arc<Door>) {
    door.shutdown.cancel();
    door.tasks.close();
    let limit = Duration::from_millis(door.limits.drain_timeout_ms);
    if timeout(limit, door.tasks.wait()).await.is_err() {
        tracing::warn!(tasks = door.tasks.len(), "connections did not end in time");
    }
}

fn serve_health(
    listener: Option<TcpListener>,
    health: Health,
    shutdown: CancellationToken,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let Some(listener) = listener else {
            return;
        };
        let router = process::health::router(health);
        if let Err(error) = process::health::serve(listener, router, shutdown).await {
            tracing::error!(%error, "health is not served any more");
        }
    })
}

/// Awaits nothing but the next socket.
async fn accept(door: Arc<Door>, listener: TcpListener, acceptor: Option<TlsAcceptor>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = door.shutdown.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let admission = handshake::admit(door.clone(), socket, peer, acceptor.clone());
                door.tasks.spawn(admission);
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
