//! A terminal with its disk and its device, and the people who stand before it.

use edge_agent::simulation::{Output, Phone as Page, Terminal};
use protocol::id::{DeviceId, TransactionId};
use protocol::message::{DeviceOutcome, DeviceResult, Feedback};
use protocol::time::Tick;

use super::dice::Dice;
use super::payer::Person;
use super::plan::{Device, DiskFault, Fault, Plan};
use super::{Happening, Party, World};

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) terminal: Terminal,
    pub(super) dice: Dice,
    pub(super) is_up: bool,
    /// Counts starts: what a device or a disk says to an earlier process is heard by nobody.
    pub(super) boot: u64,
    pub(super) people: Vec<Person>,
    /// Moves that are under way or whose word is.
    pub(super) motions: Vec<TransactionId>,
    /// All that its devices were told to move for.
    pub(super) switched: Vec<TransactionId>,
    /// What power comes back on, if not on the disk as it was.
    pub(super) disk_fault: Option<DiskFault>,
    /// Whose result may not be on the disk yet.
    pub(super) last_motion: Option<TransactionId>,
    /// A device has said what it did.
    has_spoken: bool,
    pub(super) is_write_due: bool,
    pub(super) writes: u64,
    /// Records that a power cut leaves of those that were not synced.
    pub(super) kept_unsynced: usize,
}

/// A device is about to move, or has moved and is about to say so.
#[derive(Debug, Clone)]
pub(super) struct Motion {
    lane: usize,
    boot: u64,
    transaction: TransactionId,
    devices: Vec<DeviceId>,
    not_after: Tick,
    behaviour: Device,
    is_late: bool,
}

impl Motion {
    /// What its device number `index` says of itself.
    fn word_of(&self, index: usize) -> (DeviceOutcome, Feedback) {
        let is_first = index == 0;
        match self.behaviour {
            _ if self.is_late => (DeviceOutcome::Failed, Feedback::None),
            Device::MovesUnsure | Device::StuckUnsure => (DeviceOutcome::Uncertain, Feedback::None),
            Device::Moves => (DeviceOutcome::Done, Feedback::ReadBack),
            Device::MovesFirst if is_first => (DeviceOutcome::Done, Feedback::ReadBack),
            Device::MovesSecond if !is_first => (DeviceOutcome::Done, Feedback::ReadBack),
            Device::Refuses | Device::MovesFirst | Device::MovesSecond => {
                (DeviceOutcome::Failed, Feedback::Contradicts)
            }
        }
    }
}

impl Lane {
    pub(super) fn new(terminal: Terminal, dice: Dice, plan: &Plan, index: usize) -> Self {
        let people = plan.payers.get(index).cloned().unwrap_or_default();
        Self {
            terminal,
            dice,
            is_up: true,
            boot: 0,
            people: people.into_iter().map(Person::new).collect(),
            motions: Vec::new(),
            switched: Vec::new(),
            disk_fault: None,
            last_motion: None,
            has_spoken: false,
            is_write_due: false,
            writes: 0,
            kept_unsynced: 0,
        }
    }

    /// Whether nobody waits here any more.
    pub(super) fn is_empty(&self) -> bool {
        self.people.iter().all(Person::is_gone)
    }

    pub(super) fn person_of(&self, page: Page) -> Option<usize> {
        self.people.iter().position(|person| person.has(page))
    }
}

impl World {
    pub(super) fn drain_lane(&mut self, lane: usize) {
        while let Some(output) = self.lanes[lane].terminal.poll_output() {
            match output {
                Output::Publish { topic, payload } => {
                    self.tap.terminal_says(&topic, &payload, self.tick);
                    let payload = self.lie(lane, &topic, payload);
                    self.publish(Party::Terminal(lane), topic, payload);
                }
                Output::Switch {
                    transaction,
                    devices,
                    not_after,
                } => self.begin_motion(lane, transaction, devices, not_after),
                Output::PayPage { phone, pay_url } => {
                    self.sent_to_pay(lane, phone, pay_url.is_some());
                }
                Output::SafeState { .. } | Output::SwitchOff { .. } | Output::Acknowledge(_) => {}
            }
        }
        self.write_soon(lane);
    }

    fn write_soon(&mut self, lane: usize) {
        let own = &mut self.lanes[lane];
        if own.is_up && !own.is_write_due && own.terminal.writes_waiting() > 0 {
            own.is_write_due = true;
            let boot = own.boot;
            let ms = own.dice.between(0, 4);
            self.after(ms, Happening::Written { lane, boot });
        }
    }

