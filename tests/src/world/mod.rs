//! A whole world in one thread on a virtual clock: the machines that ship, with phones, devices,
//! wires and disks that obey a plan. The same seed gives the same world, byte for byte.
//!
//! | module | what it owns |
//! |---|---|
//! | [`plan`] | what will happen, drawn from the seed |
//! | [`dice`] | randomness in streams |
//! | [`build`] | who the parties are |
//! | `wire` | messages under way |
//! | `lane` | a terminal, its disk and its device |
//! | `payer` | people with phones |
//! | `trouble` | crashes, cuts, partitions, stepped clocks |
//! | `rare` | people at the platform, lost disks and stores, lies, repetitions |
//! | [`planted`] | defects, one per rule |
//! | [`oracle`] | what must be true, seen from outside |
//! | [`tap`] | what must be true of the messages on the wires |
//! | [`trace`] | what happened, line by line or as a digest |

pub mod build;
pub mod dice;
mod lane;
pub mod oracle;
mod payer;
pub mod plan;
pub mod planted;
mod rare;
pub mod tap;
pub mod trace;
mod trouble;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use payment_mock::simulation::Server;
use platform::simulation::Platform;
use protocol::time::{Now, Tick, Utc};

use build::{Pace, RuleBook};
use dice::Dice;
use lane::Lane;
use oracle::{Oracle, People};
use plan::{Deed, DiskFault, Fault, Plan};
use tap::{Expected, Tap};
use trace::Trace;
use wire::{Link, Wires};

/// From the last trouble until everything must have settled: giving up takes 15 minutes, closing
/// 15 more, a refund that is retried half an hour, and the second look of the late watch an hour.
const SETTLE_MS: u64 = 100 * 60 * 1_000;

/// Pause between two looks whether everything has settled.
const LOOK_MS: u64 = 30_000;

/// Steps of one world. A world has some thousand; more means that somebody turns in a circle.
const STEPS_MAX: u64 = 400_000;

/// States in which nothing more happens to the money of a sale, unless it comes late.
const SETTLED: [&str; 4] = ["done", "expired", "refunded", "review"];

/// Who has a connection to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    Platform,
    Server,
    Terminal(usize),
}

/// Something that is going to happen.
#[derive(Debug, Clone)]
enum Happening {
    Deliver(wire::Parcel),
    Start(Party),
    Connect(Party, u64),
    Commit,
    Written {
        lane: usize,
        boot: u64,
    },
    Move(lane::Motion),
    Word(lane::Motion),
    Payer {
        lane: usize,
        payer: usize,
        plan: u64,
    },
    Fault(Fault),
    Deed(Deed),
    Disk(usize, DiskFault),
    Backup,
    Restore,
    Repeat(wire::Parcel),
    Look,
}

/// How a world ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub seed: u64,
    /// Rules that were broken; empty if all is well.
    pub broken: Vec<String>,
    /// Payments that the payment server booked.
    pub payments: u64,
    pub sales: u64,
    pub steps: u64,
    /// What was seen, and how often.
    pub sometimes: BTreeMap<&'static str, u64>,
    pub digest: u64,
    /// Every step, if lines were asked for.
    pub lines: Vec<String>,
}

/// One world.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    tick: Tick,
    /// Of the wall clocks against the ticks.
    step_ms: i64,
    queue: BTreeMap<(Tick, u64), Happening>,
    queued: u64,
    platform: Platform,
    is_platform_up: bool,
    is_commit_due: bool,
    commits: u64,
    server: Server,
    is_server_up: bool,
    requests: u64,
    orders: usize,
    server_dice: Dice,
    lanes: Vec<Lane>,
    links: BTreeMap<Party, Link>,
    wires: Wires,
    deeds_left: usize,
    backup: Option<Box<Platform>>,
    dice: Dice,
    oracle: Oracle,
    tap: Tap,
    trace: Trace,
    sometimes: BTreeMap<&'static str, u64>,
    steps: u64,
    is_over: bool,
}

impl World {
    /// The world of a plan, before anything has happened.
    ///
    /// # Errors
    /// When the plan contradicts itself.
    pub fn new(plan: Plan, rules: RuleBook, trace: Trace) -> anyhow::Result<Self> {
        let tick = Tick::from_millis(1_000);
        let now = Now {
            utc: Utc::EPOCH,
            tick,
        };
        let pace = Pace::shipped();
        let mut lanes = Vec::new();
        for index in 0..plan.terminals {
            let mut dice = Dice::new(plan.seed, 100 + index as u64);
            let terminal = build::terminal((index, &plan), rules, &pace, now, &mut dice)?;
            lanes.push(Lane::new(terminal, dice, &plan, index));
        }
        let mut world = Self {
            platform: build::hub(&plan, rules, &pace, now)?,
            server: build::server(&plan, now)?,
            server_dice: Dice::new(plan.seed, 2),
            dice: Dice::new(plan.seed, 3),
            wires: Wires::default(),
            deeds_left: 0,
            backup: None,
            tick,
            step_ms: 0,
            queue: BTreeMap::new(),
            queued: 0,
            is_platform_up: true,
            is_commit_due: false,
            commits: 0,
            is_server_up: true,
            requests: 0,
            orders: 0,
            lanes,
            links: BTreeMap::new(),
            oracle: Oracle::new(plan.refund_as_loss),
            tap: Tap::new(Expected {
                caps: plan.rare.are_caps_tight.then(build::tight_caps),
                is_free: plan.rare.is_free,
            }),
            trace,
            sometimes: BTreeMap::new(),
            steps: 0,
            is_over: false,
            plan,
        };
        world.begin();
        Ok(world)
    }

