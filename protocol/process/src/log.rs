//! Logs on standard error, as text for people or JSON for machines.

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

/// Variable that overrides the level, in the syntax of `tracing_subscriber::EnvFilter`:
/// `PAYLATCH_LOG=info,platform=debug`.
pub const LOG_VARIABLE: &str = "PAYLATCH_LOG";

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{origin}: '{text}' is no log filter: write for example info or info,platform=debug")]
    Filter { origin: &'static str, text: String },
}

/// Starts logging with `default_level` unless `PAYLATCH_LOG` is set. The first call of a process
/// decides; later ones change nothing, so that tests and the demo may each call it.
pub fn init(format: Format, default_level: &str) -> Result<(), LogError> {
    let filter = filter(std::env::var(LOG_VARIABLE).ok().as_deref(), default_level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        Format::Text => builder.with_ansi(false).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
    Ok(())
}

fn filter(variable: Option<&str>, default_level: &str) -> Result<EnvFilter, LogError> {
    let (origin, text) = match variable {
        Some(text) if !text.is_empty() => (LOG_VARIABLE, text),
        _ => ("log level", default_level),
    };
    text.parse().map_err(|_| LogError::Filter {
        origin,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn may_be_called_again() {
        init(Format::Text, "info").unwrap();
        init(Format::Json, "debug").unwrap();
    }

    #[test]
    fn the_variable_overrides_the_default() {
        assert_eq!(filter(Some("warn"), "info").unwrap().to_string(), "warn");
        assert_eq!(filter(Some(""), "info").unwrap().to_string(), "info");
        assert_eq!(filter(None, "info").unwrap().to_string(), "info");
    }

    #[test]
    fn a_wrong_filter_is_one_line_with_its_origin() {
        let error = filter(Some("platform=loud"), "info").unwrap_err();
        assert_eq!(
            error.to_string(),
            "PAYLATCH_LOG: 'platform=loud' is no log filter: write for example info or info,platform=debug"
        );
    }
}
