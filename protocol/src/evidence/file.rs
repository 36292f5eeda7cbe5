//! A receipt as a file: for people to read, with the signed text that alone counts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::TransactionId;
use crate::message::Receipt;
use crate::signed::{JWS_LENGTH_MAX, Jws};

/// Longest file: the signed text, what it says once more in plain, and room for other programs'
/// line breaks.
pub const FILE_LENGTH_MAX: usize = 4 * JWS_LENGTH_MAX;

/// Why a file holds no receipt.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("longer than any receipt")]
    TooLong,
    #[error("neither a signed receipt nor a receipt file")]
    Form,
}

/// What a payer keeps. Written as JSON; read from JSON or from the bare signed text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFile {
    /// For people. A checker compares it with the signed text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Value>,
    pub signed: Jws<Receipt>,
}

impl ReceiptFile {
    /// The file of a receipt that the caller has signed or verified.
    #[must_use]
    pub fn of(signed: Jws<Receipt>) -> Self {
        Self {
            receipt: claimed(&signed),
            signed,
        }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        if bytes.len() > FILE_LENGTH_MAX {
            return Err(FileError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| FileError::Form)?;
        let text = text.trim_ascii();
        if text.starts_with('{') {
            return serde_json::from_str(text).map_err(|_| FileError::Form);
        }
        let signed = text.parse().map_err(|_| FileError::TooLong)?;
        Ok(Self {
            receipt: None,
            signed,
        })
    }
}

/// What something signed claims, believed by nobody yet.
pub(super) fn claimed<T: DeserializeOwned>(signed: &Jws<Receipt>) -> Option<T> {
    let claims = signed.as_str().split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice(&claims).ok()
}

/// `receipt-XXXX.json`, by the code that people read to each other.
#[must_use]
pub fn file_name(transaction: TransactionId) -> String {
    format!("receipt-{}.json", transaction.short())
}
