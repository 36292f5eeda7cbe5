//! The keys that our receipts are checked with.

use std::path::Path;

use protocol::evidence::{PublishedKey, PublishedKeys, Standing};
use protocol::signed::{Audience, KeyId, PublicKey};
use protocol::topic::TerminalName;

use crate::config::Config;
use crate::store::reader::Reader as _;
use crate::store::sqlite::SqliteReader;

/// Ours, that of today first, then those of the sites' terminals.
#[must_use]
pub fn keys(config: &Config, own: PublicKey) -> PublishedKeys {
    let platform = Audience::platform(&config.platform_id);
    let retired = config.published.retired.iter().filter(|key| **key != own);
    let ours = std::iter::once(&own)
        .chain(retired)
        .map(|key| trusted(&platform, *key));
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
                .map(move |key| trusted(&owner, *key))
        })
    });
    PublishedKeys {
        platform: config.platform_id.clone(),
        keys: ours.chain(theirs).collect(),
    }
    .with_revoked(&config.published.revoked)
}

/// Ids of keys that people revoked by hand, out of the store of a data folder; none without one.
///
/// # Errors
/// The store is there and can't be read.
pub fn revoked(data: &Path) -> anyhow::Result<Vec<KeyId>> {
    if !crate::store::sqlite::file(data).exists() {
        return Ok(Vec::new());
    }
    Ok(SqliteReader::open(data)?.revoked_keys()?)
}

fn trusted(owner: &Audience, key: PublicKey) -> PublishedKey {
    PublishedKey::new(owner.clone(), key, Standing::Trusted)
}
