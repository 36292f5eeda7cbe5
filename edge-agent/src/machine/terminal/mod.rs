//! The whole terminal: sessions, permits, journal index and outbox, and what they tell each other.

mod desk;
mod fingerprint;
mod inquiry;
mod known;
mod linkage;
mod recovery;
mod refusal;
mod sale;
mod site;
mod uplink;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use protocol::id::{BootId, DeviceId, Entropy, JournalId, SessionId, TransactionId};
use protocol::message::{DeviceHealth, SiteConfig};
use protocol::signed::{Audience, Jws, Keyring, SigningKey, Verified};
use protocol::time::{Now, Tick};
use protocol::topic::{Down, TerminalName};

use super::book::{Absent, Book};
use super::event::Event;
use super::limits::{Limits, SALE_BYTES, SESSIONS_MAX, UNDECIDED_BYTES};
use super::message::Message;
use super::outbox::Outbox;
use super::permit::Request;
use super::record::Record;
use super::session::Session;
use crate::desk::DeskError;
use crate::journal::{Durability, frame_size};
use crate::rules::{Rule, Rules, Sound};
use linkage::{Action, Conclusion};
use site::PendingConfig;

/// Names one write of the journal. Nothing else has one, so that what waits for the journal can't
/// wait for another file by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(u64);

/// Names a delivery that waits for its acknowledgement.
pub(crate) type DeliveryId = u64;
/// Names a call of the page that waits for its answer.
pub(crate) type CallId = u64;

/// What a terminal is told once.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) name: TerminalName,
    /// Whom order requests and results are for.
    pub(crate) platform: Audience,
    pub(crate) key: Arc<SigningKey>,
    /// The platform's pinned keys.
    pub(crate) keyring: Keyring,
    pub(crate) boot: BootId,
    /// Where a payer's browser finds this terminal, without a slash at its end.
    pub(crate) page_url: String,
    /// What is attached, and how long each may stay on.
    pub(crate) devices: BTreeMap<DeviceId, Duration>,
    pub(crate) limits: Limits,
    /// The guards that stand: all, outside of tests.
    pub(crate) rules: &'static dyn Rules,
}

/// What was found on the disk.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) journal: JournalId,
    pub(crate) records: Vec<Record>,
    pub(crate) is_damaged: bool,
    pub(crate) capacity: u64,
    pub(crate) used: u64,
    /// The newest site config that was in force.
    pub(crate) config: Option<Jws<SiteConfig>>,
}

/// A message from the platform, as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inbound<'p> {
    pub(crate) delivery: DeliveryId,
    pub(crate) kind: Down,
    pub(crate) payload: &'p [u8],
    pub(crate) retained: bool,
}

/// What the shell shall do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Append, as durable as asked, then [`Terminal::handle_written`].
    Journal {
        ticket: Ticket,
        records: Vec<Record>,
        durability: Durability,
    },
    /// Replace the journal's content, synced.
    Compact {
        records: Vec<Record>,
    },
    /// Keep the config for the next start, then [`Terminal::handle_config_stored`].
    StoreConfig {
        config: Jws<SiteConfig>,
    },
    Send(Message),
    Acknowledge(DeliveryId),
    /// Switch on, no write later than `not_after`, then [`Terminal::handle_switched`].
    Switch {
        transaction: TransactionId,
        devices: Vec<DeviceId>,
        not_after: Tick,
    },
    SwitchOff {
        devices: Vec<DeviceId>,
    },
    /// Ask the devices how they are, then [`Terminal::handle_probed`].
    Probe,
    /// The answer to [`Terminal::handle_go_paying`].
    Answer {
        call: CallId,
        result: Result<String, DeskError>,
    },
    Note(Event),
}

