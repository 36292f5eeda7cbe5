//! Doors for fuzzers and property tests, in no other build: bytes in, whether they were accepted
//! out. A door panics if its decoder broke a promise.

#![allow(clippy::unwrap_used, reason = "a broken promise panics")]

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::parse;
use crate::secret;

/// One of each kind of value that our files hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Every {
    text: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    minor: i64,
    #[serde(default)]
    is_on: bool,
    list: Option<Vec<Every>>,
    by_language: Option<BTreeMap<String, String>>,
    mode: Option<Mode>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Fast,
    Limited(u32),
    Shaped { rate: u32 },
}

/// A configuration file is read, or refused in one line that names it.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match parse::<Every>("any.toml", text) {
        Ok(read) => {
            assert!(read.size() <= text.len() + 1, "more came out than went in");
            true
        }
        Err(error) => {
            let line = error.to_string();
            assert!(!line.contains('\n'), "{line:?}");
            assert!(line.contains(": "), "{line:?}");
            false
        }
    }
}

impl Every {
    /// At least so many bytes were needed to write it.
    fn size(&self) -> usize {
        let inner = self.list.iter().flatten().map(Self::size).sum::<usize>();
        let by_language = self.by_language.iter().flatten();
        let languages = by_language.map(|(tag, text)| tag.chars().count() + text.chars().count());
        let flags = usize::from(self.port > 0)
            + usize::from(self.minor != 0)
            + usize::from(self.is_on)
            + usize::from(self.mode.is_some());
        self.text.chars().count() + flags + languages.sum::<usize>() + inner
    }
}

/// A secret is one line of its file, as it stands there.
pub fn secret(bytes: &[u8]) -> bool {
    let Some(secret) = secret::parse(bytes.to_vec()) else {
        return false;
    };
    assert!(!secret.is_empty() && !secret.contains(['\n', '\r', '\0']));
    assert!(bytes.starts_with(secret.as_bytes()));
    assert!(bytes.len() - secret.len() <= 2);
    assert_eq!(secret::parse(secret.clone().into_bytes()), Some(secret));
    true
}

#[cfg(test)]
mod tests {
    use corpus::check;

    #[test]
    fn configurations() {
        check("config", super::config);
    }

    #[test]
    fn secrets() {
        check("secret", super::secret);
    }
}
