//! Layered configuration: defaults of the type < file (TOML) < `conf.d/*.toml` beside the file, in
//! the order of their names < environment `PAYLATCH__SECTION__FIELD`.
//!
//! The type owns its defaults (`#[serde(default)]`) and refuses what it does not know
//! (`#[serde(deny_unknown_fields)]`). Values of files keep their TOML type: `1.5` is never a whole
//! number and `"8080"` never a port. Values of the environment are texts and become numbers and
//! booleans where the field wants these; lists and tables have no form there.

mod layers;
mod value;

use std::path::Path;

use config::Value;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Segment, Track};

use value::Strict;

/// One line that names the file or the variable, the field, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A layer could not be read at all.
    #[error("{origin}: {reason}; {fix}")]
    Layer {
        origin: String,
        reason: String,
        fix: &'static str,
    },
    /// A field is missing, unknown or wrong.
    #[error("{origin}: {field}: {reason}; {fix}")]
    Field {
        origin: String,
        field: String,
        reason: String,
        fix: &'static str,
    },
}

/// Reads all layers into a `T`; without a path there are only defaults and the environment.
pub fn load<T: DeserializeOwned>(path: Option<&Path>) -> Result<T, ConfigError> {
    load_with(path, layers::process_environment())
}

/// [`load`] with an environment given by the caller.
pub fn load_with<T: DeserializeOwned>(
    path: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let merged = layers::merge(path, environment)?;
    read(path, &merged)
}

/// Reads the text of one file, without fragments and environment; `origin` is how errors name it.
pub fn parse<T: DeserializeOwned>(origin: &str, text: &str) -> Result<T, ConfigError> {
    read(Some(Path::new(origin)), &layers::single(origin, text)?)
}

fn read<T: DeserializeOwned>(path: Option<&Path>, merged: &Value) -> Result<T, ConfigError> {
    let mut track = Track::new();
    let strict = Strict(merged.clone());
    let deserializer = serde_path_to_error::Deserializer::new(strict, &mut track);
    T::deserialize(deserializer).map_err(|error| field_error(path, merged, &track.path(), &error))
}

fn field_error(
    file: Option<&Path>,
    merged: &Value,
    path: &serde_path_to_error::Path,
    error: &value::Error,
) -> ConfigError {
    let reason = layers::one_line(&error.to_string());
    ConfigError::Field {
        origin: origin(file, merged, path),
        field: path.to_string(),
        fix: fix(&reason),
        reason,
    }
}

/// Where the value at `path` came from; a missing one belongs into the file.
fn origin(file: Option<&Path>, merged: &Value, path: &serde_path_to_error::Path) -> String {
    match value_at(merged, path).and_then(Value::origin) {
        Some(layers::ENVIRONMENT) => layers::variable_name(&path.to_string()),
        Some(origin) => origin.to_owned(),
        None => file.map_or_else(
            || "configuration".to_owned(),
            |file| file.display().to_string(),
        ),
    }
}

fn value_at<'a>(merged: &'a Value, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    path.iter()
        .try_fold(merged, |value, segment| match (&value.kind, segment) {
            (config::ValueKind::Table(table), Segment::Map { key }) => table.get(key),
            (config::ValueKind::Array(values), Segment::Seq { index }) => values.get(*index),
            (_, Segment::Enum { .. }) => Some(value),
            _ => None,
        })
}

