//! The one task that owns machine, store and broker connection, and the pages beside it.

mod driver;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use process::clock::Clock;
use process::entropy::SystemEntropy;
use process::exit::Code;
use process::health::Health;
use process::listen::ListenError;
use protocol::id::{PaymentId, TransactionId};
use protocol::signed::{PublicKey, SigningKey};
use protocol::time::Tick;
use protocol::topic::Filter;
use protocol_client::Options;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::desk::{Command, Desk};
use crate::ledger::{Capabilities, DeedRefusal, Ledger, Rules};
use crate::machine::{Identity, Machine, Outside};
use crate::own_clock::OwnClock;
use crate::scenario::Outcome;
use crate::store::{Store, StoreError};
use crate::totals::OrderTotals;
use crate::{admin, metrics, page};
use driver::Driver;

/// The readiness checks of this service.
const CHECKS: [&str; 2] = [CHECK_BROKER, CHECK_LEDGER];
const CHECK_BROKER: &str = "broker";
const CHECK_LEDGER: &str = "ledger";

/// Why the server was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the pages can't be served")]
    Listen(#[source] ListenError),
    #[error("the address of the pages is unknown")]
    Address(#[source] std::io::Error),
    #[error("the ledger can't be used")]
    Store(#[source] StoreError),
}

impl BuildError {
    /// How a process that could not be built ends: 69 if a later start may succeed, 78 if only a
    /// person can help.
    #[must_use]
    pub const fn exit_code(&self) -> Code {
        match self {
            Self::Listen(ListenError::Plaintext { .. })
            | Self::Store(StoreError::Schema { .. } | StoreError::Folder { .. }) => Code::Config,
            Self::Listen(ListenError::Bind { .. })
            | Self::Address(_)
            | Self::Store(StoreError::Open { .. }) => Code::Unavailable,
            Self::Store(_) => Code::Software,
        }
    }
}

/// Why the server ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the ledger could not be written; nothing was told of what is not in it")]
    Store(#[source] StoreError),
    #[error("the writer of the ledger has stopped")]
    Writer,
    #[error("serving the pages failed")]
    Http(#[source] std::io::Error),
}

/// Why something did not happen to a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutsideError {
    #[error("no server is at work")]
    Stopped,
    #[error("it can't happen")]
    Refused(#[source] DeedRefusal),
}

/// What only this payment server knows.
#[derive(Debug)]
pub struct Keys {
    /// Signs answers and events.
    pub signing: SigningKey,
}

/// A payment server with its port bound and its ledger read, not yet at work.
#[derive(Debug)]
pub struct PaymentMock {
    listener: TcpListener,
    admin: Option<TcpListener>,
    admin_address: Option<SocketAddr>,
    clock: OwnClock,
    http_address: SocketAddr,
    public_key: PublicKey,
    handle: Handle,
    commands: mpsc::Receiver<Command>,
    totals: watch::Sender<Vec<OrderTotals>>,
    driver: Driver,
    options: Options,
    health: Health,
}

/// Reads the ledger and binds the port; nothing is served before [`PaymentMock::run`].
///
/// # Errors
/// A port that is taken or open to others without leave; a ledger that can't be read.
pub async fn build(config: Config, keys: Keys) -> Result<PaymentMock, BuildError> {
    metrics::describe();
    let store = open_store(&config).map_err(BuildError::Store)?;
    let listener = process::listen::bind(config.listen, config.allow_plaintext)
        .await
        .map_err(BuildError::Listen)?;
    let http_address = listener.local_addr().map_err(BuildError::Address)?;
    let public_key = keys.signing.public();
    let admin = bind_admin(config.admin).await.map_err(BuildError::Listen)?;
    let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose();
    let admin_address = admin_address.map_err(BuildError::Address)?;
    let clock = OwnClock::new(Clock::system());
    let ledger = restored(&config, store.as_ref(), &clock).map_err(BuildError::Store)?;
    let (desk, commands) = Desk::new();
    let (outcome, outcomes) = watch::channel(config.outcome);
    let (totals, last_totals) = watch::channel(Vec::new());
    let health = Health::new(&CHECKS);
    let options = options(&config);
    let machine = machine(config, keys, http_address, ledger, clock.now().tick);
    Ok(PaymentMock {
        listener,
        admin,
        admin_address,
        clock: clock.clone(),
        http_address,
        public_key,
        handle: Handle {
            desk,
            outcome,
            last_totals,
        },
        commands,
        totals,
        driver: Driver::new(machine, store, clock, outcomes, health.clone()),
        options,
        health,
    })
}

impl PaymentMock {
    /// Where the pages, health and metrics are served.
    #[must_use]
    pub const fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Where the admin API is served, if it is.
    #[must_use]
    pub const fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// What platforms have to trust.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Works until `shutdown`; open pages are served to their end. The process installs the metrics
    /// recorder before [`build`] and runs its upkeep.
    ///
    /// # Errors
    /// A ledger that can't be written ends the server: what it would say from then on is nowhere.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let shutdown = shutdown.child_token();
        let drained = CancellationToken::new();
        let (client, incoming) =
            protocol_client::start(self.options, SystemEntropy::new(), shutdown.clone());
        let admin = admin::router(self.handle.desk.clone(), self.clock);
        let router = page::router(self.handle.desk).merge(process::health::router(self.health));
        let http = async {
            let pages = process::health::serve(self.listener, router, shutdown.clone());
            let admin = serve_admin(self.admin, admin, shutdown.clone());
            let (pages, admin) =
                tokio::join!(end_with(pages, &shutdown), end_with(admin, &shutdown));
            drained.cancel();
            pages.and(admin).map_err(RunError::Http)
        };
        let drive = async {
            let mut driver = self.driver;
            let driven = driver
                .run(client, incoming, self.commands, drained.clone())
                .await;
            self.totals.send_replace(driver.totals());
            shutdown.cancel();
            driven
        };
        let (served, driven) = tokio::join!(http, drive);
        driven.and(served)
    }
}

/// One listener that ends ends all.
async fn end_with<T>(served: impl Future<Output = T>, shutdown: &CancellationToken) -> T {
    let served = served.await;
    shutdown.cancel();
    served
}

async fn serve_admin(
    listener: Option<TcpListener>,
    router: axum::Router,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    match listener {
        Some(listener) => process::health::serve(listener, router, shutdown).await,
        None => {
            shutdown.cancelled().await;
            Ok(())
        }
    }
}

/// Never anywhere but on this machine: the admin API asks no password.
async fn bind_admin(address: Option<SocketAddr>) -> Result<Option<TcpListener>, ListenError> {
    match address {
        Some(address) => process::listen::bind(address, false).await.map(Some),
        None => Ok(None),
    }
}

/// For whoever runs the server in its own process: demo, bench, tests.
#[derive(Debug, Clone)]
pub struct Handle {
    desk: Desk,
    outcome: watch::Sender<Outcome>,
    last_totals: watch::Receiver<Vec<OrderTotals>>,
}

impl Handle {
    /// The outcome of orders that are created from now on.
    pub fn set_outcome(&self, outcome: Outcome) {
        self.outcome.send_replace(outcome);
    }

    /// Changes the outcome of one order; false if there is no such order, or no server at work.
    pub async fn set_order_outcome(&self, order: TransactionId, outcome: Outcome) -> bool {
        self.desk.set_outcome(order, outcome).await.unwrap_or(false)
    }

    /// Something happens to a payment, without one to the first of the order, that no platform asked
    /// for.
    ///
    /// # Errors
    /// There is no such payment, it has not so much left, or there is no server at work.
    pub async fn happen_outside(
        &self,
        order: TransactionId,
        payment: Option<PaymentId>,
        outside: Outside,
    ) -> Result<(), OutsideError> {
        let happened = self.desk.ask(move |machine, now, entropy| {
            machine.handle_outside(order, payment, outside, now, entropy)
        });
        let happened = happened.await.map_err(|_| OutsideError::Stopped)?;
        happened.map_err(OutsideError::Refused)
    }

    /// All orders, by number. After the end of the server: as they stood at its end.
    pub async fn totals(&self) -> Vec<OrderTotals> {
        match self.desk.totals().await {
            Ok(totals) => totals,
            Err(_) => self.last_totals.borrow().clone(),
        }
    }
}

/// All orders, by number, of a data folder that no server uses: a stopped one's, or a copy.
///
/// # Errors
/// The folder holds no ledger that can be read, or a server is using it.
pub fn read_totals(data_folder: &Path) -> Result<Vec<OrderTotals>, StoreError> {
    let mut ledger = Ledger::new(Rules {
        payees: BTreeSet::new(),
        capabilities: Capabilities::default(),
        late_booking: Duration::ZERO,
    });
    let tick = Clock::system().now().tick;
    Store::open(data_folder)?.replay(|entry| ledger.restore(&entry, tick))?;
    Ok(ledger.orders().map(OrderTotals::of).collect())
}

fn open_store(config: &Config) -> Result<Option<Store>, StoreError> {
    config.data_folder.as_deref().map(Store::open).transpose()
}

fn restored(
    config: &Config,
    store: Option<&Store>,
    clock: &OwnClock,
) -> Result<Ledger, StoreError> {
    let mut ledger = Ledger::new(config.rules());
    if let Some(store) = store {
        let tick = clock.now().tick;
        store.replay(|entry| ledger.restore(&entry, tick))?;
    }
    Ok(ledger)
}

fn machine(
    config: Config,
    keys: Keys,
    http_address: SocketAddr,
    ledger: Ledger,
    started: Tick,
) -> Machine {
    let scenario = config.scenario();
    let own_url = || format!("http://{http_address}");
    let public_url = config.public_url.unwrap_or_else(own_url);
    let identity = Identity {
        gateway: config.gateway,
        key: keys.signing,
        platforms: config.platforms,
        public_url: public_url.trim_end_matches('/').to_owned(),
    };
    Machine::new(Arc::new(identity), ledger, scenario, started)
}

fn options(config: &Config) -> Options {
    let broker = &config.broker;
    Options::new(
        "mock",
        broker.address.clone(),
        broker.client_id.clone(),
        broker.user.clone(),
        broker.password.clone(),
    )
    .subscribe(Filter::gateway_requests(&config.gateway))
}
