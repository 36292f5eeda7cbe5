//! The sending side, and the start of a client.

use protocol::codec::PAYLOAD_SIZE_MAX;
use protocol::id::Entropy;
use protocol::topic::Topic;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::delivery::Incoming;
use crate::machine::Outgoing;
use crate::options::Options;
use crate::shell::{Queued, Shell};

/// Events between the client's task and its owner; more wait in the task.
const EVENTS_MAX: usize = 16;

/// Why a publish was not taken. Owners keep the message and send it after the next `Connected`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("there is no connection to the broker")]
    Disconnected,
    #[error("a payload has at most {PAYLOAD_SIZE_MAX} bytes")]
    TooLarge,
    #[error("the queue to the broker is full")]
    Full,
}

/// The sending side of a client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    queue: mpsc::Sender<Queued>,
    /// The number of the connection that is ready.
    connection: watch::Receiver<Option<u64>>,
}

/// Starts a client on the current tokio runtime. It connects, keeps connecting, and ends after
/// `shutdown`: what is queued is sent within two seconds, then comes DISCONNECT (so the broker
/// drops the will).
///
/// An owner with last words of its own (a terminal that closes its session) gives the client a
/// token of its own and cancels it after them: from the shutdown on, publishes are refused.
///
/// Install the recorder ([`process::metrics::recorder`]) before, or this client counts nothing.
pub fn start(
    options: Options,
    entropy: impl Entropy + Send + 'static,
    shutdown: CancellationToken,
) -> (Client, Incoming) {
    let (queue, queued) = mpsc::channel(options.queue_max.max(1));
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let (ready, connection) = watch::channel(None);
    let shell = Shell::new(options, queued, events, ready);
    tokio::spawn(shell.run(entropy, shutdown));
    (Client { queue, connection }, Incoming { events: received })
}

impl Client {
    /// Hands one QoS 1 publish over; waits only for room in the bounded queue, and never longer
    /// than the connection lasts. `Ok` promises nothing but that: the receiver's own message is
    /// the acknowledgement.
    pub async fn publish(&self, topic: Topic, payload: Vec<u8>) -> Result<(), PublishError> {
        let connection = self.connection(&payload)?;
        let mut left = self.connection.clone();
        let permit = tokio::select! {
            // First: a loss empties the queue, and the room it makes is no room any more.
            biased;
            _ = left.wait_for(|ready| *ready != Some(connection)) => {
                return Err(PublishError::Disconnected);
            }
            permit = self.queue.reserve() => permit.map_err(|_| PublishError::Disconnected)?,
        };
        permit.send(Queued {
            connection,
            outgoing: Outgoing { topic, payload },
        });
        Ok(())
    }

    /// [`Client::publish`] without waiting; [`PublishError::Full`] when there is no room.
    pub fn try_publish(&self, topic: Topic, payload: Vec<u8>) -> Result<(), PublishError> {
        let connection = self.connection(&payload)?;
        let queued = Queued {
            connection,
            outgoing: Outgoing { topic, payload },
        };
        self.queue.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PublishError::Full,
            mpsc::error::TrySendError::Closed(_) => PublishError::Disconnected,
        })
    }

    /// Between `Connected` and `Disconnected`.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.borrow().is_some()
    }

    fn connection(&self, payload: &[u8]) -> Result<u64, PublishError> {
        // The library would send it, and the peer would cut the connection, again and again.
        if payload.len() > PAYLOAD_SIZE_MAX {
            return Err(PublishError::TooLarge);
        }
        let connection = *self.connection.borrow();
        connection.ok_or(PublishError::Disconnected)
    }
}
