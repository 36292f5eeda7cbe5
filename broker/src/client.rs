//! One session and everything that belongs to it, over all of its connections.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use protocol::time::Tick;
use protocol::topic::TerminalName;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::bus::RouterError;
use crate::connection::{self, Attachment};
use crate::door::Door;
use crate::handshake;
use crate::identity::Identity;
use crate::message::Message;
use crate::metrics::{self, Close, Refusal};
use crate::packet::ConnectCode;
use crate::presence::may_match_presence;
use crate::registry::SessionKey;
use crate::service::ServiceLink;
use crate::session::{Arrival, CloseReason, Output, Session, Wanted};

pub(crate) struct Client {
    pub(crate) session: Session,
    /// What waits for this client.
    pub(crate) inbox: mpsc::Receiver<Message>,
    pub(crate) kind: &'static str,
    key: SessionKey,
    port: Port,
    replays: VecDeque<Replay>,
}

/// Where a client's messages come from.
enum Port {
    /// From the dispatcher, which reads one link for all terminals.
    Terminal { name: TerminalName, number: u64 },
    /// From a link of its own.
    Service(ServiceLink),
}

/// How far the presence of all terminals was replayed for one filter.
struct Replay {
    filter: String,
    last: Option<TerminalName>,
}

/// Lives as long as the session: through takeovers, and for a service with a kept session through
/// absences up to the expiry.
pub(crate) async fn run(
    door: Arc<Door>,
    identity: Identity,
    key: SessionKey,
    first: Attachment,
    mut mailbox: mpsc::Receiver<Attachment>,
) {
    let mut client = match Client::open(&door, &identity, key.clone()).await {
        Ok(client) => client,
        Err(refusal) => return turn_away(&door, &key, first, &mut mailbox, refusal).await,
    };
    metrics::session_opened(client.kind);
    let mut attachment = Some(first);
    while let Some(current) = attachment {
        let next = client.serve(&door, current, &mut mailbox).await;
        attachment = next.or_else(|| door.registry.leave(&key, &mut mailbox));
    }
    metrics::session_gone(client.kind);
    client.close(&door).await;
}

async fn turn_away(
    door: &Door,
    key: &SessionKey,
    first: Attachment,
    mailbox: &mut mpsc::Receiver<Attachment>,
    refusal: Refusal,
) {
    let mut attachment = Some(first);
    while let Some(current) = attachment {
        metrics::refused(refusal, current.peer);
        handshake::answer(current.stream, ConnectCode::Unavailable).await;
        attachment = door.registry.leave(key, mailbox);
    }
}

impl Client {
    async fn open(door: &Door, identity: &Identity, key: SessionKey) -> Result<Self, Refusal> {
        let terminal = door.terminal_of(identity);
        let queue_max = match terminal {
            Some(_) => door.limits.terminal_queue_max,
            None => door.limits.service_queue_max,
        };
        let (sender, inbox) = mpsc::channel(queue_max.max(1));
        let port = match terminal {
            Some(name) => open_terminal(door, name, sender).await,
            None => open_service(door, sender).await,
        }?;
        Ok(Self {
            session: Session::new(
                identity.clone(),
                door.policy,
                door.bounds(terminal.is_some()),
            ),
            inbox,
            kind: identity.kind(),
            key,
            port,
            replays: VecDeque::new(),
        })
    }

    /// Serves one connection, and then waits for the next if the session is kept.
    async fn serve(
        &mut self,
        door: &Door,
        attachment: Attachment,
        mailbox: &mut mpsc::Receiver<Attachment>,
    ) -> Option<Attachment> {
        metrics::attached(&self.key.user, &self.key.client_id, attachment.peer);
        let is_kept = !attachment.arrival.is_clean && matches!(self.port, Port::Service(_));
        let will = attachment.will.clone();
        let end = connection::drive(door, self, attachment, mailbox).await;
        metrics::closed(end.close, &self.key.user, &self.key.client_id);
        if end.close != Close::Session(CloseReason::Disconnect) {
            publish_will(door, will).await;
        }
        if end.next.is_none() && is_kept && end.close != Close::Router {
            return self.absence(door, mailbox).await;
        }
        end.next.map(|next| *next)
    }

