//! What keeps a terminal and its platform in touch: hello, acknowledgements, health, presence.

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::id::{BootId, DeviceId, JournalId, StoreEpoch, TransactionId};
use crate::signed::PublicKey;

/// Most transactions that one hello names: a terminal serves one phone at a time, so what is open
/// beside it are results the platform has not settled yet.
pub const HELLO_OPEN_MAX: usize = 32;

/// First word after each connect; the platform answers with everything that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub boot: BootId,
    pub journal: JournalId,
    /// Transactions that the journal holds and the platform has not settled, newest first.
    pub open: Vec<TransactionId>,
    pub agent_version: String,
    pub public_key: PublicKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_version: Option<Digest>,
    /// The store epoch of the newest signed config, so that a restored platform notices itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_epoch: Option<StoreEpoch>,
}

/// A platform that has not heard a terminal since its store was restored asks it to say [`Hello`]
/// again: connections outlive the platform's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloRequest {}

/// Everything up to and including `through` of this journal has been committed by the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub journal: JournalId,
    pub through: u64,
}

/// Whether a terminal is connected, as the broker saw it last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    pub online: bool,
}

/// How a terminal is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub service: ServiceState,
    pub devices: Vec<DeviceHealth>,
    pub journal_capacity_bytes: u64,
    pub journal_used_bytes: u64,
    pub clock_error_ms: u64,
}

/// Whether a terminal sells, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ServiceState {
    Serving,
    Unavailable { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceHealth {
    pub device: DeviceId,
    pub state: DeviceState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    Off,
    On,
    Unreachable,
}

/// Which site config a terminal works by, or why it took none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigReport {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}
