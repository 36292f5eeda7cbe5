//! What a phone holds of its session: 128 random bits in the page's address.

use std::fmt;
use std::str::FromStr;

use protocol::id::{IdError, Nonce};
use serde::{Deserialize, Serialize};

/// Whoever holds it *is* the payer of the session, so it is never logged and never leaves the
/// terminal but in the payer's own pages. Text form: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SessionToken(Nonce);

impl SessionToken {
    pub(crate) const fn from_random(bytes: [u8; 16]) -> Self {
        Self(Nonce::from_random(bytes))
    }
}

impl FromStr for SessionToken {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}
