//! The envelope around every message, and its JSON form.
//!
//! Readers are tolerant: an unknown member is ignored, so that contracts grow by addition. What is
//! over [`PAYLOAD_SIZE_MAX`], of another version or of an unknown kind is refused by name.
//!
//! ```
//! use protocol::codec::{CodecError, Envelope, decode, encode};
//! use protocol::id::MessageId;
//! use protocol::message::Presence;
//! use protocol::time::Utc;
//!
//! let envelope = Envelope::new(MessageId::from_random([1; 16]), Utc::EPOCH, Presence { online: true });
//! let bytes = encode(&envelope).unwrap();
//! assert_eq!(decode::<Presence>(&bytes).unwrap(), envelope);
//!
//! let newer = String::from_utf8(bytes).unwrap().replace("\"version\":1", "\"version\":2");
//! assert!(matches!(decode::<Presence>(newer.as_bytes()), Err(CodecError::Version(2))));
//! assert!(matches!(decode::<Presence>(&[b' '; 9000]), Err(CodecError::TooLarge(9000))));
//! assert!(matches!(decode::<Presence>(b"{}"), Err(CodecError::Malformed(_))));
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::{JournalId, MessageId};
use crate::time::Utc;

/// Largest payload in either direction: a receipt with both signatures is about 3 KiB, a site
/// config with 40 items about 7 KiB, and every broker's default limit is above it.
pub const PAYLOAD_SIZE_MAX: usize = 8 * 1024;

/// The version of the contract; it grows by addition, so this number stays until it can't.
pub const VERSION: u16 = 1;

/// W3C Trace Context, section 3.2: version, trace id, parent id and flags of fixed lengths.
const TRACEPARENT_LENGTH: usize = 55;

/// Why bytes are no message, or a message has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("{0} bytes are over the limit of {PAYLOAD_SIZE_MAX}")]
    TooLarge(usize),
    #[error("version {0} is not {VERSION}")]
    Version(u16),
    #[error("not a message of this topic")]
    Malformed(#[source] serde_json::Error),
    #[error("the message has no JSON form")]
    Encode(#[source] serde_json::Error),
}

impl CodecError {
    /// The name under which a refusal is counted.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too_large",
            Self::Version(_) => "version",
            Self::Malformed(_) => "malformed",
            Self::Encode(_) => "encode",
        }
    }
}

/// What surrounds every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope<M> {
    pub version: u16,
    /// Made by the author before the first send, the same on every resend.
    pub id: MessageId,
    /// When the author wrote it. For records, never for decisions.
    pub at: Utc,
    /// W3C Trace Context; dropped by the reader if it has not the fixed length.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "traceparent"
    )]
    pub traceparent: Option<String>,
    /// Where the author keeps it until it is acknowledged by `down/ack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    pub body: M,
}

/// A place in a terminal's journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record {
    pub journal: JournalId,
    pub sequence: u64,
}

impl<M> Envelope<M> {
    #[must_use]
    pub const fn new(id: MessageId, at: Utc, body: M) -> Self {
        Self {
            version: VERSION,
            id,
            at,
            traceparent: None,
            record: None,
            body,
        }
    }

    #[must_use]
    pub fn with_record(mut self, record: Record) -> Self {
        self.record = Some(record);
        self
    }

    #[must_use]
    pub fn with_traceparent(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }
}

/// The JSON form of a message, refused over [`PAYLOAD_SIZE_MAX`].
pub fn encode<M: Serialize>(envelope: &Envelope<M>) -> Result<Vec<u8>, CodecError> {
    let bytes = serde_json::to_vec(envelope).map_err(CodecError::Encode)?;
    if bytes.len() > PAYLOAD_SIZE_MAX {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// Reads a message of one kind. The size is checked before anything is parsed.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<Envelope<M>, CodecError> {
    if bytes.len() > PAYLOAD_SIZE_MAX {
        return Err(CodecError::TooLarge(bytes.len()));
    }
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(CodecError::Malformed)?;
    if versioned.version != VERSION {
        return Err(CodecError::Version(versioned.version));
    }
    serde_json::from_slice(bytes).map_err(CodecError::Malformed)
}

/// Read first, so that a newer version is named as such and not as malformed.
#[derive(Deserialize)]
struct Versioned {
    version: u16,
}

fn traceparent<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(reader)?;
    Ok(text.filter(|text| text.len() == TRACEPARENT_LENGTH && text.is_ascii()))
}
