//! A service's own link into the router.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rumqttd::local::{LinkRx, LinkTx};
use rumqttd::protocol::{self, Packet, RetainForwardRule};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::bus::{self, Bus, Heard, RouterError};
use crate::gap::GapWatch;
use crate::message::Message;

/// Names for links, used again and again: the router remembers every name for ever.
#[derive(Debug, Clone)]
pub(crate) struct LinkNames {
    free: Arc<Mutex<BTreeSet<usize>>>,
}

/// One name, free again when dropped.
#[derive(Debug)]
pub(crate) struct LinkName {
    number: usize,
    text: String,
    free: Arc<Mutex<BTreeSet<usize>>>,
}

impl LinkNames {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Mutex::new((0..count).collect())),
        }
    }

    /// `None` when every name is in use.
    pub(crate) fn take(&self) -> Option<LinkName> {
        let number = bus::lock(&self.free).pop_first()?;
        Some(LinkName {
            number,
            text: format!("service-{number}"),
            free: self.free.clone(),
        })
    }
}

impl Drop for LinkName {
    fn drop(&mut self) {
        bus::lock(&self.free).insert(self.number);
    }
}

/// The sending half; the other half is a task that reads until [`ServiceLink::close`].
pub(crate) struct ServiceLink {
    tx: LinkTx,
    gaps: Arc<Mutex<GapWatch>>,
    close: oneshot::Sender<LinkTx>,
    bus: Bus,
}

impl ServiceLink {
    /// Opens a link whose messages go to `inbox`. While that is full nothing is read, so the
    /// router's ring waits, and past the ring messages are lost and counted.
    pub(crate) async fn open(
        bus: &Bus,
        name: LinkName,
        inbox: mpsc::Sender<Message>,
        tasks: &TaskTracker,
    ) -> Result<Self, RouterError> {
        let (tx, rx) = bus.link(&name.text).await?;
        let gaps = Arc::new(Mutex::new(GapWatch::default()));
        let (close, closing) = oneshot::channel();
        let reader = Reader {
            rx,
            inbox,
            gaps: gaps.clone(),
            name,
        };
        tasks.spawn(reader.run(closing));
        Ok(Self {
            tx,
            gaps,
            close,
            bus: bus.clone(),
        })
    }

    /// False if the router may not learn another filter. Afterwards every publish of whoever saw
    /// the answer is under the subscription: the router takes events in their order.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> Result<bool, RouterError> {
        let Some(familiarity) = self.bus.admit_filter(filter) else {
            return Ok(false);
        };
        if bus::lock(&self.gaps).add(filter, familiarity.next_number()) {
            let subscribe = protocol::Subscribe {
                pkid: 0,
                filters: vec![protocol::Filter {
                    path: filter.to_owned(),
                    // The window of unacknowledged messages is kept at the door.
                    qos: protocol::QoS::AtMostOnce,
                    nolocal: false,
                    preserve_retain: false,
                    retain_forward_rule: RetainForwardRule::Never,
                }],
            };
            bus::send(&mut self.tx, Packet::Subscribe(subscribe, None)).await?;
        }
        Ok(true)
    }

    pub(crate) async fn unsubscribe(&mut self, filters: Vec<String>) -> Result<(), RouterError> {
        let held: Vec<_> = {
            let mut gaps = bus::lock(&self.gaps);
            filters
                .into_iter()
                .filter(|filter| gaps.remove(filter))
                .collect()
        };
        if held.is_empty() {
            return Ok(());
        }
        bus::send(&mut self.tx, unsubscribe_packet(held)).await
    }

    /// Lets the reader leave the router and end.
    pub(crate) fn close(self) {
        if self.close.send(self.tx).is_err() {
            tracing::debug!("the link's reader has ended before");
        }
    }
}

fn unsubscribe_packet(filters: Vec<String>) -> Packet {
    Packet::Unsubscribe(protocol::Unsubscribe { pkid: 0, filters }, None)
}

struct Reader {
    rx: LinkRx,
    inbox: mpsc::Sender<Message>,
    gaps: Arc<Mutex<GapWatch>>,
    name: LinkName,
}

impl Reader {
    async fn run(mut self, mut closing: oneshot::Receiver<LinkTx>) {
        let end = tokio::select! {
            tx = &mut closing => tx.ok(),
            error = self.read() => {
                tracing::error!(%error, link = self.name.text, "router link lost");
                None
            }
        };
        match end {
            Some(tx) => self.leave(tx).await,
            // The session is gone without closing, or the router is: the name is not used again,
            // since the router may still hold a link of it.
            None => std::mem::forget(self.name),
        }
    }

    async fn read(&mut self) -> RouterError {
        loop {
            match bus::hear(&mut self.rx, &self.gaps, &self.name.text).await {
                Ok(Heard::Message(message)) => {
                    if self.inbox.send(message).await.is_err() {
                        // The session is closing and will say so in a moment.
                        std::future::pending::<()>().await;
                    }
                }
                Ok(Heard::Nothing) => {}
                Err(error) => return error,
            }
        }
    }

    async fn leave(self, mut tx: LinkTx) {
        let filters = bus::lock(&self.gaps).filters();
        if !filters.is_empty()
            && let Err(error) = bus::send(&mut tx, unsubscribe_packet(filters)).await
        {
            tracing::debug!(%error, "router gone while leaving");
        }
        if !bus::leave(tx, self.rx, &self.name.text).await {
            std::mem::forget(self.name);
        }
    }
}
