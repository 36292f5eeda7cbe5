//! The program: which words it takes, and what each does.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use process::exit::{Code, Failure};

use crate::agent::{Keys, build};
use crate::config::Config;
use crate::doctor;

/// The access terminal of Paylatch: one phone at a time orders and pays here, and the devices move
/// on the platform's signed permit.
///
/// First start: write a configuration (deploy/edge-agent/agent.toml is an example), make the
/// terminal's key with `keys init`, register the public key that it prints at the platform, then
/// `run`.
#[derive(Debug, Parser)]
#[command(name = "paylatch-agent", version)]
pub struct Cli {
    /// Configuration file (TOML). `conf.d/*.toml` beside it and `PAYLATCH__SECTION__FIELD`
    /// variables override it.
    #[arg(long, short, global = true, default_value = "/etc/paylatch/agent.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve payers until SIGTERM or Ctrl-C.
    Run,
    /// Read the configuration, say whether it can be used, and do nothing else.
    CheckConfig,
    /// The terminal's own signing key.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Look at clock, key, journal, page, uplink and devices, one line each, and change nothing.
    /// Exit 69 if something is wrong.
    Doctor(doctor::Arguments),
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Make the key in the data folder (once) and print its public half for the platform.
    Init,
    /// Print the public half again.
    Show,
}

/// Does what the command line says.
pub async fn execute(cli: Cli) -> anyhow::Result<()> {
    let config = Config::load(Some(&cli.config))?;
    match cli.command {
        Command::Run => run(config).await,
        Command::CheckConfig => {
            println!("{}: ok, terminal {}", cli.config.display(), config.terminal);
            Ok(())
        }
        Command::Keys { command } => keys(&config, &command),
        Command::Doctor(arguments) => doctor::report(&config, &arguments).await,
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    process::log::init(config.log.format, &config.log.level)
        .map_err(|error| Failure::new(Code::Config, error.to_string()))?;
    let signing = process::keys::load(&config.key_path())?;
    drop(process::metrics::recorder());
    let shutdown = process::shutdown::on_signal()?;
    let agent = build(config, Keys { signing }).await?;
    tracing::info!(page = %agent.page_address(), key = %agent.public_key(), "terminal started");
    Ok(agent.run(shutdown).await?)
}

fn keys(config: &Config, command: &KeysCommand) -> anyhow::Result<()> {
    let path = config.key_path();
    let key = match command {
        KeysCommand::Init => {
            std::fs::create_dir_all(&config.data_folder)?;
            process::keys::create(&path)?
        }
        KeysCommand::Show => process::keys::load(&path)?,
    };
    println!("{}", key.public());
    Ok(())
}
