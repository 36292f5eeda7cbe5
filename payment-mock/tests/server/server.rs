//! Broker and payment server in this process, on ports of the system's choice.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use broker::{Identity, User};
use payment_mock::{Broker, Config, Handle, Keys, RunError};
use protocol::signed::{Keyring, PublicKey, SigningKey};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{browser, platform};

pub(crate) const PLATFORM_SEED: [u8; 32] = [1; 32];
const MOCK_SEED: [u8; 32] = [2; 32];
/// A request before the server's subscription would reach nobody.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    pub(crate) broker: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) handle: Handle,
    pub(crate) public_key: PublicKey,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(start_broker().await, change).await
    }

    pub(crate) async fn start_at(broker: SocketAddr, change: impl FnOnce(&mut Config)) -> Self {
        process::metrics::recorder();
        let gateway = "mock".parse().unwrap();
        let mut config = Config::new(gateway, Broker::new(broker, "mock", "secret"));
        let keyring = Keyring::of(SigningKey::from_seed(PLATFORM_SEED).public());
        config.platforms.insert(platform::name(), keyring);
        config.payees = vec!["north-parking".parse().unwrap()];
        change(&mut config);
        let signing = SigningKey::from_seed(MOCK_SEED);
        let mock = payment_mock::build(config, Keys { signing }).await.unwrap();
        let shutdown = CancellationToken::new();
        let server = Self {
            broker,
            http: mock.http_address(),
            admin: mock.admin_address(),
            handle: mock.handle(),
            public_key: mock.public_key(),
            running: tokio::spawn(mock.run(shutdown.clone())),
            shutdown,
        };
        let ready = async { while browser::get(server.http, "/readyz").await.status != 200 {} };
        tokio::time::timeout(READY_TIMEOUT, ready).await.unwrap();
        server
    }

    pub(crate) async fn platform(&self) -> platform::Platform {
        platform::Platform::connect(self.broker, self.public_key).await
    }

    /// Ends without a word to anybody: no drain, no farewell to the broker.
    pub(crate) async fn crash(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// Lives as long as the test's runtime.
pub(crate) async fn start_broker() -> SocketAddr {
    let platform = Identity::Platform(platform::name());
    let mock = Identity::Gateway("mock".parse().unwrap());
    let users = vec![
        User::new("platform", "secret", platform),
        User::new("mock", "secret", mock),
    ];
    let broker = broker::build(broker::Config::loopback(users))
        .await
        .unwrap();
    let address = broker.addresses()[0];
    tokio::spawn(broker.run(CancellationToken::new()));
    address
}

pub(crate) fn in_folder(folder: &Path) -> impl FnOnce(&mut Config) {
    let folder = folder.to_owned();
    move |config| config.data_folder = Some(folder)
}
