//! `paylatch-agent`.

use std::process::ExitCode;

use edge_agent::cli::execute;

#[tokio::main]
async fn main() -> ExitCode {
    match process::cli::parse() {
        Ok(cli) => process::exit::report(execute(cli).await),
        Err(code) => code,
    }
}
