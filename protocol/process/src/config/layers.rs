//! Reading the layers and laying them over each other.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use config::{Config, Environment, FileFormat, Format, Map, Source, Value};

use super::ConfigError;

/// Origin of every value that came from the environment, as the `config` crate writes it.
pub(super) const ENVIRONMENT: &str = "the environment";

const PREFIX: &str = "PAYLATCH";
const SEPARATOR: &str = "__";

/// Largest file that is read: no configuration of ours is near it, `/dev/zero` is beyond it.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Our variables of this process. Others may hold anything, also what is no UTF-8.
pub(super) fn process_environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
        .collect()
}

/// `broker.port` as a variable.
pub(super) fn variable_name(field: &str) -> String {
    format!("{PREFIX}{SEPARATOR}{}", field.replace('.', SEPARATOR)).to_uppercase()
}

/// All layers as one table whose values know their origin.
pub(super) fn merge(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Value, ConfigError> {
    let mut layers = Vec::new();
    for file in path.map_or_else(|| Ok(Vec::new()), files)? {
        layers.push(Layer(read(&file)?));
    }
    combine(layers, environment)
}

/// One file's text as if it were all there is.
pub(super) fn single(origin: &str, text: &str) -> Result<Value, ConfigError> {
    combine(vec![Layer(parse(origin, text)?)], [])
}

fn combine(
    layers: Vec<Layer>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Value, ConfigError> {
    let mut builder = Config::builder();
    for layer in layers {
        builder = builder.add_source(layer);
    }
    let variables: HashMap<String, String> = environment.into_iter().collect();
    if let Some(name) = variables.keys().find(|name| is_index(name)) {
        return Err(unknown(name, name));
    }
    let variables = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .source(Some(variables));
    match builder.add_source(variables).build() {
        Ok(merged) => Ok(merged.cache),
        Err(error) => Err(ConfigError::Layer {
            origin: "configuration".to_owned(),
            reason: one_line(&error.to_string()),
            fix: "correct it",
        }),
    }
}

/// An error of a parser without the lines that draw an excerpt.
pub(super) fn one_line(text: &str) -> String {
    let told = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told: Vec<&str> = told.filter(|line| !is_excerpt(line)).collect();
    told.join(": ")
}

fn is_excerpt(line: &str) -> bool {
    line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ')
        .starts_with('|')
}

#[derive(Debug, Clone)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

/// The file and its fragments, lowest layer first.
fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new("")).join("conf.d");
    let mut fragments = Vec::new();
    if folder.is_dir() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let fragment = entry.map_err(|error| unreadable(&folder, &error))?.path();
            if fragment.extension().is_some_and(|end| end == "toml") {
                fragments.push(fragment);
            }
        }
    }
    fragments.sort();
    fragments.insert(0, path.to_owned());
    Ok(fragments)
}

fn read(path: &Path) -> Result<Map<String, Value>, ConfigError> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !size.is_file() || size.len() > FILE_BYTES_MAX {
        return Err(ConfigError::Layer {
            origin: path.display().to_string(),
            reason: format!("not a regular file of at most {FILE_BYTES_MAX} bytes"),
            fix: "check the path",
        });
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    parse(&path.display().to_string(), &text)
}

fn parse(origin: &str, text: &str) -> Result<Map<String, Value>, ConfigError> {
    let table = FileFormat::Toml
        .parse(Some(&origin.to_owned()), text)
        .map_err(|error| ConfigError::Layer {
            origin: origin.to_owned(),
            reason: one_line(&error.to_string()),
            fix: "correct the line",
        })?;
    match table.keys().find(|key| !is_plain(key)) {
        Some(key) => Err(unknown(origin, key)),
        None => Ok(table),
    }
}

/// The `config` crate takes other keys for paths, and one with an index for a list of that length.
fn is_plain(key: &str) -> bool {
    let is_of_names = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !key.is_empty() && key.bytes().all(is_of_names)
}

/// A variable of ours that would do the same.
fn is_index(variable: &str) -> bool {
    variable.to_uppercase().starts_with(PREFIX) && variable.contains(['[', ']'])
}

fn unknown(origin: &str, key: &str) -> ConfigError {
    ConfigError::Field {
        origin: origin.to_owned(),
        field: key
            .chars()
            .take(40)
            .collect::<String>()
            .escape_debug()
            .to_string(),
        reason: "unknown field".to_owned(),
        fix: "correct its name or remove it",
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    ConfigError::Layer {
        origin: path.display().to_string(),
        reason: error.to_string(),
        fix: "check the path and its permissions",
    }
}
