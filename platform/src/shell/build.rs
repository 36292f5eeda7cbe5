//! Everything that can fail before the first message: files, secrets, ports.

use std::fs::DirBuilder;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use broker::{Identity, Listener, User};
use process::clock::Clock;
use process::config::ConfigError;
use process::entropy::SystemEntropy;
use process::exit::{Code, Failure, one_line};
use process::health::Health;
use process::listen::ListenError;
use protocol::id::Entropy as _;
use protocol_client::{BrokerAddress, Options};
use tokio::net::TcpListener;

use super::watch::CHECKS;
use super::{Addresses, Keys, Platform};
use crate::api::{Api, Token, TokenError};
use crate::config::{Broker, Config, Embedded, PublicAddress};
use crate::engine::{self, Setup};
use crate::metrics;
use crate::public::Public;
use crate::published;
use crate::registry::Registry;
use crate::store::StoreError;
use crate::store::sqlite::{Checker, SqliteReader, SqliteStore};

/// Why a platform was not built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the configuration is refused")]
    Config(#[source] ConfigError),
    #[error("{path}: can't make the data folder")]
    Data {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the store is refused")]
    Store(#[source] Failure),
    #[error("the API can't be protected")]
    Token(#[source] TokenError),
    #[error("the embedded broker is refused")]
    Broker(#[source] Failure),
    #[error("a port is refused")]
    Listen(#[source] ListenError),
}

/// Checks the configuration, opens the store, binds every port.
///
/// # Errors
/// Each names what to mend; nothing is left running.
pub async fn build(config: Config, keys: Keys) -> Result<Platform, BuildError> {
    process::metrics::recorder();
    metrics::describe();
    config.check().map_err(BuildError::Config)?;
    let registry = Arc::new(Registry::build(&config.sites).map_err(BuildError::Config)?);
    make_folder(&config.data)?;
    let mut entropy = SystemEntropy::new();
    let store = SqliteStore::open(&config.data, &config.platform_id, &mut entropy);
    let store = store.map_err(|error| store_error(&error))?;
    let reader = || SqliteReader::open(&config.data).map_err(|error| store_error(&error));
    let checker = Checker::open(&config.data).map_err(|error| store_error(&error))?;
    let (api_reader, totals, public_reader) = (reader()?, reader()?, reader()?);
    let token = Token::load_or_create(&config.data, &mut entropy).map_err(BuildError::Token)?;
    let health = Health::new(&CHECKS);
    let (broker, client) = bus(&config, &mut entropy).await?;
    let (sender, acts) = engine::channel();
    let api = Api::new(api_reader, sender, Arc::clone(&registry), token.clone()).router();
    let mut listeners = listen(&config, api, process::health::router(health.clone())).await?;
    let mut addresses = addresses(&listeners, broker.as_ref())?;
    if let Some(public) = &config.public {
        let keys = published::keys(&config, keys.signing.public());
        let surroundings = (Clock::system(), public.is_behind_proxy);
        let pages = Public::new(public_reader, Arc::clone(&registry), keys, surroundings);
        let listener = process::listen::bind(public.listen, config.allow_plaintext).await;
        let listener = listener.map_err(BuildError::Listen)?;
        addresses.public = listener.local_addr().ok();
        listeners.push((listener, pages.router()));
    }
    let status_url = config
        .public
        .as_ref()
        .and_then(|public| public.address.as_ref())
        .map(PublicAddress::status_url);
    Ok(Platform {
        public_key: keys.signing.public(),
        store_failure: store.failure(),
        store_closed: store.closed(),
        engine: Setup {
            platform: config.platform_id,
            key: keys.signing,
            registry,
            gateways: config.gateways,
            timeouts: config.timeouts,
            uncertain: config.uncertain,
            reconciliation: config.reconciliation,
            status_url,
            caps: config.caps,
            store,
            acts,
        },
        totals,
        checker,
        token,
        health,
        broker,
        client,
        listeners,
        addresses,
    })
}

fn make_folder(folder: &Path) -> Result<(), BuildError> {
    // Nobody else has business in there: it holds who paid what.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| BuildError::Data {
        path: folder.to_owned(),
        source,
    })
}

/// The embedded broker, if it is to be one, and how our own client reaches the bus.
async fn bus(
    config: &Config,
    entropy: &mut SystemEntropy,
) -> Result<(Option<broker::Broker>, Options), BuildError> {
    match &config.broker {
        Broker::Embedded(embedded) => {
            let (broker, options) = embed(config, embedded, entropy).await?;
            Ok((Some(broker), options))
        }
        Broker::External(external) => {
            let (user, password) = (external.user.clone(), external.password.clone());
            let address = external.address.clone();
            Ok((
                None,
                Options::new("platform", address, user.clone(), user, password),
            ))
        }
    }
}

async fn embed(
    config: &Config,
    embedded: &Embedded,
    entropy: &mut SystemEntropy,
) -> Result<(broker::Broker, Options), BuildError> {
    let name = format!("platform.{}", config.platform_id);
    // Lives as long as this process and is written nowhere.
    let password: String = [entropy.bytes(), entropy.bytes()]
        .concat()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut users = embedded.users.clone();
    let identity = Identity::Platform(config.platform_id.clone());
    users.push(User::new(name.clone(), password.clone(), identity));
    // Our own way in is plain and local, whatever the configured listeners want.
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut listen = vec![Listener {
        address: own,
        tls: None,
    }];
    listen.extend(embedded.listen.iter().cloned());
    let built = broker::build(broker::Config {
        listen,
        users,
        limits: embedded.limits.clone(),
        allow_plaintext: config.allow_plaintext,
        ..broker::Config::default()
    });
    let broker = built.await.map_err(broker_error)?;
    let address = broker.addresses().first().copied().unwrap_or(own);
    let options = Options::new(
        "platform",
        BrokerAddress::from(address),
        name.clone(),
        name,
        password,
    );
    Ok((broker, options))
}

fn broker_error(error: broker::BuildError) -> BuildError {
    match error {
        broker::BuildError::Listen(error) => BuildError::Listen(error),
        other => BuildError::Broker(Failure::new(Code::Config, one_line(&other))),
    }
}

fn store_error(error: &StoreError) -> BuildError {
    let code = match error {
        StoreError::Newer { .. } => Code::Config,
        _ => Code::Unavailable,
    };
    BuildError::Store(Failure::new(code, one_line(error)))
}

/// The API's listener first, then that of health if it has its own.
async fn listen(
    config: &Config,
    api: Router,
    health: Router,
) -> Result<Vec<(TcpListener, Router)>, BuildError> {
    let bind = async |address| {
        process::listen::bind(address, config.allow_plaintext)
            .await
            .map_err(BuildError::Listen)
    };
    let api_listener = bind(config.api).await?;
    let Some(address) = config.health else {
        return Ok(vec![(api_listener, api.merge(health))]);
    };
    Ok(vec![(api_listener, api), (bind(address).await?, health)])
}

fn addresses(
    listeners: &[(TcpListener, Router)],
    broker: Option<&broker::Broker>,
) -> Result<Addresses, BuildError> {
    let mut bound = Vec::new();
    for (listener, _) in listeners {
        let wanted = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let address = listener.local_addr().map_err(|source| {
            BuildError::Listen(ListenError::Bind {
                address: wanted,
                source,
            })
        })?;
        bound.push(address);
    }
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    Ok(Addresses {
        api: bound.first().copied().unwrap_or(any),
        health: bound.last().copied().unwrap_or(any),
        // The first one is our own.
        public: None,
        broker: broker.and_then(|broker| broker.addresses().get(1).copied()),
    })
}
