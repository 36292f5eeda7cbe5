//! The sending side, and the start of a client.

use protocol::id::Entropy;
use protocol::topic::Topic;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::delivery::Incoming;
use crate::options::Options;

/// Why a publish was not taken. Owners keep the message and send it after the next `Connected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("there is no connection to the broker")]
    Disconnected,
    #[error("a payload has at most 8 KiB")]
    TooLarge,
    #[error("the queue to the broker is full")]
    Full,
}

/// The sending side of a client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {}

/// Starts a client on the current tokio runtime. It connects, keeps connecting, and ends after
/// `shutdown`: what is queued is sent within two seconds, then comes DISCONNECT (so the broker
/// drops the will).
///
/// Install the recorder ([`process::metrics::recorder`]) before, or this client counts nothing.
pub fn start(
    options: Options,
    entropy: impl Entropy + Send + 'static,
    shutdown: CancellationToken,
) -> (Client, Incoming) {
    let _ = (options, entropy, shutdown);
    let (_, events) = mpsc::channel(1);
    (Client {}, Incoming { events })
}

impl Client {
    /// Hands one QoS 1 publish over; waits only for room in the bounded queue. `Ok` promises
    /// nothing but that: the receiver's own message is the acknowledgement.
    pub async fn publish(&self, _topic: Topic, _payload: Vec<u8>) -> Result<(), PublishError> {
        std::future::ready(Err(PublishError::Disconnected)).await
    }

    /// [`Client::publish`] without waiting; [`PublishError::Full`] when there is no room.
    pub fn try_publish(&self, _topic: Topic, _payload: Vec<u8>) -> Result<(), PublishError> {
        Err(PublishError::Disconnected)
    }

    /// Between `Connected` and `Disconnected`.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        false
    }
}
