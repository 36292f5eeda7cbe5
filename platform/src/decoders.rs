//! Doors for fuzzers and property tests, in no other build: bytes in, whether they were accepted
//! out. A door panics if its decoder broke a promise.

#![allow(clippy::unwrap_used, reason = "a broken promise panics")]

mod intake;

use protocol::id::StoreEpoch;
use protocol::message::{DEVICES_MAX, ITEMS_MAX};
use protocol::signed::{SigningKey, sign};
use protocol::time::Utc;

use crate::Settings;
use crate::registry::Registry;
use crate::site::{Described, Site};

pub use intake::intake;

/// The configuration file: read whole, or refused in one line.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match process::config::parse::<Settings>("platform.toml", text) {
        Ok(_) => true,
        Err(error) => {
            assert_line(&error.to_string(), "platform.toml");
            false
        }
    }
}

/// A site file: what is taken can be signed for each of its terminals.
pub fn site(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let origin = "site.toml".to_owned();
    let read = process::config::parse::<Site>(&origin, text);
    let registry = read.and_then(|site| Registry::build(&[Described { origin, site }]));
    let registry = match registry {
        Ok(registry) => registry,
        Err(error) => {
            assert_line(&error.to_string(), "site.toml");
            return false;
        }
    };
    for terminal in registry.terminals() {
        let epoch = StoreEpoch::from_random([0; 16]);
        let config = registry.site_config(&terminal.name, 1, epoch, Utc::EPOCH);
        let config = config.unwrap();
        assert!(config.devices.len() <= DEVICES_MAX);
        let least = usize::from(config.tariff.visit.is_none());
        assert!((least..=ITEMS_MAX).contains(&config.tariff.items.len()));
        assert_eq!(config.tariff.version(), config.tariff_version);
        assert!(sign(&SigningKey::from_seed([1; 32]), &config).is_ok());
    }
    true
}

fn assert_line(line: &str, origin: &str) {
    assert!(line.starts_with(origin) && !line.contains('\n'), "{line:?}");
}

#[cfg(test)]
mod tests {
    use corpus::check;

    #[test]
    fn platform_configurations() {
        check("platform_config", super::config);
    }

    #[test]
    fn sites() {
        check("site", super::site);
    }

    #[test]
    fn messages_at_the_intake() {
        check("intake", super::intake);
    }
}
