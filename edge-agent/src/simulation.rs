//! One terminal without its shell: the machine that ships, on a simulated journal, with simulated
//! devices, page and connection. Bytes in, bytes out; time and entropy are arguments; a crash is a
//! call. Used by model checkers, which fork it, and by simulators, which run many.
//!
//! Make one call, then drain [`Terminal::poll_output`], then wait for [`Terminal::poll_timeout`] or
//! the next call. After a [`Output::Switch`] the caller says how the devices took it, by
//! [`Terminal::switched`]. Probes answer by themselves.

mod disk;
mod page;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use protocol::id::{BootId, DeviceId, Entropy, JournalId, PlatformId, TransactionId};
use protocol::message::{DeviceHealth, DeviceResult, DeviceState, SiteConfig};
use protocol::signed::{Audience, Jws, Keyring, PublicKey, SigningKey};
use protocol::time::{Now, Tick};
use protocol::topic::{Down, TerminalName, Topic};

pub use crate::machine::limits::Limits;
use crate::machine::{Inbound, Output as Wanted, Setup as MachineSetup, Terminal as Machine};
use crate::rules::{Rule, Rules};
pub use disk::Disk;
pub use page::{Look, Phone, Screen};

/// Pause before a journal that failed is opened anew, as the shell makes it.
pub const REOPEN_PAUSE: Duration = Duration::from_secs(5);

/// Longest wait for the word of devices before that pause begins, as the shell makes it.
pub const SWITCHING_MAX: Duration = Duration::from_secs(45);

/// What a terminal is told once.
#[derive(Debug, Clone)]
pub struct Setup {
    pub name: TerminalName,
    pub platform: PlatformId,
    /// The platform's pinned keys.
    pub platform_keys: Keyring,
    /// Of the terminal's own key.
    pub key_seed: [u8; 32],
    /// Where browsers find the terminal, without a slash at its end.
    pub page_url: String,
    /// What is attached, and how long each may stay on.
    pub devices: BTreeMap<DeviceId, Duration>,
    pub limits: Limits,
    /// Bytes that the journal holds; a sale needs up to 40 KiB.
    pub journal_capacity: u64,
    /// A write waits for [`Terminal::complete_write`], so that a crash can fall in between.
    pub stepwise: bool,
    pub rules: &'static dyn Rules,
}

/// What the terminal does to the world.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// At each start, before anything else: all devices to their safe state.
    SafeState {
        devices: Vec<DeviceId>,
    },
    /// Lost by the caller where there is no connection.
    Publish {
        topic: Topic,
        payload: Vec<u8>,
    },
    /// The delivery of this number needs not come again (MQTT's own acknowledgement).
    Acknowledge(u64),
    /// Switch on, one after the other, and write nothing after `not_after`.
    Switch {
        transaction: TransactionId,
        devices: Vec<DeviceId>,
        not_after: Tick,
    },
    SwitchOff {
        devices: Vec<DeviceId>,
    },
    /// Where the phone that went paying is sent; none if it can't.
    PayPage {
        phone: Phone,
        pay_url: Option<String>,
    },
}

/// One terminal, switched on. Equal if everything that decides what it does next is equal.
#[derive(Debug, Clone)]
pub struct Terminal {
    setup: Arc<Setup>,
    key: Arc<SigningKey>,
    machine: Machine,
    disk: Disk,
    site_config: Option<Jws<SiteConfig>>,
    outputs: VecDeque<Output>,
    calls: BTreeMap<u64, Phone>,
    next_call: u64,
    device_state: DeviceState,
    is_connected: bool,
    /// Switchings whose devices have not spoken yet.
    switching: BTreeSet<TransactionId>,
    reopen_at: Option<Tick>,
}

impl Terminal {
    /// The very first start, on an empty journal.
    #[must_use]
    pub fn start(setup: Setup, now: Now, entropy: &mut dyn Entropy) -> Self {
        let id = JournalId::from_random(entropy.bytes());
        let disk = Disk::empty(id, setup.journal_capacity);
        Self::start_on(setup, disk, now, entropy)
    }

    /// A start on a journal of before, or of another terminal.
    #[must_use]
    pub fn start_on(setup: Setup, disk: Disk, now: Now, entropy: &mut dyn Entropy) -> Self {
        let setup = Arc::new(setup);
        let key = Arc::new(SigningKey::from_seed(setup.key_seed));
        let machine = boot((&setup, &key), (&disk, None), None, now, entropy);
        let mut terminal = Self {
            setup,
            key,
            machine,
            disk,
            site_config: None,
            outputs: VecDeque::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            device_state: DeviceState::Off,
            is_connected: false,
            switching: BTreeSet::new(),
            reopen_at: None,
        };
        terminal.begin(now, entropy);
        terminal
    }

    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    #[must_use]
    pub fn name(&self) -> &TerminalName {
        &self.setup.name
    }

