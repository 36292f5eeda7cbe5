//! What the owner of a client receives.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use protocol::topic::Topic;
use tokio::sync::{Notify, mpsc};

use crate::machine::{Arrived, Input};

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
    /// the receiving side ends the client too.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// One message. Owners may acknowledge in any order; PUBACKs leave in the order of arrival.
///
/// Dropped without [`Delivery::ack`], the effect was not committed: the connection is built anew,
/// with backoff, so that nothing behind it is acknowledged past it. The sender's own resend then
/// brings the message again.
#[must_use = "a delivery that is dropped without ack() costs the connection"]
pub struct Delivery {
    pub topic: Topic,
    pub payload: Bytes,
    /// Kept by the broker and replayed on subscription. Nothing retained may act.
    pub retained: bool,
    receipt: Receipt,
}

impl Delivery {
    pub(crate) fn new(sequence: u64, arrived: Arrived, mailbox: Arc<Mailbox>) -> Self {
        Self {
            topic: arrived.topic,
            payload: arrived.payload,
            retained: arrived.retained,
            receipt: Receipt {
                sequence,
                acknowledged: false,
                mailbox,
            },
        }
    }

    /// The effect is committed (or the message is refused for good): lets the PUBACK go. Without
    /// effect if the connection that brought the message is gone.
    pub fn ack(mut self) {
        self.receipt.acknowledged = true;
    }
}

/// Without the payload: it may name a payer, and logs never do.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("topic", &self.topic.to_string())
            .field("payload_bytes", &self.payload.len())
            .field("retained", &self.retained)
            .finish_non_exhaustive()
    }
}

struct Receipt {
    sequence: u64,
    acknowledged: bool,
    mailbox: Arc<Mailbox>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let word = if self.acknowledged {
            Input::Settled(self.sequence)
        } else {
            Input::Abandoned(self.sequence)
        };
        self.mailbox.put(word);
    }
}

/// What owners say about the deliveries of one connection. It holds at most one word for each, and
/// their number is bounded; an old connection's mailbox goes with its last delivery.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    words: Mutex<Vec<Input>>,
    arrived: Notify,
}

impl Mailbox {
    fn put(&self, word: Input) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.push(word);
        drop(words);
        self.arrived.notify_one();
    }

    fn words(&self) -> Vec<Input> {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *words)
    }

    /// All words since the last call, at least one. Cancel-safe.
    pub(crate) async fn take(&self) -> Vec<Input> {
        loop {
            let words = self.words();
            if !words.is_empty() {
                return words;
            }
            self.arrived.notified().await;
        }
    }
}

/// Events that wait for their owner. Deliveries in it are bounded by the machine; of the state
/// changes only those that the owner has to see are kept.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    events: VecDeque<Event>,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The connection is gone, and what it brought is nobody's any more.
    pub(crate) fn disconnect(&mut self) {
        let unseen = |event: &Event| matches!(event, Event::Connected);
        match self.events.iter().rposition(unseen) {
            Some(connected) => self.events.truncate(connected),
            None => {
                self.events
                    .retain(|event| !matches!(event, Event::Delivery(_)));
                self.events.push_back(Event::Disconnected);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(sequence: u64, mailbox: &Arc<Mailbox>) -> Delivery {
        let arrived = Arrived {
            topic: "paylatch/v1/north/gate-1/down/ack".parse().unwrap(),
            payload: Bytes::new(),
            retained: false,
        };
        Delivery::new(sequence, arrived, Arc::clone(mailbox))
    }

    #[tokio::test]
    async fn each_delivery_leaves_one_word() {
        let mailbox = Arc::new(Mailbox::default());
        delivery(1, &mailbox).ack();
        drop(delivery(2, &mailbox));
        let words = mailbox.take().await;
        assert!(
            matches!(words[..], [Input::Settled(1), Input::Abandoned(2)]),
            "{words:?}"
        );
    }

    #[test]
    fn an_owner_sees_no_connection_that_is_gone_already() {
        let mailbox = Arc::new(Mailbox::default());
        let mut waiting = Waiting::default();
        waiting.push(Event::Delivery(delivery(1, &mailbox)));
        waiting.disconnect();
        waiting.push(Event::Connected);
        waiting.push(Event::Delivery(delivery(2, &mailbox)));
        waiting.disconnect();
        assert!(matches!(waiting.pop(), Some(Event::Disconnected)));
        assert!(waiting.is_empty());
    }
}
