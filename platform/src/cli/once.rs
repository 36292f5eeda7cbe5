//! Subcommands that end by themselves, each with what it prints.

use platform::Settings;
use platform::config::Export;
use process::exit::{Code, Failure};
use serde_json::json;

use super::act::{act, by_hand};
use super::tariff::TariffCommand;
use super::{Arguments, Command, KeysCommand, evidence, tariff};

/// Does what the command line asks, and gives what it prints.
pub(crate) async fn once(arguments: &Arguments, settings: &Settings) -> anyhow::Result<String> {
    match &arguments.command {
        Command::Run | Command::VerifyReceipt(_) | Command::Tariff { .. } => Ok(String::new()),
        Command::CheckConfig => {
            settings.check()?;
            Ok(format!("{}: ok", arguments.config.display()))
        }
        Command::Audit { json } => audit(settings, *json),
        Command::EraseIdentity { pseudonym } => {
            let erased = settings.erase_identity(*pseudonym)?;
            let outcome = if erased { "erased" } else { "not known" };
            Ok(format!("{pseudonym}: {outcome}"))
        }
        Command::Backup { folder } => settings.backup(folder),
        Command::Export {
            from,
            to,
            merchant,
            out,
        } => settings.export(&Export {
            from,
            to,
            merchant: merchant.as_deref(),
            out: out.as_deref(),
        }),
        Command::Restore { folder } => settings.restore(folder),
        Command::Keys { command } => keys(command, settings).await,
        Command::ByHand(deed) => by_hand(deed, settings).await,
    }
}

/// Does what needs no configuration, if that was asked, and gives what it prints.
pub(crate) fn without_settings(arguments: &Arguments) -> anyhow::Result<Option<String>> {
    match &arguments.command {
        Command::VerifyReceipt(wanted) => evidence::verify_receipt(wanted, arguments).map(Some),
        Command::Tariff {
            command: TariffCommand::Quote(wanted),
        } => tariff::quote(wanted).map(Some),
        _ => Ok(None),
    }
}

/// The rows that break an invariant are what was asked for, whatever the exit code says of them.
fn audit(settings: &Settings, is_json: bool) -> anyhow::Result<String> {
    let report = platform::audit::check(&settings.data_folder)?;
    let count = report.violations.len();
    let told = if is_json {
        serde_json::to_string(&report)?
    } else {
        let lines = report
            .violations
            .iter()
            .map(|violation| format!("{violation}\n"));
        let summary = format!("{} transactions, {count} violations", report.transactions);
        lines.chain([summary]).collect()
    };
    if count == 0 {
        return Ok(told);
    }
    println!("{told}");
    let line = format!("{count} rows of the books break an invariant");
    Err(Failure::new(Code::Failed, line).into())
}

async fn keys(command: &KeysCommand, settings: &Settings) -> anyhow::Result<String> {
    match command {
        KeysCommand::Init => Ok(settings.init_keys()?.to_string()),
        KeysCommand::Publish => evidence::publish(settings),
        KeysCommand::Show => {
            let key = process::keys::load(&settings.signing_file())?;
            Ok(key.public().to_string())
        }
        KeysCommand::Revoke { key, person } => {
            let path = format!("/keys/{}/revoke", key.as_str());
            act(settings, person, &path, json!({})).await
        }
    }
}
