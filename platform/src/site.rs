//! A site as its owner writes it: one TOML file per site, prices as decimal texts.
//!
//! The fields are typed where a field alone can be wrong; what only the whole can tell (a price
//! with too many decimals for its currency, two terminals with one key) is found by the registry.

mod visit;

use std::path::{Path, PathBuf};

use process::config::ConfigError;
use protocol::id::{DeviceId, GatewayId, ItemId, SiteId, TerminalId};
use protocol::message::{EntryPolicy, IdentityPolicy, Merchant, Payee, Place, Text};
use protocol::money::Currency;
use protocol::signed::PublicKey;
use serde::Deserialize;

pub use visit::{Band, PlacePair, Rounding, Visit};

/// Most site files of one folder: a platform of one machine serves thousands of terminals, and
/// more files than this are a wrong path.
const SITES_MAX: usize = 1_000;

/// One merchant at one address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// First level of the terminals' names: `north` in `north/gate-1`.
    pub id: SiteId,
    pub merchant: Merchant,
    pub payee: Payee,
    pub currency: Currency,
    /// IANA name, such as `Asia/Shanghai`. For what people read, never for deadlines.
    pub time_zone: String,
    /// Name of the payment server, as the platform's configuration lists it.
    pub gateway: GatewayId,
    /// How long a payer may take to pay. Default 120,000.
    #[serde(default = "order_lifetime_ms")]
    pub order_lifetime_ms: u64,
    /// Whether payers are asked who they are. Default off.
    #[serde(default = "identity")]
    pub identity: IdentityPolicy,
    /// Whether a terminal may open for a first visit by itself. Default none.
    #[serde(default = "entry")]
    pub entry: EntryPolicy,
    /// What is sold by the piece. May be left out where visits have a price.
    #[serde(default)]
    pub items: Vec<Item>,
    /// What a visit costs, from entry to exit. Default: none is sold.
    pub visit: Option<Visit>,
    pub terminals: Vec<Terminal>,
}

/// Something that is sold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub id: ItemId,
    /// By language: `{ en = "Short stay", zh = "短时停车" }`.
    pub name: Text,
    /// In the site's currency with at most its decimals: `"4.50"`.
    pub price: String,
    /// Most of it in one sale. Default 1.
    #[serde(default = "quantity_max")]
    pub quantity_max: u16,
}

/// A terminal that may ask for orders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    pub id: TerminalId,
    pub place: Place,
    /// What a sale switches, as the terminal's own configuration names it; the first one decides
    /// whether the payer was served.
    #[serde(default)]
    pub devices: Vec<DeviceId>,
    /// What `paylatch-agent keys init` printed.
    pub public_key: PublicKey,
    /// Earlier keys of it: nothing under them is taken any more, but they are still published, so
    /// that the receipts they signed can be checked.
    #[serde(default)]
    pub retired_public_keys: Vec<PublicKey>,
}

/// A site and where it was written, for errors.
#[derive(Debug, Clone)]
pub struct Described {
    pub origin: String,
    pub site: Site,
}

/// A site that was written in code.
impl From<Site> for Described {
    fn from(site: Site) -> Self {
        Self {
            origin: format!("site {}", site.id),
            site,
        }
    }
}

/// Reads one site file, or every `*.toml` of a folder in the order of their names.
///
/// # Errors
/// One line with file, field and fix.
pub fn read(path: &Path) -> Result<Vec<Described>, ConfigError> {
    if path.is_file() {
        return read_file(path).map(|described| vec![described]);
    }
    read_folder(path)
}

fn read_folder(folder: &Path) -> Result<Vec<Described>, ConfigError> {
    let files = files(folder)?;
    if files.is_empty() {
        return Err(layer(
            folder,
            "no site file here",
            "add one: deploy/platform/site.example.toml",
        ));
    }
    if files.len() > SITES_MAX {
        return Err(layer(
            folder,
            "more than 1000 site files",
            "name the folder of the sites",
        ));
    }
    files.iter().map(|file| read_file(file)).collect()
}

fn read_file(file: &Path) -> Result<Described, ConfigError> {
    // No environment: a variable could only mean one of many sites.
    let site = process::config::load_with(Some(file), [])?;
    Ok(Described {
        origin: file.display().to_string(),
        site,
    })
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |error: std::io::Error| {
        layer(
            folder,
            &error.to_string(),
            "set `sites` to the folder of the site files",
        )
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn layer(path: &Path, reason: &str, fix: &'static str) -> ConfigError {
    ConfigError::Layer {
        origin: path.display().to_string(),
        reason: reason.to_owned(),
        fix,
    }
}

const fn order_lifetime_ms() -> u64 {
    120_000
}

const fn quantity_max() -> u16 {
    1
}

const fn identity() -> IdentityPolicy {
    IdentityPolicy::Off
}

const fn entry() -> EntryPolicy {
    EntryPolicy::None
}