    /// Nothing is read meanwhile: the queue fills, then the router's ring.
    async fn absence(
        &self,
        door: &Door,
        mailbox: &mut mpsc::Receiver<Attachment>,
    ) -> Option<Attachment> {
        let expiry = Duration::from_millis(door.limits.session_expiry_ms);
        let evicted = door.registry.begin_absence(&self.key);
        let next = tokio::select! {
            next = timeout(expiry, mailbox.recv()) => next.ok().flatten(),
            () = evicted.cancelled() => None,
            () = door.shutdown.cancelled() => None,
        };
        door.registry.end_absence(&self.key);
        next
    }

    /// A connection begins. A clean one forgets what waited for the one before.
    pub(crate) fn begin(&mut self, arrival: Arrival, now: Tick) {
        let arrival = Arrival {
            // Nothing is kept for an absent terminal.
            is_clean: arrival.is_clean || matches!(self.port, Port::Terminal { .. }),
            ..arrival
        };
        if arrival.is_clean {
            self.replays.clear();
            while self.inbox.try_recv().is_ok() {
                metrics::dropped(metrics::Drop::Absent);
            }
        }
        self.session.attach(arrival, now);
    }

    /// What can be had without waiting: presence to replay, then what is queued.
    pub(crate) async fn next_waiting(&mut self, door: &Door) -> Option<Message> {
        while let Some(replay) = self.replays.front_mut() {
            let presence = door.presence.lock().await;
            if let Some((name, message)) = presence.next_after(replay.last.as_ref(), &replay.filter)
            {
                replay.last = Some(name);
                return Some(message);
            }
            self.replays.pop_front();
        }
        self.inbox.try_recv().ok()
    }

    pub(crate) async fn perform(&mut self, output: Output, door: &Door) -> Result<(), RouterError> {
        match output {
            Output::Publish(message) => {
                metrics::published_in(self.kind);
                return door.uplink.publish(message).await;
            }
            Output::Subscribe(wanted) => return self.subscribe(wanted).await,
            Output::Unsubscribe(filters) => {
                self.replays
                    .retain(|replay| !filters.contains(&replay.filter));
                if let Port::Service(link) = &mut self.port {
                    return link.unsubscribe(filters).await;
                }
            }
            Output::Replay(filter) => self.replay(filter),
            Output::Denied(denial) => {
                metrics::denied(&denial, &self.key.user, &self.key.client_id);
            }
            Output::RetainIgnored => metrics::retain_ignored(),
            // Both are the connection's own.
            Output::Send(_) | Output::Close(_) => {}
        }
        Ok(())
    }

    async fn subscribe(&mut self, mut wanted: Wanted) -> Result<(), RouterError> {
        if let Port::Service(link) = &mut self.port {
            for (filter, granted) in &mut wanted.filters {
                if granted.is_some() && !link.subscribe(filter).await? {
                    *granted = None;
                }
            }
        }
        self.session.handle_subscribed(wanted);
        Ok(())
    }

    fn replay(&mut self, filter: String) {
        if matches!(self.port, Port::Service(_)) && may_match_presence(&filter) {
            self.replays.retain(|replay| replay.filter != filter);
            self.replays.push_back(Replay { filter, last: None });
        }
    }

    async fn close(self, door: &Door) {
        match self.port {
            Port::Service(link) => link.close(),
            Port::Terminal { name, number } => {
                door.registry.remove_terminal(&name, number);
                if door.terminal_left(&name).await.is_err() {
                    tracing::debug!(terminal = %name, "no router to state presence to");
                }
            }
        }
    }
}

async fn open_terminal(
    door: &Door,
    name: &TerminalName,
    inbox: mpsc::Sender<Message>,
) -> Result<Port, Refusal> {
    let number = door.registry.add_terminal(name, inbox);
    if door.terminal_came(name).await.is_err() {
        door.registry.remove_terminal(name, number);
        return Err(Refusal::Stopping);
    }
    Ok(Port::Terminal {
        name: name.clone(),
        number,
    })
}

async fn open_service(door: &Door, inbox: mpsc::Sender<Message>) -> Result<Port, Refusal> {
    let Some(name) = door.link_names.take() else {
        door.registry.evict_absent();
        return Err(Refusal::ServicesMax);
    };
    let opened = ServiceLink::open(&door.bus, name, inbox, &door.tasks).await;
    opened.map(Port::Service).map_err(|error| {
        tracing::error!(%error, "no router link for a service");
        Refusal::Stopping
    })
}

async fn publish_will(door: &Door, will: Option<Message>) {
    let Some(will) = will else {
        return;
    };
    metrics::will_published();
    if let Err(error) = door.uplink.publish(will).await {
        tracing::debug!(%error, "no router to publish a will to");
    }
}
