//! A shop in which one case follows another. A case is one payer, one fault, and then nothing but
//! waiting: whatever died is started again, and everything must settle.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
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
use super::point::{Call, Effect, Nth, Point, When};
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

/// How long a stopped program stands still: longer than any nonce of these shops lives.
pub const PAUSE: Duration = Duration::from_secs(30);

/// A Modbus request that switches a coil on, as strace shows its end: function 5, coil 0, 0xff00.
const COIL_ON: &str = r"\5\0\0\377\0";

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
    launches: BTreeMap<Role, Launch>,
    /// Programs that have ended and could not be started again yet.
    down: BTreeSet<Role>,
}

impl Lane {
    /// Starts a shop. `None` where `strace` is missing, which has been told loudly.
    pub async fn open(bus: Bus) -> anyhow::Result<Option<Self>> {
        Self::open_with(|plan| Plan { bus, ..plan }).await
    }

    /// Starts a shop whose plan differs.
    pub async fn open_with(change: impl FnOnce(Plan) -> Plan) -> anyhow::Result<Option<Self>> {
        let Some(mut lane) = Self::prepare(change).await? else {
            return Ok(None);
        };
        lane.start().await?;
        Ok(Some(lane))
    }

    /// Writes every file of a shop, and starts nothing.
    pub async fn prepare(change: impl FnOnce(Plan) -> Plan) -> anyhow::Result<Option<Self>> {
        let Some(strace) = tool::find("strace")? else {
            return Ok(None);
        };
        let folder = tempfile::tempdir()?;
        let relay = Relay::start().await?;
        let mut plan = change(Plan::new(folder.path()).short());
        plan.device = Device::Modbus(relay.address());
        Ok(Some(Self {
            stand: Stand::prepare(plan).await?,
            relay,
            clock: Clock::system(),
            strace,
            folder,
            launches: BTreeMap::new(),
            down: BTreeSet::new(),
        }))
    }

    /// What stands before a program at each of its starts.
    pub fn set_launch(&mut self, role: Role, mut launch: Launch) {
        launch.environment.push(one_worker());
        self.launches.insert(role, launch);
    }

