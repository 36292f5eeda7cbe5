//! A terminal on a journal in memory, with a platform that signs whatever a test wants.

mod crash;
mod faulty_disk;
mod forged;
mod guards;
mod inquiries;
mod journal_trouble;
mod known;
mod leases;
pub(crate) mod paper;
mod permits;
mod sale;
mod uplink;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::codec::{Envelope, encode};
use protocol::id::*;
use protocol::message::*;
use protocol::money::Money;
use protocol::signed::{Audience, Claims, Jws, Keyring, SigningKey, sign};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::{Down, TerminalName};

use super::limits::Limits;
use super::message::Body;
use super::record::{Post, Record};
use super::token::SessionToken;
use super::view::View;
use super::{Inbound, Output, Recovered, Setup, Terminal};
use crate::journal::memory::MemoryFile;
use crate::journal::{JOURNAL_SIZE_MIN, Journal, Opened, frame_size};
use crate::rules::{Rules, Sound};
use paper::*;
use words::word;

/// Bytes that count, so that a run repeats itself.
struct Counter(u64);

impl Entropy for Counter {
    fn bytes(&mut self) -> [u8; 16] {
        self.0 += 1;
        let mut bytes = [0xab; 16];
        bytes[..8].copy_from_slice(&self.0.to_be_bytes());
        bytes
    }
}

pub(super) struct World {
    pub(super) terminal: Terminal,
    pub(super) file: MemoryFile,
    journal: Journal<MemoryFile>,
    pub(super) journal_id: JournalId,
    pub(super) now: Now,
    entropy: Counter,
    next_delivery: u64,
    config: Option<Jws<SiteConfig>>,
    rules: &'static dyn Rules,
    /// Everything that was sent.
    pub(super) sent: Vec<Body>,
    /// Every ON that was ever asked for.
    pub(super) switched: Vec<TransactionId>,
    /// Until when each of them was allowed.
    pub(super) deadlines: Vec<Tick>,
    /// Bytes that were written to the journal.
    pub(super) written: u64,
    /// A write or a sync failed, and the journal was not opened anew.
    pub(super) has_failed: bool,
    /// Stop before the output of this number, as a power cut would.
    pub(super) power_cut_at: Option<usize>,
    pub(super) outputs_seen: usize,
}

/// A sale as far as the payer's way to the payment server.
#[derive(Clone)]
pub(super) struct Sale {
    pub(super) token: SessionToken,
    pub(super) request: OrderRequest,
}

fn setup(rules: &'static dyn Rules) -> Setup {
    let on_max = Duration::from_secs(60);
    let devices = ["gate", "light"].map(|device| (device.parse().unwrap(), on_max));
    Setup {
        name: name(),
        platform: Audience::platform(&"main".parse().unwrap()),
        key: Arc::new(SigningKey::from_seed(TERMINAL_SEED)),
        keyring: Keyring::of(SigningKey::from_seed(PLATFORM_SEED).public()),
        boot: BootId::from_random([6; 16]),
        page_url: "http://10.0.0.1".to_owned(),
        devices: BTreeMap::from(devices),
        limits: Limits::default(),
        rules,
    }
}

impl World {
    /// Just started, without config or connection.
    pub(super) fn new() -> Self {
        Self::on(MemoryFile::default(), 0, None, &Sound)
    }

    /// Connected, configured, devices well.
    pub(super) fn ready() -> Self {
        Self::under(&Sound)
    }

    pub(super) fn under(rules: &'static dyn Rules) -> Self {
        let mut world = Self::on(MemoryFile::default(), 0, None, rules);
        world.drain();
        world.connect();
        world.deliver(Down::Config, signed(&site_config(1)));
        world.probe(DeviceState::Off);
        world
    }

