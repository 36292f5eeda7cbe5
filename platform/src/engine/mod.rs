//! The engine: one task owns all open sales and the store. It drains what came in, applies each to
//! its sale, commits the whole round once, and only then sends and acknowledges (R11).
//!
//! | module | what it owns |
//! |---|---|
//! | [`intake`] | from bytes to something believed |
//! | [`apply`] | who may move which sale |
//! | [`core`] | all open sales, their deadlines, the round in the making |
//! | [`speak`] | from claims to signed bytes |
//! | [`group`] | what one commit holds |
//! | [`writer`] | the store's thread |
//! | [`acks`] | which journal records are committed |
//! | [`gateway`] | payment servers |
//! | [`reconcile`] | their statements |
//! | [`reading`] | what a restored store must learn first |
//! | [`hand`] | what operators do, and who waits for it |

mod acks;
mod apply;
pub(crate) mod core;
pub(crate) mod gateway;
mod group;
mod hand;
pub(crate) mod intake;
mod reading;
mod reconcile;
pub(crate) mod speak;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use process::clock::Clock;
use process::entropy::SystemEntropy;
use protocol::id::{PlatformId, TransactionId};
use protocol::signed::SigningKey;
use protocol::topic::Filter;
use protocol_client::{Client, Delivery, Event, Incoming, Options, PublishError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::core::{Core, Ground};
use self::hand::{Asked, Replies};
use self::speak::{Parcel, Speaker};
use self::writer::{Writer, WriterError};
use crate::caps::CapLimits;
use crate::config;
use crate::metrics;
use crate::reconciliation::ReconciliationPolicy;
use crate::registry::Registry;
use crate::rules::Sound;
use crate::sale::{Timeouts, UncertainPolicy};
use crate::store::Store;

pub(crate) use self::hand::{ActSender, Acts, channel};
pub(crate) use self::writer::{WriterError as EngineError, book_rows};

/// Inputs of one round. A sync costs 0.2 to 5 ms and is shared by all of them; above 256 the first
/// one would wait for the last one's signature.
const ROUND_MAX: usize = 256;

/// Inputs that wait for the next round: two rounds. What is beyond waits at the broker.
const INPUTS_MAX: usize = 512;

/// Rounds whose messages wait for the connection. Publishing is quicker than committing; when it
/// is not, the engine waits with it.
const SENDS_MAX: usize = 16;

/// From one attempt to reach the store to the next, after it failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// What an engine is made of.
pub(crate) struct Setup<S> {
    pub(crate) platform: PlatformId,
    pub(crate) key: SigningKey,
    pub(crate) registry: Arc<Registry>,
    pub(crate) gateways: Vec<config::Gateway>,
    pub(crate) timeouts: Timeouts,
    pub(crate) uncertain: UncertainPolicy,
    pub(crate) reconciliation: ReconciliationPolicy,
    /// Where payers find their status page, without the token; none if we serve none.
    pub(crate) status_url: Option<String>,
    pub(crate) caps: CapLimits,
    pub(crate) store: S,
    pub(crate) acts: Acts,
}

/// A running engine.
#[derive(Debug)]
pub(crate) struct Handle {
    task: JoinHandle<()>,
    client: Client,
}

impl Handle {
    /// A client to look at the connection with, beyond the handle's own life.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Returns once the last round is committed and sent, after `shutdown`.
    pub(crate) async fn finished(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the engine ended by itself");
        }
    }
}

