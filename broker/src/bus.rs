//! rumqttd's router, and the few ways into it.
//!
//! Everything is published over one uplink, in batches: the next batch is pushed only after the
//! router has answered a ping behind the last one. So a SUBSCRIBE that the router got before a
//! publish is in force for it, and what waits in the router is bounded.
//!
//! The router forgets with which QoS a message was published. It carries v5 properties along
//! untouched, so the QoS travels there.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use protocol::topic::Filter;
use rumqttd::local::{LinkBuilder, LinkError, LinkRx, LinkTx};
use rumqttd::protocol::{Packet, PingReq, Publish, PublishProperties};
use rumqttd::{Forward, Notification, Router, RouterConfig};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::config::Limits;
use crate::gap::GapWatch;
use crate::message::{Message, Qos};
use crate::metrics;

/// Longest wait for an answer of the router: it answers within microseconds or is dead.
pub(crate) const ROUTER_TIMEOUT: Duration = Duration::from_secs(10);

/// Messages that wait for the uplink: two batches, so that one fills while one is on its way.
const UPLINK_QUEUE_MAX: usize = 512;

/// Messages handed to the router at once.
const BATCH_MAX: usize = 256;

/// Links beside those of services: uplink, dispatcher, and links that are just being closed.
const LINKS_RESERVE: usize = 16;

/// Segments of a ring: one sixteenth of it is lost at a time.
const RING_SEGMENTS: usize = 16;

/// Smallest segment that the router accepts without a panic is 1 KiB.
const SEGMENT_BYTES_MIN: usize = 64 * 1024;

/// The router does not start, or is gone and the broker can't serve any more.
#[derive(Debug, thiserror::Error)]
pub enum RouterError {
    #[error("the router does not take a link")]
    Link(#[source] Box<LinkError>),
    #[error("the router does not answer")]
    Silent,
    #[error("the thread that opens links is gone")]
    Thread(#[source] tokio::task::JoinError),
    #[error("the router has left")]
    Gone,
}

type Link = (LinkTx, LinkRx, Notification);
type OpenLink = dyn Fn(&str) -> Result<Link, RouterError> + Send + Sync;

/// The way to new links. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Bus {
    open: Arc<OpenLink>,
    filters: Arc<Mutex<BTreeSet<String>>>,
    filters_max: usize,
}

impl Bus {
    /// Starts the router in a thread of its own, which stays idle for ever after the last link.
    pub(crate) fn start(limits: &Limits) -> Self {
        let dispatched = Filter::all_down().as_str().to_owned();
        let router = Router::new(0, router_config(limits, &dispatched)).spawn();
        let open = move |name: &str| {
            let link = LinkBuilder::new(name, router.clone()).build();
            link.map_err(link_error)
        };
        Self {
            open: Arc::new(open),
            filters: Arc::new(Mutex::new(BTreeSet::from([dispatched]))),
            filters_max: limits.filters_max,
        }
    }

    /// Opens a link. `name` must be of no link that is open, and of few different names in all:
    /// the router remembers each for ever.
    pub(crate) async fn link(&self, name: &str) -> Result<(LinkTx, LinkRx), RouterError> {
        let (open, name) = (self.open.clone(), name.to_owned());
        let opening = tokio::task::spawn_blocking(move || open(&name));
        let opened = timeout(ROUTER_TIMEOUT, opening)
            .await
            .map_err(|_| RouterError::Silent)?
            .map_err(RouterError::Thread)?;
        let (tx, rx, _) = opened?;
        Ok((tx, rx))
    }

    /// Whether the router knows `filter` or may learn it; `None` if neither.
    pub(crate) fn admit_filter(&self, filter: &str) -> Option<Familiarity> {
        let mut filters = lock(&self.filters);
        if filters.contains(filter) {
            return Some(Familiarity::Known);
        }
        if filters.len() >= self.filters_max {
            return None;
        }
        filters.insert(filter.to_owned());
        metrics::filters(u32::try_from(filters.len()).unwrap_or(u32::MAX));
        Some(Familiarity::New)
    }
}

/// What the router knows of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Familiarity {
    /// Its ring starts with the first message from now on.
    New,
    /// Its ring runs.
    Known,
}

impl Familiarity {
    /// The number of the next message, where it is known.
    pub(crate) const fn next_number(self) -> Option<u64> {
        match self {
            Self::New => Some(0),
            Self::Known => None,
        }
    }
}

/// The router's own error is large, and rare.
fn link_error(error: LinkError) -> RouterError {
    RouterError::Link(Box::new(error))
}

/// A panic elsewhere leaves these tables whole: each change is one call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn router_config(limits: &Limits, dispatched: &str) -> RouterConfig {
    RouterConfig {
        max_connections: limits.services_max + LINKS_RESERVE,
        max_outgoing_packet_count: 200,
        max_segment_size: (limits.ring_bytes_max / RING_SEGMENTS).max(SEGMENT_BYTES_MIN),
        max_segment_count: RING_SEGMENTS,
        initialized_filters: Some(vec![dispatched.to_owned()]),
        ..RouterConfig::default()
    }
}

/// Where publishes wait for the router. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    queue: mpsc::Sender<Message>,
}

/// The router's end of [`Uplink`].
pub(crate) struct UplinkDriver {
    queue: mpsc::Receiver<Message>,
    tx: LinkTx,
    rx: LinkRx,
    topics: HashSet<Bytes>,
    topics_max: usize,
}