    fn on(
        file: MemoryFile,
        millis: u64,
        config: Option<Jws<SiteConfig>>,
        rules: &'static dyn Rules,
    ) -> Self {
        let fresh = JournalId::from_random([7; 16]);
        let (journal, opened) = Journal::open(file.clone(), JOURNAL_SIZE_MIN, fresh).unwrap();
        let now = at(millis);
        let mut entropy = Counter(millis << 20);
        let recovered = recovered(&opened, config.clone());
        Self {
            terminal: Terminal::new(setup(rules), &recovered, now, &mut entropy),
            file,
            journal,
            journal_id: opened.id,
            now,
            entropy,
            next_delivery: 0,
            config,
            rules,
            sent: Vec::new(),
            switched: Vec::new(),
            deadlines: Vec::new(),
            written: 0,
            has_failed: false,
            power_cut_at: None,
            outputs_seen: 0,
        }
    }

    /// Power comes back a second later; of the unsynced writes those stay that `kept` names.
    pub(super) fn reboot(&self, kept: impl Fn(usize) -> bool) -> Self {
        let file = self.file.after_power_cut(kept);
        let millis = self.now.tick.as_millis() + 1_000;
        let mut world = Self::on(file, millis, self.config.clone(), self.rules);
        world.switched.clone_from(&self.switched);
        world.drain();
        world.connect();
        world.probe(DeviceState::Off);
        world
    }

    /// The same world, to go another way.
    pub(super) fn fork(&self) -> Self {
        let file = self.file.fork();
        Self {
            terminal: self.terminal.clone(),
            journal: self.journal.fork(file.clone()),
            file,
            entropy: Counter(self.entropy.0),
            config: self.config.clone(),
            sent: self.sent.clone(),
            switched: self.switched.clone(),
            deadlines: self.deadlines.clone(),
            ..*self
        }
    }

    /// Opens a journal that failed anew, as the shell does; false if it fails again.
    pub(super) fn reopen(&mut self) -> bool {
        let fresh = JournalId::from_random([8; 16]);
        let opened = Journal::open(self.file.clone(), JOURNAL_SIZE_MIN, fresh);
        let Ok((journal, opened)) = opened else {
            return false;
        };
        self.journal = journal;
        let recovered = recovered(&opened, self.config.clone());
        let setup = setup(self.rules);
        let before = &self.terminal;
        self.terminal = Terminal::reopened(setup, &recovered, before, self.now, &mut self.entropy);
        self.has_failed = false;
        self.connect();
        !self.has_failed
    }

    pub(super) fn connect(&mut self) -> Vec<String> {
        self.terminal.handle_connected(self.now, &mut self.entropy);
        self.drain()
    }

    pub(super) fn probe(&mut self, state: DeviceState) -> Vec<String> {
        let health = ["gate", "light"].map(|device| DeviceHealth {
            device: device.parse().unwrap(),
            state,
        });
        self.terminal
            .handle_probed(health.to_vec(), self.now, &mut self.entropy);
        self.drain()
    }

    pub(super) fn deliver<M: Message>(&mut self, kind: Down, message: M) -> Vec<String> {
        let id = MessageId::from_random([9; 16]);
        let payload = encode(&Envelope::new(id, Utc::EPOCH, message)).unwrap();
        self.deliver_bytes(kind, &payload, false)
    }

    pub(super) fn deliver_bytes(
        &mut self,
        kind: Down,
        payload: &[u8],
        retained: bool,
    ) -> Vec<String> {
        self.next_delivery += 1;
        let inbound = Inbound {
            delivery: self.next_delivery,
            kind,
            payload,
            retained,
        };
        self.terminal
            .handle_delivery(inbound, self.now, &mut self.entropy);
        self.drain()
    }

    pub(super) fn reply(&mut self, reply: PaymentReply) -> Vec<String> {
        self.deliver(Down::Payment, reply)
    }

    pub(super) fn permit(&mut self, permit: &Permit) -> Vec<String> {
        self.deliver(Down::Linkage, LinkageCommand::Permit(signed(permit)))
    }

    pub(super) fn off(&mut self, off: &Off) -> Vec<String> {
        self.deliver(Down::Linkage, LinkageCommand::Off(signed(off)))
    }