    /// Starts what does not run.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        for role in self.stand.roles() {
            if !self.stand.is_running(role) {
                self.start_program(role).await?;
            }
        }
        Ok(())
    }

    async fn start_program(&mut self, role: Role) -> anyhow::Result<()> {
        let launch = self.plain(role);
        self.stand.set_launch(role, launch);
        self.stand.start_program(role).await
    }

    /// One worker, so that a program's calls are those of few threads and a count means the same
    /// again.
    fn plain(&self, role: Role) -> Launch {
        let alone = || Launch {
            wrapper: Vec::new(),
            environment: vec![one_worker()],
        };
        self.launches.get(&role).cloned().unwrap_or_else(alone)
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
        let mut payer = tokio::spawn(payer.run(came + PAUSE + SETTLE_TIMEOUT));
        let was_hit = self.tend(&mut trap, &mut payer).await?;
        let told = payer.await?;
        let duration = self.clock.now().tick.since(came);
        trap.release().await?;
        let victim = point.map(|point| point.role);
        let end = self.settle(&before, &told, victim).await?;
        // The last call that was traced may have been the one, unnoticed until here.
        self.restart_ended(victim).await?;
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

    /// One payer, while `hurt` does something to the shop. Only `victim` may end of it, and is
    /// started again until it runs.
    ///
    /// # Errors
    /// A rule that was broken, or a program that can't be started any more.
    pub async fn pay_while(
        &mut self,
        victim: Option<Role>,
        hurt: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Case> {
        self.wait_free().await?;
        let before = self.books()?;
        let came = self.clock.now().tick;
        let payer = Payer::new(&self.stand.page(), &self.clock);
        let mut payer = tokio::spawn(payer.run(came + PAUSE + SETTLE_TIMEOUT));
        let tended = async {
            while !payer.is_finished() {
                self.restart_ended(victim).await?;
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            anyhow::Ok(())
        };
        let (hurt, tended) = tokio::join!(hurt, tended);
        hurt.and(tended)?;
        let told = (&mut payer).await?;
        let duration = self.clock.now().tick.since(came);
        let end = self.settle(&before, &told, victim).await?;
        Ok(Case {
            end,
            was_hit: true,
            duration,
        })
    }

    /// Which of the terminal's writes moves the device, counted as points are. It varies by a few
    /// from payment to payment: the devices are looked at in between.
    pub async fn device_write(&mut self) -> anyhow::Result<Nth> {
        let tracer = self.attach(Role::Terminal, None).await?;
        self.pay(None).await?;
        tracer.detach().await?;
        let log = std::fs::read_to_string(self.trace_log(Role::Terminal))?;
        strace::find(&log, Call::Writev, COIL_ON).context("no write moved the device")
    }

    /// Ends every program; what had settled stays as it was. The folder is left.
    pub async fn stop(self) -> anyhow::Result<TempDir> {
        let platform = self.stand.platform_data();
        let settled = platform::audit::read(&platform)?.transactions;
        self.stand.stop().await?;
        let left = platform::audit::read(&platform)?.transactions;
        ensure!(left == settled, "the end changed a sale");
        Ok(self.folder)
    }

    /// The same, and the folder goes.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.stop().await?.close()?)
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
        victim: Option<Role>,
    ) -> anyhow::Result<End> {
        let deadline = self.clock.now().tick + SETTLE_TIMEOUT;
        loop {
            let books = self.books();
            let judged = books.and_then(|books| books.judge(before, told, PRICE));
            if judged.is_ok() || self.clock.now().tick >= deadline {
                return judged;
            }
            self.restart_ended(victim).await?;
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
            ..Trap::none()
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
            let victim = trap.point.map(|point| point.role);
            let has_ended = self.restart_ended(victim).await?;
            trap.was_hit |= has_ended || trap.has_fired()?;
            self.pause_over(trap, now).await?;
            if payer.is_finished() {
                let until = *late.get_or_insert(now + LATE_FAULT_TIMEOUT);
                let is_over = trap.was_hit && trap.resume_at.is_none();
                if is_over || trap.point.is_none() || now >= until && !trap.was_hit {
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
        let role = point.role;
        if point.effect == Effect::Stop {
            return self.stand.program(role)?.signal("STOP").await;
        }
        self.stand.kill(role).await?;
        if let When::Restart(at) = point.when {
            let effect = point.effect;
            let injection = Injection { effect, at };
            let log = self.trace_log(role);
            let mut launch = strace::launch(&self.strace, injection, &log);
            launch.environment = self.plain(role).environment;
            self.stand.set_launch(role, launch);
            // It may die before it is ready, or never: both are what was asked for.
            if self.stand.start_program(role).await.is_ok() {
                return Ok(());
            }
        }
        self.start_program(role).await
    }

    /// Lets a stopped program go on when its time has come.
    async fn pause_over(&mut self, trap: &mut Trap, now: Tick) -> anyhow::Result<()> {
        let Some(point) = trap.point.filter(|point| point.effect == Effect::Stop) else {
            return Ok(());
        };
        if trap.was_hit && !trap.has_paused {
            trap.has_paused = true;
            trap.resume_at = Some(now + PAUSE);
        }
        if trap.resume_at.is_some_and(|at| at <= now) {
            trap.resume_at = None;
            self.stand.program(point.role)?.signal("CONT").await?;
        }
        Ok(())
    }

    async fn end_haunting(&mut self, role: Role) -> anyhow::Result<()> {
        self.restart_ended(Some(role)).await?;
        self.stand.kill(role).await?;
        self.start_program(role).await
    }

    /// What an operator's supervisor does. Nothing but the fault ends a program, and nothing but
    /// the victim may need several tries. Whether any had ended.
    async fn restart_ended(&mut self, victim: Option<Role>) -> anyhow::Result<bool> {
        for (role, status) in self.stand.take_ended()? {
            let expected = victim == Some(role);
            ensure!(expected, "{} ended with {status} by itself", role.program());
            self.down.insert(role);
        }
        let has_ended = !self.down.is_empty();
        for role in self.down.clone() {
            match self.start_program(role).await {
                Ok(()) => {
                    self.down.remove(&role);
                }
                Err(error) if victim == Some(role) => {
                    tracing::debug!(%error, "tried again later");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(has_ended)
    }

    /// The calls of a start, on the data of some payments.
    async fn watch_start(&mut self, role: Role) -> anyhow::Result<BTreeMap<Call, u32>> {
        self.stand.kill(role).await?;
        let log = self.trace_log(role);
        let mut launch = strace::launch_counting(&self.strace, &log);
        launch.environment = self.plain(role).environment;
        self.stand.set_launch(role, launch);
        self.stand.start_program(role).await?;
        self.wait_free().await?;
        let calls = strace::read_counts(&log)?;
        // The tracer goes with the program.
        self.stand.kill(role).await?;
        self.start_program(role).await?;
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
    has_paused: bool,
    resume_at: Option<Tick>,
}

impl Trap {
    const fn none() -> Self {
        Self {
            point: None,
            tracer: None,
            kill_at: None,
            was_hit: false,
            has_paused: false,
            resume_at: None,
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

fn one_worker() -> (&'static str, OsString) {
    ("TOKIO_WORKER_THREADS", "1".into())
}
