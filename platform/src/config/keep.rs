//! What an operator does with the books as a whole: copy them, and take a copy back.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use process::clock::Clock;
use process::entropy::SystemEntropy;
use process::exit::{Code, Failure, one_line};
use protocol::id::{Entropy, SiteId};

use super::Settings;
use crate::export::{Span, Table};
use crate::store::sqlite::{self, BackupError};

/// What is to be exported: days of the form `2026-03-01`, both included.
#[derive(Debug, Clone, Copy)]
pub struct Export<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub merchant: Option<&'a str>,
    pub out: Option<&'a Path>,
}

impl Settings {
    /// Copies the store into a new folder; the platform may run. One line about it.
    ///
    /// # Errors
    /// One line; nothing is left of a backup that failed.
    pub fn backup(&self, target: &Path) -> Result<String, anyhow::Error> {
        let made = sqlite::backup(&self.data_folder, target, Clock::system().now().utc);
        let manifest = made.map_err(|error| failure(&error))?;
        Ok(format!(
            "{}: backup of epoch {}, {} events, {} bytes, sha256 {}",
            target.display(),
            manifest.store_epoch,
            manifest.chain_length,
            manifest.size_bytes,
            manifest.sha256
        ))
    }

    /// The books per day and merchant as CSV; into `out` if it is given, which must not be there.
    /// `merchant` is a merchant's name or payee id.
    ///
    /// # Errors
    /// One line.
    pub fn export(&self, ask: &Export<'_>) -> Result<String, anyhow::Error> {
        let span = Span::parse(ask.from, ask.to)
            .map_err(|error| Failure::new(Code::Config, error.to_string()))?;
        let zones = self.zones()?;
        let utc = ("UTC".to_owned(), TimeZone::UTC);
        let mut table = Table::new(span);
        let read = sqlite::each_booking(
            &self.data_folder,
            span.window(),
            &mut |terminal, booking| {
                let is_wanted = ask.merchant.is_none_or(|wanted| {
                    wanted == booking.merchant || wanted == booking.payee.as_str()
                });
                if is_wanted {
                    let (name, zone) = zones.get(&terminal.site).unwrap_or(&utc);
                    table.add(booking, (name, zone));
                }
            },
        );
        read.map_err(|error| Failure::new(Code::Unavailable, one_line(&error)))?;
        let csv = table.csv();
        let Some(out) = ask.out else {
            return Ok(csv);
        };
        process::file::create(out, csv.as_bytes()).map_err(|error| {
            Failure::new(
                Code::Config,
                format!("{}: can't write: {error}", out.display()),
            )
        })?;
        Ok(format!("{}: {} rows", out.display(), table.len()))
    }

    /// The time zone of each site.
    fn zones(&self) -> Result<BTreeMap<SiteId, (String, TimeZone)>, anyhow::Error> {
        let mut zones = BTreeMap::new();
        for described in crate::site::read(&self.sites)? {
            let name = described.site.time_zone;
            let zone = TimeZoneDatabase::bundled().get(&name).map_err(|error| {
                Failure::new(
                    Code::Config,
                    format!("{}: time_zone: {error}", described.origin),
                )
            })?;
            zones.insert(described.site.id, (name, zone));
        }
        Ok(zones)
    }

    /// Makes a backup the store, under a new epoch. Lines about it.
    ///
    /// # Errors
    /// One line; also while a platform runs on the data folder.
    pub fn restore(&self, source: &Path) -> Result<String, anyhow::Error> {
        super::init::make_folder(&self.data_folder)?;
        let (mut entropy, at) = (SystemEntropy::new(), Clock::system().now().utc);
        let means: (&mut dyn Entropy, _) = (&mut entropy, at);
        let restored = sqlite::restore(&self.data_folder, source, &self.platform, means);
        let restored = restored.map_err(|error| failure(&error))?;
        let aside = restored.aside.map_or_else(String::new, |aside| {
            format!("\nwhat was there before: {}", aside.display())
        });
        Ok(format!(
            "restored epoch {} of {} as new epoch {}\nno refund mends itself until every terminal's \
             journal has been read: see /api/v1/epoch{aside}",
            restored.manifest.store_epoch, restored.manifest.made_at, restored.store_epoch
        ))
    }
}

fn failure(error: &BackupError) -> Failure {
    let code = match error {
        BackupError::Exists { .. }
        | BackupError::Manifest { .. }
        | BackupError::Newer { .. }
        | BackupError::Foreign { .. }
        | BackupError::Differs { .. } => Code::Config,
        BackupError::Store(_)
        | BackupError::Write { .. }
        | BackupError::Copy { .. }
        | BackupError::Read { .. }
        | BackupError::Place { .. } => Code::Unavailable,
    };
    Failure::new(code, one_line(error))
}
