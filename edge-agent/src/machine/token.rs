//! What a browser proves itself by: 128 random bits in an address.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::str::FromStr;

use protocol::id::{IdError, Nonce, TransactionId};
use protocol::message::Digest;
use serde::{Deserialize, Serialize};

/// Whoever holds it *is* the payer of the session, so it is never logged and never leaves the
/// terminal but in the payer's own pages. Text form: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SessionToken(Nonce);

impl SessionToken {
    pub(crate) const fn from_random(bytes: [u8; 16]) -> Self {
        Self(Nonce::from_random(bytes))
    }
}

/// What a phone holds of its sale at the platform, after it has left. Made from the session's
/// token, so that it is as random and as durable; nobody gets from it to the session. The platform
/// is told its SHA-256 alone. Text form: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusToken([u8; 16]);

impl StatusToken {
    pub(crate) fn of(session: &SessionToken, transaction: TransactionId) -> Self {
        let secret = format!("paylatch.status_token.v1 {session} {transaction}");
        let digest = *Digest::of(secret.as_bytes()).as_bytes();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(bytes)
    }

    /// SHA-256 of the text form.
    pub(crate) fn digest(self) -> Digest {
        Digest::of(self.to_string().as_bytes())
    }
}

impl fmt::Display for StatusToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Never shows the token.
impl fmt::Debug for StatusToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusToken(..)")
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

/// What the payment server's redirect back carries, besides the transaction that others know too:
/// whoever holds it was sent by the payment server, which got it with the order.
/// Text form: 32 lower-case hexadecimal digits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ReturnSecret(Nonce);

impl ReturnSecret {
    pub(crate) const fn from_random(bytes: [u8; 16]) -> Self {
        Self(Nonce::from_random(bytes))
    }
}

impl PartialEq for ReturnSecret {
    /// Takes the same time wherever the two differ.
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.as_bytes().iter().zip(other.0.as_bytes());
        pairs.fold(0, |difference, (ours, theirs)| {
            black_box(difference | (ours ^ theirs))
        }) == 0
    }
}

impl Eq for ReturnSecret {}

impl Hash for ReturnSecret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl FromStr for ReturnSecret {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ReturnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ReturnSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReturnSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn return_secrets_are_equal_only_in_every_bit() {
        let secret = ReturnSecret::from_random([0x5a; 16]);
        assert_eq!(secret, secret.to_string().parse().unwrap());
        for bit in 0..128 {
            let mut bytes = [0x5a; 16];
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(secret, ReturnSecret::from_random(bytes), "bit {bit}");
        }
        assert_eq!(format!("{secret:?}"), "ReturnSecret(..)");
    }
}