    /// Runs to the end, or to the first broken rule.
    #[must_use]
    pub fn run(mut self) -> Ending {
        while !self.is_over && self.oracle.broken().is_empty() {
            self.step();
        }
        self.end()
    }

    fn begin(&mut self) {
        for party in self.parties() {
            self.links.insert(party, Link::default());
            self.connect_soon(party, 5);
        }
        for lane in 0..self.lanes.len() {
            for (payer, person) in self.plan.payers[lane].clone().iter().enumerate() {
                self.act_after(person.arrives_ms, lane, payer);
            }
            self.drain_lane(lane);
        }
        for (when, fault) in self.plan.faults.clone() {
            if let plan::When::At { ms } = when {
                self.after(ms, Happening::Fault(fault));
            }
        }
        self.begin_rare();
        self.after(self.plan.calm_ms, Happening::Look);
    }

    fn parties(&self) -> Vec<Party> {
        let terminals = (0..self.lanes.len()).map(Party::Terminal);
        [Party::Platform, Party::Server]
            .into_iter()
            .chain(terminals)
            .collect()
    }

    fn now(&self) -> Now {
        let millis = i64::try_from(self.tick.as_millis()).unwrap_or(i64::MAX);
        Now {
            utc: Utc::from_millis(millis.saturating_add(self.step_ms)).unwrap_or(Utc::EPOCH),
            tick: self.tick,
        }
    }

    fn after(&mut self, ms: u64, happening: Happening) {
        self.queued += 1;
        let at = self.tick + Duration::from_millis(ms);
        self.queue.insert((at, self.queued), happening);
    }

    fn seen(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }

