//! `paylatch-payment-mock`: the test payment server as a process of its own.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use payment_mock::{Keys, Settings};

/// Payment server for tests: books numbers, never money.
///
/// Platforms ask it over MQTT, payers confirm on its web page, and it misbehaves on order.
/// First make a key (`keys init`), give its public half to the platform, then `run`.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Configuration file (TOML). Files in `conf.d` beside it and variables such as
    /// `PAYLATCH__HTTP__LISTEN` override it.
    #[arg(
        long,
        short,
        global = true,
        default_value = "/etc/paylatch/payment-mock.toml"
    )]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves until SIGINT or SIGTERM.
    Run,
    /// Reads the configuration and every file it names, and says what is wrong (exit code 78).
    CheckConfig,
    /// The key that signs answers.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Makes the key and prints its public half for the platform's configuration.
    Init,
    /// Prints the public half of the key.
    Show,
}

fn main() -> ExitCode {
    process::exit::report(start(&Arguments::parse()))
}

#[tokio::main]
async fn start(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = Settings::load(&arguments.config)?;
    let key_file = settings.keys.signing_file.clone();
    match &arguments.command {
        Command::Keys { command } => {
            let key = match command {
                KeysCommand::Init => process::keys::create(&key_file)?,
                KeysCommand::Show => process::keys::load(&key_file)?,
            };
            println!("{}", key.public());
            Ok(())
        }
        Command::CheckConfig => {
            settings.resolve()?;
            process::keys::load(&key_file)?;
            println!("{}: ok", arguments.config.display());
            Ok(())
        }
        Command::Run => {
            process::log::init(settings.log.format, &settings.log.level)?;
            let signing = process::keys::load(&key_file)?;
            run(settings, Keys { signing }).await
        }
    }
}

async fn run(settings: Settings, keys: Keys) -> anyhow::Result<()> {
    let shutdown = process::shutdown::on_signal()?;
    process::metrics::recorder();
    let until = shutdown.clone();
    let upkeep = tokio::spawn(async move { process::metrics::upkeep(&until).await });
    let mock = payment_mock::build(settings.resolve()?, keys).await?;
    tracing::info!(address = %mock.http_address(), public_key = %mock.public_key(), "serving");
    let result = mock.run(shutdown.clone()).await;
    shutdown.cancel();
    upkeep.await?;
    Ok(result?)
}
