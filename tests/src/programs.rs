//! The separate programs, as an operator runs them: spawned, watched, killed.

use std::ffi::OsString;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use process::clock::Clock;
use tokio::process::{Child, Command};

use crate::phone::Phone;

/// From spawn to ready: a cold start with a new database takes well below a second.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// From SIGTERM to exit: each program drains within five seconds.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(15);

const LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// What stands before a program's own name and words, and what it finds in its environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// A program that becomes ours or starts it under its own id, with its words.
    pub wrapper: Vec<OsString>,
    pub environment: Vec<(&'static str, OsString)>,
}

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Program {
    /// Starts one of the workspace's programs; its output goes to `log`, which is appended to.
    pub fn start(name: &str, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        Self::spawn(&binary(name)?, name, arguments, log)
    }

    /// Starts any program.
    pub fn spawn(path: &Path, name: &str, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(path);
        command.args(arguments);
        Self::command(command, name, log)
    }

    /// Starts one of the workspace's programs, unmodified, as `launch` says.
    pub fn launch(
        name: &str,
        arguments: &[&str],
        log: &Path,
        launch: &Launch,
    ) -> anyhow::Result<Self> {
        let path = binary(name)?;
        let mut command = match launch.wrapper.split_first() {
            None => Command::new(path),
            Some((wrapper, words)) => {
                let mut command = Command::new(wrapper);
                command.args(words).arg(path);
                command
            }
        };
        command.args(arguments).envs(launch.environment.clone());
        Self::command(command, name, log)
    }

    fn command(mut command: Command, name: &str, log: &Path) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} does not start"))?;
        Ok(Self {
            child,
            name: name.to_owned(),
            log: log.to_owned(),
        })
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal by its name, `STOP` say.
    pub async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let pid = self
            .id()
            .with_context(|| format!("{} has ended", self.name))?;
        let kill = Command::new("kill")
            .args([format!("-{signal}"), pid.to_string()])
            .status()
            .await?;
        ensure!(kill.success(), "{} can't be sent {signal}", self.name);
        Ok(())
    }

    /// Waits until `url` answers 200, or the program has ended.
    pub async fn wait_ready(&mut self, url: &str, clock: &Clock) -> anyhow::Result<()> {
        let phone = Phone::new(clock.clone());
        let deadline = clock.now().tick + READY_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.output());
            }
            if phone.open(url).await.is_ok_and(|page| page.status == 200) {
                return Ok(());
            }
            if clock.now().tick >= deadline {
                bail!("{} is not ready at {url}: {}", self.name, self.output());
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// SIGKILL: no code of the program runs after it.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child
            .kill()
            .await
            .with_context(|| format!("{} can't be killed", self.name))
    }

    /// SIGTERM, and the exit code.
    pub async fn stop(mut self) -> anyhow::Result<i32> {
        self.signal("TERM").await?;
        self.wait(STOP_TIMEOUT).await
    }

    /// Waits for its end by itself, and the exit code.
    pub async fn wait(&mut self, timeout: Duration) -> anyhow::Result<i32> {
        let ended = tokio::time::timeout(timeout, self.child.wait()).await;
        let status =
            ended.with_context(|| format!("{} does not end: {}", self.name, self.output()))??;
        status
            .code()
            .with_context(|| format!("{} was killed", self.name))
    }

    /// What it printed, over all its starts with the same log.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The path of a program of the workspace, in the same profile as this process.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let found = own
        .ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built; run: cargo build --workspace --bins"))
}

/// First of the ports that [`free_port`] gives: below those that systems take for outgoing
/// connections (32,768 on Linux), so that none is taken between choosing and binding.
const PORT_FIRST: u16 = 18_000;

/// How many there are.
const PORT_COUNT: u16 = 14_000;

/// Ports tried from here on; each process starts elsewhere and never gives one twice.
static PORT_NEXT: LazyLock<AtomicU32> =
    LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(PORTS_PER_PROCESS)));

/// More than one test takes, so that processes with neighbouring ids don't meet.
const PORTS_PER_PROCESS: u32 = 32;

/// A port that was free a moment ago.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..PORT_COUNT {
        let offset = PORT_NEXT.fetch_add(1, Ordering::Relaxed) % u32::from(PORT_COUNT);
        let port = PORT_FIRST + u16::try_from(offset)?;
        if TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}
