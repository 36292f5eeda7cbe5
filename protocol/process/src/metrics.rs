//! The one recorder of a process. Several services in one process share it, so every metric name
//! carries its service's prefix.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Upper bounds of `*_seconds` histograms: from a loopback hop to a payer's whole minute.
const SECONDS_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    15.0, 60.0,
];

/// Samples wait in memory until they are folded; 5 s of them are a few MB at our highest rates.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the process's recorder, or gives the handle of the one that is installed. Durations
/// (`*_seconds`) are histograms with buckets from 100 us to 60 s.
pub fn recorder() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(install).clone()
}

/// All metrics of the process in Prometheus' text form.
#[must_use]
pub fn render() -> String {
    recorder().render()
}

/// Folds recorded samples into their buckets until `shutdown`; without it memory grows between
/// scrapes. [`crate::http::serve`] runs it while it serves.
pub async fn upkeep(shutdown: &CancellationToken) {
    let handle = recorder();
    while !shutdown.is_cancelled() {
        handle.run_upkeep();
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

fn install() -> PrometheusHandle {
    let recorder = match builder() {
        Ok(builder) => builder.build_recorder(),
        Err(error) => {
            tracing::error!(%error, "histograms have no buckets");
            PrometheusBuilder::new().build_recorder()
        }
    };
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!("another recorder was installed before ours; /metrics stays empty");
    }
    handle
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS_BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_install_shares_the_first() {
        recorder();
        metrics::counter!("process_test_shared_total").increment(1);
        recorder();
        metrics::counter!("process_test_shared_total").increment(1);
        assert!(
            render()
                .lines()
                .any(|line| line == "process_test_shared_total 2")
        );
    }

    #[test]
    fn durations_are_histograms_with_buckets() {
        recorder();
        metrics::histogram!("process_test_wait_seconds").record(0.003);
        let text = render();
        for line in [
            "# TYPE process_test_wait_seconds histogram",
            "process_test_wait_seconds_bucket{le=\"0.0025\"} 0",
            "process_test_wait_seconds_bucket{le=\"0.005\"} 1",
            "process_test_wait_seconds_count 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[tokio::test]
    async fn upkeep_ends_with_its_token() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        upkeep(&shutdown).await;
    }
}
