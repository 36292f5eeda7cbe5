//! Sites and their terminals: who may ask, with which key, what is sold there and to whom it pays.

mod build;
mod fits;
pub(crate) mod price;
mod visit;

use std::collections::BTreeMap;
use std::sync::Arc;

use process::config::ConfigError;
use protocol::id::{DeviceId, GatewayId, SiteId, StoreEpoch};
use protocol::message::{
    Digest, EntryPolicy, IdentityPolicy, Merchant, Payee, Place, SiteConfig, Tariff,
};
use protocol::signed::{Audience, KeyId, Keyring, PublicKey};
use protocol::time::Utc;
use protocol::topic::TerminalName;

use crate::site::Described;

/// One merchant at one address, the same for all its terminals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) id: SiteId,
    pub(crate) merchant: Merchant,
    pub(crate) payee: Payee,
    /// IANA time zone.
    pub(crate) time_zone: String,
    pub(crate) tariff: Tariff,
    pub(crate) tariff_version: Digest,
    pub(crate) order_lifetime_ms: u64,
    pub(crate) gateway: GatewayId,
    pub(crate) identity: IdentityPolicy,
    pub(crate) entry: EntryPolicy,
}

/// A terminal that may ask for orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Terminal {
    pub(crate) name: TerminalName,
    pub(crate) place: Place,
    /// Switched by a sale; the first one decides. May be empty.
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) public_key: PublicKey,
    pub(crate) keyring: Keyring,
    pub(crate) site: Arc<Site>,
}

/// All terminals of all sites. Read once at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    terminals: BTreeMap<TerminalName, Terminal>,
}

impl Registry {
    /// Refuses with the first fault, named by file and field.
    pub(crate) fn build(sites: &[Described]) -> Result<Self, ConfigError> {
        build::build(sites).map(|terminals| Self { terminals })
    }

    pub(crate) fn terminal(&self, name: &TerminalName) -> Option<&Terminal> {
        self.terminals.get(name)
    }

    /// Revokes a terminal's key by its id; whose it was.
    pub(crate) fn revoke(&mut self, key: &KeyId) -> Option<TerminalName> {
        self.terminals
            .values_mut()
            .find_map(|terminal| terminal.keyring.revoke(key).then(|| terminal.name.clone()))
    }

    /// In the order of their names.
    pub(crate) fn terminals(&self) -> impl Iterator<Item = &Terminal> {
        self.terminals.values()
    }

    /// What the platform is to sign for this terminal; `None` for a terminal that we don't know.
    pub(crate) fn site_config(
        &self,
        name: &TerminalName,
        serial: u64,
        store_epoch: StoreEpoch,
        issued_at: Utc,
    ) -> Option<SiteConfig> {
        let terminal = self.terminal(name)?;
        Some(terminal.site_config(serial, store_epoch, issued_at))
    }
}

impl Terminal {
    fn site_config(&self, serial: u64, store_epoch: StoreEpoch, issued_at: Utc) -> SiteConfig {
        let site = &self.site;
        SiteConfig {
            aud: Audience::terminal(self.name.clone()),
            merchant: site.merchant.clone(),
            payee: site.payee.clone(),
            place: self.place.clone(),
            time_zone: site.time_zone.clone(),
            tariff: site.tariff.clone(),
            tariff_version: site.tariff_version,
            devices: self.devices.clone(),
            order_lifetime_ms: site.order_lifetime_ms,
            identity: site.identity,
            entry: site.entry,
            store_epoch,
            serial,
            issued_at,
        }
    }
}