/// Loads what is open, connects, and runs until `shutdown`; the round in hand is finished.
///
/// `options` need no subscriptions.
pub(crate) async fn start<S: Store>(
    setup: Setup<S>,
    options: Options,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<Handle, EngineError> {
    let gateways = gateway::gateways(&setup.gateways, &setup.timeouts, setup.uncertain, &Sound);
    let ground = Ground {
        speaker: Arc::new(Speaker {
            platform: setup.platform.clone(),
            key: setup.key,
        }),
        registry: setup.registry,
        gateways,
        store_epoch: setup.store.epoch(),
        serial: setup.store.starts(),
        status_url: setup.status_url,
        caps: setup.caps,
    };
    let writer = Writer::start(setup.store)?;
    let entropy = SystemEntropy::new();
    let mut engine = Engine {
        core: Core::new(ground, Box::new(entropy.clone())),
        acts: setup.acts,
        writer,
        clock,
        reconciliation: setup.reconciliation,
        shutdown,
    };
    engine.load_open().await?;
    let options = options
        .subscribe(Filter::all_up())
        .subscribe(Filter::gateway_responses(&setup.platform))
        .subscribe(Filter::gateway_events(&setup.platform));
    // The client ends after the engine, so that the last round is still sent.
    let client_end = CancellationToken::new();
    let (client, incoming) = protocol_client::start(options, entropy, client_end.clone());
    let task = tokio::spawn(engine.run(client.clone(), incoming, client_end));
    Ok(Handle { task, client })
}

struct Engine {
    core: Core,
    acts: Acts,
    writer: Writer,
    clock: Clock,
    reconciliation: ReconciliationPolicy,
    shutdown: CancellationToken,
}

impl Engine {
    async fn run(mut self, client: Client, incoming: Incoming, client_end: CancellationToken) {
        let (inputs, mut inbox) = mpsc::channel(INPUTS_MAX);
        let (sends, outbox) = mpsc::channel(SENDS_MAX);
        let pump = tokio::spawn(pump(incoming, inputs));
        let publisher = tokio::spawn(publish(client, outbox));
        let mut round = Vec::with_capacity(ROUND_MAX);
        let mut asked = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                // First, so that a person gets through a flood of messages.
                Some(act) = self.acts.recv() => asked.push(act),
                count = inbox.recv_many(&mut round, ROUND_MAX) => if count == 0 { break },
                () = self.clock.until(self.core.poll_timeout()) => {}
            }
            metrics::queued(inbox.len());
            self.handle_round(&mut round, &mut asked, &sends).await;
        }
        drop(sends);
        drain(publisher, "publisher").await;
        client_end.cancel();
        drop(inbox);
        drain(pump, "pump").await;
    }

    /// One round: believe, load, apply, commit, send, acknowledge.
    async fn handle_round(
        &mut self,
        round: &mut Vec<Event>,
        asked: &mut Vec<Asked>,
        sends: &mpsc::Sender<Vec<Parcel>>,
    ) {
        let prepared = match self.prepare(round).await {
            Ok(deliveries) => self.act(asked).await.map(|replies| (deliveries, replies)),
            Err(error) => Err(error),
        };
        asked.clear();
        let (deliveries, replies) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.recover(&error).await,
        };
        let now = self.clock.now();
        let mut group = self.core.take_group(now);
        if group.needs_commit() {
            group = match self.writer.commit(group).await {
                Ok(committed) => committed,
                Err(error) => return self.recover(&error).await,
            };
        }
        self.core.handle_committed();
        replies.send();
        for delivery in deliveries {
            delivery.ack();
        }
        if !group.parcels.is_empty() && sends.send(group.parcels).await.is_err() {
            tracing::error!("the publisher has ended");
        }
    }

    /// Applies everything that came in or is due; nothing of it has left the process yet.
    async fn prepare(&mut self, round: &mut Vec<Event>) -> Result<Vec<Delivery>, WriterError> {
        let mut deliveries = Vec::with_capacity(round.len());
        let mut taken = Vec::with_capacity(round.len());
        for event in round.drain(..) {
            match event {
                Event::Connected => {
                    metrics::connected(true);
                    self.core.handle_connected();
                }
                Event::Disconnected => metrics::connected(false),
                Event::Delivery(delivery) => {
                    taken.push(self.core.believe(
                        &delivery.topic,
                        &delivery.payload,
                        delivery.retained,
                    ));
                    deliveries.push(delivery);
                }
            }
        }
        let watched = self.core.due_elsewhere(self.clock.now().tick);
        let mut wanted = watched.clone();
        wanted.extend(
            taken
                .iter()
                .flat_map(|taken| self.core.wanted(&taken.intent)),
        );
        self.load(wanted).await?;
        let lent = taken
            .iter()
            .flat_map(|taken| self.core.books_wanted(&taken.intent));
        let lent = self.writer.order_books(lent.collect()).await?;
        self.core.lend_books(lent);
        let payments: Vec<_> = taken
            .iter()
            .flat_map(|taken| self.core.new_payments(&taken.intent))
            .collect();
        if !payments.is_empty() {
            let owned = self.writer.owners(payments).await?;
            self.core.adopt_payments(owned);
        }
        let now = self.clock.now();
        for taken in taken {
            self.core.apply(taken.intent, now);
            if let Some((terminal, record)) = taken.record {
                self.core.take_record(&terminal, record, now);
            }
        }
        self.core.handle_timeout(&watched, now);
        self.reconcile().await?;
        Ok(deliveries)
    }

    /// One step of a reconciliation that waits for rows of ours, and the sales that it asks about.
    async fn reconcile(&mut self) -> Result<(), WriterError> {
        if let Some((gateway, want)) = self.core.reconciliation_wants() {
            let rows = self.writer.book_rows(gateway.clone(), want.clone()).await?;
            let now = self.clock.now();
            self.core.apply_rows(&gateway, &rows, &want, now);
        }
        let hinted = self.core.hinted().iter().copied();
        let elsewhere = hinted.filter(|order| !self.core.has(*order)).collect();
        self.load(elsewhere).await?;
        self.core.apply_hints(self.clock.now());
        Ok(())
    }

    /// Applies what people want done; they are told after the commit.
    async fn act(&mut self, asked: &mut Vec<Asked>) -> Result<Replies, WriterError> {
        let mut replies = Replies::default();
        if asked.is_empty() {
            return Ok(replies);
        }
        let ids = asked.iter().map(|asked| asked.act.id).collect();
        let known = self.writer.acts(ids).await?;
        let wanted = asked
            .iter()
            .filter_map(|asked| self.core.wanted_by(&asked.act));
        self.load(wanted.collect()).await?;
        let now = self.clock.now();
        for asked in asked.drain(..) {
            let result = self.core.apply_act(asked.act.clone(), &known, now);
            replies.add(asked, result);
        }
        Ok(replies)
    }

    async fn load(&mut self, mut wanted: Vec<TransactionId>) -> Result<(), WriterError> {
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let loaded = self.writer.load(wanted).await?;
        let now = self.clock.now();
        for (row, outbox) in loaded {
            self.core.adopt(&row, outbox, now);
        }
        Ok(())
    }

    async fn load_open(&mut self) -> Result<(), WriterError> {
        let registry = Arc::clone(&self.core.ground.registry);
        let names = registry.terminals().map(|terminal| terminal.name.clone());
        let opened = self.writer.open(names.collect()).await?;
        self.core.forget();
        let now = self.clock.now();
        for terminal in &opened.terminals {
            self.core.adopt_terminal(terminal);
        }
        self.core.adopt_holds(opened.holds);
        self.core.adopt_revoked(&opened.revoked);
        self.core.adopt_capped(opened.capped, now.tick);
        // Before any sale, so that none of them mends itself too early.
        self.core.adopt_epoch(&opened.epoch, now);
        for (row, outbox) in opened.sales {
            self.core.adopt(&row, outbox, now);
        }
        let gateways = self.core.ground.gateways.keys().cloned().collect();
        let kept = self.writer.reconciliations(gateways).await?;
        let policy = &self.reconciliation;
        self.core.reconcile_with(policy, &kept, now.tick);
        self.core.handle_loaded(now);
        Ok(())
    }

    /// Nothing of the round was committed, so nothing of it is sent or acknowledged, and memory is
    /// ahead of the store: it is read again, as after a restart.
    async fn recover(&mut self, error: &WriterError) {
        report(error);
        loop {
            tokio::select! {
                () = tokio::time::sleep(STORE_PAUSE) => {}
                () = self.shutdown.cancelled() => return,
            }
            match self.load_open().await {
                Ok(()) => return self.core.handle_connected(),
                Err(WriterError::Ended) => {
                    tracing::error!("the store's thread has ended; nothing can be decided");
                    return;
                }
                Err(error) => report(&error),
            }
        }
    }
}

