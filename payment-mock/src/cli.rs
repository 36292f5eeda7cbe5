//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Payment server for tests: books numbers, never money.
///
/// Platforms ask it over MQTT, payers confirm on its web page, and it misbehaves on order
/// (`scenario.outcome` in the configuration). First make a key (`keys init`), give its public half
/// to the platform, then `run`. An example configuration is deploy/payment-mock/payment-mock.toml.
#[derive(Debug, Parser)]
#[command(name = "paylatch-payment-mock", version)]
pub(crate) struct Cli {
    /// Configuration (TOML). Files in conf.d/ beside it override it, and variables such as
    /// `PAYLATCH__HTTP__LISTEN` override both.
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        default_value = "payment-mock.toml"
    )]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves until SIGINT or SIGTERM
    Run {
        /// Permits serving and connecting to other machines without encryption
        #[arg(long)]
        allow_plaintext: bool,
    },
    /// Reads the configuration and the files it names, and says what is wrong (exit code 78)
    CheckConfig,
    /// Makes or shows the key that signs answers
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes the key and prints its public half, for the platform's configuration
    Init,
    /// Prints the public half of the key
    Show,
}
