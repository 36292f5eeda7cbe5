//! The task that owns the machine, and all I/O around it. One input, all outputs, one sleep.
//!
//! | module | what it owns |
//! |---|---|
//! | `effects` | what the machine wants of broker, devices and disk |
//! | `site_config` | the site config on the disk |
//! | `start` | from files to a machine |
//! | `writer` | the thread that writes the journal |

mod effects;
mod site_config;
pub(crate) mod start;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use process::clock::Clock;
use process::entropy::SystemEntropy;
use process::health::Health;
use protocol::id::{BootId, Entropy as _, TransactionId};
use protocol::message::{DeviceHealth, DeviceResult};
use protocol::topic::{TerminalName, Topic};
use protocol_client::{Client, Delivery, Event, Incoming};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::desk::{Call, DeskError};
use crate::linkage::Panel;
use crate::machine::{CallId, DeliveryId, Inbound, Output, Terminal};
use crate::metrics;
use start::{Identity, Opening, open_all};
use writer::{Job, Writer, Written};

/// Pause before a journal that failed is opened again: a full disk is not emptied any faster.
const REOPEN_PAUSE: Duration = Duration::from_secs(5);

/// Longest wait for devices that are being switched when the machine's life ends: a device with
/// the longest timeouts that may be configured answers within 40 s.
const SWITCHING_MAX: Duration = Duration::from_secs(45);

/// Words of devices and files that may wait: one switching, one probe, one stored config.
const DONE_MAX: usize = 16;

/// What the task works with for its whole life.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) identity: Identity,
    pub(crate) clock: Clock,
    pub(crate) panel: Arc<Panel>,
    pub(crate) client: Client,
    pub(crate) incoming: Incoming,
    pub(crate) calls: mpsc::Receiver<Call>,
    pub(crate) changes: Arc<watch::Sender<u64>>,
    pub(crate) health: Health,
    pub(crate) entropy: SystemEntropy,
}

/// What something outside has finished.
#[derive(Debug)]
enum Done {
    Switched(TransactionId, Vec<DeviceResult>),
    Probed(Vec<DeviceHealth>),
    Stored,
}

/// Why one machine's life ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Shutdown,
    Journal,
}

/// One machine on one open journal.
struct Run<'s> {
    shell: &'s mut Shell,
    machine: Terminal,
    writer: Writer,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    next_delivery: DeliveryId,
    answers: BTreeMap<CallId, oneshot::Sender<Result<String, DeskError>>>,
    next_call: CallId,
    done: mpsc::Sender<Done>,
    finished: mpsc::Receiver<Done>,
    /// Devices that are being switched.
    switching: JoinSet<()>,
    is_probing: bool,
    seen_changes: u64,
    has_failed: bool,
}

impl Shell {
    /// Serves until `shutdown`. A journal that failed is opened anew and verified, again and
    /// again; until that succeeds nothing is sold (R14).
    pub(crate) async fn run(mut self, opening: Opening, shutdown: CancellationToken) {
        let mut opening = Some(opening);
        let mut before = None;
        while !shutdown.is_cancelled() {
            let open = match opening.take() {
                Some(open) => open,
                None => match self.reopen(&shutdown).await {
                    Some(open) => open,
                    None => continue,
                },
            };
            let Some((end, machine)) = self.serve(open, before.as_ref(), &shutdown).await else {
                continue;
            };
            if end == End::Shutdown {
                break;
            }
            before = Some(machine);
        }
        self.panel.close().await;
    }

