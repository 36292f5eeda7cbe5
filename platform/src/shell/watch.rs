//! Small tasks beside the engine.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::RunError;
use crate::metrics;
use crate::store::reader::Reader as _;
use crate::store::sqlite::SqliteReader;

/// How old gauges may be: a third of the usual scrape interval of 15 s.
const TOTALS_INTERVAL: Duration = Duration::from_secs(5);

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

/// Seam: takes what comes in until the engine does.
pub(super) async fn connection(
    client: protocol_client::Client,
    mut incoming: protocol_client::Incoming,
    health: process::health::Health,
    shutdown: CancellationToken,
) -> Result<(), RunError> {
    use protocol_client::Event;
    drop(client);
    while let Some(event) = incoming.next().await {
        match event {
            Event::Connected => {
                metrics::connected(true);
                health.set("broker", Ok(()));
            }
            Event::Disconnected => {
                metrics::connected(false);
                health.set("broker", Err("no connection".to_owned()));
            }
            Event::Delivery(delivery) => delivery.ack(),
        }
    }
    shutdown.cancelled().await;
    Ok(())
}
