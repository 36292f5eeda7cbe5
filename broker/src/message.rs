//! A message on its way through the broker.

use bytes::{Bytes, BytesMut};

/// Quality of service as far as this broker offers it; exactly-once is refused at the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Qos {
    AtMostOnce,
    AtLeastOnce,
}

/// Cheap to clone: topic and payload share one allocation of their exact size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    /// Set only on a replay of presence: the broker retains nothing else.
    pub(crate) retain: bool,
}

impl Message {
    /// Copies both, so that a message that waits somewhere does not hold the whole read buffer of
    /// the connection that it came on.
    pub(crate) fn copied(topic: &[u8], payload: &[u8], qos: Qos) -> Self {
        let mut both = BytesMut::with_capacity(topic.len() + payload.len());
        both.extend_from_slice(topic);
        both.extend_from_slice(payload);
        let mut both = both.freeze();
        Self {
            topic: both.split_to(topic.len()),
            payload: both,
            qos,
            retain: false,
        }
    }
}
