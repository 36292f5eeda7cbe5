//! One instant of the modelled world.

use std::hash::Hash;
use std::sync::Arc;

use edge_agent::simulation::{Disk, Phone as Page, Terminal};
use payment_mock::simulation::Server;
use platform::simulation::Platform;
use protocol::id::{DeviceId, TransactionId};
use protocol::time::{Now, Tick, Utc};
use protocol::topic::Topic;
use tests::world::dice::Dice;
use tests::world::tap::Tap;

use crate::cell::Cell;
use crate::forge::Overheard;

/// Most messages under way. What is sent beyond is lost, as a broker may lose anything.
pub(crate) const LETTERS_MAX: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum To {
    Platform,
    Server,
    Terminal,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Letter {
    pub(crate) to: To,
    pub(crate) topic: Topic,
    pub(crate) payload: Vec<u8>,
}

/// What may still go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    pub(crate) crashes: u8,
    pub(crate) losses: u8,
    pub(crate) duplicates: u8,
    pub(crate) presses: u8,
    /// Journals that are lost.
    pub(crate) journals: u8,
    /// Copies of the journal that are put back.
    pub(crate) copies: u8,
    /// Backups of the store that are put back.
    pub(crate) restores: u8,
    /// Processes of the platform that are paused and replaced, and what they do afterwards.
    pub(crate) pauses: u8,
    pub(crate) resumptions: u8,
    /// Messages of somebody without a key.
    pub(crate) forgeries: u8,
    /// Wall clocks stepped by a day.
    pub(crate) clock_steps: u8,
    /// Sessions that may be begun.
    pub(crate) sessions: u8,
    /// Deadlines that may pass.
    pub(crate) timers: u16,
}

impl Budget {
    /// For what goes well.
    pub(crate) const PLENTY: Self = Self {
        crashes: 0,
        losses: 0,
        duplicates: 0,
        presses: 9,
        journals: 0,
        copies: 0,
        restores: 0,
        pauses: 0,
        resumptions: 0,
        forgeries: 0,
        clock_steps: 0,
        sessions: 9,
        timers: 99,
    };

    /// How much of what rarely goes wrong is left.
    pub(crate) const fn rare(&self) -> u8 {
        self.journals
            + self.copies
            + self.restores
            + self.pauses
            + self.forgeries
            + self.clock_steps
            + self.crashes
            + self.losses
            + self.duplicates
    }

    /// Nothing goes wrong, and so many deadlines pass.
    pub(crate) const fn calm(timers: u16) -> Self {
        Self {
            presses: 1,
            sessions: 1,
            timers,
            ..Self::PLENTY
        }
    }
}

/// The one payer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Payer {
    pub(crate) page: Option<Page>,
    pub(crate) transaction: Option<TransactionId>,
    pub(crate) can_pay: bool,
    pub(crate) has_paid: bool,
}

/// A device that was told to move.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Motion {
    pub(crate) transaction: TransactionId,
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) not_after: Tick,
    /// Whether it has moved, and only its word is missing.
    pub(crate) has_moved: bool,
}

/// What was seen from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) ons: Vec<TransactionId>,
    /// Nobody can know whether its device moved.
    pub(crate) excused: Vec<TransactionId>,
    pub(crate) broken: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) tick: Tick,
    pub(crate) step_ms: i64,
    pub(crate) terminal: Cell<Terminal>,
    pub(crate) terminal_dice: Dice,
    pub(crate) platform: Cell<Platform>,
    /// An earlier process of the platform, paused.
    pub(crate) replica: Option<Cell<Platform>>,
    /// The platform when the world began.
    pub(crate) backup: Option<Cell<Platform>>,
    /// The terminal's journal when the world began.
    pub(crate) copy: Option<Disk>,
    pub(crate) server: Cell<Server>,
    pub(crate) server_dice: Dice,
    /// Sorted, so that equal sets are equal.
    pub(crate) letters: Vec<Arc<Letter>>,
    pub(crate) payer: Payer,
    pub(crate) motion: Option<Motion>,
    pub(crate) budget: Budget,
    pub(crate) seen: Seen,
    pub(crate) tap: Tap,
    pub(crate) overheard: Option<Overheard>,
}

impl State {
    pub(crate) fn now(&self) -> Now {
        let millis = i64::try_from(self.tick.as_millis()).unwrap_or(i64::MAX);
        Now {
            utc: Utc::from_millis(millis + self.step_ms).unwrap_or(Utc::EPOCH),
            tick: self.tick,
        }
    }

    pub(crate) fn send(&mut self, to: To, topic: Topic, payload: Vec<u8>) {
        let letter = Letter { to, topic, payload };
        // A resend of what is under way anyway is one of the orders that duplicates cover.
        let is_there = self.letters.iter().any(|known| **known == letter);
        if !is_there && self.letters.len() < LETTERS_MAX {
            self.letters.push(Arc::new(letter));
            self.letters.sort();
        }
    }

    pub(crate) fn put_terminal(&mut self, terminal: Terminal) {
        self.terminal = Cell::new(terminal, |terminal, hasher| terminal.hash(hasher));
    }

    pub(crate) fn put_platform(&mut self, platform: Platform) {
        self.platform = cell_of(platform);
    }

    pub(crate) fn put_replica(&mut self, replica: Platform) {
        self.replica = Some(cell_of(replica));
    }

    pub(crate) fn put_server(&mut self, server: Server) {
        self.server = Cell::new(server, |server, hasher| {
            format!("{:?}{:?}", server.totals(), server.poll_timeout()).hash(hasher);
        });
    }
}

fn cell_of(platform: Platform) -> Cell<Platform> {
    Cell::new(platform, |platform, hasher| platform.fingerprint(hasher))
}
