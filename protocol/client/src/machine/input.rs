//! What the machine is told.

use bytes::Bytes;
use protocol::topic::Topic;

/// What the machine was told.
#[derive(Debug)]
pub(crate) enum Input {
    /// CONNACK came and accepted us.
    Accepted,
    /// SUBACK came; one entry per filter.
    Subscribed(Vec<bool>),
    /// The library sent the next publish under this packet id.
    Numbered(u16),
    /// PUBACK came.
    Acknowledged(u16),
    Received(Message),
    /// The connection failed or has to be given up.
    Lost(Loss),
    /// An owner hands a publish over; only while [`super::Machine::wants_publish`].
    Publish(Outgoing),
    /// The owner acknowledged a delivery.
    Settled(u64),
    /// The owner dropped a delivery without acknowledging it.
    Abandoned(u64),
    Shutdown,
    /// After the shutdown: nothing is queued any more.
    QueueEmpty,
    Timeout,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) reason: Reason,
    pub(crate) detail: String,
}

impl Loss {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

/// The values of the `reason` label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Abandoned,
    AcknowledgeTimeout,
    Closed,
    Collision,
    ConnectTimeout,
    KeepAlive,
    Network,
    Overrun,
    Protocol,
    Refused,
    Shutdown,
    SubscribeRefused,
    Tls,
}

/// A publish on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) topic: Topic,
    pub(crate) payload: Vec<u8>,
}

/// A PUBLISH as it came.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) retained: bool,
    /// Absent at QoS 0.
    pub(crate) packet_id: Option<u16>,
}
