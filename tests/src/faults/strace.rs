//! System calls of unmodified programs, by `strace`: counted, failed, or answered with SIGKILL.
//!
//! A tracer is attached to a program that runs already, so that its counts start with the payment
//! and one program serves many cases; or it stands before a program's start. It counts each thread
//! by itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use process::clock::Clock;
use tokio::process::{Child, Command};

use super::point::{Call, Effect, Nth};
use crate::programs::Launch;

/// From its start until it has stopped every thread once; tens of milliseconds on a busy machine.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(10);

/// From SIGTERM until every thread is free again.
const DETACH_TIMEOUT: Duration = Duration::from_secs(10);

const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What a tracer does at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    pub effect: Effect,
    pub at: Nth,
}

impl Injection {
    fn expression(self) -> String {
        let Nth { call, count } = self.at;
        let call = call.as_str();
        let effect = match self.effect {
            Effect::Kill => "signal=KILL",
            Effect::InputOutput => "error=EIO",
            Effect::NoSpace => "error=ENOSPC",
            Effect::Stop => "signal=STOP",
        };
        format!("inject={call}:{effect}:when={count}")
    }
}

/// A tracer at work on a program. Dropped, it is killed, and the program goes on.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    log: PathBuf,
}

impl Tracer {
    /// Attaches to all threads of `pid` and to those that it starts later. With `injection` the
    /// call is the only one that is traced; without, every call is written to `log`.
    pub async fn attach(
        strace: &Path,
        pid: u32,
        injection: Option<Injection>,
        log: &Path,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let told = log.with_extension("told");
        let mut command = Command::new(strace);
        command.args(["-f", "-p", &pid.to_string(), "-o"]).arg(log);
        match injection {
            None => command.args(["-e", &trace_all()]),
            Some(injection) => {
                let trace = format!("trace={}", injection.at.call.as_str());
                command.args(["-e", &trace, "-e", &injection.expression()])
            }
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&told)?)
            .kill_on_drop(true)
            .spawn()
            .context("strace does not start")?;
        let mut tracer = Self {
            child,
            log: log.to_owned(),
        };
        tracer.wait_attached(&told, clock).await?;
        Ok(tracer)
    }

    async fn wait_attached(&mut self, told: &Path, clock: &Clock) -> anyhow::Result<()> {
        let deadline = clock.now().tick + ATTACH_TIMEOUT;
        loop {
            let text = std::fs::read_to_string(told)?;
            if text.contains(" attached") {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("strace ended with {status}: {}", text.trim());
            }
            if clock.now().tick >= deadline {
                bail!("strace attached to nothing: {}", text.trim());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Whether the injection has happened.
    pub fn has_fired(&self) -> anyhow::Result<bool> {
        let log = std::fs::read_to_string(&self.log)?;
        let signs = [
            "(INJECTED)",
            "+++ killed by SIGKILL",
            "--- stopped by SIGSTOP",
        ];
        Ok(signs.iter().any(|sign| log.contains(sign)))
    }

    /// Lets the program go, whole or dead, and returns how often it made each call: the highest
    /// count of any thread.
    pub async fn detach(mut self) -> anyhow::Result<BTreeMap<Call, u32>> {
        if let Some(pid) = self.child.id() {
            // It may end with its program in this moment.
            Command::new("kill")
                .args(["-TERM", &pid.to_string()])
                .stderr(Stdio::null())
                .status()
                .await?;
        }
        tokio::time::timeout(DETACH_TIMEOUT, self.child.wait())
            .await
            .context("strace does not let go")??;
        read_counts(&self.log)
    }
}

/// How to start a program with an injection from its first call on.
#[must_use]
pub fn launch(strace: &Path, injection: Injection, log: &Path) -> Launch {
    let trace = format!("trace={}", injection.at.call.as_str());
    wrapped(strace, &["-e", &trace, "-e", &injection.expression()], log)
}

/// How to start a program so that its calls are written to `log`.
#[must_use]
pub fn launch_counting(strace: &Path, log: &Path) -> Launch {
    wrapped(strace, &["-e", &trace_all()], log)
}

/// How often each call stands in a log: the highest count of any thread.
pub fn read_counts(log: &Path) -> anyhow::Result<BTreeMap<Call, u32>> {
    Ok(count(&std::fs::read_to_string(log)?))
}

fn wrapped(strace: &Path, what: &[&str], log: &Path) -> Launch {
    // -D: the tracer is the grandchild, so that the program keeps the id of its start.
    let words = [&["-D", "-f", "-qq"], what, &["-o"]].concat();
    let mut wrapper = vec![strace.as_os_str().to_owned()];
    wrapper.extend(words.iter().map(OsString::from));
    wrapper.push(log.as_os_str().to_owned());
    Launch {
        wrapper,
        environment: Vec::new(),
    }
}

fn trace_all() -> String {
    let names: Vec<_> = Call::ALL.iter().map(|call| call.as_str()).collect();
    format!("trace={}", names.join(","))
}

/// The last `call` of a log whose arguments show `text`, counted as points are.
#[must_use]
pub fn find(log: &str, call: Call, text: &str) -> Option<Nth> {
    let mut threads: BTreeMap<&str, u32> = BTreeMap::new();
    let mut found = None;
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        if name(rest) != call.as_str() {
            continue;
        }
        let count = threads.entry(thread).or_default();
        *count += 1;
        if rest.contains(text) {
            found = Some(Nth {
                call,
                count: *count,
            });
        }
    }
    found
}

/// Of the call that a line is about, without its thread.
fn name(line: &str) -> &str {
    line.trim_start().split('(').next().unwrap_or_default()
}

/// Lines are `PID call(arguments…`, or `PID <... call resumed>` for the second half of one.
fn count(log: &str) -> BTreeMap<Call, u32> {
    let mut threads: BTreeMap<(&str, Call), u32> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        if let Some(call) = Call::ALL
            .into_iter()
            .find(|call| call.as_str() == name(rest))
        {
            *threads.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), found) in threads {
        let entry = most.entry(call).or_insert(0);
        *entry = found.max(*entry);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
        12 fdatasync(9 <unfinished ...>\n\
        13 sendto(7, \"\\20\", 2, MSG_NOSIGNAL, NULL, 0) = 2\n\
        12 <... fdatasync resumed>)          = 0\n\
        12 fdatasync(9)                      = 0\n\
        14 fdatasync(3)                      = ?\n\
        14 +++ killed by SIGKILL +++\n\
        12 --- SIGCHLD {si_signo=SIGCHLD} ---\n";

    #[test]
    fn calls_are_counted_by_thread_and_the_highest_is_told() {
        let expected = BTreeMap::from([(Call::Fdatasync, 2), (Call::Sendto, 1)]);
        assert_eq!(count(LOG), expected);
    }

    #[test]
    fn a_call_is_found_by_what_it_carries() {
        let log = r#"
7 writev(3, [{iov_base="\0\1", iov_len=2}], 1) = 2
8 writev(9, [{iov_base="\0\1\0\0\0\6\1\5\0\0\377\0", iov_len=12}], 1 <unfinished ...>
7 writev(3, [{iov_base="\0\2", iov_len=2}], 1) = 2"#;
        let at = |text| find(log, Call::Writev, text).map(|nth| nth.count);
        assert_eq!(at(r"\5\0\0\377\0"), Some(1));
        assert_eq!(at(r"\0\2"), Some(2));
        assert_eq!(at(r"\9"), None);
    }

    #[test]
    fn an_injection_names_call_effect_and_count() {
        let at = Nth {
            call: Call::Fdatasync,
            count: 3,
        };
        let told = |effect| Injection { effect, at }.expression();
        assert_eq!(told(Effect::Kill), "inject=fdatasync:signal=KILL:when=3");
        assert_eq!(
            told(Effect::InputOutput),
            "inject=fdatasync:error=EIO:when=3"
        );
        assert_eq!(
            told(Effect::NoSpace),
            "inject=fdatasync:error=ENOSPC:when=3"
        );
    }
}
