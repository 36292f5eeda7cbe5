//! Who a client is, and how it proves that.

use std::collections::BTreeMap;

use process::secret::SecretError;
use protocol::id::{GatewayId, PlatformId};
use protocol::topic::TerminalName;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::Deserialize;

use crate::config::User;

/// Longest password: a random token is far below it, and CONNECT may carry 65,535 bytes.
const PASSWORD_LENGTH_MAX: usize = 256;

/// A party, as the broker knows it after CONNECT.
///
/// In a configuration: `{ terminal = "north/gate-1" }`, `{ platform = "main" }`,
/// `{ gateway = "mock" }` or `"monitor"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    Terminal(TerminalName),
    Platform(PlatformId),
    Gateway(GatewayId),
    /// Reads what terminals say and changes nothing.
    Monitor,
}

impl Identity {
    /// The kind, as metrics and logs name it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Terminal(_) => "terminal",
            Self::Platform(_) => "platform",
            Self::Gateway(_) => "gateway",
            Self::Monitor => "monitor",
        }
    }
}

/// Why the users can't be used. All of these are for the operator to mend.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    #[error("users: '{name}' is no user name: use 1 to 64 of A-Z a-z 0-9 _ . -")]
    Name { name: String },
    #[error("users: '{name}' is named twice: give each user a name of its own")]
    Twice { name: String },
    #[error("users: the password of '{name}' is refused: use 1 to {PASSWORD_LENGTH_MAX} bytes")]
    Password { name: String },
    #[error("users: the password of '{name}' can't be read")]
    Secret {
        name: String,
        #[source]
        source: SecretError,
    },
    #[error("the operating system gives no randomness")]
    Randomness,
}

/// All users. Holds no password: only what verifies one.
pub(crate) struct Directory {
    key: hmac::Key,
    users: BTreeMap<String, (hmac::Tag, Identity)>,
    /// Verified for an unknown name, so that answers take the same time.
    nobody: hmac::Tag,
}

impl Directory {
    pub(crate) fn new(users: &[User]) -> Result<Self, DirectoryError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| DirectoryError::Randomness)?;
        let mut table = BTreeMap::new();
        for user in users {
            let tag = hmac::sign(&key, password_of(user)?.as_bytes());
            let name = user.name.clone();
            let entry = (tag, user.identity.clone());
            if table.insert(name.clone(), entry).is_some() {
                return Err(DirectoryError::Twice { name });
            }
        }
        let nobody = hmac::sign(&key, &[]);
        Ok(Self {
            key,
            users: table,
            nobody,
        })
    }

    /// Who that is. Takes the same time for a wrong name and for a wrong password.
    pub(crate) fn authenticate(&self, name: &str, password: &str) -> Option<&Identity> {
        let known = self.users.get(name);
        let tag = known.map_or(&self.nobody, |(tag, _)| tag);
        let verified = hmac::verify(&self.key, password.as_bytes(), tag.as_ref()).is_ok();
        known
            .filter(|_| verified && !password.is_empty())
            .map(|(_, identity)| identity)
    }
}

fn password_of(user: &User) -> Result<String, DirectoryError> {
    let name = user.name.clone();
    if !crate::syntax::is_client_id(&name) {
        return Err(DirectoryError::Name { name });
    }
    let password = match user.password.read() {
        Ok(password) => password,
        Err(source) => return Err(DirectoryError::Secret { name, source }),
    };
    if password.is_empty() || password.len() > PASSWORD_LENGTH_MAX {
        return Err(DirectoryError::Password { name });
    }
    Ok(password)
}
