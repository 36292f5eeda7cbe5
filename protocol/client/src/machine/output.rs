//! What the machine answers.

use bytes::Bytes;
use protocol::topic::Topic;

use super::input::{Loss, Outgoing};

/// What the shell has to do, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Start a connection with a library client of its own.
    Connect,
    Subscribe,
    Publish(Outgoing),
    Acknowledge(u16),
    /// Drop the connection and everything on it without a word.
    Drop,
    /// DISCONNECT, so that the broker drops the will; then the client has ended.
    Disconnect,
    /// Subscribed and ready.
    Ready,
    /// No longer ready.
    NotReady,
    Deliver(u64, Arrived),
    Record(Record),
}

/// Named events for logs and counters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Connected,
    /// The connection or the attempt ended; with publishes and deliveries that it took along.
    Lost {
        loss: Loss,
        publishes: usize,
        deliveries: usize,
    },
    Published,
    Delivered,
    /// An owner settled this many deliveries.
    Settled,
    PublishTaken,
    UnknownTopic {
        /// Absent once enough were named.
        topic: Option<String>,
    },
    Oversize {
        topic: Topic,
        length: usize,
    },
}

/// A PUBLISH that is ours.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    pub(crate) retained: bool,
}
