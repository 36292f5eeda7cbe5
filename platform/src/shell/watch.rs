//! Small tasks beside the engine.

use std::time::Duration;

use process::clock::Clock;
use process::health::Health;
use protocol_client::Client;
use tokio_util::sync::CancellationToken;

use super::RunError;
use crate::engine::Handle;
use crate::metrics;
use crate::store::reader::Reader as _;
use crate::store::sqlite::{Checker, SqliteReader};

/// How old gauges may be: a third of the usual scrape interval of 15 s.
const TOTALS_INTERVAL: Duration = Duration::from_secs(5);

/// From one check of the invariants to the next.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How long readiness may lag behind the connection: below what a balancer or a test asks at.
const CONNECTION_INTERVAL: Duration = Duration::from_millis(100);

/// How long the store's thread may take to fold its log into the file. Default 5 s: a log of
/// 4 MB, its usual size, takes milliseconds.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

const BROKER: &str = "broker";
const STORE: &str = "store";

/// What must hold before the platform is ready.
pub(super) const CHECKS: [&str; 2] = [BROKER, STORE];

/// Keeps the gauges of the store fresh.
pub(super) async fn totals(
    reader: SqliteReader,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let mut reader = reader;
    loop {
        let part = "the metrics of the store";
        let read = tokio::task::spawn_blocking(move || (reader.totals(), reader));
        let totals;
        (totals, reader) = read
            .await
            .map_err(|source| RunError::Panicked { part, source })?;
        match totals {
            Ok(totals) => metrics::totals(&totals),
            Err(error) => {
                let error = process::exit::one_line(&error);
                tracing::warn!(error, "the gauges of the store are stale");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TOTALS_INTERVAL) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// Checks the invariants every minute, on a connection that can only read.
pub(super) async fn invariants(
    checker: Checker,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    let clock = Clock::system();
    let mut checker = checker;
    loop {
        let part = "the checks of the invariants";
        let began = clock.now();
        let run = tokio::task::spawn_blocking(move || (checker.recent(began.utc), checker));
        let found;
        (found, checker) = run
            .await
            .map_err(|source| RunError::Panicked { part, source })?;
        let ended = clock.now().tick;
        match found {
            Ok(found) => metrics::checked(&found, ended.since(began.tick)),
            Err(error) => metrics::check_failed(&error),
        }
        while clock.now().tick.since(ended) < CHECK_INTERVAL {
            metrics::check_age(clock.now().tick.since(ended));
            tokio::select! {
                () = tokio::time::sleep(TOTALS_INTERVAL) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }
}

/// Ends when the last round is committed and sent, and the store is closed.
pub(super) async fn engine(
    engine: Handle,
    store_closed: CancellationToken,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    engine.finished().await;
    if tokio::time::timeout(CLOSE_TIMEOUT, store_closed.cancelled())
        .await
        .is_err()
    {
        tracing::warn!("the store is still busy; it closes with the process");
    }
    if shutdown.is_cancelled() {
        return Ok(());
    }
    Err(RunError::Ended { part: "the engine" })
}

/// Keeps the readiness in step with the connection.
pub(super) async fn connection(
    client: Client,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    loop {
        let connected = client.is_connected();
        health.set(
            BROKER,
            connected
                .then_some(())
                .ok_or("no connection to the broker".to_owned()),
        );
        tokio::select! {
            () = tokio::time::sleep(CONNECTION_INTERVAL) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// A store that can't tell what is on the disk is of no use to anybody: the supervisor starts a
/// process that reads it again.
pub(super) async fn store(
    failure: CancellationToken,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    health.set(STORE, Ok(()));
    tokio::select! {
        () = failure.cancelled() => {
            health.set(STORE, Err("a commit failed half-way".to_owned()));
            Err(RunError::Store)
        }
        () = shutdown.cancelled() => Ok(()),
    }
}
