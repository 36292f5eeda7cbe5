//! `paylatch-broker`: the broker as a process of its own.

mod cli;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use broker::{BuildError, Config};
use process::exit::{self, Failure};
use tokio::runtime::Runtime;

use crate::cli::{Cli, Command};

/// The router tells at info of each link; the broker tells the same of clients itself.
const LOG_DEFAULT: &str = "info,rumqttd=error";

fn main() -> ExitCode {
    match process::cli::parse() {
        Ok(cli) => exit::report(run(&cli)),
        Err(code) => code,
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Run => {
            let runtime = Runtime::new().context("the system gives no threads")?;
            runtime.block_on(serve(&cli.config))
        }
        Command::CheckConfig => {
            let loaded = Config::load(&cli.config)?;
            broker::check(&loaded).map_err(|error| failure(&cli.config, &error))?;
            println!("{}: good", cli.config.display());
            Ok(())
        }
    }
}

async fn serve(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    process::log::init(config.log, LOG_DEFAULT)?;
    process::metrics::recorder();
    let shutdown = process::shutdown::on_signal().context("signals can't be heard")?;
    let broker = broker::build(config)
        .await
        .map_err(|error| failure(path, &error))?;
    broker.run(shutdown).await;
    Ok(())
}

fn failure(path: &Path, error: &BuildError) -> Failure {
    let line = exit::one_line(error);
    Failure::new(error.code(), format!("{}: {line}", path.display()))
}
