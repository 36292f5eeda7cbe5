//! `paylatch-platform`: the platform as a process of its own.

mod cli;

use std::process::ExitCode;

use platform::Keys;
use platform::config::Settings;

use cli::{Arguments, Command, KeysCommand};

fn main() -> ExitCode {
    match process::cli::parse() {
        Ok(arguments) => process::exit::report(start(&arguments)),
        Err(code) => code,
    }
}

#[tokio::main]
async fn start(arguments: &Arguments) -> anyhow::Result<()> {
    if let Command::VerifyReceipt(wanted) = &arguments.command {
        println!("{}", cli::evidence::verify_receipt(wanted, arguments)?);
        return Ok(());
    }
    let settings = Settings::load(&arguments.config, &arguments.overrides())?;
    match &arguments.command {
        Command::Run => run(&settings).await,
        Command::VerifyReceipt(_) => Ok(()),
        Command::CheckConfig => {
            settings.check()?;
            println!("{}: ok", arguments.config.display());
            Ok(())
        }
        Command::Audit { json } => audit(&settings, *json),
        Command::EraseIdentity { pseudonym } => {
            let erased = settings.erase_identity(*pseudonym)?;
            println!(
                "{pseudonym}: {}",
                if erased { "erased" } else { "not known" }
            );
            Ok(())
        }
        Command::Keys { command } => {
            let public = match command {
                KeysCommand::Init => settings.init_keys()?.to_string(),
                KeysCommand::Show => process::keys::load(&settings.signing_file())?
                    .public()
                    .to_string(),
                KeysCommand::Publish => cli::evidence::publish(&settings)?,
            };
            println!("{public}");
            Ok(())
        }
    }
}

fn audit(settings: &Settings, is_json: bool) -> anyhow::Result<()> {
    let report = platform::audit::check(&settings.data_folder)?;
    let count = report.violations.len();
    if is_json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        for violation in &report.violations {
            println!("{violation}");
        }
        println!("{} transactions, {count} violations", report.transactions);
    }
    if count == 0 {
        return Ok(());
    }
    let line = format!("{count} rows of the books break an invariant");
    Err(process::exit::Failure::new(process::exit::Code::Failed, line).into())
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
