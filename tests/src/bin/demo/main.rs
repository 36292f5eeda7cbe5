//! The whole system in one process, to look at, or to go through once.

mod once;
mod stay;
mod timeline;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use edge_agent::linkage::config::Fault;
use payment_mock::Outcome;
use tests::system::{Pace, Plan};

/// Starts broker, platform, payment server and two terminals in this process, with their data in a
/// temporary folder, and prints where their pages are. Ctrl-C ends it.
#[derive(Debug, Parser)]
#[command(name = "demo", after_help = EXAMPLES)]
struct Arguments {
    /// Let a scripted phone go through the pages once, print what happened when, and end. Exits 0
    /// only if money and device ended as they must.
    #[arg(long)]
    once: bool,
    #[arg(long, default_value = "paid", value_name = "OUTCOME", help = outcomes())]
    outcome: Outcome,
    /// With --once: how the device takes its ON.
    #[arg(long, default_value = "moves", requires = "once")]
    device: Device,
    /// With --once: print the result as one line of JSON instead.
    #[arg(long, requires = "once")]
    json: bool,
    /// First of the ports to listen on (broker, API, payment server, terminals). Without it: 7600,
    /// or free ones with --once.
    #[arg(long, value_name = "PORT")]
    port_base: Option<u16>,
    /// Print what the parts log.
    #[arg(long)]
    verbose: bool,
}

/// What becomes of a permit at the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    Moves,
    /// It refuses the write: the money goes back.
    Refuses,
    /// It takes the write and its read-back says that nothing moved: the money goes back.
    Fails,
    /// It moves and does not answer: nobody can say, so a person decides.
    Uncertain,
}

impl Device {
    const fn fault(self) -> Fault {
        match self {
            Self::Moves => Fault::None,
            Self::Refuses => Fault::Refuse,
            Self::Fails => Fault::Stuck,
            Self::Uncertain => Fault::Slow,
        }
    }
}

const EXAMPLES: &str = "Examples:
  demo                            look at the pages in a browser
  demo --once                     one whole payment, with the milliseconds between the steps
  demo --once --outcome late      what happens to money that comes too late
  demo --once --device uncertain  what happens when nobody knows whether the device moved";

fn outcomes() -> String {
    let names: Vec<_> = Outcome::ALL
        .iter()
        .map(|outcome| outcome.as_str())
        .collect();
    format!(
        "How the payment server treats the order: {}",
        names.join(", ")
    )
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.verbose {
        process::log::init(process::log::Format::Text, "info")?;
    }
    let folder = tempfile::Builder::new()
        .prefix("paylatch-demo-")
        .tempdir()?;
    let mut plan = Plan::new(folder.path())
        .with_terminals(2)
        .with_outcome(arguments.outcome)
        .with_fault(arguments.device.fault());
    plan.port_base = arguments.port_base;
    if arguments.once {
        once::run(plan, arguments.json).await
    } else {
        plan.pace = Pace::Real;
        stay::run(plan).await
    }
}
