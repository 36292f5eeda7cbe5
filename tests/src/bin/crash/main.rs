//! SIGKILL for unmodified programs at every sync and send of a payment, and at random instants.
//! Needs `strace`, and the programs of the same profile: `cargo build --release --workspace --bins`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use tests::faults::lane::Lane;
use tests::faults::point::Point;
use tests::faults::run::{self, Entry, Kind, Options, Report};

/// Kills programs in mid-payment and checks that every payer has a receipt or the money back.
#[derive(Debug, Parser)]
#[command(name = "crash")]
struct Arguments {
    /// How many kills in all, those of an earlier part of the same run included.
    #[arg(long, default_value_t = 60)]
    kills: u64,
    /// Draws the points.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shops side by side; a case is mostly waiting.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=32))]
    lanes: u8,
    /// What was done is kept here, and a run with the same file and seed goes on.
    #[arg(long)]
    resume: Option<PathBuf>,
    /// Fails syncs of terminal and platform with EIO instead of killing.
    #[arg(long)]
    sync_errors: bool,
    /// One case instead of a run: ROLE/EFFECT/CALL/N, say platform/kill/fdatasync/3.
    #[arg(long)]
    point: Option<Point>,
    /// Where the broker of that one case is: `embedded` in the platform, or `alone`.
    #[arg(long, default_value = "alone")]
    bus: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Stopped by hand it must drop its lanes, or their programs would run on.
    let result = tokio::select! {
        result = execute(arguments) => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("stopped; go on with --resume")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every rule held.
async fn execute(arguments: Arguments) -> anyhow::Result<bool> {
    if let Some(point) = arguments.point {
        return replay(&arguments.bus, point).await;
    }
    let kind = if arguments.sync_errors {
        Kind::SyncError
    } else {
        Kind::Kill
    };
    let options = Options {
        seed: arguments.seed,
        cases: arguments.kills,
        lanes: usize::from(arguments.lanes),
        kind,
        file: arguments.resume,
    };
    let report = run::run(options, print).await?;
    let report = report.context("strace is not installed")?;
    summarize(&report);
    Ok(report.violations().is_empty())
}

async fn replay(bus: &str, point: Point) -> anyhow::Result<bool> {
    let lane = Lane::open(run::bus_named(bus)?).await?;
    let mut lane = lane.context("strace is not installed")?;
    // As in a run: the first payment of a shop opens its files.
    lane.pay(None).await?;
    match lane.pay(Some(point)).await {
        Ok(case) => {
            println!("{point}: {case:?}");
            lane.close().await?;
            Ok(true)
        }
        Err(error) => {
            println!("{point}: {error:#}\n{}", lane.logs());
            println!("files: {}", lane.keep().display());
            Ok(false)
        }
    }
}

fn print(entry: &Entry) {
    let hit = if entry.was_hit { "" } else { " (not reached)" };
    match &entry.end {
        Ok(end) => println!(
            "{:>6} {:<9} {:<34} {end:?}{hit}, {} ms",
            entry.number, entry.bus, entry.point, entry.millis
        ),
        Err(broken) => println!(
            "{:>6} {:<9} {:<34} BROKEN: {broken}\n       {}",
            entry.number,
            entry.bus,
            entry.point,
            entry.replay()
        ),
    }
}

fn summarize(report: &Report) {
    println!(
        "\n{} cases, {} hit, {} broken, {} s in this part",
        report.entries.len(),
        report.hits(),
        report.violations().len(),
        report.duration.as_secs()
    );
    for (end, count) in report.ends() {
        println!("{count:>6} {end:?}");
    }
    for (kind, count) in report.kinds() {
        println!("{count:>6} {kind}");
    }
    for entry in report.violations() {
        println!("{}", entry.replay());
    }
}
