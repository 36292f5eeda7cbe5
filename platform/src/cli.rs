//! The command line.

pub(crate) mod evidence;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use platform::config::Overrides;
use protocol::id::Pseudonym;

const EXAMPLES: &str = "\
First start on one machine:
  paylatch-platform --config platform.toml keys init      make the key and missing passwords
  paylatch-platform --config platform.toml check-config   say what is wrong, if anything
  paylatch-platform --config platform.toml run            serve until Ctrl-C

Then look at it:
  curl -H \"Authorization: Bearer $(cat data/api-token)\" http://127.0.0.1:7080/api/v1/transactions
  curl http://127.0.0.1:7080/readyz
  curl http://127.0.0.1:7080/metrics

Every field of the configuration can be set by a variable: PAYLATCH__API__LISTEN=127.0.0.1:8080.
PAYLATCH_LOG=debug shows more. Exit codes: 0 ended on request, 69 a port or the store is in use,
70 a defect, 78 the configuration is wrong.";

/// Prices, asks the payment server, decides, and alone lets a terminal's device be switched on.
///
/// One process is enough for one machine: the message broker that terminals and payment servers
/// connect to runs inside, and everything is kept in one data folder.
#[derive(Debug, Parser)]
#[command(name = "paylatch-platform", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Configuration file (TOML). Files in `conf.d` beside it override it.
    #[arg(long, short, global = true, value_name = "FILE")]
    #[arg(default_value = "/etc/paylatch/platform.toml")]
    pub(crate) config: PathBuf,
    /// Folder of the store and of the API's token, instead of `data_folder`.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Use the MQTT broker there instead of the one inside. User and password come from
    /// `[broker.external]`, or are the platform's name and the file `broker.password` in the data
    /// folder.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    broker: Option<String>,
    /// Permit connections with other machines without encryption. Passwords and identities can
    /// then be read on the way: for closed networks only.
    #[arg(long, global = true)]
    allow_plaintext: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serves until SIGINT or SIGTERM.
    Run,
    /// Reads the configuration and every file it names, and says what is wrong (exit code 78).
    CheckConfig,
    /// Checks every invariant of the books, also while the platform runs. Prints each row that
    /// breaks one and exits with 1, or a summary and exits with 0.
    Audit {
        /// Prints one JSON document.
        #[arg(long)]
        json: bool,
    },
    /// Forgets who a pseudonym is, in every file of the store. Stop the platform first.
    EraseIdentity {
        /// 32 hexadecimal digits, as records name the payer.
        pseudonym: Pseudonym,
    },
    /// Checks a receipt by the published keys: both signatures, and whether all in it fits
    /// together. Works offline, and needs no configuration if the keys are given.
    #[command(after_help = evidence::EXAMPLES)]
    VerifyReceipt(evidence::VerifyReceipt),
    /// The key that signs permits, quotes and receipts.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes the key and prints its public half, for terminals and payment servers. Makes a random
    /// password for each broker user whose password file is missing, too. Overwrites nothing.
    Init,
    /// Prints the public half of the key.
    Show,
    /// Prints all keys that receipts are checked with, ours and the terminals', as a JWK Set.
    Publish,
}

impl Arguments {
    pub(crate) fn overrides(&self) -> Overrides {
        Overrides {
            data_folder: self.data.clone(),
            broker: self.broker.clone(),
            allow_plaintext: self.allow_plaintext,
        }
    }
}