fn report(error: &WriterError) {
    match error {
        WriterError::Store(error) => metrics::commit_failed(error),
        WriterError::Ended | WriterError::Thread(_) => tracing::error!(%error, "no store"),
    }
}

/// From the client to the bounded queue, so that a round can take all that waits.
async fn pump(mut incoming: Incoming, inputs: mpsc::Sender<Event>) {
    while let Some(event) = incoming.next().await {
        if inputs.send(event).await.is_err() {
            break;
        }
    }
}

/// Hands committed messages over, in order. What is lost here is in the outbox, or is asked again.
async fn publish(client: Client, mut outbox: mpsc::Receiver<Vec<Parcel>>) {
    while let Some(parcels) = outbox.recv().await {
        for Parcel { topic, payload } in parcels {
            match client.publish(topic.clone(), payload).await {
                Ok(()) => {}
                Err(PublishError::Disconnected | PublishError::Full) => {
                    tracing::debug!(%topic, "not connected; it is sent again after the next connection");
                }
                Err(PublishError::TooLarge) => tracing::error!(%topic, "a message is too large"),
            }
        }
    }
}

async fn drain(task: JoinHandle<()>, name: &'static str) {
    if let Err(error) = task.await {
        tracing::error!(%error, name, "a task of the engine ended by itself");
    }
}