/// What follows once a write is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum After {
    Acknowledge(DeliveryId),
    /// First sending of a message in the outbox.
    Queue(u64),
    Send(Message),
    Act(TransactionId),
    /// Its result is on the disk.
    Forget(TransactionId),
    PayUrl(CallId, SessionId),
    /// Hello, if the connection of this number is still there.
    Greet(u64),
    /// Hello again, if that connection is still there.
    Hello(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum JournalState {
    Ready,
    /// A write or sync failed; the shell opens it anew and builds another terminal.
    Failed,
    Damaged,
}

/// The journal takes nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NotWritten;

#[derive(Debug, Clone, Hash)]
struct Room {
    id: JournalId,
    state: JournalState,
    capacity: u64,
    used: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    setup: Arc<Setup>,
    audience: Audience,
    attached: BTreeSet<DeviceId>,
    book: Book,
    room: Room,
    tickets: BTreeMap<Ticket, Vec<After>>,
    next_ticket: u64,
    outbox: Outbox,
    config: Option<Arc<Verified<SiteConfig>>>,
    storing: Option<PendingConfig>,
    /// What came meanwhile, the newest: one file is written by one writer.
    next_config: Option<PendingConfig>,
    /// Connected, and hello was said.
    is_connected: bool,
    /// Counts connections and their ends.
    connection: u64,
    sessions: BTreeMap<SessionId, Session>,
    requests: BTreeMap<TransactionId, Request>,
    actions: BTreeMap<TransactionId, Action>,
    /// Results of intents, until they are on the disk.
    known: BTreeMap<TransactionId, Conclusion>,
    /// Who switched a device on, and until when it may still be on.
    running: BTreeMap<DeviceId, (TransactionId, Tick)>,
    probed: Option<(Tick, Vec<DeviceHealth>)>,
    probe_at: Tick,
    health_at: Tick,
    reported_health: Option<protocol::message::ServiceState>,
    outputs: VecDeque<Output>,
    changes: u64,
}

impl Terminal {
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Terminal::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        let limits = &self.setup.limits;
        let sessions = self.sessions.values();
        let sessions = sessions.filter_map(|session| session.deadline(limits));
        let actions = self.actions.values().map(|action| action.until);
        let health = self.is_connected.then_some(self.health_at);
        sessions
            .chain(actions)
            .chain(self.outbox.poll_timeout())
            .chain(health)
            .chain([self.probe_at])
            .min()
    }

    /// Counts whatever a page may show.
    pub(crate) const fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn handle_timeout(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.handle_timeout(now.tick, &self.setup.limits);
            }
            self.after_session(id, now, entropy);
        }
        self.give_up_actions(now, entropy);
        if now.tick >= self.probe_at {
            self.probe_at = now.tick + self.setup.limits.probe_interval;
            self.outputs.push_back(Output::Probe);
        }
        self.report_health(now, entropy);
        self.pump(now);
    }

    /// A write is done (and on the disk, where that was asked for).
    pub(crate) fn handle_written(&mut self, ticket: Ticket, now: Now, entropy: &mut dyn Entropy) {
        for after in self.tickets.remove(&ticket).unwrap_or_default() {
            match after {
                After::Acknowledge(delivery) => {
                    self.outputs.push_back(Output::Acknowledge(delivery));
                }
                After::Queue(sequence) => self.outbox.handle_added(sequence, now.tick),
                After::Send(message) => self.outputs.push_back(Output::Send(message)),
                After::Act(transaction) => self.act(transaction, now, entropy),
                After::Forget(transaction) => drop(self.known.remove(&transaction)),
                After::PayUrl(call, session) => self.answer_pay_url(call, session),
                After::Greet(connection) => self.greet_if(connection, now, entropy),
                After::Hello(connection) => self.say_hello_if(connection, now, entropy),
            }
        }
        self.pump(now);
    }

    /// A write or a sync failed: nothing is sold, switched or promised any more. What was waiting
    /// for the journal never happens.
    pub(crate) fn handle_journal_failed(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.room.state = JournalState::Failed;
        self.know_unmoved(now);
        self.tickets.clear();
        self.changes += 1;
        self.report_health(now, entropy);
    }

    pub(crate) fn handle_probed(
        &mut self,
        health: Vec<DeviceHealth>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        self.probed = Some((now.tick, health));
        self.changes += 1;
        self.report_health(now, entropy);
    }

    /// Writes `records`; `after` follows once that is done.
    fn write(
        &mut self,
        records: Vec<Record>,
        durability: Durability,
        after: Vec<After>,
    ) -> Result<(), NotWritten> {
        if self.room.state != JournalState::Ready {
            return Err(NotWritten);
        }
        let size = size_of(&records);
        if self.room.used + size > self.room.capacity {
            self.compact(size)?;
        }
        self.room.used += size;
        for record in &records {
            self.book.apply(record, self.setup.rules);
        }
        let book = &self.book;
        self.outbox
            .retain(|sequence| book.posted(sequence).is_some());
        let after = self.held_back(after);
        let ticket = self.ticket(after);
        self.outputs.push_back(Output::Journal {
            ticket,
            records,
            durability,
        });
        Ok(())
    }

    /// What really waits for the write.
    fn held_back(&mut self, mut after: Vec<After>) -> Vec<After> {
        if !self.holds(Rule::AcknowledgeAfterJournal) {
            let is_early = |after: &mut After| matches!(after, After::Acknowledge(_));
            let early = after.extract_if(.., is_early).collect::<Vec<_>>();
            early.into_iter().for_each(|early| self.at_once(early));
        }
        after
    }

    fn compact(&mut self, wanted: u64) -> Result<(), NotWritten> {
        let records = self.book.snapshot();
        let size = size_of(&records);
        if size + wanted > self.room.capacity {
            self.note(Event::JournalFull);
            return Err(NotWritten);
        }
        self.room.used = size;
        self.outputs.push_back(Output::Compact { records });
        Ok(())
    }

    fn ticket(&mut self, after: Vec<After>) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket, after);
        ticket
    }

    /// `after` follows once everything that was written so far is done.
    fn once_written(&mut self, after: After) {
        match self.tickets.last_entry() {
            Some(mut last) => last.get_mut().push(after),
            None => self.at_once(after),
        }
    }

    fn at_once(&mut self, after: After) {
        match after {
            After::Acknowledge(delivery) => {
                self.outputs.push_back(Output::Acknowledge(delivery));
            }
            After::Send(message) => self.outputs.push_back(Output::Send(message)),
            After::PayUrl(call, session) => self.answer_pay_url(call, session),
            // These follow a write of their own.
            After::Queue(_)
            | After::Act(_)
            | After::Forget(_)
            | After::Greet(_)
            | After::Hello(_) => {}
        }
    }

    /// Whether another sale fits, with everything that it and the open ones may still write.
    fn has_room_for_a_sale(&self) -> bool {
        let undecided = self
            .book
            .entries()
            .filter(|(_, entry)| entry.quote.is_some() && !entry.is_decided())
            .count() as u64;
        let wanted = SALE_BYTES + undecided * UNDECIDED_BYTES;
        // What pruned records still take is only counted off when it matters: that takes a look at
        // every record.
        self.room.used + wanted <= self.room.capacity
            || size_of(&self.book.snapshot()) + wanted <= self.room.capacity
    }

    fn holds(&self, rule: Rule) -> bool {
        self.setup.rules.holds(rule)
    }

    fn absent(&self, transaction: TransactionId) -> Absent {
        self.book.absent(transaction, self.setup.rules)
    }

    fn note(&mut self, event: Event) {
        self.outputs.push_back(Output::Note(event));
    }

    fn session_of(&mut self, transaction: TransactionId) -> Option<&mut Session> {
        self.sessions
            .values_mut()
            .find(|session| session.transaction == Some(transaction))
    }

    fn is_leased(&self) -> bool {
        self.sessions.values().any(Session::holds_lease)
    }

    /// Ended sessions beyond the limit are forgotten, oldest first.
    fn forget_sessions(&mut self) {
        while self.sessions.len() > SESSIONS_MAX {
            let ended = self.sessions.values();
            let ended = ended.filter(|session| !session.holds_lease());
            let Some(oldest) = ended
                .min_by_key(|session| session.opened_at())
                .map(|session| session.id)
            else {
                return;
            };
            self.sessions.remove(&oldest);
        }
    }
}

/// Whether a journal of these records holds another sale; none if one of them is not understood.
pub(crate) fn has_room(records: &[Vec<u8>], capacity: u64) -> Option<bool> {
    let mut book = Book::new();
    for bytes in records {
        book.apply(&Record::decode(bytes).ok()?, &Sound);
    }
    Some(size_of(&book.snapshot()) + SALE_BYTES <= capacity)
}

fn size_of(records: &[Record]) -> u64 {
    records
        .iter()
        .map(|record| frame_size(record.encode().len()))
        .sum()
}