    /// Power is lost and comes back: of the records that were written and not synced the first
    /// `kept_unsynced` are still there. With a large number it is the end of the process alone.
    pub fn power_cut(&mut self, kept_unsynced: usize, now: Now, entropy: &mut dyn Entropy) {
        self.disk.cut(kept_unsynced);
        self.boot(now, entropy);
    }

    /// Records that a power cut could lose.
    #[must_use]
    pub fn unsynced_count(&self) -> usize {
        self.disk.unsynced_count()
    }

    /// Power is cut and the journal is gone: another one, of another id, takes its place.
    pub fn lose_journal(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let id = JournalId::from_random(entropy.bytes());
        self.disk = Disk::empty(id, self.setup.journal_capacity);
        self.boot(now, entropy);
    }

    /// Power is cut, and only the first `readable` records can still be read.
    pub fn damage_journal(&mut self, readable: usize, now: Now, entropy: &mut dyn Entropy) {
        self.disk.damage(readable);
        self.boot(now, entropy);
    }

    /// What a copy of the disk holds now.
    #[must_use]
    pub fn clone_journal(&self) -> Disk {
        let mut disk = self.disk.clone();
        disk.cut(usize::MAX);
        disk
    }

    /// Power is cut, and the disk is replaced by a copy of earlier, or by another terminal's.
    pub fn restore_journal(&mut self, disk: Disk, now: Now, entropy: &mut dyn Entropy) {
        self.disk = disk;
        self.boot(now, entropy);
    }

    /// The next synced write fails; of what was not synced before the first `kept_unsynced`
    /// records are still there when the journal is opened anew.
    pub fn fail_next_sync(&mut self, kept_unsynced: usize) {
        self.disk.fail_next_sync(kept_unsynced);
    }

    /// Writes of the journal that wait for [`Terminal::complete_write`].
    #[must_use]
    pub fn writes_waiting(&self) -> usize {
        self.disk.waiting_count()
    }

    /// The oldest write that waits is done. False if none waits.
    pub fn complete_write(&mut self, now: Now, entropy: &mut dyn Entropy) -> bool {
        let is_done = self.write_one(now, entropy);
        self.settle(now, entropy);
        is_done
    }

    /// How the devices look when they are asked; off, and well, from the start.
    pub const fn set_devices(&mut self, state: DeviceState) {
        self.device_state = state;
    }

    /// There is a connection, and the terminal is subscribed.
    pub fn handle_connected(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.is_connected = true;
        if self.is_serving() {
            self.machine.handle_connected(now, entropy);
            self.settle(now, entropy);
        }
    }

    pub fn handle_disconnected(&mut self) {
        self.is_connected = false;
        if self.is_serving() {
            self.machine.handle_disconnected();
        }
    }

    /// A message came down; one for another terminal is nobody's.
    pub fn handle_delivery(
        &mut self,
        delivery: u64,
        (topic, payload): (&Topic, &[u8]),
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        if let Some(kind) = self.kind_of(topic) {
            let inbound = Inbound {
                delivery,
                kind,
                payload,
                retained: false,
            };
            self.machine.handle_delivery(inbound, now, entropy);
            self.settle(now, entropy);
        }
    }

    /// The devices' word after an [`Output::Switch`]; a journal that failed is opened anew after it.
    pub fn switched(
        &mut self,
        transaction: TransactionId,
        results: Vec<DeviceResult>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        self.switching.remove(&transaction);
        self.machine
            .handle_switched(transaction, results, now, entropy);
        self.settle(now, entropy);
        let early = self.reopens_at(now);
        self.reopen_at = self.reopen_at.map(|at| at.min(early));
    }

    pub fn handle_timeout(&mut self, now: Now, entropy: &mut dyn Entropy) {
        match self.reopen_at {
            Some(at) if now.tick < at => {}
            Some(_) => self.reopen(now, entropy),
            None => {
                self.machine.handle_timeout(now, entropy);
                self.settle(now, entropy);
            }
        }
    }

    /// When [`Terminal::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.reopen_at.or_else(|| self.machine.poll_timeout())
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether the journal works; while it does not, the terminal does nothing at all.
    #[must_use]
    pub const fn is_serving(&self) -> bool {
        self.reopen_at.is_none()
    }

    fn kind_of(&self, topic: &Topic) -> Option<Down> {
        match topic {
            Topic::Down(name, kind) if *name == self.setup.name && self.is_serving() => Some(*kind),
            _ => None,
        }
    }

    fn boot(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let setup = (&self.setup, &self.key);
        let found = (&self.disk, self.site_config.clone());
        self.machine = boot(setup, found, None, now, entropy);
        self.is_connected = false;
        self.begin(now, entropy);
    }

    /// Devices first, then what the journal asks for.
    fn begin(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.outputs.clear();
        self.calls.clear();
        self.switching.clear();
        self.reopen_at = None;
        let devices = self.setup.devices.keys().cloned().collect();
        self.outputs.push_back(Output::SafeState { devices });
        self.settle(now, entropy);
    }

