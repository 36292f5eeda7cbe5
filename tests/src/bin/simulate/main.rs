//! `simulate`: worlds by the thousand, or one of them line by line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use process::clock::Clock;
use tests::campaign::{self, Goal, Summary};
use tests::world::build::RuleBook;
use tests::world::plan::Plan;
use tests::world::planted;
use tests::world::trace::Trace;

const EXAMPLES: &str = "\
  simulate --payments 100000                what the normal test run does
  simulate --minutes 60 --resume seeds.txt  goes on where the file says, and writes it as it goes
  simulate --seed 4711                      one world, every step a line

Exit codes: 0 no rule was broken, 1 one was: the last line is the command that shows it.";

/// Worlds of the machines that ship, on a virtual clock, with faults drawn from a seed.
#[derive(Debug, Parser)]
#[command(name = "simulate", after_help = EXAMPLES)]
struct Arguments {
    /// Runs this world alone and prints every step of it.
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Ends after so many payments.
    #[arg(long, default_value_t = 100_000)]
    payments: u64,
    /// Ends after so many minutes instead.
    #[arg(long)]
    minutes: Option<u64>,
    /// A file with the next seed: read at the start, written after every thousand worlds.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Takes one rule after the other away, each until a world notices or so many were run.
    #[arg(long, value_name = "SEEDS")]
    hunt: Option<u64>,
    /// With --hunt: only the defects whose name contains this.
    #[arg(long, value_name = "TEXT", requires = "hunt", default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    match process::cli::parse().map(|arguments: Arguments| start(&arguments)) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::from(1),
        Ok(Err(error)) => process::exit::report(Err(error)),
        Err(code) => code,
    }
}

/// Whether no rule was broken.
fn start(arguments: &Arguments) -> anyhow::Result<bool> {
    match (arguments.seed, arguments.hunt) {
        (Some(seed), _) => one(seed),
        (None, Some(seeds)) => hunt(seeds, arguments),
        (None, None) => many(arguments),
    }
}

/// Says for each rule how many worlds it took to notice that it was gone.
fn hunt(seeds: u64, arguments: &Arguments) -> anyhow::Result<bool> {
    let clock = Clock::system();
    let (mut found, mut all) = (0, 0);
    let defects = planted::all().into_iter();
    for (name, rules) in defects.filter(|(name, _)| name.contains(&arguments.only)) {
        let began = clock.now().tick;
        let goal = Goal {
            first_seed: 1,
            seeds,
            payments: u64::MAX,
            threads: arguments.threads,
        };
        let summary = campaign::run(goal, rules)?;
        let millis = clock.now().tick.since(began).as_millis();
        all += 1;
        match summary.broken {
            Some(broken) => {
                found += 1;
                println!(
                    "{name}: seed {} after {millis} ms: {:?}",
                    broken.seed, broken.broken
                );
            }
            None => println!("{name}: unnoticed in {seeds} worlds, {millis} ms"),
        }
    }
    println!("{found} of {all} noticed");
    Ok(true)
}

fn one(seed: u64) -> anyhow::Result<bool> {
    println!("{:#?}", Plan::of(seed));
    let ending = campaign::world(seed, RuleBook::SOUND, Trace::lines())?;
    for line in &ending.lines {
        println!("{line}");
    }
    println!(
        "{} steps, {} payments, digest {:016x}, broken: {:?}",
        ending.steps, ending.payments, ending.digest, ending.broken
    );
    Ok(ending.broken.is_empty())
}

fn many(arguments: &Arguments) -> anyhow::Result<bool> {
    let clock = Clock::system();
    let began = clock.now().tick;
    let limit = arguments.minutes.map(|m| Duration::from_secs(m * 60));
    let mut seed = resumed(arguments.resume.as_deref())?.unwrap_or(arguments.from);
    let mut total = Summary::default();
    loop {
        let goal = Goal {
            first_seed: seed,
            seeds: 1_000,
            payments: u64::MAX,
            threads: arguments.threads,
        };
        let summary = campaign::run(goal, RuleBook::SOUND)?;
        seed = summary.next_seed;
        if let Some(path) = &arguments.resume {
            std::fs::write(path, format!("{seed}\n")).context("the resume file")?;
        }
        let is_broken = summary.broken.is_some();
        total.join(summary);
        let elapsed = clock.now().tick.since(began);
        report(&total, elapsed, seed);
        if is_broken {
            break;
        }
        let is_over = match limit {
            Some(limit) => elapsed >= limit,
            None => total.payments >= arguments.payments,
        };
        if is_over {
            break;
        }
    }
    for (what, count) in &total.sometimes {
        println!("{count:>10}  {what}");
    }
    if let Some(broken) = &total.broken {
        println!("broken: {:?}", broken.broken);
        println!(
            "cargo run --release --bin simulate -- --seed {}",
            broken.seed
        );
    }
    Ok(total.broken.is_none())
}

fn report(total: &Summary, elapsed: Duration, seed: u64) {
    let millis = elapsed.as_millis().max(1);
    let rate = u128::from(total.payments) * 1_000 / millis;
    println!(
        "{} worlds, {} sales, {} payments, {} steps in {} s ({rate} payments/s), next seed {seed}",
        total.worlds,
        total.sales,
        total.payments,
        total.steps,
        millis / 1_000
    );
}

fn resumed(path: Option<&Path>) -> anyhow::Result<Option<u64>> {
    let Some(path) = path.filter(|path| path.exists()) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).context("the resume file")?;
    let seed = text.trim().parse();
    seed.map(Some)
        .with_context(|| format!("{}: write one seed, a number", path.display()))
}
