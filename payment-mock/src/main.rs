//! `paylatch-payment-mock`: the test payment server as a process of its own.

mod cli;

use std::process::ExitCode;

use anyhow::Context as _;
use payment_mock::{Keys, Settings};
use process::exit::{self, Failure};

use crate::cli::{Cli, Command, KeysCommand};

fn main() -> ExitCode {
    match process::cli::parse() {
        Ok(cli) => exit::report(start(&cli)),
        Err(code) => code,
    }
}

fn start(cli: &Cli) -> anyhow::Result<()> {
    let mut settings = Settings::load(&cli.config)?;
    match &cli.command {
        Command::Keys { command } => {
            let key = match command {
                KeysCommand::Init => settings.keys.create()?,
                KeysCommand::Show => settings.keys.load()?,
            };
            println!("{}", key.public());
            Ok(())
        }
        Command::CheckConfig => {
            settings.keys.load()?;
            settings.resolve()?;
            println!("{}: good", cli.config.display());
            Ok(())
        }
        Command::Run { allow_plaintext } => {
            settings.allow_plaintext |= allow_plaintext;
            let runtime = tokio::runtime::Runtime::new().context("the system gives no threads")?;
            runtime.block_on(serve(settings))
        }
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    process::log::init(settings.log.format, &settings.log.level)?;
    process::metrics::recorder();
    let signing = settings.keys.load()?;
    let shutdown = process::shutdown::on_signal().context("signals can't be heard")?;
    let until = shutdown.clone();
    let upkeep = tokio::spawn(async move { process::metrics::upkeep(&until).await });
    let mock = payment_mock::build(settings.resolve()?, Keys { signing })
        .await
        .map_err(|error| Failure::new(error.exit_code(), exit::one_line(&error)))?;
    if let Some(address) = mock.admin_address() {
        tracing::info!(%address, "admin API");
    }
    tracing::info!(address = %mock.http_address(), public_key = %mock.public_key(), "serving");
    let result = mock.run(shutdown.clone()).await;
    shutdown.cancel();
    upkeep.await?;
    Ok(result?)
}
