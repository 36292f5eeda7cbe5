//! Measurements of the whole: run them in release, and quote ratios of one run.

mod cost;
mod payments;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures whole systems in this process, over loopback, with synced disks.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Whole payments: landing, bill, checkout page, payment, query, permit, ON, result, receipt.
    /// First at a fixed rate, for the time from payment notice to ON; then as fast as it goes.
    Payments {
        /// Terminals, each with a phone of its own.
        #[arg(long, default_value_t = 32)]
        terminals: usize,
        /// Seconds of each of the two runs.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Payments per second of the first run.
        #[arg(long, default_value_t = 20)]
        rate: u32,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    let What::Payments {
        terminals,
        seconds,
        rate,
        json,
    } = Arguments::parse().what;
    let options = payments::Options {
        terminals,
        duration: Duration::from_secs(seconds),
        rate,
    };
    match payments::run(options, json).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