    async fn reopen(&mut self, shutdown: &CancellationToken) -> Option<Opening> {
        let until = self.clock.now().tick + REOPEN_PAUSE;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = self.clock.until(Some(until)) => break,
                call = self.calls.recv() => drop(call),
                event = self.incoming.next() => drop(event),
            }
        }
        let site_config = self.identity.config.site_config_path();
        match open_all(self.identity.place(), site_config).await {
            Ok(opening) => {
                // The machine starts anew and knows no nonce of before, as after a reboot (R9).
                self.identity.boot = BootId::from_random(SystemEntropy::new().bytes());
                Some(opening)
            }
            Err(error) => {
                metrics::journal_failed(&error);
                None
            }
        }
    }

    /// Serves on one open journal. `before` is the machine that served until the last one failed.
    async fn serve(
        &mut self,
        opening: Opening,
        before: Option<&Terminal>,
        shutdown: &CancellationToken,
    ) -> Option<(End, Terminal)> {
        let is_damaged = opening.recovered.is_damaged;
        let writer = match Writer::start(opening.journal, self.clock.clone()) {
            Ok(writer) => writer,
            Err(error) => {
                metrics::journal_failed(&error);
                return None;
            }
        };
        let damaged = || Err("the journal is damaged: move it away".to_owned());
        self.health
            .set("journal", if is_damaged { damaged() } else { Ok(()) });
        let now = self.clock.now();
        let recovered = &opening.recovered;
        let machine = self
            .identity
            .terminal(recovered, before, now, &mut self.entropy);
        let (done, finished) = mpsc::channel(DONE_MAX);
        let mut run = Run {
            shell: self,
            machine,
            writer,
            deliveries: BTreeMap::new(),
            next_delivery: 0,
            answers: BTreeMap::new(),
            next_call: 0,
            done,
            finished,
            switching: JoinSet::new(),
            is_probing: false,
            seen_changes: 0,
            has_failed: false,
        };
        if run.shell.client.is_connected() {
            run.connected();
        }
        let end = run.run(shutdown).await;
        run.finish_switching().await;
        let machine = run.machine;
        run.writer.close().await;
        if end == End::Journal {
            self.health
                .set("journal", Err("a write or a sync failed".to_owned()));
            self.health
                .set("serving", Err("the journal failed".to_owned()));
            metrics::serving(false);
        }
        Some((end, machine))
    }
}

