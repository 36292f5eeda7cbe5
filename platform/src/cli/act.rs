//! What an operator does by hand, as words on a command line.

use clap::{Args, Subcommand, ValueEnum};
use platform::Settings;
use process::entropy::SystemEntropy;
use process::exit::{Code, Failure, code_of, one_line};
use protocol::id::{ActId, Entropy as _, TransactionId};
use protocol::topic::TerminalName;
use serde_json::{Value, json};

use super::call;
use super::examples::{BACKUP, HAND, HOLD, RESOLVE};

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

/// What became of the money of a sale under review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resolution {
    Refund,
    Earned,
    Loss,
    Returned,
}

impl Resolution {
    /// Its name in the API.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Earned => "earned",
            Self::Loss => "loss",
            Self::Returned => "returned",
        }
    }
}

/// Acts of a person, which the platform that runs does.
#[derive(Debug, Subcommand)]
pub(crate) enum ByHand {
    /// Takes no new orders at a terminal, a site or a payment server; open ones drain. It stays
    /// over restarts, until `release`. The platform must run.
    #[command(after_help = HOLD)]
    Hold {
        /// `SITE/TERMINAL`, `SITE`, `gateway/NAME`, or `*` for all.
        scope: String,
        #[command(flatten)]
        person: Person,
    },
    /// Gives back whatever is left of a transaction's payments. The platform must run.
    #[command(after_help = HAND)]
    Refund {
        /// 32 hexadecimal digits.
        transaction: TransactionId,
        #[command(flatten)]
        person: Person,
    },
    /// Decides what waits for a person: a task of the work list, or a sale under review. The platform
    /// must run.
    #[command(after_help = RESOLVE)]
    Resolve {
        /// The task's id, or with --as the transaction's.
        #[arg(value_name = "ID")]
        subject: String,
        /// What became of the money of a sale under review.
        #[arg(long = "as", value_name = "RESOLUTION")]
        resolution: Option<Resolution>,
        #[command(flatten)]
        person: Person,
    },
    /// Compares every payment server's statement with the books now. The platform must run.
    #[command(after_help = RESOLVE)]
    Reconcile {
        #[command(flatten)]
        person: Person,
    },
    /// Switches ON by hand, once, for a payer whose bill is out and whose request still lives. The
    /// order is closed; what was or is still paid for it is never a second ON. Nobody there? Let
    /// the payer begin at the terminal first. The platform must run.
    #[command(after_help = HAND)]
    Open {
        /// `SITE/TERMINAL`: whoever stands there; or the 32 digits of a transaction.
        target: String,
        #[command(flatten)]
        person: Person,
    },
    /// Answers for the journal of a terminal that is gone, or has worked for a newer store: it
    /// counts as read. Find out first what it did. The platform must run.
    #[command(after_help = BACKUP)]
    Vouch {
        /// `SITE/TERMINAL`.
        terminal: TerminalName,
        #[command(flatten)]
        person: Person,
    },
    /// Ends a hold of exactly this scope. The platform must run.
    #[command(after_help = HOLD)]
    Release {
        /// As `hold` was told.
        scope: String,
        #[command(flatten)]
        person: Person,
    },
}

/// Has it done, and gives what is printed.
pub(crate) async fn by_hand(deed: &ByHand, settings: &Settings) -> anyhow::Result<String> {
    match deed {
        ByHand::Hold { scope, person } => {
            act(settings, person, "/holds", json!({ "scope": scope })).await
        }
        ByHand::Release { scope, person } => {
            act(
                settings,
                person,
                "/holds/release",
                json!({ "scope": scope }),
            )
            .await
        }
        ByHand::Refund {
            transaction,
            person,
        } => {
            let path = format!("/transactions/{transaction}/refund");
            act(settings, person, &path, json!({})).await
        }
        ByHand::Resolve {
            subject,
            resolution,
            person,
        } => {
            let (path, body) = match resolution {
                Some(resolution) => {
                    let transaction: TransactionId = subject.parse().map_err(usage)?;
                    let body = json!({ "resolution": resolution.as_str() });
                    (format!("/transactions/{transaction}/resolve"), body)
                }
                // Digits alone, or they would be another path.
                None if subject.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    (format!("/tasks/{subject}/resolve"), json!({}))
                }
                None => {
                    return Err(usage("a task id is 32 hexadecimal digits in lower case").into());
                }
            };
            act(settings, person, &path, body).await
        }
        ByHand::Reconcile { person } => act(settings, person, "/reconcile", json!({})).await,
        ByHand::Open { target, person } => {
            let path = if target.contains('/') {
                let terminal: TerminalName = target.parse().map_err(usage)?;
                format!("/terminals/{terminal}/open")
            } else {
                let transaction: TransactionId = target.parse().map_err(usage)?;
                format!("/transactions/{transaction}/open")
            };
            act(settings, person, &path, json!({})).await
        }
        ByHand::Vouch { terminal, person } => {
            let path = format!("/terminals/{terminal}/vouch");
            act(settings, person, &path, json!({})).await
        }
    }
}

/// Sends one act to the platform that runs, and gives a line about what came of it.
pub(super) async fn act(
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
        "resolve" => format!(
            "{}: {}, now {}",
            word(&outcome["transaction"]),
            word(&deed["resolution"]),
            word(&outcome["state"])
        ),
        "resolve_task" => format!("{}: resolved", word(&deed["task"])),
        "reconcile" => "statements are compared now".to_owned(),
        "vouch" => format!("{}: counts as read", word(&deed["terminal"])),
        _ => format!("{deed}: {outcome}"),
    };
    format!("{what}{again}; act {}", word(&done["id"]))
}

fn usage(error: impl std::fmt::Display) -> Failure {
    Failure::new(Code::Usage, error.to_string())
}
