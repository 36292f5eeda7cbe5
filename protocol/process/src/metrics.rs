//! The one recorder of a process. Several services in one process share it, so every metric name
//! carries its service's prefix.

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

/// Installs the process's recorder, or gives the handle of the one that is installed. Durations
/// (`*_seconds`) are histograms with buckets from 100 us to 60 s.
pub fn recorder() -> PrometheusHandle {
    unimplemented!()
}

/// All metrics of the process in Prometheus' text form.
#[must_use]
pub fn render() -> String {
    recorder().render()
}

/// Folds recorded samples into their buckets until `shutdown`; without it memory grows between
/// scrapes. [`crate::http::serve`] does not run it: one per process is enough.
pub async fn upkeep(shutdown: CancellationToken) {
    shutdown.cancelled().await;
}