impl Run<'_> {
    async fn run(&mut self, shutdown: &CancellationToken) -> End {
        loop {
            self.drain();
            if self.has_failed {
                return End::Journal;
            }
            let deadline = self.machine.poll_timeout();
            tokio::select! {
                () = shutdown.cancelled() => return End::Shutdown,
                Some(written) = self.writer.next() => self.written(written),
                Some(done) = self.finished.recv() => self.finished(done),
                event = self.shell.incoming.next() => match event {
                    Some(event) => self.event(event),
                    // The client ends only with the shutdown.
                    None => return End::Shutdown,
                },
                Some(call) = self.shell.calls.recv() => self.call(call),
                () = self.shell.clock.until(deadline) => {
                    let now = self.shell.clock.now();
                    self.machine.handle_timeout(now, &mut self.shell.entropy);
                }
            }
        }
    }

    /// Nothing that was begun moves on behind the next machine's back: that one says of it what is
    /// known by then, `uncertain` at worst, and the platform may refund. After a shutdown the
    /// devices' word is still journaled.
    async fn finish_switching(&mut self) {
        let deadline = self.shell.clock.now().tick + SWITCHING_MAX;
        while !self.switching.is_empty() {
            tokio::select! {
                Some(done) = self.finished.recv() => self.finished(done),
                Some(_) = self.switching.join_next() => {}
                () = self.shell.clock.until(Some(deadline)) => {
                    tracing::error!("a device does not end what it began");
                    self.switching.abort_all();
                    break;
                }
            }
        }
        while let Ok(done) = self.finished.try_recv() {
            self.finished(done);
        }
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.carry_out(output);
        }
        let changes = self.machine.changes();
        if changes != self.seen_changes {
            self.seen_changes = changes;
            self.shell.changes.send_modify(|count| *count += 1);
            self.report();
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Journal {
                ticket,
                records,
                durability,
            } => self.submit(Job::Append {
                ticket,
                records,
                durability,
            }),
            Output::Compact { records } => self.submit(Job::Rewrite { records }),
            Output::StoreConfig { config } => self.store(config.as_str()),
            Output::Send(message) => self.send(&message),
            Output::Acknowledge(delivery) => {
                if let Some(delivery) = self.deliveries.remove(&delivery) {
                    delivery.ack();
                }
            }
            Output::Switch {
                transaction,
                devices,
                not_after,
            } => self.switch(transaction, devices, not_after),
            Output::SwitchOff { devices } => {
                let panel = Arc::clone(&self.shell.panel);
                tokio::spawn(async move { panel.switch_off(&devices).await });
            }
            Output::Probe => self.probe(),
            Output::Answer { call, result } => {
                if let Some(answer) = self.answers.remove(&call) {
                    reply(answer, result);
                }
            }
            Output::Note(event) => metrics::record(&event),
        }
    }

    fn submit(&mut self, job: Job) {
        if !self.has_failed && !self.writer.submit(job) {
            self.fail();
        }
    }

    /// Nothing of what waits for the journal happens any more.
    fn fail(&mut self) {
        self.has_failed = true;
        let now = self.shell.clock.now();
        self.machine
            .handle_journal_failed(now, &mut self.shell.entropy);
    }

    fn written(&mut self, written: Written) {
        match written {
            Written::Done(ticket) => {
                let now = self.shell.clock.now();
                self.machine
                    .handle_written(ticket, now, &mut self.shell.entropy);
            }
            Written::Failed(error) => {
                metrics::journal_failed(&error);
                self.fail();
            }
        }
    }

    fn finished(&mut self, done: Done) {
        while self.switching.try_join_next().is_some() {}
        let now = self.shell.clock.now();
        let entropy = &mut self.shell.entropy;
        match done {
            Done::Switched(transaction, results) => {
                self.machine
                    .handle_switched(transaction, results, now, entropy);
            }
            Done::Probed(health) => {
                self.is_probing = false;
                self.machine.handle_probed(health, now, entropy);
            }
            Done::Stored => self.machine.handle_config_stored(now, entropy),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Connected => self.connected(),
            Event::Disconnected => {
                metrics::connected(false);
                let reason = "no connection to the broker".to_owned();
                self.shell.health.set("uplink", Err(reason));
                self.machine.handle_disconnected();
            }
            Event::Delivery(delivery) => self.deliver(delivery),
        }
    }

    fn connected(&mut self) {
        metrics::connected(true);
        self.shell.health.set("uplink", Ok(()));
        let now = self.shell.clock.now();
        self.machine.handle_connected(now, &mut self.shell.entropy);
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Topic::Down(name, kind) = delivery.topic.clone() else {
            return delivery.ack();
        };
        if name != *self.name() {
            return delivery.ack();
        }
        let id = self.next_delivery;
        self.next_delivery += 1;
        let payload = delivery.payload.clone();
        let inbound = Inbound {
            delivery: id,
            kind,
            payload: &payload,
            retained: delivery.retained,
        };
        self.deliveries.insert(id, delivery);
        let now = self.shell.clock.now();
        self.machine
            .handle_delivery(inbound, now, &mut self.shell.entropy);
    }

    fn call(&mut self, call: Call) {
        let now = self.shell.clock.now();
        let entropy = &mut self.shell.entropy;
        let machine = &mut self.machine;
        match call {
            Call::Landing(answer) => reply(answer, machine.landing(now)),
            Call::Accept(answer) => reply(answer, machine.handle_accept(now, entropy)),
            Call::View(token, answer) => reply(answer, machine.handle_view(token, now, entropy)),
            Call::StatusLink(token, answer) => reply(answer, machine.status_link(token)),
            Call::Keep(token, answer) => reply(answer, machine.handle_keep(token, now)),
            Call::Choose(token, lines, answer) => {
                reply(answer, machine.handle_choose((token, lines), now, entropy));
            }
            Call::Cancel(token, answer) => {
                reply(answer, machine.handle_cancel(token, now, entropy));
            }
            Call::GoPaying(token, answer) => {
                let call = self.next_call;
                self.next_call += 1;
                self.answers.insert(call, answer);
                machine.handle_go_paying((token, call), now, entropy);
            }
            Call::Returned(names, answer) => {
                reply(answer, machine.handle_returned(names, now, entropy));
            }
        }
    }

    fn report(&self) {
        let reason = self.machine.why_unavailable(self.shell.clock.now());
        metrics::serving(reason.is_none());
        let result = reason.map_or(Ok(()), |reason| Err(reason.to_owned()));
        self.shell.health.set("serving", result);
    }

    const fn name(&self) -> &TerminalName {
        &self.shell.identity.config.terminal
    }
}

/// The page may have given up waiting.
fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    if answer.send(value).is_err() {
        tracing::debug!("nobody waits for the answer any more");
    }
}