fn fix(reason: &str) -> &'static str {
    if reason.starts_with("unknown field") {
        "correct its name or remove it"
    } else if reason.starts_with("missing field") {
        "add it"
    } else {
        "correct the value"
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde::Deserialize;

    use super::*;
    use crate::exit;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        broker: Broker,
        #[serde(default)]
        items: Vec<Item>,
        mode: Option<Mode>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Broker {
        host: String,
        port: u16,
        tls: bool,
    }

    impl Default for Broker {
        fn default() -> Self {
            Self {
                host: "localhost".to_owned(),
                port: 1883,
                tls: false,
            }
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        id: String,
        minor: i64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Fast,
        Limited(u32),
        Shaped { rate: u32 },
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(content: &str) -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            fs::write(folder.file(), content).unwrap();
            folder
        }

        fn file(&self) -> std::path::PathBuf {
            self.0.path().join("sample.toml")
        }

        fn fragment(self, name: &str, content: &str) -> Self {
            let fragments = self.0.path().join("conf.d");
            fs::create_dir_all(&fragments).unwrap();
            fs::write(fragments.join(name), content).unwrap();
            self
        }

        fn load(&self, environment: &[(&str, &str)]) -> Result<Sample, ConfigError> {
            let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            load_with(Some(&self.file()), environment.iter().map(owned))
        }

        /// The error with the folder's name cut out.
        fn error(&self, environment: &[(&str, &str)]) -> String {
            let line = exit::one_line(&self.load(environment).unwrap_err());
            line.replace(&format!("{}/", self.0.path().display()), "")
        }
    }

    #[test]
    fn each_layer_overrides_the_one_below() {
        let folder = Folder::with("name = 'file'\n[broker]\nhost = 'file'\nport = 1\n")
            .fragment("20.toml", "[broker]\nport = 20\n")
            .fragment("10.toml", "[broker]\nport = 10\nhost = 'ten'\n")
            .fragment("30.toml.bak", "nonsense");
        let environment = [
            ("PAYLATCH__BROKER__TLS", "true"),
            ("PAYLATCH__NAME", "007"),
            ("PAYLATCH_LOG", "debug"),
            ("HOME", "/root"),
        ];
        let expected = Sample {
            name: "007".to_owned(),
            broker: Broker {
                host: "ten".to_owned(),
                port: 20,
                tls: true,
            },
            items: Vec::new(),
            mode: None,
        };
        assert_eq!(folder.load(&environment), Ok(expected));
    }

    #[test]
    fn without_a_file_there_are_defaults_and_the_environment() {
        let variables = [
            ("PAYLATCH__NAME".to_owned(), "n".to_owned()),
            ("PAYLATCH__BROKER__PORT".to_owned(), "8883".to_owned()),
            ("PAYLATCH__MODE".to_owned(), "fast".to_owned()),
        ];
        let sample: Sample = load_with(None, variables).unwrap();
        assert_eq!((sample.broker.port, sample.mode), (8883, Some(Mode::Fast)));
    }

    #[test]
    fn an_error_is_one_line_with_origin_field_and_fix() {
        let cases = [
            (
                "name = 'x'\n[broker]\nport = 70000\n",
                "sample.toml: broker.port: invalid value: integer `70000`, expected u16; correct the value",
            ),
            (
                "name = 'x'\n[broker]\nport = '80'\n",
                "sample.toml: broker.port: invalid type: string \"80\", expected u16; correct the value",
            ),
            (
                "name = 'x'\n[broker]\nhots = 'h'\n",
                "sample.toml: broker.hots: unknown field `hots`, expected one of `host`, `port`, `tls`; correct its name or remove it",
            ),
            (
                "name = 'x'\nitems = [{ id = 'a', minor = 1 }, { id = 'b', minor = 1.5 }]\n",
                "sample.toml: items[1].minor: invalid type: floating point `1.5`, expected i64; correct the value",
            ),
            ("[broker]\n", "sample.toml: .: missing field `name`; add it"),
            (
                "name = 'x'\nmode = 'slow'\n",
                "sample.toml: mode: unknown variant `slow`, expected one of `fast`, `limited`, `shaped`; correct the value",
            ),
        ];
        for (content, line) in cases {
            assert_eq!(Folder::with(content).error(&[]), line);
        }
    }

    #[test]
    fn variants_with_content_are_tables_of_one_entry() {
        let mode = |text: &str| {
            let folder = Folder::with(&format!("name = 'x'\nmode = {text}\n"));
            folder.load(&[]).unwrap().mode
        };
        assert_eq!(mode("'fast'"), Some(Mode::Fast));
        assert_eq!(mode("{ limited = 5 }"), Some(Mode::Limited(5)));
        assert_eq!(
            mode("{ shaped = { rate = 7 } }"),
            Some(Mode::Shaped { rate: 7 })
        );
        let folder = Folder::with("name = 'x'\nmode = { limited = -1 }\n");
        assert_eq!(
            folder.error(&[]),
            "sample.toml: mode.limited: invalid value: integer `-1`, expected u32; correct the value",
        );
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let folder = Folder::with("name = 'x'\n");
        assert_eq!(
            folder.error(&[("PAYLATCH__BROKER__PORT", "many")]),
            "PAYLATCH__BROKER__PORT: broker.port: invalid type: string \"many\", expected u16; correct the value",
        );
        assert_eq!(
            folder.error(&[("PAYLATCH__BROKER__TSL", "true")]),
            "PAYLATCH__BROKER__TSL: broker.tsl: unknown field `tsl`, expected one of `host`, `port`, `tls`; correct its name or remove it",
        );
    }

    #[test]
    fn a_wrong_fragment_is_named() {
        let folder = Folder::with("name = 'x'\n").fragment("10.toml", "[broker]\nport = -1\n");
        assert_eq!(
            folder.error(&[]),
            "conf.d/10.toml: broker.port: invalid value: integer `-1`, expected u16; correct the value",
        );
    }

    #[test]
    fn a_name_that_would_be_taken_for_an_index_is_no_field() {
        for name in ["items[4000000000].id", "items[-1]", "broker.port", ""] {
            let folder = Folder::with(&format!("name = 'x'\n\"{name}\" = 1\n"));
            let line = format!("sample.toml: {name}: unknown field; correct its name or remove it");
            assert_eq!(folder.error(&[]), line);
        }
        let folder = Folder::with("name = 'x'\n");
        assert_eq!(
            folder.error(&[("PAYLATCH__ITEMS[4000000000]", "1")]),
            "PAYLATCH__ITEMS[4000000000]: PAYLATCH__ITEMS[4000000000]: unknown field; correct its name or remove it",
        );
    }

    #[test]
    fn what_is_no_toml_or_not_there_is_one_line() {
        let line = Folder::with("name = \n").error(&[]);
        assert!(
            line.starts_with("sample.toml: TOML parse error at line 1, column 8"),
            "{line}"
        );
        let missing = load_with::<Sample>(Some(Path::new("/nowhere/x.toml")), []).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "/nowhere/x.toml: No such file or directory (os error 2); check the path and its permissions",
        );
    }
}
