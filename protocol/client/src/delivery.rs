//! What the owner of a client receives.

use bytes::Bytes;
use protocol::topic::Topic;
use tokio::sync::mpsc;

/// What happened on the connection, in order.
#[derive(Debug)]
pub enum Event {
    /// Subscribed and ready. Nothing of an earlier connection is on its way any more: owners now
    /// send again whatever the receiver itself has not acknowledged.
    Connected,
    /// The connection is gone; publishes are refused until the next `Connected`.
    Disconnected,
    Delivery(Delivery),
}

/// The receiving side of a client; there is one.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) events: mpsc::Receiver<Event>,
}

impl Incoming {
    /// The next event; `None` once the client has ended after its shutdown. Cancel-safe. Dropping
    /// the receiving side ends the client.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// One message. Owners may acknowledge in any order; PUBACKs leave in the order of arrival.
///
/// Dropped without [`Delivery::ack`], the effect was not committed: the connection is built anew,
/// with backoff, so that nothing behind it is acknowledged past it. The sender's own resend then
/// brings the message again.
#[derive(Debug)]
pub struct Delivery {
    pub topic: Topic,
    pub payload: Bytes,
    /// Kept by the broker and replayed on subscription. Nothing retained may act.
    pub retained: bool,
}

impl Delivery {
    /// The effect is committed (or the message is refused for good): lets the PUBACK go.
    pub fn ack(self) {}
}
