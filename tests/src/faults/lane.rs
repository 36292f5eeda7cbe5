//! A shop in which one case follows another. A case is one payer, one fault, and then nothing but
//! waiting: whatever died is started again, and everything must settle.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use process::clock::Clock;
use protocol::time::Tick;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::books::{Books, End};
use super::payer::{Payer, Told};
use super::plan::Profile;
use super::point::{Call, Point, When};
use super::strace::{self, Injection, Tracer};
use crate::phone::Phone;
use crate::programs::Launch;
use crate::relay::Relay;
use crate::stand::{Bus, Device, Plan, Role, Stand};
use crate::tool;

/// What one wash costs, in fen.
pub const PRICE: i64 = 1_200;

/// From the payer's coming until it knows how it ended, and from there until everything has
/// settled: the goal for every acknowledged and paid session.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a fault is waited for once the payer has gone: the last words of a sale, and its
/// pruning at the terminal, follow within a second.
const LATE_FAULT_TIMEOUT: Duration = Duration::from_millis(1_500);

const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How one case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    pub end: End,
    /// Whether the fault happened: a count that no thread reaches is no fault.
    pub was_hit: bool,
    pub duration: Duration,
}

/// One shop.
#[derive(Debug)]
pub struct Lane {
    folder: TempDir,
    stand: Stand,
    relay: Relay,
    clock: Clock,
    strace: PathBuf,
}

impl Lane {
    /// Starts a shop. `None` where `strace` is missing, which has been told loudly.
    pub async fn open(bus: Bus) -> anyhow::Result<Option<Self>> {
        Self::open_with(|plan| Plan { bus, ..plan }).await
    }

    /// Starts a shop whose plan differs.
    pub async fn open_with(change: impl FnOnce(Plan) -> Plan) -> anyhow::Result<Option<Self>> {
        let Some(strace) = tool::find("strace")? else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let relay = Relay::start().await?;
        let mut plan = change(Plan::new(folder.path()).short());
        plan.device = Device::Modbus(relay.address());
        let mut stand = Stand::prepare(plan).await?;
        for role in stand.roles() {
            stand.set_launch(role, plain());
            stand.start_program(role).await?;
        }
        Ok(Some(Self {
            stand,
            relay,
            clock: Clock::system(),
            strace,
            folder,
        }))
    }

    #[must_use]
    pub const fn stand(&mut self) -> &mut Stand {
        &mut self.stand
    }

    #[must_use]
    pub const fn relay(&self) -> &Relay {
        &self.relay
    }

    /// What every program printed.
    #[must_use]
    pub fn logs(&self) -> String {
        let log = |role: Role| std::fs::read_to_string(self.stand.log(role)).unwrap_or_default();
        Role::ALL.map(log).join("\n")
    }

