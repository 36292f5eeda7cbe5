//! Composes the process: store, broker, client, engine, API, health. Decides nothing.

mod build;
mod watch;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use process::entropy::SystemEntropy;
use process::health::Health;
use protocol::signed::{PublicKey, SigningKey};
use protocol_client::Options;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use build::{BuildError, build};

use crate::api::Token;
use crate::registry::Registry;
use crate::store::sqlite::{SqliteReader, SqliteStore};

/// What only the platform holds.
#[derive(Debug)]
pub struct Keys {
    /// Signs quotes, permits, receipts, site configs and gateway requests.
    pub signing: SigningKey,
}

/// A platform whose ports are bound and that serves nobody yet.
#[derive(Debug)]
pub struct Platform {
    config: crate::config::Config,
    signing: SigningKey,
    registry: Arc<Registry>,
    store: SqliteStore,
    totals: SqliteReader,
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
    broker: Option<SocketAddr>,
}

/// Why a platform ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("can't serve HTTP")]
    Serve(#[source] std::io::Error),
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
        self.signing.public()
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

async fn run(platform: Platform, shutdown: CancellationToken) -> Result<(), RunError> {
    // The broker outlives everyone who speaks through it.
    let broker_end = CancellationToken::new();
    let broker = platform
        .broker
        .map(|broker| tokio::spawn(broker.run(broker_end.clone())));
    // A child: parts that end early stop their siblings, not the caller's other services.
    let end = shutdown.child_token();
    let mut parts = JoinSet::new();
    for (listener, router) in platform.listeners {
        let served = process::http::serve(listener, router, end.clone());
        parts.spawn(async move { served.await.map_err(RunError::Serve) });
    }
    parts.spawn(watch::totals(platform.totals, end.clone()));
    let (client, incoming) =
        protocol_client::start(platform.client, SystemEntropy::new(), end.clone());
    parts.spawn(watch::connection(
        client,
        incoming,
        platform.health,
        end.clone(),
    ));

    let mut result = Ok(());
    while let Some(ended) = parts.join_next().await {
        let part = "a part of the platform";
        let ended = ended.unwrap_or_else(|source| Err(RunError::Panicked { part, source }));
        let ended = match ended {
            Ok(()) if !end.is_cancelled() => Err(RunError::Ended { part }),
            other => other,
        };
        end.cancel();
        result = result.and(ended);
    }
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
