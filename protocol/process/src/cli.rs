//! The command line: words that nobody knows end with our exit code, not with the parser's.

use std::process::ExitCode;

use clap::Parser;

use crate::exit::Code;

/// Parses the arguments of this process. `Err` is how to end: usage errors, `--help` and
/// `--version` have been printed in the parser's own words.
pub fn parse<C: Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| end(&error))
}

fn end(error: &clap::Error) -> ExitCode {
    match (error.use_stderr(), error.print()) {
        (false, Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::from(Code::Usage.as_u8()),
    }
}
