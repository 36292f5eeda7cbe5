//! Liveness, readiness and metrics of one service.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

pub use crate::http::serve;

/// Prometheus' text exposition format, version 0.0.4.
const METRICS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

type Checks = BTreeMap<&'static str, Result<(), String>>;

/// Named checks that must all pass before a service is ready. Cheap to clone; all clones share.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<Checks>>,
}

impl Health {
    /// A service that is not ready until each of `names` was set to `Ok`.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        let starting = |name: &&'static str| (*name, Err("starting".to_owned()));
        Self {
            checks: Arc::new(Mutex::new(names.iter().map(starting).collect())),
        }
    }

    /// Sets one check; the reason of a failure is shown to operators in one line.
    pub fn set(&self, name: &'static str, result: Result<(), String>) {
        self.checks().insert(name, result);
    }

    /// The failed checks with their reasons, in the order of their names; empty means ready.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, String)> {
        let checks = self.checks();
        let failed = checks.iter().filter_map(|(name, result)| {
            let reason = result.as_ref().err()?;
            Some((*name, reason.clone()))
        });
        failed.collect()
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.failures().is_empty()
    }

    fn checks(&self) -> MutexGuard<'_, Checks> {
        // Whoever panicked in between left whole entries: the map stays usable.
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `/livez` (200 while the process answers), `/readyz` (200, or 503 with one line per failed
/// check) and `/metrics` (all metrics of the process).
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    let failures = health.failures();
    if failures.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let mut text = String::new();
    for (name, reason) in failures {
        let reason = reason.replace(['\n', '\r'], " ");
        if writeln!(text, "{name}: {reason}").is_err() {
            break; // a String takes whatever is written to it
        }
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

async fn metrics() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)],
        crate::metrics::render(),
    )
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::response::Response;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(health: &Health, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        router(health.clone()).oneshot(request).await.unwrap()
    }

    async fn text(response: Response) -> (u16, String) {
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_only_when_every_named_check_passed() {
        let health = Health::new(&["store", "uplink"]);
        assert_eq!(
            text(get(&health, "/readyz").await).await,
            (503, "store: starting\nuplink: starting\n".to_owned())
        );
        health.set("store", Ok(()));
        health.set("uplink", Err("no\nbroker".to_owned()));
        assert_eq!(
            text(get(&health, "/readyz").await).await,
            (503, "uplink: no broker\n".to_owned())
        );
        health.set("uplink", Ok(()));
        assert_eq!(
            text(get(&health, "/readyz").await).await,
            (200, "ok\n".to_owned())
        );
    }

    #[tokio::test]
    async fn alive_even_when_not_ready() {
        let health = Health::new(&["store"]);
        assert_eq!(
            text(get(&health, "/livez").await).await,
            (200, "ok\n".to_owned())
        );
    }

    #[tokio::test]
    async fn metrics_carry_the_content_type_of_the_text_format() {
        crate::metrics::recorder();
        ::metrics::counter!("process_test_scrape_total").increment(1);
        let response = get(&Health::default(), "/metrics").await;
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            METRICS_CONTENT_TYPE
        );
        let (status, body) = text(response).await;
        assert_eq!(status, 200);
        assert!(body.contains("process_test_scrape_total 1"));
    }
}
