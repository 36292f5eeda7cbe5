//! The command line of `paylatch-broker`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The message bus of Paylatch: terminals, platform and payment servers meet here over MQTT 3.1.1.
///
/// A platform has this broker inside and needs no separate one. Run it alone to restart platform
/// and broker independently of each other.
#[derive(Debug, Parser)]
#[command(name = "paylatch-broker", version, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// The configuration, in TOML. Files in `conf.d` beside it are read after it.
    #[arg(long, short, global = true, value_name = "FILE")]
    #[arg(default_value = "/etc/paylatch/broker/broker.toml")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve until SIGINT or SIGTERM; a second signal ends at once.
    Run,
    /// Read the configuration, passwords and certificates, say what is wrong, and serve nothing.
    CheckConfig,
}

const AFTER_HELP: &str = "\
A configuration for one terminal, one platform and one payment server:

  health = \"127.0.0.1:9101\"              # /livez /readyz /metrics

  [[listen]]
  address = \"0.0.0.0:8883\"
  tls = { certificate = \"/etc/paylatch/broker.pem\", key = \"/etc/paylatch/broker.key\" }

  [[users]]
  name = \"north.gate-1\"
  password_file = \"/etc/paylatch/north.gate-1.password\"   # one line, mode 0600
  identity = { terminal = \"north/gate-1\" }

  [[users]]
  name = \"platform\"
  password_file = \"/etc/paylatch/platform.password\"
  identity = { platform = \"main\" }

  [[users]]
  name = \"mock\"
  password_file = \"/etc/paylatch/mock.password\"
  identity = { gateway = \"mock\" }

Each field can be set by the environment too: PAYLATCH__HEALTH=127.0.0.1:9102,
PAYLATCH__LIMITS__CONNECTIONS_MAX=500. PAYLATCH_LOG=debug says more.

Exit codes: 0 stopped, 64 wrong command line, 69 port taken, 70 defect, 78 wrong configuration.";