    pub(super) fn switched(
        &mut self,
        transaction: TransactionId,
        outcomes: &[(&str, DeviceOutcome)],
    ) -> Vec<String> {
        let results = outcomes.iter().map(|(device, outcome)| DeviceResult {
            device: device.parse().unwrap(),
            outcome: *outcome,
            feedback: Feedback::ReadBack,
        });
        self.terminal
            .handle_switched(transaction, results.collect(), self.now, &mut self.entropy);
        self.drain()
    }

    pub(super) fn accept(&mut self) -> SessionToken {
        self.try_accept().unwrap()
    }

    pub(super) fn try_accept(&mut self) -> Result<SessionToken, crate::desk::DeskError> {
        let result = self.terminal.handle_accept(self.now, &mut self.entropy);
        self.drain();
        result
    }

    pub(super) fn choose(
        &mut self,
        token: SessionToken,
        item: &str,
    ) -> Result<Vec<String>, crate::desk::DeskError> {
        let lines = vec![ItemLine {
            item: item.parse().unwrap(),
            quantity: 1,
        }];
        self.terminal
            .handle_choose((token, lines), self.now, &mut self.entropy)?;
        Ok(self.drain())
    }

    pub(super) fn view(&mut self, token: SessionToken) -> View {
        let view = self
            .terminal
            .handle_view(token, self.now, &mut self.entropy)
            .unwrap();
        self.drain();
        view
    }

    pub(super) fn returned(&mut self, request: &OrderRequest) -> Vec<String> {
        self.try_returned(&request.return_url).unwrap()
    }

    /// What the page does with an address that a browser comes back by.
    pub(super) fn try_returned(
        &mut self,
        return_url: &str,
    ) -> Result<Vec<String>, crate::desk::DeskError> {
        let mut parts = return_url.rsplit('/');
        let (secret, transaction) = (parts.next().unwrap(), parts.next().unwrap());
        let names = (transaction.parse().unwrap(), secret.parse().unwrap());
        self.terminal
            .handle_returned(names, self.now, &mut self.entropy)?;
        Ok(self.drain())
    }

    pub(super) fn cancel(
        &mut self,
        token: SessionToken,
    ) -> Result<Vec<String>, crate::desk::DeskError> {
        self.terminal
            .handle_cancel(token, self.now, &mut self.entropy)?;
        Ok(self.drain())
    }

    pub(super) fn go_paying(&mut self, token: SessionToken) -> Vec<String> {
        self.terminal
            .handle_go_paying((token, 1), self.now, &mut self.entropy);
        self.drain()
    }

    /// Lets time pass, and every deadline on the way.
    pub(super) fn pass(&mut self, duration: Duration) -> Vec<String> {
        let end = self.now.tick + duration;
        let mut words = Vec::new();
        while let Some(deadline) = self.terminal.poll_timeout().filter(|tick| *tick <= end) {
            self.set(deadline.max(self.now.tick));
            self.terminal.handle_timeout(self.now, &mut self.entropy);
            words.extend(self.drain());
        }
        self.set(end);
        words
    }

    /// Time passes while the machine's task is held up.
    pub(super) fn stall(&mut self, duration: Duration) {
        self.set(self.now.tick + duration);
    }

    /// A sale up to the quote.
    pub(super) fn quoted(&mut self, item: &str) -> Sale {
        let token = self.accept();
        self.choose(token, item).unwrap();
        let request = self.last_request();
        let quote = quote(&request);
        self.reply(PaymentReply::Quote(signed(&quote)));
        Sale { token, request }
    }

    /// A sale whose payer is on the payment server's page.
    pub(super) fn paying(&mut self) -> Sale {
        let sale = self.quoted("wash");
        assert_eq!(
            self.go_paying(sale.token),
            ["sync paying", "answer http://pay/1"]
        );
        sale
    }

    pub(super) fn last_request(&self) -> OrderRequest {
        let requests = self.sent.iter().rev().filter_map(|body| match body {
            Body::Payment(PaymentMessage::OrderRequest(jws)) => Some(claims(jws)),
            _ => None,
        });
        requests.into_iter().next().unwrap()
    }

