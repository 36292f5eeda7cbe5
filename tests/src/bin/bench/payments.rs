//! `bench payments`: phones that pay, one after another at each terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use process::clock::Clock;
use protocol::time::Tick;
use tests::system::{Pace, Plan, System, TerminalView};
use tests::verdict;
use tests::visit::{Press, Visit};
use tokio::task::JoinSet;

use crate::cost::Cost;
use crate::report::{Report, Run};

/// A visit that takes longer has failed.
const VISIT_TIMEOUT: Duration = Duration::from_secs(60);

/// Visits before anything is measured, per terminal.
const WARM_UP_VISITS: u64 = 2;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) terminals: usize,
    pub(crate) duration: Duration,
    /// Payments per second of the run at a fixed rate.
    pub(crate) rate: u32,
}

/// When the phones start their visits.
#[derive(Debug, Clone, Copy)]
enum Pacing {
    /// Visit n of all phones together starts at n / rate.
    Rate(u32),
    AsFastAsItGoes,
    /// So many visits of each phone.
    Visits(u64),
}

pub(crate) async fn run(options: Options, json: bool) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("paylatch-bench-")
        .tempdir()?;
    let mut plan = Plan::new(folder.path()).with_terminals(options.terminals);
    plan.pace = Pace::Real;
    let system = System::start(plan).await?;
    drive(&system, options, Pacing::Visits(WARM_UP_VISITS)).await?;
    let paced = drive(&system, options, Pacing::Rate(options.rate)).await?;
    let full = drive(&system, options, Pacing::AsFastAsItGoes).await?;
    let orders = system.mock().handle.totals().await;
    let data = system.platform_data();
    system.stop().await?;
    let books = verdict::check_books(&data, &orders)?;
    ensure!(
        books.transactions.iter().all(|sale| sale.state == "done"),
        "a payment was not served"
    );
    let report = Report {
        options,
        payments: books.transactions.len(),
        paced,
        full,
    };
    report.print(json)
}

/// What all phones of a run share.
struct Course {
    clock: Clock,
    start: Tick,
    duration: Duration,
    pacing: Pacing,
    started: AtomicU64,
}

impl Course {
    /// Waits for this phone's next visit; `None` when the run is over.
    async fn next(&self, made: u64) -> Option<()> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let at = match self.pacing {
            Pacing::Visits(visits) => return (made < visits).then_some(()),
            Pacing::AsFastAsItGoes => self.clock.now().tick,
            Pacing::Rate(rate) => self.start + Duration::from_secs(number) / rate.max(1),
        };
        if at.since(self.start) >= self.duration {
            return None;
        }
        self.clock.until(Some(at)).await;
        Some(())
    }
}

async fn drive(system: &System, options: Options, pacing: Pacing) -> anyhow::Result<Run> {
    let clock = Clock::system();
    let course = Arc::new(Course {
        start: clock.now().tick,
        clock: clock.clone(),
        duration: options.duration,
        pacing,
        started: AtomicU64::new(0),
    });
    let before = Cost::so_far()?;
    let mut phones = JoinSet::new();
    for terminal in system.terminals() {
        phones.spawn(phone(terminal.clone(), Arc::clone(&course)));
    }
    let mut latencies_ms = Vec::new();
    while let Some(ended) = phones.join_next().await {
        latencies_ms.extend(ended??);
    }
    latencies_ms.sort_unstable();
    let elapsed = clock.now().tick.since(course.start);
    Ok(Run {
        latencies_ms,
        elapsed,
        cost: Cost::so_far()?.since(&before),
    })
}

/// One phone: visit after visit, and for each the milliseconds from payment notice to ON.
async fn phone(terminal: TerminalView, course: Arc<Course>) -> anyhow::Result<Vec<u64>> {
    let mut latencies_ms = Vec::new();
    let mut made = 0;
    while course.next(made).await.is_some() {
        let mut visit = Visit::new(&terminal.page, &course.clock);
        let page = visit.run(Press::Pay, VISIT_TIMEOUT).await?;
        ensure!(
            page.state() == "done",
            "{} ended as {}",
            terminal.name,
            page.state()
        );
        let noticed = visit.noticed_at().context("the phone did not come back")?;
        let log = terminal.handle.device_log();
        let on = log
            .iter()
            .rev()
            .find(|switch| switch.on)
            .context("nothing was switched")?;
        latencies_ms.push(u64::try_from(on.at.tick.since(noticed.tick).as_millis())?);
        made += 1;
    }
    Ok(latencies_ms)
}
