//! `tariff quote`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use platform::explain::{Question, explain};

pub(crate) const EXAMPLES: &str = "\
Examples:
  paylatch-platform tariff quote --site north.toml --entry 2026-03-28T21:30 --exit 2026-03-29T07:10
  paylatch-platform tariff quote --site north.toml \\
      --entry 2026-03-28T10:00@north-entry --exit 2026-03-28T14:30@north-exit --json
  paylatch-platform tariff quote --site north.toml \\
      --entry 2026-03-28T10:00 --paid 6.00@2026-03-28T12:30 --exit 2026-03-28T12:40

An instant is what clocks at the site show (2026-03-28T10:00), or has an offset (2026-03-28T10:00Z).
Nothing is asked of anybody, and nothing is sold.
Exit codes: 0 priced, 1 this visit has no price (one line says why), 64 an instant, place or payment
can't be read, 78 the site file is wrong.";

#[derive(Debug, Subcommand)]
pub(crate) enum TariffCommand {
    /// Prices a visit and explains the bill line by line.
    #[command(after_help = EXAMPLES)]
    Quote(TariffQuote),
}

#[derive(Debug, Args)]
pub(crate) struct TariffQuote {
    /// The site's file.
    #[arg(long, value_name = "FILE")]
    site: PathBuf,
    /// When the visit begins, and where if places have prices.
    #[arg(long, value_name = "T[@PLACE]")]
    entry: String,
    /// When and where it ends.
    #[arg(long, value_name = "T[@PLACE]")]
    exit: String,
    /// What was paid for this visit before, and until when.
    #[arg(long, value_name = "AMOUNT@T")]
    paid: Option<String>,
    /// How far off every clock may be, in milliseconds. It counts for the payer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    clock_error_ms: u64,
    /// Prints one JSON document.
    #[arg(long)]
    json: bool,
}

/// What is printed.
pub(crate) fn quote(wanted: &TariffQuote) -> anyhow::Result<String> {
    let explained = explain(&Question {
        site: &wanted.site,
        entry: &wanted.entry,
        exit: &wanted.exit,
        paid: wanted.paid.as_deref(),
        clock_error_ms: wanted.clock_error_ms,
    })?;
    Ok(match wanted.json {
        true => explained.json()?,
        false => explained.to_string(),
    })
}
