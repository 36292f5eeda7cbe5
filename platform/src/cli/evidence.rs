//! `keys publish` and `verify-receipt`.

use std::path::{Path, PathBuf};

use clap::Args;
use platform::config::Settings;
use platform::published;
use platform::verify::{self, Files};
use process::exit::{Code, Failure};
use protocol::evidence::PublishedKeys;

use super::Arguments;

pub(crate) const EXAMPLES: &str = "\
Examples:
  paylatch-platform keys publish > keys.json
  paylatch-platform verify-receipt receipt-1A2B3C4D.json --keys keys.json
  paylatch-platform verify-receipt receipt-1A2B3C4D.json --keys keys.json --previous receipt-0F0F0F0F.json

Without --keys the keys are those of the configuration. Nothing is asked of anybody.
Exit codes: 0 proved, 1 something does not fit (one line says what), 64 a receipt can't be read,
78 the keys or the configuration are wrong.";

#[derive(Debug, Args)]
pub(crate) struct VerifyReceipt {
    /// A receipt as a payer saved it, or its signed text alone.
    file: PathBuf,
    /// Published keys: what `keys publish` printed, or /keys.json of the platform.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The receipt before it, of the same terminal: checks the link between both.
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
}

/// What the receipt proves, a fact a line.
pub(crate) fn verify_receipt(
    wanted: &VerifyReceipt,
    arguments: &Arguments,
) -> anyhow::Result<String> {
    let keys = match &wanted.keys {
        Some(file) => verify::keys(file)?,
        None => published_keys(&Settings::load(&arguments.config, &arguments.overrides())?)?,
    };
    let files = Files {
        receipt: &wanted.file,
        previous: wanted.previous.as_deref().map(Path::new),
    };
    let verdict = verify::receipt(files, &keys)?;
    let proof = verdict.map_err(|misfit| Failure::new(Code::Failed, misfit.to_string()))?;
    Ok(proof.to_string())
}

/// The published keys as JSON.
pub(crate) fn publish(settings: &Settings) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&published_keys(settings)?)?)
}

fn published_keys(settings: &Settings) -> anyhow::Result<PublishedKeys> {
    let own = process::keys::load(&settings.signing_file())?.public();
    let keys = published::keys(&settings.config()?, own);
    Ok(keys.with_revoked(&published::revoked(&settings.data_folder)?))
}
