//! The keys that our receipts are checked with.

use protocol::evidence::{PublishedKey, PublishedKeys, Standing};
use protocol::signed::{Audience, PublicKey};
use protocol::topic::TerminalName;

use crate::config::Config;

/// Ours, that of today first, then those of the sites' terminals.
#[must_use]
pub fn keys(config: &Config, own: PublicKey) -> PublishedKeys {
    let standing = |key: &PublicKey| match config.published.revoked.contains(&key.id()) {
        true => Standing::Revoked,
        false => Standing::Trusted,
    };
    let platform = Audience::platform(&config.platform_id);
    let retired = config.published.retired.iter().filter(|key| **key != own);
    let ours = std::iter::once(&own)
        .chain(retired)
        .map(|key| PublishedKey::new(platform.clone(), *key, standing(key)));
    let theirs = config.sites.iter().flat_map(|described| {
        let site = &described.site;
        site.terminals.iter().flat_map(|terminal| {
            let name = TerminalName {
                site: site.id.clone(),
                terminal: terminal.id.clone(),
            };
            let owner = Audience::terminal(name);
            let current = &terminal.public_key;
            let retired = terminal.retired_public_keys.iter();
            std::iter::once(current)
                .chain(retired.filter(move |key| *key != current))
                .map(move |key| PublishedKey::new(owner.clone(), *key, standing(key)))
        })
    });
    PublishedKeys {
        platform: config.platform_id.clone(),
        keys: ours.chain(theirs).collect(),
    }
}
