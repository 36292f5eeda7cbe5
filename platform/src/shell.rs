//! Composes the process: store, broker, client, engine, API, health. Decides nothing.

mod build;
mod watch;

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use process::clock::Clock;
use process::health::Health;
use protocol::signed::{PublicKey, SigningKey};
use protocol_client::Options;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use build::{BuildError, build};

use crate::api::Token;
use crate::engine::{self, Setup};
use crate::store::sqlite::{Checker, SqliteReader, SqliteStore};

/// What only the platform holds.
#[derive(Debug)]
pub struct Keys {
    /// Signs quotes, permits, receipts, site configs and gateway requests.
    pub signing: SigningKey,
}

/// A platform whose ports are bound and that serves nobody yet.
pub struct Platform {
    public_key: PublicKey,
    engine: Setup<SqliteStore>,
    /// Cancelled by the store when only a new process can tell what is on the disk.
    store_failure: CancellationToken,
    /// Cancelled once another process may open the store.
    store_closed: CancellationToken,
    totals: SqliteReader,
    checker: Checker,
    token: Token,
    health: Health,
    broker: Option<broker::Broker>,
    client: Options,
    listeners: Vec<(TcpListener, Router)>,
    addresses: Addresses,
}

#[derive(Debug, Clone, Copy)]
struct Addresses {
    api: SocketAddr,
    health: SocketAddr,
    public: Option<SocketAddr>,
    broker: Option<SocketAddr>,
}

/// Why a platform ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("can't serve HTTP")]
    Serve(#[source] std::io::Error),
    #[error("the engine did not start")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the disk failed in the middle of a commit; start again to see what is on it")]
    Store,
    #[error("{part} ended by itself")]
    Ended { part: &'static str },
    #[error("{part} was broken off")]
    Panicked {
        part: &'static str,
        #[source]
        source: tokio::task::JoinError,
    },
}

impl Platform {
    /// Where the API is served.
    #[must_use]
    pub const fn api_address(&self) -> SocketAddr {
        self.addresses.api
    }

    /// Where `/livez`, `/readyz` and `/metrics` are served.
    #[must_use]
    pub const fn health_address(&self) -> SocketAddr {
        self.addresses.health
    }

    /// Where payers find their status pages, if they are served.
    #[must_use]
    pub const fn public_address(&self) -> Option<SocketAddr> {
        self.addresses.public
    }

    /// Where terminals and payment servers connect, if the broker is embedded: the first of its
    /// configured listeners.
    #[must_use]
    pub const fn broker_address(&self) -> Option<SocketAddr> {
        self.addresses.broker
    }

    /// What the API wants to see.
    #[must_use]
    pub fn api_token(&self) -> &str {
        self.token.as_str()
    }

    /// What terminals and payment servers verify our signatures with.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Serves until `shutdown`, then drains: what was committed is handed over to the broker, open
    /// API requests end, and the embedded broker goes last.
    ///
    /// # Errors
    /// When a part ends before `shutdown`; the others are drained all the same.
    pub fn run(
        self,
        shutdown: CancellationToken,
    ) -> impl Future<Output = Result<(), RunError>> + Send {
        run(self, shutdown)
    }
}

/// Without the key and the token.
impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

async fn run(platform: Platform, shutdown: CancellationToken) -> Result<(), RunError> {
    // The broker outlives everyone who speaks through it.
    let broker_end = CancellationToken::new();
    let broker = platform
        .broker
        .map(|broker| tokio::spawn(broker.run(broker_end.clone())));
    // A child: a part that ends early ends its siblings, and not the caller's other services.
    let end = shutdown.child_token();
    let mut parts = JoinSet::new();
    let (clock, engine_end) = (Clock::system(), end.clone());
    let started = engine::start(platform.engine, platform.client, clock, engine_end).await;
    let mut result = Ok(());
    match started {
        Ok(engine) => {
            parts.spawn(watch::connection(
                engine.client(),
                platform.health.clone(),
                end.clone(),
            ));
            parts.spawn(watch::engine(engine, platform.store_closed, end.clone()));
            parts.spawn(watch::store(
                platform.store_failure,
                platform.health,
                end.clone(),
            ));
            parts.spawn(watch::totals(platform.totals, end.clone()));
            parts.spawn(watch::invariants(platform.checker, end.clone()));
            for (listener, router) in platform.listeners {
                let served = process::http::serve(listener, router, end.clone());
                parts.spawn(async move { served.await.map_err(RunError::Serve) });
            }
        }
        Err(error) => result = Err(RunError::Engine(Box::new(error))),
    }
    result = result.and(join(parts, &end).await);
    broker_end.cancel();
    if let Some(broker) = broker {
        let part = "the embedded broker";
        result = result.and(
            broker
                .await
                .map_err(|source| RunError::Panicked { part, source }),
        );
    }
    result
}

/// Waits for all parts; the first that ends before it should is the error, and ends the others.
async fn join(
    mut parts: JoinSet<Result<(), RunError>>,
    end: &CancellationToken,
) -> Result<(), RunError> {
    let mut result = Ok(());
    while let Some(ended) = parts.join_next().await {
        let part = "a part of the platform";
        let ended = ended.unwrap_or_else(|source| Err(RunError::Panicked { part, source }));
        let early = !end.is_cancelled();
        end.cancel();
        result = result.and(match ended {
            Ok(()) if early => Err(RunError::Ended { part }),
            other => other,
        });
    }
    result
}

#[cfg(test)]
mod tests;
