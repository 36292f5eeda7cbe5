//! `paylatch-agent`.

use std::process::ExitCode;

use clap::Parser as _;
use edge_agent::cli::{Cli, execute};

#[tokio::main]
async fn main() -> ExitCode {
    process::exit::report(execute(Cli::parse()).await)
}