    /// Where the programs' files are, for whoever has to look at a violation.
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }

    /// Watches one payment, and one start of each program: where they can be hurt.
    pub async fn profile(&mut self) -> anyhow::Result<Profile> {
        // The first payment of a shop does what no later one does: it opens files.
        self.pay(None).await?;
        let mut tracers = Vec::new();
        for role in self.stand.roles() {
            tracers.push((role, self.attach(role, None).await?));
        }
        let payment = self.pay(None).await?;
        ensure!(payment.end == End::Served, "without a fault: {payment:?}");
        self.clock
            .until(Some(self.clock.now().tick + LATE_FAULT_TIMEOUT))
            .await;
        let mut during = BTreeMap::new();
        for (role, tracer) in tracers {
            during.insert(role, tracer.detach().await?);
        }
        let mut starting = BTreeMap::new();
        for role in self.stand.roles() {
            starting.insert(role, self.watch_start(role).await?);
        }
        Ok(Profile::new(payment.duration, &during, &starting))
    }

    /// One payer, and at most one fault.
    ///
    /// # Errors
    /// A rule that was broken, or a program that can't be started any more.
    pub async fn pay(&mut self, point: Option<Point>) -> anyhow::Result<Case> {
        self.wait_free().await?;
        let before = self.books()?;
        let start = self.clock.now().tick;
        let mut trap = self.set(point, start).await?;
        let came = self.clock.now().tick;
        let payer = Payer::new(&self.stand.page(), &self.clock);
        let mut payer = tokio::spawn(payer.run(came + SETTLE_TIMEOUT));
        let was_hit = self.tend(&mut trap, &mut payer).await?;
        let told = payer.await?;
        let duration = self.clock.now().tick.since(came);
        trap.release().await?;
        let end = self.settle(&before, &told, point).await?;
        if let Some(role) = point.and_then(haunted) {
            // Its tracer would kill it in some later case.
            self.end_haunting(role).await?;
        }
        Ok(Case {
            end,
            was_hit,
            duration,
        })
    }

    /// Ends every program; what had settled stays as it was.
    pub async fn close(self) -> anyhow::Result<()> {
        let platform = self.stand.platform_data();
        let settled = platform::audit::read(&platform)?;
        self.stand.stop().await?;
        let left = platform::audit::read(&platform)?;
        ensure!(left == settled, "the end changed something");
        Ok(self.folder.close()?)
    }

    /// What both ledgers and the relay say now.
    pub fn books(&self) -> anyhow::Result<Books> {
        let mock = self.stand.data(Role::Mock);
        Books::read(&self.stand.platform_data(), &mock, self.relay.changes())
    }

    /// Waits until the terminal sells to the next payer.
    pub async fn wait_free(&mut self) -> anyhow::Result<()> {
        let phone = Phone::new(self.clock.clone());
        let deadline = self.clock.now().tick + SETTLE_TIMEOUT;
        let mut state = String::new();
        while self.clock.now().tick < deadline {
            if let Ok(page) = phone.open(&self.stand.page()).await {
                state = page.state();
                if state == "free" {
                    return Ok(());
                }
            }
            self.restart_ended(None).await?;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        anyhow::bail!("the terminal does not sell any more, but is '{state}'")
    }

    /// Waits until the books are as they have to be.
    pub async fn settle(
        &mut self,
        before: &Books,
        told: &Told,
        point: Option<Point>,
    ) -> anyhow::Result<End> {
        let deadline = self.clock.now().tick + SETTLE_TIMEOUT;
        loop {
            let books = self.books();
            let judged = books.and_then(|books| books.judge(before, told, PRICE));
            if judged.is_ok() || self.clock.now().tick >= deadline {
                return judged;
            }
            self.restart_ended(point).await?;
            tokio::time::sleep(LOOK_INTERVAL * 5).await;
        }
    }

    async fn set(&mut self, point: Option<Point>, start: Tick) -> anyhow::Result<Trap> {
        let Some(point) = point else {
            return Ok(Trap::none());
        };
        let (tracer, kill_at) = match point.when {
            When::Call(at) => {
                let effect = point.effect;
                let injection = Injection { effect, at };
                let tracer = self.attach(point.role, Some(injection)).await?;
                (Some(tracer), None)
            }
            // Half a payment in: a program that dies at its start must have died before.
            When::Restart(_) => (None, Some(start + Duration::from_millis(150))),
            When::After(time) => (None, Some(start + time)),
        };
        Ok(Trap {
            point: Some(point),
            tracer,
            kill_at,
            was_hit: false,
        })
    }

    async fn attach(&mut self, role: Role, injection: Option<Injection>) -> anyhow::Result<Tracer> {
        let pid = self.stand.program(role)?.id();
        let pid = pid.context("it has ended")?;
        let log = self.trace_log(role);
        Tracer::attach(&self.strace, pid, injection, &log, &self.clock).await
    }

    fn trace_log(&self, role: Role) -> PathBuf {
        self.folder
            .path()
            .join(format!("{}.strace", role.program()))
    }

    /// Looks after the programs until the payer knows how it ended and the fault has happened, or
    /// won't happen any more.
    async fn tend(
        &mut self,
        trap: &mut Trap,
        payer: &mut JoinHandle<Told>,
    ) -> anyhow::Result<bool> {
        let mut late = None;
        loop {
            let now = self.clock.now().tick;
            if trap.kill_at.is_some_and(|at| at <= now) {
                self.kill(trap).await?;
            }
            let ended = self.restart_ended(trap.point).await?;
            trap.was_hit |= !ended.is_empty() || trap.has_fired()?;
            if payer.is_finished() {
                let until = *late.get_or_insert(now + LATE_FAULT_TIMEOUT);
                if trap.was_hit || trap.point.is_none() || now >= until {
                    return Ok(trap.was_hit);
                }
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn kill(&mut self, trap: &mut Trap) -> anyhow::Result<()> {
        trap.kill_at = None;
        trap.was_hit = true;
        let Some(point) = trap.point else {
            return Ok(());
        };
        self.stand.kill(point.role).await?;
        if let When::Restart(at) = point.when {
            let effect = point.effect;
            let injection = Injection { effect, at };
            let log = self.trace_log(point.role);
            let mut launch = strace::launch(&self.strace, injection, &log);
            launch.environment = plain().environment;
            self.stand.set_launch(point.role, launch);
            // It may die before it is ready, or never: both are what was asked for.
            if let Err(error) = self.stand.start_program(point.role).await {
                tracing::debug!(%error, "killed at its start");
            }
            self.stand.set_launch(point.role, plain());
            if self.stand.is_running(point.role) {
                return Ok(());
            }
        }
        self.stand.start_program(point.role).await
    }

    async fn end_haunting(&mut self, role: Role) -> anyhow::Result<()> {
        for (role, _) in self.stand.take_ended()? {
            self.stand.start_program(role).await?;
        }
        self.stand.kill(role).await?;
        self.stand.start_program(role).await
    }

    /// What an operator's supervisor does. Nothing but the fault ends a program.
    async fn restart_ended(&mut self, point: Option<Point>) -> anyhow::Result<Vec<Role>> {
        let mut restarted = Vec::new();
        for (role, status) in self.stand.take_ended()? {
            let expected = point.is_some_and(|point| point.role == role);
            ensure!(expected, "{} ended with {status} by itself", role.program());
            self.stand.start_program(role).await?;
            restarted.push(role);
        }
        Ok(restarted)
    }

    /// The calls of a start, on the data of some payments.
    async fn watch_start(&mut self, role: Role) -> anyhow::Result<BTreeMap<Call, u32>> {
        self.stand.kill(role).await?;
        let log = self.trace_log(role);
        let mut launch = strace::launch_counting(&self.strace, &log);
        launch.environment = plain().environment;
        self.stand.set_launch(role, launch);
        self.stand.start_program(role).await?;
        self.wait_free().await?;
        self.stand.set_launch(role, plain());
        let calls = strace::read_counts(&log)?;
        // The tracer goes with the program.
        self.stand.kill(role).await?;
        self.stand.start_program(role).await?;
        self.wait_free().await?;
        Ok(calls)
    }
}

/// What waits for a program.
#[derive(Debug)]
struct Trap {
    point: Option<Point>,
    tracer: Option<Tracer>,
    kill_at: Option<Tick>,
    was_hit: bool,
}

impl Trap {
    const fn none() -> Self {
        Self {
            point: None,
            tracer: None,
            kill_at: None,
            was_hit: false,
        }
    }

    fn has_fired(&self) -> anyhow::Result<bool> {
        self.tracer.as_ref().map_or(Ok(false), Tracer::has_fired)
    }

    async fn release(self) -> anyhow::Result<()> {
        if let Some(tracer) = self.tracer {
            tracer.detach().await?;
        }
        Ok(())
    }
}

/// A program whose tracer came with its start and goes with its end.
const fn haunted(point: Point) -> Option<Role> {
    match point.when {
        When::Restart(_) => Some(point.role),
        When::Call(_) | When::After(_) => None,
    }
}

/// One worker, so that a program's calls are those of few threads and a count means the same again.
fn plain() -> Launch {
    Launch {
        wrapper: Vec::new(),
        environment: vec![("TOKIO_WORKER_THREADS", "1".into())],
    }
}
