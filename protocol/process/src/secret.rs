//! Secrets come by file path, never in a configuration file or in the environment.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
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
    #[error("{path}: others may touch this secret (mode {mode:03o}): run chmod 600 {path}")]
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
        // The mode is asked of the open file: a path could be exchanged in between.
        let file = File::open(&self.0).map_err(|source| self.unreadable(source))?;
        let metadata = file.metadata().map_err(|source| self.unreadable(source))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Mode {
                path: self.0.clone(),
                mode,
            });
        }
        let mut bytes = Vec::new();
        file.take(SECRET_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| self.unreadable(source))?;
        parse(bytes).ok_or_else(|| SecretError::Content {
            path: self.0.clone(),
        })
    }

    fn unreadable(&self, source: io::Error) -> SecretError {
        SecretError::Read {
            path: self.0.clone(),
            source,
        }
    }
}

pub(crate) fn parse(bytes: Vec<u8>) -> Option<String> {
    if u64::try_from(bytes.len()).ok()? > SECRET_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(bytes).ok()?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    (!line.is_empty() && !line.contains(['\n', '\r', '\0'])).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<String, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        SecretFile::new(path).read()
    }

    #[test]
    fn the_line_end_is_no_part_of_a_secret() {
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(read(content.as_bytes(), 0o600).unwrap(), "s3cret");
        }
        assert_eq!(read(b" inner space \n", 0o400).unwrap(), " inner space ");
    }

    #[test]
    fn a_file_that_others_may_touch_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
            let error = read(b"x", mode).unwrap_err();
            assert!(
                matches!(error, SecretError::Mode { mode: found, .. } if found == mode),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_single_line_is_refused() {
        let long = vec![b'x'; 4 * 1024 + 1];
        for content in [&b""[..], b"\n", b"a\nb\n", b"\xff", b"a\0b", &long] {
            let error = read(content, 0o600).unwrap_err();
            assert!(matches!(error, SecretError::Content { .. }), "{error}");
        }
        assert_eq!(read(&long[1..], 0o600).unwrap().len(), 4 * 1024);
    }
}