    /// The next thing that happens, or the next deadline of a machine.
    fn step(&mut self) {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return self.oracle.note("L: it turns in a circle".to_owned());
        }
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let due = self.due();
        match (queued, due) {
            (Some(at), Some((deadline, party))) if deadline < at => self.fire(deadline, party),
            (None, Some((deadline, party))) => self.fire(deadline, party),
            (Some(_), _) => self.happen_next(),
            (None, None) => self.is_over = true,
        }
    }

    fn due(&self) -> Option<(Tick, Party)> {
        let platform = self.is_platform_up.then(|| self.platform.poll_timeout());
        let server = self.is_server_up.then(|| self.server.poll_timeout());
        let lanes = self.lanes.iter().enumerate();
        let lanes = lanes
            .filter(|(_, lane)| lane.is_up)
            .filter_map(|(n, lane)| {
                let at = lane.terminal.poll_timeout()?;
                Some((at, Party::Terminal(n)))
            });
        let hub = platform.flatten().map(|at| (at, Party::Platform));
        let mock = server.flatten().map(|at| (at, Party::Server));
        hub.into_iter().chain(mock).chain(lanes).min()
    }

    fn fire(&mut self, deadline: Tick, party: Party) {
        self.tick = self.tick.max(deadline);
        let now = self.now();
        self.trace.line(self.tick, || format!("timer {party:?}"));
        match party {
            Party::Platform => {
                self.platform.handle_timeout(now);
                self.commit_soon();
            }
            Party::Server => {
                self.server.handle_timeout(now, &mut self.server_dice);
                self.drain_server();
            }
            Party::Terminal(lane) => {
                let own = &mut self.lanes[lane];
                own.terminal.handle_timeout(now, &mut own.dice);
                self.drain_lane(lane);
            }
        }
    }

    fn happen_next(&mut self) {
        let Some(((at, _), happening)) = self.queue.pop_first() else {
            return;
        };
        self.tick = self.tick.max(at);
        self.trace.happening(self.tick, &happening);
        match happening {
            Happening::Deliver(parcel) => self.deliver(&parcel),
            Happening::Start(party) => self.start_again(party),
            Happening::Connect(party, generation) => self.connect(party, generation),
            Happening::Commit => self.commit(),
            Happening::Written { lane, boot } => self.written(lane, boot),
            Happening::Move(motion) => self.moved(motion),
            Happening::Word(motion) => self.said(&motion),
            Happening::Payer { lane, payer, plan } => self.act(lane, payer, plan),
            Happening::Fault(fault) => self.strike(fault),
            Happening::Deed(deed) => self.act_by_hand(deed),
            Happening::Disk(lane, fault) => self.break_disk(lane, fault),
            Happening::Backup => self.take_backup(),
            Happening::Restore => self.restore_store(),
            Happening::Repeat(parcel) => self.repeat(&parcel),
            Happening::Look => self.look(),
        }
    }

    fn commit_soon(&mut self) {
        if self.platform.is_touched() && !self.is_commit_due {
            self.is_commit_due = true;
            let ms = self.dice.between(1, 4);
            self.after(ms, Happening::Commit);
        }
    }

    fn commit(&mut self) {
        if !self.is_commit_due || !self.is_platform_up {
            return;
        }
        self.commits += 1;
        match self.fault_at_commit() {
            Some(Fault::KillPlatform) => {
                self.seen("platform killed before a commit");
                return self.kill_platform();
            }
            Some(_) => {
                self.seen("platform killed after a commit, before sending");
                drop(self.platform.commit(self.now()));
                return self.kill_platform();
            }
            None => {}
        }
        self.is_commit_due = false;
        for (topic, payload) in self.platform.commit(self.now()) {
            let (server, tick) = (&self.server, self.tick);
            let broken = self.tap.platform_says(&topic, &payload, server, tick);
            self.note(broken);
            self.publish(Party::Platform, topic, payload);
        }
    }

    fn note(&mut self, broken: Option<&'static str>) {
        if let Some(rule) = broken {
            let at = self.tick.as_millis();
            self.oracle.note(format!("{rule}: at {at} ms"));
        }
    }

    /// Ends the world once every sale has settled and every payer is gone.
    fn look(&mut self) {
        // Trouble is over: whoever keeps the time has set the clock right.
        self.step_ms = 0;
        let books = self.platform.books();
        let is_settled = books.iter().all(|sale| {
            SETTLED.contains(&sale.state.as_str()) && (sale.suspense == 0 || sale.is_reviewed)
        });
        let is_settled = is_settled && self.unsettled(&books).is_empty();
        let are_gone = self.lanes.iter().all(Lane::is_empty);
        let is_up = self.is_platform_up && self.is_server_up;
        if is_settled && are_gone && is_up && self.deeds_left == 0 {
            self.is_over = true;
        } else if self.tick.as_millis() > self.plan.calm_ms + SETTLE_MS {
            let open: Vec<_> = books
                .iter()
                .filter(|sale| {
                    let is_open = sale.suspense != 0 && !sale.is_reviewed;
                    is_open || !SETTLED.contains(&sale.state.as_str())
                })
                .map(|sale| format!("{} {}", sale.transaction.short(), sale.state))
                .collect();
            let unsettled = self.unsettled(&books);
            self.oracle
                .note(format!("L: not settled: {open:?}, {unsettled:?}"));
            self.is_over = true;
        } else {
            self.after(LOOK_MS, Happening::Look);
        }
    }

    fn unsettled(&self, books: &[platform::simulation::Booked]) -> Vec<String> {
        let in_review = books.iter().filter(|sale| sale.is_reviewed);
        let reviewed: BTreeSet<_> = in_review.map(|sale| sale.transaction).collect();
        let mut tasks = self.platform.open_tasks();
        if self.plan.steps_clocks() {
            // A day's step makes a day of the grace before a task.
            tasks.extend(self.platform.awaited_lines());
        }
        let people = People { reviewed, tasks };
        self.oracle.unsettled(&self.server.totals(), &people)
    }

    /// Sales that ended as nothing has given them a reason to.
    fn needless(&self, books: &[platform::simulation::Booked]) -> Vec<String> {
        let fault = |sale: &platform::simulation::Booked| match sale.state.as_str() {
            "review" if self.plan.is_calm() => Some("L: a person is asked, and nothing went wrong"),
            "expired"
                if self.server.is_payable(sale.transaction)
                    && !self.tap.is_hidden(sale.transaction)
                    && !self.oracle.is_pardoned(sale.transaction) =>
            {
                Some("R5: expired, and it can be paid")
            }
            _ => None,
        };
        let line = |sale| Some(format!("{}: {}", fault(sale)?, sale.transaction.short()));
        books.iter().filter_map(line).collect()
    }

    fn end(mut self) -> Ending {
        let books = self.platform.books();
        let orders = self.server.totals();
        if self.oracle.broken().is_empty() {
            for line in self.unsettled(&books) {
                self.oracle.note(line);
            }
            for line in self.platform.violations() {
                self.oracle.note(line);
            }
            for line in self.needless(&books) {
                self.oracle.note(line);
            }
        }
        for sale in &books {
            self.seen(payer::state_word(&sale.state));
        }
        Ending {
            seed: self.plan.seed,
            broken: self.oracle.broken().to_vec(),
            payments: orders.iter().map(|order| order.payments.len() as u64).sum(),
            sales: books.len() as u64,
            steps: self.steps,
            sometimes: self.sometimes,
            digest: self.trace.digest(),
            lines: self.trace.into_lines(),
        }
    }
}
