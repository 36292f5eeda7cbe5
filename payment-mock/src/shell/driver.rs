//! One mutation, then all outputs; a group of both for each write to the disk.

use std::time::Duration;

use process::entropy::SystemEntropy;
use process::health::Health;
use protocol_client::{Client, Event, Incoming};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{CHECK_BROKER, CHECK_LEDGER, RunError};
use crate::desk::{Command, Settlement};
use crate::ledger::Entry;
use crate::machine::{Arrival, Machine, Output, Publication};
use crate::metrics;
use crate::own_clock::OwnClock;
use crate::scenario::Outcome;
use crate::store::{Store, StoreError};
use crate::totals::OrderTotals;

/// Inputs that share one write: at 5 ms a write this carries 12,000 a second, and a group of 64
/// answers is far below what the broker connection queues.
const GROUP_MAX: usize = 64;

/// Longest wait for room on the broker connection; a platform has asked again by then.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

enum Input {
    Broker(Event),
    Command(Command),
    Timeout,
}

#[derive(Debug)]
pub(super) struct Driver {
    machine: Machine,
    /// Away while a write is under way.
    store: Option<Store>,
    clock: OwnClock,
    entropy: SystemEntropy,
    outcomes: watch::Receiver<Outcome>,
    health: Health,
}

/// The effects of a group, held back until its entries are on the disk.
#[derive(Default)]
struct Group {
    entries: Vec<Entry>,
    publications: Vec<Publication>,
    settlements: Vec<Settlement>,
}

impl Driver {
    pub(super) fn new(
        machine: Machine,
        store: Option<Store>,
        clock: OwnClock,
        outcomes: watch::Receiver<Outcome>,
        health: Health,
    ) -> Self {
        Self {
            machine,
            store,
            clock,
            entropy: SystemEntropy::new(),
            outcomes,
            health,
        }
    }

    pub(super) fn totals(&self) -> Vec<OrderTotals> {
        self.machine.totals()
    }

    pub(super) async fn run(
        &mut self,
        client: Client,
        mut incoming: Incoming,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) -> Result<(), RunError> {
        self.health.set(CHECK_LEDGER, Ok(()));
        let mut open = true;
        loop {
            let first = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                event = incoming.next(), if open => match event {
                    Some(event) => Input::Broker(event),
                    None => { open = false; continue }
                },
                Some(command) = commands.recv() => Input::Command(command),
                () = self.clock.until(self.machine.poll_timeout()) => Input::Timeout,
            };
            let mut group = Group::default();
            self.handle(first, &mut group);
            for _ in 1..GROUP_MAX {
                match ready(&mut incoming, &mut commands, open).await {
                    Some(input) => self.handle(input, &mut group),
                    None => break,
                }
            }
            self.settle(group, &client).await?;
        }
    }

    fn handle(&mut self, input: Input, group: &mut Group) {
        let outcome = *self.outcomes.borrow();
        self.machine.set_default_outcome(outcome);
        match input {
            Input::Broker(event) => self.handle_event(event, group),
            Input::Command(command) => self.handle_command(command, group),
            Input::Timeout => {
                let now = self.clock.now();
                self.machine.handle_timeout(now, &mut self.entropy);
            }
        }
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Record(entry) => group.entries.push(entry),
                Output::Publish(publication) => group.publications.push(publication),
                Output::Noted(note) => metrics::note(&note),
            }
        }
    }

    fn handle_event(&mut self, event: Event, group: &mut Group) {
        match event {
            Event::Connected => {
                metrics::connected(true);
                self.health.set(CHECK_BROKER, Ok(()));
            }
            Event::Disconnected => {
                metrics::connected(false);
                let reason = "no connection to the broker".to_owned();
                self.health.set(CHECK_BROKER, Err(reason));
            }
            Event::Delivery(delivery) => {
                let arrival = Arrival {
                    topic: &delivery.topic,
                    payload: &delivery.payload,
                    retained: delivery.retained,
                };
                let now = self.clock.now();
                self.machine.handle_request(arrival, now, &mut self.entropy);
                group.settlements.push(Box::new(move || delivery.ack()));
            }
        }
    }

    fn handle_command(&mut self, command: Command, group: &mut Group) {
        let now = self.clock.now();
        let settlement = command.perform(&mut self.machine, now, &mut self.entropy);
        group.settlements.push(settlement);
    }

    /// Disk, then broker, then replies and acknowledgements.
    async fn settle(&mut self, group: Group, client: &Client) -> Result<(), RunError> {
        if let Err(error) = self.write(group.entries).await {
            let reason = "the ledger could not be written".to_owned();
            self.health.set(CHECK_LEDGER, Err(reason));
            return Err(error);
        }
        for publication in group.publications {
            publish(client, publication).await;
        }
        for settlement in group.settlements {
            settlement();
        }
        Ok(())
    }

    async fn write(&mut self, entries: Vec<Entry>) -> Result<(), RunError> {
        if entries.is_empty() {
            return Ok(());
        }
        let Some(store) = self.store.take() else {
            return Ok(());
        };
        let started = self.clock.now().tick;
        let (store, written) = tokio::task::spawn_blocking(move || append(store, &entries))
            .await
            .map_err(|_| RunError::Writer)?;
        self.store = Some(store);
        metrics::committed(self.clock.now().tick.since(started).as_secs_f64());
        written.map_err(RunError::Store)
    }
}

fn append(mut store: Store, entries: &[Entry]) -> (Store, Result<(), StoreError>) {
    let written = store.append(entries);
    (store, written)
}

/// What is there already, without waiting.
async fn ready(
    incoming: &mut Incoming,
    commands: &mut mpsc::Receiver<Command>,
    open: bool,
) -> Option<Input> {
    tokio::select! {
        biased;
        Some(event) = incoming.next(), if open => Some(Input::Broker(event)),
        Some(command) = commands.recv() => Some(Input::Command(command)),
        () = std::future::ready(()) => None,
    }
}

async fn publish(client: &Client, publication: Publication) {
    let publish = client.publish(publication.topic, publication.payload);
    match tokio::time::timeout(PUBLISH_TIMEOUT, publish).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => metrics::publish_lost(&error),
        Err(error) => metrics::publish_lost(&error),
    }
}
