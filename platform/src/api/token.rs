//! The bearer token of the API: made at the first start, readable by its owner alone.

use std::io;
use std::path::{Path, PathBuf};

use process::secret::{SecretError, SecretFile};
use protocol::id::Entropy;
use sha2::{Digest as _, Sha256};

/// In the data folder.
pub(crate) const FILE: &str = "api-token";

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{path}: can't write the API token")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no API token; remove the file to get a new one")]
    Read(#[source] SecretError),
}

/// Whoever shows it may read everything.
#[derive(Clone)]
pub(crate) struct Token {
    text: String,
    digest: [u8; 32],
}

impl Token {
    /// The token of a data folder, made if there is none.
    pub(crate) fn load_or_create(
        folder: &Path,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, TokenError> {
        let path = folder.join(FILE);
        let fresh: String = [entropy.bytes(), entropy.bytes()]
            .concat()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        match process::file::create(&path, format!("{fresh}\n").as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(TokenError::Write {
                    path,
                    source: error,
                });
            }
            Ok(()) => tracing::info!(path = %path.display(), "API token made"),
            Err(_) => {}
        }
        let text = SecretFile::new(path).read().map_err(TokenError::Read)?;
        Ok(Self {
            digest: Sha256::digest(&text).into(),
            text,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Takes the same time however much of `shown` is right: digests of equal length are compared
    /// to their end.
    pub(crate) fn is(&self, shown: &str) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        let difference = self
            .digest
            .iter()
            .zip(shown)
            .fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

/// Never shows the token.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut seed = 0;
        let mut entropy = move || {
            seed += 1;
            [seed; 16]
        };
        let first = Token::load_or_create(folder.path(), &mut entropy).unwrap();
        let again = Token::load_or_create(folder.path(), &mut entropy).unwrap();
        assert_eq!(first.as_str(), again.as_str());
        assert_eq!(first.as_str().len(), 64);
        let mode = std::fs::metadata(folder.path().join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(first.is(again.as_str()));
        assert!(!first.is(""));
        assert!(!first.is(&first.as_str()[1..]));
    }

    #[test]
    fn a_token_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, "known\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Token::load_or_create(folder.path(), &mut || [1; 16]).unwrap_err();
        assert!(
            process::exit::one_line(&error).contains("chmod 600"),
            "{error}"
        );
    }
}
