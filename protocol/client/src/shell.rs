//! The task of a client: feeds the machine, performs what it says.

use std::sync::Arc;
use std::time::Duration;

use process::clock::Clock;
use protocol::id::Entropy;
use protocol::topic::Filter;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::delivery::{Delivery, Event, Mailbox, Waiting};
use crate::link::Link;
use crate::machine::{Input, Limits, Loss, Machine, Outgoing, Output, Reason};
use crate::metrics::Metrics;
use crate::options::Options;

/// For DISCONNECT on a connection that may be stalled already.
const FAREWELL: Duration = Duration::from_secs(1);

/// A publish and the connection it was meant for.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) connection: u64,
    pub(crate) outgoing: Outgoing,
}

enum Heard {
    Stop,
    Inputs(Vec<Input>),
    Queued(Option<Queued>),
    /// The owner can take an event.
    Room,
}

pub(crate) struct Shell {
    options: Options,
    filters: Vec<String>,
    clock: Clock,
    metrics: Metrics,
    machine: Machine,
    link: Option<Link>,
    /// Words about deliveries of the present connection; an old connection's go nowhere.
    mailbox: Arc<Mailbox>,
    queue: mpsc::Receiver<Queued>,
    queue_ended: bool,
    events: mpsc::Sender<Event>,
    waiting: Waiting,
    ready: watch::Sender<Option<u64>>,
    connection: u64,
    stopping: bool,
}

impl Shell {
    pub(crate) fn new(
        options: Options,
        queue: mpsc::Receiver<Queued>,
        events: mpsc::Sender<Event>,
        ready: watch::Sender<Option<u64>>,
    ) -> Self {
        let limits = Limits {
            connect_timeout: options.connect_timeout,
            acknowledge_timeout: options.acknowledge_timeout,
            inflight_max: options.inflight_max.max(1),
            unacknowledged_max: options.unacknowledged_max.max(1),
        };
        let filters: Vec<String> = options
            .subscriptions
            .iter()
            .map(Filter::to_string)
            .collect();
        Self {
            filters: filters.clone(),
            clock: Clock::system(),
            metrics: Metrics::new(options.service, &options.client_id),
            machine: Machine::new(limits, filters),
            options,
            link: None,
            mailbox: Arc::default(),
            queue,
            queue_ended: false,
            events,
            waiting: Waiting::default(),
            ready,
            connection: 0,
            stopping: false,
        }
    }

    pub(crate) async fn run(mut self, mut entropy: impl Entropy, shutdown: CancellationToken) {
        while !self.machine.has_ended() {
            for input in self.next(&shutdown).await {
                let now = self.clock.now().tick;
                self.machine.handle_input(input, now, &mut entropy);
                self.perform(&mut entropy).await;
            }
        }
        // An owner that lags learns the rest from the end of the channel.
        self.hand_over();
    }

    async fn next(&mut self, shutdown: &CancellationToken) -> Vec<Input> {
        match self.hear(shutdown).await {
            Heard::Stop => self.stop(),
            Heard::Inputs(inputs) => inputs,
            Heard::Queued(queued) => self.queued(queued),
            Heard::Room => {
                self.hand_over();
                Vec::new()
            }
        }
    }

    async fn hear(&mut self, shutdown: &CancellationToken) -> Heard {
        let wants_publish = self.machine.wants_publish() && !self.queue_ended;
        let has_event = !self.waiting.is_empty() && !self.events.is_closed();
        tokio::select! {
            () = shutdown.cancelled(), if !self.stopping => Heard::Stop,
            () = self.events.closed(), if !self.stopping => Heard::Stop,
            () = self.clock.until(self.machine.poll_timeout()) => Heard::Inputs(vec![Input::Timeout]),
            words = self.mailbox.take() => Heard::Inputs(words),
            input = next_of(&mut self.link) => Heard::Inputs(Vec::from_iter(input)),
            queued = self.queue.recv(), if wants_publish => Heard::Queued(queued),
            _ = self.events.reserve(), if has_event => Heard::Room,
        }
    }

    /// As many events as there is room for.
    fn hand_over(&mut self) {
        while let Ok(permit) = self.events.try_reserve() {
            let Some(event) = self.waiting.pop() else {
                return;
            };
            permit.send(event);
        }
    }

    fn stop(&mut self) -> Vec<Input> {
        self.stopping = true;
        self.queue.close();
        vec![Input::Shutdown]
    }

    fn queued(&mut self, queued: Option<Queued>) -> Vec<Input> {
        match queued {
            Some(queued) if queued.connection == self.connection => {
                vec![Input::Publish(queued.outgoing)]
            }
            Some(_) => {
                self.metrics.stale(1);
                Vec::new()
            }
            None => {
                self.queue_ended = true;
                vec![Input::QueueEmpty]
            }
        }
    }

    async fn perform(&mut self, entropy: &mut impl Entropy) {
        while let Some(output) = self.machine.poll_output() {
            if let Err(error) = self.perform_one(output).await {
                let loss = Loss::new(Reason::Overrun, error.to_string());
                let now = self.clock.now().tick;
                self.machine.handle_input(Input::Lost(loss), now, entropy);
            }
        }
    }

    async fn perform_one(&mut self, output: Output) -> Result<(), rumqttc::ClientError> {
        match output {
            Output::Connect => {
                self.mailbox = Arc::default();
                self.link = Some(Link::open(&self.options));
            }
            Output::Subscribe => return self.on_link(|link, shell| link.subscribe(&shell.filters)),
            Output::Publish(outgoing) => return self.on_link(|link, _| link.publish(outgoing)),
            Output::Acknowledge(id) => return self.on_link(|link, _| link.acknowledge(id)),
            Output::Drop => self.link = None,
            Output::Disconnect => self.farewell().await,
            Output::Ready => {
                self.connection += 1;
                self.ready.send_replace(Some(self.connection));
                self.waiting.push(Event::Connected);
            }
            Output::NotReady => self.not_ready(),
            Output::Deliver(sequence, arrived) => {
                let delivery = Delivery::new(sequence, arrived, Arc::clone(&self.mailbox));
                self.waiting.push(Event::Delivery(delivery));
            }
            Output::Record(record) => self.metrics.record(record),
        }
        Ok(())
    }

    /// Outputs behind a loss find no link, and nobody waits for them.
    fn on_link(
        &self,
        act: impl FnOnce(&Link, &Self) -> Result<(), rumqttc::ClientError>,
    ) -> Result<(), rumqttc::ClientError> {
        self.link.as_ref().map_or(Ok(()), |link| act(link, self))
    }

    fn not_ready(&mut self) {
        self.ready.send_replace(None);
        self.waiting.disconnect();
        let mut stale = 0;
        while self.queue.try_recv().is_ok() {
            stale += 1;
        }
        self.metrics.stale(stale);
    }

    async fn farewell(&mut self) {
        if let Some(link) = self.link.take()
            && tokio::time::timeout(FAREWELL, link.disconnect())
                .await
                .is_err()
        {
            tracing::warn!(client = %self.options.client_id, "DISCONNECT did not go out");
        }
    }
}

async fn next_of(link: &mut Option<Link>) -> Option<Input> {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}
