//! Random tokens of the checkout page: who knows one may see and pay that order, and nothing else.

use std::fmt;
use std::str::FromStr;

use protocol::message::Digest;
use serde::{Deserialize, Serialize};

/// 128 random bits, 32 hexadecimal digits: the last part of a pay URL. It is not the order number,
/// which travels through logs and receipts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct CheckoutToken([u8; 16]);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is 32 lower-case hexadecimal digits")]
pub(crate) struct TokenError;

impl CheckoutToken {
    pub(crate) const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

/// From it come the form tokens of one order, one for each attempt. It never leaves the server.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FormSeed([u8; 16]);

impl FormSeed {
    pub(crate) const fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The token that the page of attempt number `attempt` carries.
    pub(crate) fn token(self, attempt: u32) -> String {
        let mut text = b"paylatch checkout form".to_vec();
        text.extend(self.0);
        text.extend(attempt.to_be_bytes());
        Digest::of(&text).to_string()
    }
}

impl FromStr for CheckoutToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 32 || !text.bytes().all(lower) {
            return Err(TokenError);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| TokenError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl TryFrom<String> for CheckoutToken {
    type Error = TokenError;

    fn try_from(text: String) -> Result<Self, TokenError> {
        text.parse()
    }
}

impl From<CheckoutToken> for String {
    fn from(token: CheckoutToken) -> Self {
        token.to_string()
    }
}

impl fmt::Display for CheckoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Without the token: logs are read by people who should not pay for others.
impl fmt::Debug for CheckoutToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckoutToken(..)")
    }
}

impl fmt::Debug for FormSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormSeed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckoutToken, FormSeed};

    #[test]
    fn checkout_tokens_survive_their_text_form_and_nothing_else_is_one() {
        let token = CheckoutToken::from_random([7; 16]);
        assert_eq!(token.to_string(), "07".repeat(16));
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in [
            "",
            "07",
            &"0A".repeat(16),
            &"+7".repeat(16),
            &"07".repeat(17),
        ] {
            assert!(bad.parse::<CheckoutToken>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_attempt_of_each_order_has_its_own_form_token() {
        let one = FormSeed::from_random([1; 16]);
        let two = FormSeed::from_random([2; 16]);
        assert_eq!(one.token(0), one.token(0));
        assert_ne!(one.token(0), one.token(1));
        assert_ne!(one.token(0), two.token(0));
    }
}
