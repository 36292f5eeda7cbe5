//! Exit codes (`sysexits.h`) and the one line that explains them.

use std::error::Error;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::keys::KeyError;
use crate::listen::ListenError;
use crate::secret::SecretError;

/// Why a process ends, as its supervisor sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// 1: the command ran, and what it looked at is not as it must be, or what it asked for is
    /// refused.
    Failed,
    /// 64: the command line is wrong.
    Usage,
    /// 69: something outside is missing or taken; a later start may succeed.
    Unavailable,
    /// 70: a defect of ours or an unforeseen state.
    Software,
    /// 78: the configuration is wrong; starting again without a change is useless.
    Config,
}

impl Code {
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Software => 70,
            Self::Config => 78,
        }
    }
}

/// An error that states its exit code. Anywhere in a chain it decides the code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: Code,
    pub message: String,
}

impl Failure {
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// Prints an error as one line (`error: outer: inner: innermost`) to standard error and gives the
/// exit code: that of the first [`Failure`] in the chain, 78 for a [`ConfigError`],
/// [`SecretError`] or [`KeyError`], 69 for a [`ListenError`], 70 for anything else.
///
/// Takes `anyhow::Error` and boxed errors.
pub fn report<E: AsRef<dyn Error + Send + Sync + 'static>>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", one_line(error.as_ref()));
            ExitCode::from(code_of(error.as_ref()).as_u8())
        }
    }
}

/// The whole chain as one line.
#[must_use]
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let chain: Vec<String> = causes(error).iter().map(ToString::to_string).collect();
    let text = chain.join(": ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The code that [`report`] would give.
#[must_use]
pub fn code_of(error: &(dyn Error + 'static)) -> Code {
    causes(error)
        .into_iter()
        .find_map(stated_code)
        .unwrap_or(Code::Software)
}

fn stated_code(error: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        Some(failure.code)
    } else if error.is::<ConfigError>() || error.is::<SecretError>() || error.is::<KeyError>() {
        Some(Code::Config)
    } else if error.is::<ListenError>() {
        Some(Code::Unavailable)
    } else {
        None
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = vec![error];
    let mut outer = error;
    while let Some(inner) = outer.source() {
        causes.push(inner);
        outer = inner;
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_chain_is_one_line() {
        let error = anyhow::anyhow!("disk\nfull")
            .context("can't write")
            .context("no start");
        assert_eq!(one_line(error.as_ref()), "no start: can't write: disk full");
    }

    #[test]
    fn the_code_comes_from_anywhere_in_the_chain() {
        let config = || ConfigError::Layer {
            origin: "x.toml".to_owned(),
            reason: "gone".to_owned(),
            fix: "find it",
        };
        let cases = [
            (anyhow::Error::from(config()), Code::Config),
            (
                anyhow::Error::from(config()).context("no start"),
                Code::Config,
            ),
            (
                anyhow::Error::from(Failure::new(Code::Usage, "no such command")),
                Code::Usage,
            ),
            (
                anyhow::Error::from(std::io::Error::other("odd")).context("no start"),
                Code::Software,
            ),
        ];
        for (error, code) in cases {
            assert_eq!(code_of(error.as_ref()), code, "{error}");
        }
    }

    #[test]
    fn codes_are_those_of_sysexits() {
        let codes = [Code::Usage, Code::Unavailable, Code::Software, Code::Config];
        assert_eq!(codes.map(Code::as_u8), [64, 69, 70, 78]);
        assert_eq!(Code::Failed.as_u8(), 1);
    }
}
