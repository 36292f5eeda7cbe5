//! `verify-receipt`: from files to what they prove.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use process::exit::{Code, Failure};
use protocol::evidence::{
    FILE_LENGTH_MAX, FileError, Misfit, Proof, PublishedKeys, ReceiptFile, check,
};

/// Most bytes of a file of published keys: its most keys, at about 300 bytes each.
const KEYS_LENGTH_MAX: usize = 8 << 20;

/// What does not fit, with the file that it is about.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("{path}: {misfit}")]
    Misfit { path: PathBuf, misfit: Misfit },
    #[error("{path}: {error}")]
    File { path: PathBuf, error: FileError },
}

/// Files to read.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    pub receipt: &'a Path,
    /// The receipt before it, of the same terminal.
    pub previous: Option<&'a Path>,
}

/// Reads a file of published keys.
///
/// # Errors
/// [`Code::Config`] with one line.
pub fn keys(path: &Path) -> Result<PublishedKeys, Failure> {
    let refuse = |reason: String| {
        let path = path.display();
        let line = format!("{path}: {reason}; write it with `keys publish`");
        Failure::new(Code::Config, line)
    };
    let bytes = read(path, KEYS_LENGTH_MAX).map_err(|error| refuse(error.to_string()))?;
    PublishedKeys::parse(&bytes).map_err(|error| refuse(process::exit::one_line(&error)))
}

/// Checks a receipt against `keys`.
///
/// # Errors
/// The outer one, [`Code::Usage`], if a file can't be read; the inner one names what does not fit.
pub fn receipt(
    files: Files<'_>,
    keys: &PublishedKeys,
) -> Result<Result<Proof, VerifyError>, Failure> {
    let receipt = open(files.receipt)?;
    let previous = files.previous.map(open).transpose()?;
    let parsed = receipt.and_then(|receipt| Ok((receipt, previous.transpose()?)));
    Ok(parsed.and_then(|(receipt, previous)| {
        check(&receipt, keys, previous.as_ref()).map_err(|misfit| VerifyError::Misfit {
            path: files.receipt.to_owned(),
            misfit,
        })
    }))
}

fn open(path: &Path) -> Result<Result<ReceiptFile, VerifyError>, Failure> {
    let bytes = read(path, FILE_LENGTH_MAX).map_err(|error| {
        let line = format!("{}: {error}", path.display());
        Failure::new(Code::Usage, line)
    })?;
    Ok(
        ReceiptFile::parse(&bytes).map_err(|error| VerifyError::File {
            path: path.to_owned(),
            error,
        }),
    )
}

/// At most one byte more than is wanted, which tells that there is too much.
fn read(path: &Path, length_max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(length_max).unwrap_or(u64::MAX);
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
