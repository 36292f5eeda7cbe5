//! What an operator asks first: one line per check, with the fix. It changes nothing, beside a
//! running agent too; a device moves only where one is named.

mod place;
#[cfg(test)]
mod tests;
mod uplink;

use std::fmt;
use std::time::Duration;

use process::clock::Clock;
use process::exit::{Code, Failure};
use protocol::id::DeviceId;
use protocol::message::DeviceOutcome;
use protocol::time::Utc;

use crate::config::Config;
use crate::linkage::config::{Action, DeviceConfig};
use crate::linkage::{LinkageError, Panel};

/// A wall clock before this was never set: the first release is younger (2026-01-01).
const CLOCK_EARLIEST_MS: i64 = 1_767_225_600_000;

/// A wall clock after this is broken (2100-01-01).
const CLOCK_LATEST_MS: i64 = 4_102_444_800_000;

/// In which the boot clock has to move; it counts milliseconds.
const CLOCK_WAIT: Duration = Duration::from_millis(50);

/// Longest look at a device that was switched on by hand: then it is switched off.
const SWITCHED_ON_MAX: Duration = Duration::from_secs(10);

/// How long a device that doesn't end by itself is left on by hand.
const HELD_ON: Duration = Duration::from_secs(2);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    subject: String,
    finding: Result<String, Problem>,
}

/// What is wrong, and what an operator does about it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    what: String,
    fix: String,
}

impl Check {
    fn new(subject: impl Into<String>, finding: Result<String, Problem>) -> Self {
        Self {
            subject: subject.into(),
            finding,
        }
    }

    const fn passed(&self) -> bool {
        self.finding.is_ok()
    }
}

impl Problem {
    fn new(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: fix.into(),
        }
    }
}

/// One line: `ok    clock: ..` or `FAIL  device gate: ..; fix: ..`.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.finding {
            Ok(found) => write!(f, "ok    {}: {found}", self.subject),
            Err(problem) => {
                let Problem { what, fix } = problem;
                write!(f, "FAIL  {}: {what}; fix: {fix}", self.subject)
            }
        }
    }
}

/// What the command line says of it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Switch this device on for a moment too; without it nothing moves.
    #[arg(long, value_name = "DEVICE")]
    switch: Option<DeviceId>,
}

/// Prints one line per check; fails if one of them did.
pub(crate) async fn report(config: &Config, arguments: &Arguments) -> anyhow::Result<()> {
    process::log::init(config.log.format, "warn")
        .map_err(|error| Failure::new(Code::Config, error.to_string()))?;
    let checks = examine(config, arguments.switch.as_ref()).await;
    for check in &checks {
        println!("{check}");
    }
    let failed = checks.iter().filter(|check| !check.passed()).count();
    if failed > 0 {
        let message = format!("{failed} of {} checks failed", checks.len());
        return Err(Failure::new(Code::Unavailable, message).into());
    }
    Ok(())
}

/// Looks at everything, and switches on `switch` if an operator named it.
async fn examine(config: &Config, switch: Option<&DeviceId>) -> Vec<Check> {
    let mut checks = vec![
        Check::new("clock", clock(config).await),
        Check::new("key", key(config)),
        Check::new("journal", place::journal(config)),
        Check::new("page", place::page(config).await),
        Check::new("uplink", uplink::check(config).await),
    ];
    checks.extend(devices(config, switch).await);
    checks
}

async fn clock(config: &Config) -> Result<String, Problem> {
    let clock = Clock::system();
    let before = clock.now();
    let set = "set the clock, for example with `timedatectl set-ntp true`";
    if !(CLOCK_EARLIEST_MS..CLOCK_LATEST_MS).contains(&before.utc.as_millis()) {
        return Err(Problem::new(format!("it shows {}", shown(before.utc)), set));
    }
    if config.timeouts.clock_error_ms > 60_000 {
        return Err(Problem::new(
            format!(
                "timeouts.clock_error_ms is {}",
                config.timeouts.clock_error_ms
            ),
            "keep the clock by NTP and state an error below 60000",
        ));
    }
    tokio::time::sleep(CLOCK_WAIT).await;
    if clock.now().tick <= before.tick {
        let fix = "this machine can't keep the time of permits; replace it";
        return Err(Problem::new("the boot-time clock stands still", fix));
    }
    let error = config.timeouts.clock_error_ms;
    let now = shown(before.utc);
    Ok(format!(
        "{now}, taken as right within {error} ms; the boot-time clock runs"
    ))
}

fn shown(at: Utc) -> String {
    at.to_string()
}

fn key(config: &Config) -> Result<String, Problem> {
    let path = config.key_path();
    match process::keys::load(&path) {
        Ok(key) => Ok(format!("{}, public key {}", path.display(), key.public())),
        Err(error) => Err(Problem::new(
            process::exit::one_line(&error),
            "`keys init` makes one in data_folder; run as the user that owns it",
        )),
    }
}

async fn devices(config: &Config, switch: Option<&DeviceId>) -> Vec<Check> {
    let panel = match Panel::build(&config.devices) {
        Ok(panel) => panel,
        Err(error) => return vec![Check::new("devices", Err(unusable(&error)))],
    };
    let mut checks: Vec<Check> = panel
        .inspect()
        .await
        .into_iter()
        .map(|(id, found)| Check::new(format!("device {id}"), state(found)))
        .collect();
    if let Some(id) = switch {
        let config = config.devices.iter().find(|device| device.id == *id);
        checks.push(Check::new(
            format!("switch {id}"),
            switched(&panel, id, config).await,
        ));
    }
    // What is on by our hand goes off; what we only looked at stays as it is.
    panel.close().await;
    checks
}

fn unusable(error: &LinkageError) -> Problem {
    Problem::new(
        error.to_string(),
        "correct the devices in the configuration",
    )
}

fn state(found: Result<bool, String>) -> Result<String, Problem> {
    match found {
        Ok(on) => Ok(if on {
            "answers, is on"
        } else {
            "answers, is off"
        }
        .to_owned()),
        Err(reason) => Err(Problem::new(
            reason,
            "check its power and cable, and address, unit and coil in the configuration",
        )),
    }
}

async fn switched(
    panel: &Panel,
    id: &DeviceId,
    config: Option<&DeviceConfig>,
) -> Result<String, Problem> {
    let Some(config) = config else {
        let known: Vec<String> = panel.ids().iter().map(ToString::to_string).collect();
        let fix = format!("name one of: {}", known.join(", "));
        return Err(Problem::new("there is no such device", fix));
    };
    let results = panel.switch_on(std::slice::from_ref(id)).await;
    let moved = results
        .first()
        .is_some_and(|result| result.outcome == DeviceOutcome::Done);
    let told = results
        .first()
        .map(|result| format!("{:?}, feedback {:?}", result.outcome, result.feedback));
    let told = told.unwrap_or_default();
    if !moved {
        let fix = "the log above says why; check the wiring and the device";
        return Err(Problem::new(told, fix));
    }
    tokio::time::sleep(on_time(config.action)).await;
    Ok(format!("{told}; switched off again"))
}

const fn on_time(action: Action) -> Duration {
    match action {
        Action::Pulse(span) => {
            let pulse = Duration::from_millis(span.ms);
            if pulse.as_millis() < SWITCHED_ON_MAX.as_millis() {
                pulse
            } else {
                SWITCHED_ON_MAX
            }
        }
        Action::Hold | Action::RunFor(_) => HELD_ON,
    }
}