    pub(super) fn written(&mut self, lane: usize, boot: u64) {
        if self.lanes[lane].boot != boot || !self.lanes[lane].is_up {
            return;
        }
        let now = self.now();
        let fault = self.fault_at_write(lane);
        let own = &mut self.lanes[lane];
        own.is_write_due = false;
        own.writes += 1;
        match fault {
            Some(Fault::CutTerminal { .. }) if own.dice.chance(500) => {
                self.seen("power cut before a write");
                return self.cut(lane);
            }
            Some(Fault::CutTerminal { .. }) => {
                own.terminal.complete_write(now, &mut own.dice);
                self.seen("power cut after a write");
                return self.cut(lane);
            }
            Some(Fault::FailSync { .. }) => {
                let kept = usize::try_from(own.dice.below(3)).unwrap_or(0);
                own.terminal.fail_next_sync(kept);
                self.seen("sync failed");
            }
            _ => {}
        }
        let own = &mut self.lanes[lane];
        own.terminal.complete_write(now, &mut own.dice);
        self.drain_lane(lane);
    }

    fn begin_motion(
        &mut self,
        lane: usize,
        transaction: TransactionId,
        devices: Vec<DeviceId>,
        not_after: Tick,
    ) {
        let trouble = self.plan.device_trouble;
        let own = &mut self.lanes[lane];
        let in_part = self.plan.rare.in_part;
        let behaviour = if devices.len() > 1 && in_part > 0 && own.dice.chance(in_part) {
            *own.dice
                .pick(&[Device::MovesFirst, Device::MovesSecond])
                .unwrap_or(&Device::MovesFirst)
        } else if own.dice.chance(trouble) {
            *own.dice
                .pick(&[Device::MovesUnsure, Device::Refuses, Device::StuckUnsure])
                .unwrap_or(&Device::Moves)
        } else {
            Device::Moves
        };
        let ms = match own.dice.below(40) {
            0 => own.dice.between(1_000, 20_000),
            _ => own.dice.between(2, 300),
        };
        own.motions.push(transaction);
        own.switched.push(transaction);
        own.last_motion = Some(transaction);
        let boot = own.boot;
        let motion = Motion {
            lane,
            boot,
            transaction,
            devices,
            not_after,
            behaviour,
            is_late: false,
        };
        self.after(ms, Happening::Move(motion));
    }

    /// The device's own end: it writes nothing after the deadline it was given.
    pub(super) fn moved(&mut self, mut motion: Motion) {
        let own = &mut self.lanes[motion.lane];
        if own.boot != motion.boot {
            return;
        }
        motion.is_late = self.tick > motion.not_after;
        if motion.is_late {
            self.seen("device too late");
        } else {
            match motion.behaviour {
                Device::Moves => self.switch_on(motion.transaction),
                Device::MovesUnsure => {
                    self.switch_on(motion.transaction);
                    self.oracle.excuse(motion.transaction);
                }
                Device::StuckUnsure => self.oracle.excuse(motion.transaction),
                Device::MovesFirst | Device::MovesSecond => {
                    self.switch_on(motion.transaction);
                    self.oracle.served_in_part(motion.transaction);
                    self.seen("served in part");
                }
                Device::Refuses => {}
            }
        }
        let ms = self.lanes[motion.lane].dice.between(1, 60);
        self.after(ms, Happening::Word(motion));
    }

    fn switch_on(&mut self, transaction: TransactionId) {
        let orders = self.server.totals();
        let order = orders.iter().find(|order| order.order == transaction);
        let is_free = self.plan.rare.is_free;
        self.oracle
            .switched_on(transaction, order, is_free, self.tick);
        let broken = self.tap.switched_on(transaction, self.tick);
        self.note(broken);
        self.seen("ON");
    }

    pub(super) fn said(&mut self, motion: &Motion) {
        let now = self.now();
        let own = &mut self.lanes[motion.lane];
        if own.boot != motion.boot {
            return;
        }
        own.motions.retain(|moving| *moving != motion.transaction);
        let devices = motion.devices.iter().enumerate();
        let result = |(index, device): (usize, &DeviceId)| {
            let (outcome, feedback) = motion.word_of(index);
            DeviceResult {
                device: device.clone(),
                outcome,
                feedback,
            }
        };
        let results = devices.map(result).collect();
        self.fail_first_result(motion.lane);
        let own = &mut self.lanes[motion.lane];
        own.terminal
            .switched(motion.transaction, results, now, &mut own.dice);
        self.drain_lane(motion.lane);
    }

    /// Where syncs fail at all, that of the first result does: a drawn fault almost never hits it.
    fn fail_first_result(&mut self, lane: usize) {
        let is_first = !std::mem::replace(&mut self.lanes[lane].has_spoken, true);
        let mut faults = self.plan.faults.iter();
        let fails = faults.any(|(_, fault)| *fault == Fault::FailSync { terminal: lane });
        if is_first && fails && self.tick.as_millis() < self.plan.calm_ms {
            self.lanes[lane].terminal.fail_next_sync(0);
            self.seen("sync of a result failed");
        }
    }
}