    pub(super) fn results(&self) -> Vec<LinkageResult> {
        let results = self.sent.iter().filter_map(|body| match body {
            Body::Linkage(LinkageMessage::Result(jws)) => Some(claims(jws)),
            _ => None,
        });
        results.collect()
    }

    pub(super) fn outcomes(&self) -> Vec<LinkageOutcome> {
        let results = self.results();
        results.into_iter().map(|result| result.outcome).collect()
    }

    pub(super) fn inquire(
        &mut self,
        transaction: TransactionId,
        journal: JournalId,
    ) -> Option<Finding> {
        let inquiry = Inquiry {
            aud: ours(),
            transaction,
            nonce: Nonce::from_random([0xee; 16]),
            journal,
            asked_at: Utc::EPOCH,
        };
        let before = self.sent.len();
        self.deliver(Down::Inquiry, signed(&inquiry));
        let answers = self.sent[before..].iter().filter_map(|body| match body {
            Body::Linkage(LinkageMessage::Answer(jws)) => Some(claims(jws)),
            _ => None,
        });
        let answers: Vec<JournalAnswer> = answers.collect();
        assert!(answers.len() <= 1);
        answers.into_iter().next().map(|answer| {
            assert_eq!(
                (answer.journal, answer.nonce),
                (self.journal_id, inquiry.nonce)
            );
            answer.finding
        })
    }

    /// Carries out everything there is, as the shell would, and says what it was.
    pub(super) fn drain(&mut self) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(output) = self.terminal.poll_output() {
            if self.power_cut_at.is_some_and(|at| self.outputs_seen >= at) {
                continue;
            }
            self.outputs_seen += 1;
            words.push(word(&output));
            self.carry_out(output);
        }
        words
    }

    fn carry_out(&mut self, output: Output) {
        if let Output::Journal { records, .. } = &output {
            let size = |record: &Record| frame_size(record.encode().len());
            self.written += records.iter().map(size).sum::<u64>();
        }
        match output {
            Output::Journal {
                ticket,
                records,
                durability,
            } if !self.has_failed => match self.journal.append(&encoded(&records), durability) {
                Ok(()) => self
                    .terminal
                    .handle_written(ticket, self.now, &mut self.entropy),
                Err(_) => self.fail(),
            },
            Output::Journal { .. } => {}
            Output::Compact { records } => {
                if self.journal.rewrite(&encoded(&records)).is_err() {
                    self.fail();
                }
            }
            Output::StoreConfig { config } => {
                self.config = Some(config);
                self.terminal
                    .handle_config_stored(self.now, &mut self.entropy);
            }
            Output::Send(message) => {
                message.encode().unwrap();
                self.sent.push(message.body);
            }
            Output::Switch {
                transaction,
                not_after,
                ..
            } => {
                self.switched.push(transaction);
                self.deadlines.push(not_after);
            }
            Output::Acknowledge(_)
            | Output::SwitchOff { .. }
            | Output::Probe
            | Output::Answer { .. }
            | Output::Note(_) => {}
        }
    }

    fn fail(&mut self) {
        self.has_failed = true;
        self.terminal
            .handle_journal_failed(self.now, &mut self.entropy);
    }

    fn set(&mut self, tick: Tick) {
        self.now = at(tick.as_millis());
    }
}

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::from_millis(1_700_000_000_000 + i64::try_from(millis).unwrap()).unwrap(),
        tick: Tick::from_millis(millis),
    }
}

fn recovered(opened: &Opened, config: Option<Jws<SiteConfig>>) -> Recovered {
    let records = opened.records.iter();
    Recovered {
        journal: opened.id,
        records: records
            .map(|bytes| Record::decode(bytes).unwrap())
            .collect(),
        is_damaged: opened.damaged,
        capacity: opened.capacity,
        used: opened.used,
        config,
    }
}

fn encoded(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().map(Record::encode).collect()
}
