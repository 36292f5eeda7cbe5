//! What happens in one simulated world, drawn from its seed before anything runs. Each kind of
//! trouble is on in some worlds and off in others (swarm testing): a world with everything at once
//! rarely gets far enough to reach the rare states.

mod rare;

use super::dice::Dice;

pub use self::rare::{Deed, DiskFault, Rare};

/// Trouble begins no later than this; then everything must settle.
const TROUBLE_MS: u64 = 240_000;

/// How a payer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payer {
    pub arrives_ms: u64,
    /// Presses of Pay that the payer makes, in two tabs if more than one.
    pub presses: u8,
    /// Pause between the bill and the first press.
    pub thinks_ms: u64,
    pub habit: Habit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// Pays, is sent back, and stays until the page has said how it ended.
    Stays,
    /// Pays, and the browser never comes back.
    Vanishes,
    /// Cancels at the bill.
    Cancels,
    /// Declines at the payment server and comes back.
    Declines,
    /// Looks at the bill and goes away.
    Leaves,
    /// Comes back to the page in the middle, again and again.
    Reloads,
}

/// What the device does with an ON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Moves,
    /// Moves, and says that nobody knows.
    MovesUnsure,
    Refuses,
    /// Does not move, and says that nobody knows.
    StuckUnsure,
    /// Of two the first one alone.
    MovesFirst,
    /// Of two the second one alone.
    MovesSecond,
}

/// Something that is broken for a while, or for good and started anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    CutTerminal {
        terminal: usize,
    },
    /// Between applying and committing: nothing was written.
    KillPlatform,
    /// Between committing and sending: everything was written.
    KillPlatformUnsent,
    KillServer,
    RestartBroker,
    PartitionTerminal {
        terminal: usize,
        for_ms: u64,
    },
    PartitionServer {
        for_ms: u64,
    },
    /// Wall clocks jump; ticks do not.
    StepClock {
        by_ms: i64,
    },
    FailSync {
        terminal: usize,
    },
}

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    At {
        ms: u64,
    },
    /// At the n-th commit of the platform, write of the terminal's journal, or answer of the
    /// payment server: between two instants that lie as close as can be.
    Step {
        n: u64,
    },
}

/// Chances of a message, per mille.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    pub drop: u64,
    pub duplicate: u64,
    /// Of being late by seconds instead of milliseconds.
    pub late: u64,
    pub late_max_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub terminals: usize,
    /// Of each terminal.
    pub payers: Vec<Vec<Payer>>,
    pub weather: Weather,
    pub faults: Vec<(When, Fault)>,
    /// Chances of [`Device`] other than the first, per mille.
    pub device_trouble: u64,
    /// Word for the payment server's outcome of each order, by its order of creation.
    pub outcomes: Vec<payment_mock::Outcome>,
    pub refund_as_loss: bool,
    /// Orders of 20 s instead of two minutes, so that more of them end unpaid.
    pub is_brisk: bool,
    pub rare: Rare,
    /// No fault and no bad weather after it.
    pub calm_ms: u64,
}

impl Plan {
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0);
        let terminals = usize::try_from(dice.between(1, 2)).unwrap_or(1);
        let is_brisk = dice.chance(400);
        Self {
            seed,
            terminals,
            payers: (0..terminals).map(|_| payers(&mut dice)).collect(),
            weather: weather(&mut dice),
            faults: faults(&mut dice, terminals),
            device_trouble: *dice.pick(&[0, 0, 100, 400]).unwrap_or(&0),
            outcomes: outcomes(&mut dice),
            refund_as_loss: dice.chance(500),
            is_brisk,
            rare: Rare::of(seed, terminals),
            calm_ms: TROUBLE_MS,
        }
    }
}