impl Uplink {
    pub(crate) async fn open(
        bus: &Bus,
        limits: &Limits,
    ) -> Result<(Self, UplinkDriver), RouterError> {
        let (tx, rx) = bus.link("uplink").await?;
        let (sender, queue) = mpsc::channel(UPLINK_QUEUE_MAX);
        let driver = UplinkDriver {
            queue,
            tx,
            rx,
            topics: HashSet::new(),
            topics_max: limits.topics_max,
        };
        Ok((Self { queue: sender }, driver))
    }

    /// Waits for room in the queue; fails only when the router is gone.
    pub(crate) async fn publish(&self, message: Message) -> Result<(), RouterError> {
        self.queue
            .send(message)
            .await
            .map_err(|_| RouterError::Gone)
    }
}

impl UplinkDriver {
    /// Runs until every [`Uplink`] is dropped, then leaves the router.
    pub(crate) async fn run(mut self) -> Result<(), RouterError> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while self.queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.push(&mut batch);
            ping(&mut self.tx).await?;
            timeout(ROUTER_TIMEOUT, pong(&mut self.rx))
                .await
                .map_err(|_| RouterError::Silent)??;
            let (waiting, topics) = (self.queue.len(), self.topics.len());
            metrics::uplink_batch(
                u32::try_from(waiting).unwrap_or(u32::MAX),
                u32::try_from(topics).unwrap_or(u32::MAX),
            );
        }
        leave(self.tx, self.rx, "uplink").await;
        Ok(())
    }

    fn push(&mut self, batch: &mut Vec<Message>) {
        let (topics, topics_max) = (&mut self.topics, self.topics_max);
        let mut buffer = self.tx.buffer();
        for message in batch.drain(..) {
            let is_known = topics.contains(&message.topic);
            if !is_known && topics.len() >= topics_max {
                metrics::dropped(metrics::Drop::TopicsMax);
                continue;
            }
            if !is_known {
                topics.insert(Bytes::copy_from_slice(&message.topic));
            }
            buffer.push_back(to_packet(message));
        }
    }
}

fn to_packet(message: Message) -> Packet {
    let publish = Publish::new(message.topic, message.payload, false);
    let properties = PublishProperties {
        payload_format_indicator: Some(message.qos as u8),
        ..PublishProperties::default()
    };
    Packet::Publish(publish, Some(properties))
}

fn from_forward(forward: Forward) -> Message {
    let indicator = forward
        .properties
        .and_then(|it| it.payload_format_indicator);
    Message {
        topic: forward.publish.topic,
        payload: forward.publish.payload,
        qos: match indicator {
            Some(0) => Qos::AtMostOnce,
            _ => Qos::AtLeastOnce,
        },
        retain: false,
    }
}

async fn ping(tx: &mut LinkTx) -> Result<(), RouterError> {
    send(tx, Packet::PingReq(PingReq)).await
}

/// Blocks the thread while 1,000 events wait for the router, which takes them in microseconds.
pub(crate) async fn send(tx: &mut LinkTx, packet: Packet) -> Result<(), RouterError> {
    tx.send(packet).await.map(|_| ()).map_err(link_error)
}

/// Reads on until the router answers a ping; what was forwarded before it is dropped.
pub(crate) async fn pong(rx: &mut LinkRx) -> Result<(), RouterError> {
    loop {
        match rx.next().await.map_err(link_error)? {
            Some(Notification::Unschedule) => rx.ready().map_err(link_error)?,
            Some(Notification::DeviceAck(ack)) => {
                if matches!(Packet::from(ack), Packet::PingResp(_)) {
                    return Ok(());
                }
            }
            Some(_) | None => {}
        }
    }
}

/// Leaves the router so that it frees the link: a Disconnect in a quiet moment (nothing
/// subscribed, nothing scheduled), then no further word. True once the link is free.
pub(crate) async fn leave(mut tx: LinkTx, mut rx: LinkRx, name: &str) -> bool {
    let leaving = async {
        ping(&mut tx).await?;
        pong(&mut rx).await?;
        let disconnect = rumqttd::protocol::Disconnect {
            reason_code: rumqttd::protocol::DisconnectReasonCode::NormalDisconnection,
        };
        send(&mut tx, Packet::Disconnect(disconnect, None)).await?;
        while rx.next().await.is_ok() {}
        Ok::<_, RouterError>(())
    };
    let has_left = matches!(timeout(ROUTER_TIMEOUT, leaving).await, Ok(Ok(())));
    if !has_left {
        metrics::link_stuck(name);
    }
    has_left
}

/// What a link has to say to its owner.
pub(crate) enum Heard {
    Message(Message),
    Nothing,
}

/// One step of reading a link. Cancel-safe.
pub(crate) async fn hear(
    rx: &mut LinkRx,
    gaps: &Mutex<GapWatch>,
    name: &str,
) -> Result<Heard, RouterError> {
    match rx.next().await.map_err(link_error)? {
        Some(Notification::Forward(forward)) => {
            count_gap(&forward, gaps, name);
            Ok(Heard::Message(from_forward(forward)))
        }
        Some(Notification::Unschedule) => {
            rx.ready().map_err(link_error)?;
            Ok(Heard::Nothing)
        }
        Some(_) | None => Ok(Heard::Nothing),
    }
}

fn count_gap(forward: &Forward, gaps: &Mutex<GapWatch>, name: &str) {
    let topic = std::str::from_utf8(&forward.publish.topic);
    if let (Some((_, number)), Ok(topic)) = (forward.cursor, topic) {
        metrics::ring_lost(lock(gaps).seen(topic, number), name);
    }
}
