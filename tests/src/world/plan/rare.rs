//! What happens in some worlds only: people act at the platform, disks and stores are lost, a
//! terminal lies, somebody repeats what he has overheard.

use platform::simulation::Resolution;

use super::super::dice::Dice;

/// Nothing rare begins later than this.
const RARE_MS: u64 = 230_000;

/// What somebody does at the platform; about which sale, the dice say then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Refund,
    Resolve(Resolution),
    Open,
    /// Takes no new orders for a while.
    Pause {
        for_ms: u64,
    },
    Reconcile,
    Release,
}

/// What becomes of a terminal's disk while its power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    Lost,
    /// Only so many of its records, in percent, can be read.
    Damaged {
        readable_percent: u64,
    },
}

/// Everything that most worlds have nothing of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rare {
    pub deeds: Vec<(u64, Deed)>,
    /// The terminal, the instant, and how the disk comes back.
    pub disks: Vec<(u64, usize, DiskFault)>,
    /// When a backup is taken, and when it becomes the store.
    pub restore: Option<(u64, u64)>,
    /// Devices of each sale; with two, one may move alone.
    pub devices: usize,
    /// Chance of that, per mille.
    pub in_part: u64,
    pub is_free: bool,
    /// One refund of each kind goes out by itself.
    pub are_caps_tight: bool,
    /// Somebody guesses the way back from the payment server.
    pub has_strangers: bool,
    /// The terminals claim that nothing is to be paid.
    pub are_liars: bool,
    /// Chance of a message to be heard again much later, per mille.
    pub repeated: u64,
}

impl Default for Rare {
    fn default() -> Self {
        Self {
            deeds: Vec::new(),
            disks: Vec::new(),
            restore: None,
            devices: 1,
            in_part: 0,
            is_free: false,
            are_caps_tight: false,
            has_strangers: false,
            are_liars: false,
            repeated: 0,
        }
    }
}

impl Rare {
    pub(super) fn of(seed: u64, terminals: usize) -> Self {
        let mut dice = Dice::new(seed, 10);
        let mut rare = Self::default();
        for _ in 0..dice.below(3) {
            rare.add(&mut dice, terminals);
        }
        rare
    }

    fn add(&mut self, dice: &mut Dice, terminals: usize) {
        match dice.below(10) {
            0 | 1 => self.deeds = deeds(dice),
            2 => self.disks = disks(dice, terminals),
            3 => {
                let backup_ms = dice.between(1_000, RARE_MS - 30_000);
                let restore_ms = backup_ms + dice.between(100, RARE_MS - backup_ms);
                self.restore = Some((backup_ms, restore_ms));
            }
            4 => {
                self.devices = 2;
                self.in_part = *dice.pick(&[0, 100, 500]).unwrap_or(&0);
            }
            5 => self.is_free = true,
            6 => self.are_caps_tight = true,
            7 => self.has_strangers = true,
            8 => self.are_liars = true,
            _ => self.repeated = *dice.pick(&[20, 100]).unwrap_or(&20),
        }
    }

    /// Whether people, disks and messages are as in most worlds.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let Self {
            deeds,
            disks,
            restore,
            in_part,
            are_caps_tight,
            are_liars,
            repeated,
            ..
        } = self;
        deeds.is_empty()
            && disks.is_empty()
            && restore.is_none()
            && in_part + repeated == 0
            && !are_caps_tight
            && !are_liars
    }
}

fn deeds(dice: &mut Dice) -> Vec<(u64, Deed)> {
    let one = |_| (dice.between(2_000, RARE_MS), deed(dice));
    (0..6).map(one).collect()
}

fn deed(dice: &mut Dice) -> Deed {
    match dice.below(10) {
        0..=2 => Deed::Refund,
        3 => Deed::Resolve(Resolution::Refund),
        4 => Deed::Resolve(Resolution::KeepAsEarned),
        5 => Deed::Resolve(Resolution::WriteOffAsLoss),
        6 => Deed::Resolve(Resolution::ReturnedOutside),
        7 => Deed::Open,
        8 => Deed::Pause {
            for_ms: dice.between(1_000, 30_000),
        },
        _ => Deed::Reconcile,
    }
}

fn disks(dice: &mut Dice, terminals: usize) -> Vec<(u64, usize, DiskFault)> {
    let count = u64::try_from(terminals).unwrap_or(1);
    let mut one = |_| {
        let terminal = usize::try_from(dice.below(count)).unwrap_or(0);
        let fault = if dice.chance(600) {
            DiskFault::Lost
        } else {
            DiskFault::Damaged {
                readable_percent: dice.between(0, 100),
            }
        };
        (dice.between(2_000, RARE_MS), terminal, fault)
    };
    (0..2).map(&mut one).collect()
}
