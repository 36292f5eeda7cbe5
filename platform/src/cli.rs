//! The command line.

mod act;
mod call;
pub(crate) mod evidence;
mod examples;
mod once;
pub(crate) mod tariff;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use platform::config::Overrides;
use protocol::id::Pseudonym;
use protocol::signed::KeyId;

use examples::{BACKUP, EXAMPLES, EXPORT, KEYS};
pub(crate) use once::{once, without_settings};

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
    /// What things cost.
    Tariff {
        #[command(subcommand)]
        command: tariff::TariffCommand,
    },
    /// Copies the store into a new folder, with a manifest that restore checks. The platform may
    /// run meanwhile. Keys, passwords and the token are not in it; who payers are is.
    #[command(after_help = BACKUP)]
    Backup {
        /// A folder that is not there yet.
        folder: PathBuf,
    },
    /// Makes a backup the store, under a new store epoch. Stop the platform first. What was there
    /// stays in a folder beside it.
    #[command(after_help = BACKUP)]
    Restore {
        /// What `backup` made.
        folder: PathBuf,
    },
    /// Writes what was received, refunded, kept, paid in fees and lost, per day (of the site's time
    /// zone), merchant and currency, as CSV. Amounts are whole minor units. The platform may run.
    #[command(after_help = EXPORT)]
    Export {
        /// First day: 2026-03-01.
        #[arg(long, value_name = "DAY")]
        from: String,
        /// Last day, included.
        #[arg(long, value_name = "DAY")]
        to: String,
        /// Only this merchant: its name, or its payee id.
        #[arg(long, value_name = "NAME")]
        merchant: Option<String>,
        /// A file that is not there yet. Without it the table is printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    #[command(flatten)]
    ByHand(act::ByHand),
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
    /// Believes nothing more that is signed with this key of a terminal or a payment server, at
    /// once and over restarts. The platform must run.
    #[command(after_help = KEYS)]
    Revoke {
        /// The key's id: its JWK thumbprint, 43 characters.
        key: KeyId,
        #[command(flatten)]
        person: act::Person,
    },
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn no_two_words_of_a_subcommand_have_one_name() {
        Arguments::command().debug_assert();
    }
}
