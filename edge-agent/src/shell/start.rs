//! From files to a machine: the journal read, its records understood, the cached site config.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use process::entropy::SystemEntropy;
use protocol::id::{BootId, DeviceId, Entropy as _, JournalId};
use protocol::message::SiteConfig;
use protocol::signed::{Audience, Jws, SigningKey};
use protocol::time::Now;

use super::site_config;
use super::writer::{Place, open};
use crate::config::Config;
use crate::journal::{DiskFile, Journal, JournalError, Opened};
use crate::machine::record::Record;
use crate::machine::{Recovered, Setup, Terminal};
use crate::rules::Sound;

/// Who this terminal is, also when the journal has to be opened anew.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) config: Config,
    /// The key's seed can't be read back, so machines share the key.
    pub(crate) key: Arc<SigningKey>,
    /// Another one whenever the machine starts anew.
    pub(crate) boot: BootId,
    pub(crate) page_url: String,
}

/// An open journal and what it holds.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) journal: Journal<DiskFile>,
    pub(crate) recovered: Recovered,
}

impl Identity {
    fn setup(&self) -> Setup {
        let devices: BTreeMap<DeviceId, Duration> = self
            .config
            .devices
            .iter()
            .map(|device| (device.id.clone(), device.on_max()))
            .collect();
        Setup {
            name: self.config.terminal.clone(),
            platform: Audience::platform(&self.config.platform.id),
            key: Arc::clone(&self.key),
            keyring: self.config.keyring(),
            boot: self.boot,
            page_url: self.page_url.clone(),
            devices,
            limits: self.config.limits(),
            rules: &Sound,
        }
    }

    pub(crate) fn place(&self) -> Place {
        place(&self.config)
    }

    /// `before` is the machine that served until the journal failed.
    pub(crate) fn terminal(
        &self,
        recovered: &Recovered,
        before: Option<&Terminal>,
        now: Now,
        entropy: &mut SystemEntropy,
    ) -> Terminal {
        match before {
            Some(before) => Terminal::reopened(self.setup(), recovered, before, now, entropy),
            None => Terminal::new(self.setup(), recovered, now, entropy),
        }
    }
}

/// Where the journal is, and how large it is made.
pub(crate) fn place(config: &Config) -> Place {
    Place {
        path: config.journal_path(),
        size: config.journal.size_bytes,
    }
}

/// Opens the journal and reads the cached site config, off the runtime's own threads.
pub(crate) async fn open_all(place: Place, site_config: PathBuf) -> Result<Opening, JournalError> {
    let fresh_id = JournalId::from_random(SystemEntropy::new().bytes());
    let opening = tokio::task::spawn_blocking(move || {
        let (journal, opened) = open(&place.path, place.size, fresh_id)?;
        Ok(Opening {
            journal,
            recovered: recovered(&opened, site_config::read(&site_config)),
        })
    });
    opening
        .await
        .map_err(|error| JournalError::Read(io::Error::other(error)))?
}

/// A record that can't be understood is damage too: it may be an intent of a newer version.
fn recovered(opened: &Opened, config: Option<Jws<SiteConfig>>) -> Recovered {
    let total = opened.records.len();
    let records: Vec<Record> = opened
        .records
        .iter()
        .filter_map(|bytes| Record::decode(bytes).ok())
        .collect();
    let is_damaged = opened.damaged || records.len() != total;
    if is_damaged {
        tracing::error!("the journal is damaged; nothing is sold until it is moved away");
    }
    Recovered {
        journal: opened.id,
        records,
        is_damaged,
        capacity: opened.capacity,
        used: opened.used,
        config,
    }
}
