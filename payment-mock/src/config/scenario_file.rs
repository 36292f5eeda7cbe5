//! The scenario file: rules in TOML, read once at start.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::scenario::{RuleText, Ruleset};

/// Largest file that is read: 64 rules of 15 fields are far below it.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a scenario file can't be used: one line that names file, line and fix.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioFileError {
    #[error("{path}: can't be read; check the path and its permissions")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: not a regular file of at most {FILE_BYTES_MAX} bytes")]
    Size { path: PathBuf },
    #[error("{path}:{line}: {reason}")]
    Line {
        path: PathBuf,
        line: usize,
        reason: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    /// Of the draws of `chance_permille`. Default 0.
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    rules: Vec<Spanned<RuleText>>,
}

/// Reads a scenario file.
///
/// # Errors
/// It can't be read, or its first wrong line.
pub fn load(path: &Path) -> Result<Ruleset, ScenarioFileError> {
    let read = |source| ScenarioFileError::Read {
        path: path.to_owned(),
        source,
    };
    let found = std::fs::metadata(path).map_err(read)?;
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        let path = path.to_owned();
        return Err(ScenarioFileError::Size { path });
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    parse(&text).map_err(|(line, reason)| ScenarioFileError::Line {
        path: path.to_owned(),
        line,
        reason,
    })
}

/// The rules of a text, or the first wrong line, counted from 1, and what is wrong with it.
fn parse(text: &str) -> Result<Ruleset, (usize, String)> {
    let line_of = |offset: usize| {
        let before = text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    };
    let file: ScenarioFile = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        (line_of(start), one_line(error.message()))
    })?;
    let mut rules = Ruleset::empty(file.seed);
    for rule in file.rules {
        let line = line_of(rule.span().start);
        let added = rules.add(rule.into_inner());
        added.map_err(|error| (line, error.to_string()))?;
    }
    Ok(rules)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
