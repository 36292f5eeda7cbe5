//! Signing keys in files: 32 random bytes as base64url in one line, mode 0600, made where they are
//! used and never moved. `keys init` creates one and prints its public half.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::signed::SigningKey;
use ring::rand::SystemRandom;

use crate::secret::{SecretError, SecretFile};
use crate::{entropy, file};

/// Why there is no key. All of these are for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: there is a key already; it stays as it is")]
    Exists { path: PathBuf },
    #[error("{path}: can't write the key")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no key to read; make one with `keys init`")]
    Read(#[source] SecretError),
    #[error("{path}: not a key: 43 characters of base64url, as `keys init` writes them")]
    Content { path: PathBuf },
}

/// Makes a new key. A file that is there already is never overwritten.
pub fn create(path: &Path) -> Result<SigningKey, KeyError> {
    let mut seed = [0; 32];
    entropy::fill(&SystemRandom::new(), &mut seed);
    let text = format!("{}\n", URL_SAFE_NO_PAD.encode(seed));
    match file::create(path, text.as_bytes()) {
        Ok(()) => Ok(SigningKey::from_seed(seed)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(KeyError::Exists {
            path: path.to_owned(),
        }),
        Err(source) => Err(KeyError::Write {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Reads a key; refuses a file that others may touch.
pub fn load(path: &Path) -> Result<SigningKey, KeyError> {
    let text = SecretFile::new(path).read().map_err(KeyError::Read)?;
    let seed = URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .ok_or_else(|| KeyError::Content {
            path: path.to_owned(),
        })?;
    Ok(SigningKey::from_seed(seed))
}

/// The key of `path`, made on the first start. Only for programs that own their data folder.
pub fn load_or_create(path: &Path) -> Result<SigningKey, KeyError> {
    match create(path) {
        Err(KeyError::Exists { .. }) => load(path),
        result => result,
    }
}