impl Plan {
    /// Whether nothing goes wrong but people.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let Weather {
            drop,
            duplicate,
            late,
            ..
        } = self.weather;
        self.faults.is_empty()
            && self.rare.is_calm()
            && drop + duplicate + late + self.device_trouble == 0
            && self
                .outcomes
                .iter()
                .all(|it| *it == payment_mock::Outcome::Paid)
    }

    /// Whether somebody sets clocks wrong.
    #[must_use]
    pub fn steps_clocks(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|(_, fault)| matches!(fault, Fault::StepClock { .. }))
    }
}

fn payers(dice: &mut Dice) -> Vec<Payer> {
    let count = dice.between(1, 4);
    let mut arrives_ms = dice.between(0, 5_000);
    let mut payers = Vec::new();
    for _ in 0..count {
        payers.push(Payer {
            arrives_ms,
            presses: if dice.chance(100) { 2 } else { 1 },
            thinks_ms: *dice
                .pick(&[200, 1_500, 1_500, 10_000, 60_000])
                .unwrap_or(&200),
            habit: habit(dice),
        });
        arrives_ms += dice.between(500, 60_000);
    }
    payers
}

fn habit(dice: &mut Dice) -> Habit {
    match dice.below(20) {
        0..=10 => Habit::Stays,
        11..=13 => Habit::Vanishes,
        14 => Habit::Cancels,
        15 => Habit::Declines,
        16 => Habit::Leaves,
        _ => Habit::Reloads,
    }
}

fn weather(dice: &mut Dice) -> Weather {
    if dice.chance(300) {
        return Weather {
            drop: 0,
            duplicate: 0,
            late: 0,
            late_max_ms: 0,
        };
    }
    Weather {
        drop: *dice.pick(&[0, 10, 50, 200]).unwrap_or(&0),
        duplicate: *dice.pick(&[0, 20, 100]).unwrap_or(&0),
        late: *dice.pick(&[0, 20, 100]).unwrap_or(&0),
        late_max_ms: *dice.pick(&[3_000, 20_000, 200_000]).unwrap_or(&3_000),
    }
}

fn faults(dice: &mut Dice, terminals: usize) -> Vec<(When, Fault)> {
    // Three kinds of nine at the most, each up to three times.
    let kinds: Vec<u64> = (0..dice.below(4)).map(|_| dice.below(9)).collect();
    let mut faults = Vec::new();
    for kind in kinds {
        for _ in 0..dice.between(1, 3) {
            let when = if dice.chance(500) {
                When::Step {
                    n: dice.between(1, 60),
                }
            } else {
                When::At {
                    ms: dice.between(0, TROUBLE_MS - 60_000),
                }
            };
            faults.push((when, fault(kind, dice, terminals)));
        }
    }
    faults
}

fn fault(kind: u64, dice: &mut Dice, terminals: usize) -> Fault {
    let count = u64::try_from(terminals).unwrap_or(1);
    let terminal = usize::try_from(dice.below(count)).unwrap_or(0);
    let for_ms = dice.between(500, 60_000);
    match kind {
        0 => Fault::CutTerminal { terminal },
        1 => Fault::KillPlatform,
        2 => Fault::KillPlatformUnsent,
        3 => Fault::KillServer,
        4 => Fault::RestartBroker,
        5 => Fault::PartitionTerminal { terminal, for_ms },
        6 => Fault::PartitionServer { for_ms },
        7 => Fault::StepClock {
            by_ms: if dice.chance(500) {
                86_400_000
            } else {
                -86_400_000
            },
        },
        _ => Fault::FailSync { terminal },
    }
}

/// Most orders are simply paid; every other way a payment server can treat one has its worlds.
fn outcomes(dice: &mut Dice) -> Vec<payment_mock::Outcome> {
    let trouble = *dice.pick(&[0, 0, 300, 1_000]).unwrap_or(&0);
    let one = |_| {
        if dice.chance(trouble) {
            let all = payment_mock::Outcome::ALL;
            dice.pick(all).copied().unwrap_or_default()
        } else {
            payment_mock::Outcome::default()
        }
    };
    (0..16).map(one).collect()
}