    /// The process goes on, and the journal is read as after a start: devices are left alone.
    fn reopen(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.disk.reopen();
        let setup = (&self.setup, &self.key);
        let found = (&self.disk, self.site_config.clone());
        let before = Some(&self.machine);
        self.machine = boot(setup, found, before, now, entropy);
        self.calls.clear();
        self.switching.clear();
        self.reopen_at = None;
        if self.is_connected {
            self.machine.handle_connected(now, entropy);
        }
        self.settle(now, entropy);
    }

    /// Carries out what the machine wants, and what follows from that.
    fn settle(&mut self, now: Now, entropy: &mut dyn Entropy) {
        loop {
            while let Some(wanted) = self.machine.poll_output() {
                self.carry_out(wanted, now, entropy);
            }
            if self.setup.stepwise || !self.write_one(now, entropy) {
                return;
            }
        }
    }

    fn carry_out(&mut self, wanted: Wanted, now: Now, entropy: &mut dyn Entropy) {
        match wanted {
            Wanted::Journal {
                ticket,
                records,
                durability,
            } => self.disk.append(ticket, records, durability),
            Wanted::Compact { records } => self.disk.replace(records),
            Wanted::StoreConfig { config } => {
                self.site_config = Some(config);
                self.machine.handle_config_stored(now, entropy);
            }
            Wanted::Send(message) => {
                if let Ok((kind, payload)) = message.encode() {
                    let topic = Topic::Up(self.setup.name.clone(), kind);
                    self.outputs.push_back(Output::Publish { topic, payload });
                }
            }
            Wanted::Acknowledge(delivery) => self.outputs.push_back(Output::Acknowledge(delivery)),
            Wanted::Switch {
                transaction,
                devices,
                not_after,
            } => {
                self.switching.insert(transaction);
                self.outputs.push_back(Output::Switch {
                    transaction,
                    devices,
                    not_after,
                });
            }
            Wanted::SwitchOff { devices } => self.outputs.push_back(Output::SwitchOff { devices }),
            Wanted::Probe => self.probe(now, entropy),
            Wanted::Answer { call, result } => self.answer(call, result.ok()),
            Wanted::Note(_) => {}
        }
    }

    fn probe(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let health = |device: &DeviceId| DeviceHealth {
            device: device.clone(),
            state: self.device_state,
        };
        let health = self.setup.devices.keys().map(health).collect();
        self.machine.handle_probed(health, now, entropy);
    }

    /// Not while a device moves: what it says then is known to the next machine.
    fn reopens_at(&self, now: Now) -> Tick {
        if self.switching.is_empty() {
            now.tick + REOPEN_PAUSE
        } else {
            now.tick + SWITCHING_MAX + REOPEN_PAUSE
        }
    }

    fn write_one(&mut self, now: Now, entropy: &mut dyn Entropy) -> bool {
        let Some(written) = self.disk.write_one() else {
            return false;
        };
        let believes = !self.setup.rules.holds(Rule::FailedSyncIsFinal);
        if written.is_done || believes {
            if let Some(ticket) = written.ticket {
                self.machine.handle_written(ticket, now, entropy);
            }
        } else {
            self.machine.handle_journal_failed(now, entropy);
            self.disk.stop();
            self.reopen_at = Some(self.reopens_at(now));
        }
        true
    }
}

impl Hash for Terminal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.machine, &self.disk, &self.site_config).hash(state);
        (&self.outputs, &self.calls, self.is_connected).hash(state);
        (&self.switching, self.reopen_at, self.device_state as u8).hash(state);
    }
}

impl PartialEq for Terminal {
    fn eq(&self, other: &Self) -> bool {
        let fingerprint = |terminal: &Self| {
            let mut hasher = DefaultHasher::new();
            terminal.hash(&mut hasher);
            hasher.finish()
        };
        fingerprint(self) == fingerprint(other)
    }
}

impl Eq for Terminal {}

fn boot(
    (setup, key): (&Arc<Setup>, &Arc<SigningKey>),
    (disk, config): (&Disk, Option<Jws<SiteConfig>>),
    before: Option<&Machine>,
    now: Now,
    entropy: &mut dyn Entropy,
) -> Machine {
    let machine_setup = MachineSetup {
        name: setup.name.clone(),
        platform: Audience::platform(&setup.platform),
        key: Arc::clone(key),
        keyring: setup.platform_keys.clone(),
        boot: BootId::from_random(entropy.bytes()),
        page_url: setup.page_url.clone(),
        devices: setup.devices.clone(),
        limits: setup.limits.clone(),
        rules: setup.rules,
    };
    let recovered = disk.recovered(config);
    match before {
        Some(before) => Machine::reopened(machine_setup, &recovered, before, now, entropy),
        None => Machine::new(machine_setup, &recovered, now, entropy),
    }
}

#[cfg(test)]
pub(crate) mod tests;
