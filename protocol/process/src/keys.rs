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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        let made = load_or_create(&path).unwrap();
        assert_eq!(load(&path).unwrap().public(), made.public());
        assert_eq!(load_or_create(&path).unwrap().public(), made.public());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 44);
    }

    #[test]
    fn two_keys_differ_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let first = create(&folder.path().join("first")).unwrap();
        let second = create(&folder.path().join("second")).unwrap();
        assert_ne!(first.public(), second.public());
        let again = create(&folder.path().join("first"));
        assert!(matches!(again, Err(KeyError::Exists { .. })));
        let kept = load(&folder.path().join("first")).unwrap();
        assert_eq!(kept.public(), first.public());
    }

    #[test]
    fn what_is_no_private_key_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.key");
        assert!(matches!(load(&path), Err(KeyError::Read(_))));
        create(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            load(&path),
            Err(KeyError::Read(SecretError::Mode { .. }))
        ));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "c2hvcnQ\n").unwrap();
        assert!(matches!(load(&path), Err(KeyError::Content { .. })));
    }
}
