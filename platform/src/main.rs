//! `paylatch-platform`: the platform as a process of its own.

mod cli;

use std::process::ExitCode;

use platform::Keys;
use platform::config::Settings;

use cli::{Arguments, Command};

fn main() -> ExitCode {
    match process::cli::parse() {
        Ok(arguments) => process::exit::report(start(&arguments)),
        Err(code) => code,
    }
}

#[tokio::main]
async fn start(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(told) = cli::without_settings(arguments)? {
        println!("{}", told.trim_end());
        return Ok(());
    }
    let settings = Settings::load(&arguments.config, &arguments.overrides())?;
    if let Command::Run = arguments.command {
        return run(&settings).await;
    }
    let told = cli::once(arguments, &settings).await?;
    println!("{}", told.trim_end());
    Ok(())
}

async fn run(settings: &Settings) -> anyhow::Result<()> {
    process::log::init(settings.log.format, &settings.log.level)?;
    let shutdown = process::shutdown::on_signal()?;
    let signing = process::keys::load(&settings.signing_file())?;
    let platform = platform::build(settings.config()?, Keys { signing }).await?;
    tracing::info!(
        api = %platform.api_address(),
        health = %platform.health_address(),
        public = platform.public_address().map(tracing::field::display),
        broker = platform.broker_address().map(tracing::field::display),
        public_key = %platform.public_key(),
        "serving"
    );
    platform.run(shutdown).await?;
    tracing::info!("ended");
    Ok(())
}
