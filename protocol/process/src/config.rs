//! Layered configuration: defaults of the type < file (TOML) < `conf.d/*.toml` beside the file, in
//! the order of their names < environment `PAYLATCH__SECTION__FIELD`.
//!
//! The type owns its defaults (`#[serde(default)]`) and refuses what it does not know
//! (`#[serde(deny_unknown_fields)]`). Environment values are texts; they become numbers and
//! booleans where the field wants these.

use std::path::Path;

use serde::de::DeserializeOwned;

/// One line that names the file or the variable, the field, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{origin}: {reason}")]
    Read { origin: String, reason: String },
    #[error("{origin}: {field}: {reason}; {fix}")]
    Field {
        origin: String,
        field: String,
        reason: String,
        fix: String,
    },
}

/// Reads all layers into a `T`; without a path there are only defaults and the environment.
pub fn load<T: DeserializeOwned>(path: Option<&Path>) -> Result<T, ConfigError> {
    load_with(path, std::env::vars().collect())
}

/// [`load`] with an environment given by the caller.
pub fn load_with<T: DeserializeOwned>(
    _path: Option<&Path>,
    _environment: Vec<(String, String)>,
) -> Result<T, ConfigError> {
    Err(ConfigError::Read {
        origin: String::new(),
        reason: String::new(),
    })
}
