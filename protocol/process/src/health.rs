//! Liveness, readiness and metrics of one service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;

pub use crate::http::serve;

/// Named checks that must all pass before a service is ready. Cheap to clone; all clones share.
#[derive(Debug, Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>,
}

impl Health {
    /// A service that is not ready until each of `names` was set to `Ok`.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        let checks = names.iter().map(|name| (*name, Err("starting".to_owned())));
        Self {
            checks: Arc::new(Mutex::new(checks.collect())),
        }
    }

    /// Sets one check; the reason of a failure is shown to operators in one line.
    pub fn set(&self, _name: &'static str, _result: Result<(), String>) {}

    /// The failed checks with their reasons, in the order of their names; empty means ready.
    #[must_use]
    pub fn failures(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.failures().is_empty()
    }
}

/// `/livez` (200 while the process answers), `/readyz` (200, or 503 with one line per failed
/// check) and `/metrics` (all metrics of the process).
pub fn router(_health: Health) -> Router {
    Router::new()
}
