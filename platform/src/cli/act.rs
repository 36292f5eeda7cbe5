//! What an operator does by hand, as words on a command line.

use clap::Args;
use platform::Settings;
use process::entropy::SystemEntropy;
use process::exit::{Code, Failure, code_of, one_line};
use protocol::id::{ActId, Entropy as _};
use serde_json::{Value, json};

use super::call;

/// Who acts, and why. Both are kept for ever.
#[derive(Debug, Args)]
pub(crate) struct Person {
    /// Who you are; it is kept with the act.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Why; it is kept with the act.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only to repeat an attempt whose answer was lost: the id that was printed then. The same id
    /// twice is one act.
    #[arg(long, value_name = "ID")]
    id: Option<ActId>,
}

/// Sends one act to the platform that runs, and gives a line about what came of it.
pub(crate) async fn act(
    settings: &Settings,
    person: &Person,
    path: &str,
    mut body: Value,
) -> anyhow::Result<String> {
    let fresh = || ActId::from_random(SystemEntropy::new().bytes());
    let id = person.id.unwrap_or_else(fresh);
    body["id"] = json!(id);
    body["name"] = json!(person.name);
    body["reason"] = json!(person.reason);
    let answered = call::post(settings, path, &body).await;
    Ok(told(&answered.map_err(|error| explained(error, id))?))
}

/// An act whose answer was lost may be done; one that was never sent is not.
fn explained(error: anyhow::Error, id: ActId) -> anyhow::Error {
    let line = one_line(error.as_ref());
    if error.is::<call::NotRunning>() {
        return Failure::new(Code::Unavailable, line).into();
    }
    match code_of(error.as_ref()) {
        Code::Unavailable => {
            let line = format!("{line}; to be sure, ask again with --id {id}");
            Failure::new(Code::Unavailable, line).into()
        }
        _ => error,
    }
}

/// One line for people: what was done, and what came of it.
fn told(done: &Value) -> String {
    let again = if done["again"] == json!(true) {
        " (done before)"
    } else {
        ""
    };
    let (deed, outcome) = (&done["deed"], &done["outcome"]);
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let what = match word(&deed["kind"]).as_str() {
        "hold" => format!(
            "{}: held; no new orders, open ones drain",
            word(&deed["scope"])
        ),
        "release" => format!("{}: released", word(&deed["scope"])),
        "refund" => format!("{}: refund begun", word(&outcome["transaction"])),
        "open" | "open_at" => format!("{}: ON is signed", word(&outcome["transaction"])),
        "revoke_key" => format!("key of {}: revoked", word(&outcome["whose"])),
        "resolve_task" => format!("{}: resolved", word(&deed["task"])),
        "reconcile" => "statements are compared now".to_owned(),
        "vouch" => format!("{}: counts as read", word(&deed["terminal"])),
        _ => format!("{deed}: {outcome}"),
    };
    format!("{what}{again}; act {}", word(&done["id"]))
}
