//! What every driver owes: a write whose outcome is never guessed, and a read.

use std::time::Duration;

use process::clock::Clock;
use protocol::message::{DeviceOutcome, Feedback};
use protocol::time::Tick;

use super::action::OnEnd;
use super::modbus::ModbusTcp;
use super::simulated::Simulated;

/// One device's way to its hardware.
#[derive(Debug)]
pub(super) enum Driver {
    Simulated(Simulated),
    ModbusTcp(ModbusTcp),
}

/// Until when a write may leave. It is asked directly before the write, after everything that can
/// take time (R6).
#[derive(Debug)]
pub(super) struct Permission<'a> {
    pub(super) clock: &'a Clock,
    /// None for OFF, which may always leave.
    pub(super) not_after: Option<Tick>,
}

impl Permission<'_> {
    pub(super) fn stands(&self) -> bool {
        self.not_after
            .is_none_or(|deadline| self.clock.now().tick <= deadline)
    }
}

/// How a write ended, with the reason in the driver's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// The output reads back as written.
    Confirmed,
    /// The device took the write and has nothing to read back.
    Accepted,
    /// Nothing left this terminal: the device did not move.
    NotSent(String),
    /// The device said no: it did not move.
    Refused(String),
    /// The device took the write and its output says otherwise.
    Contradicted(String),
    /// The write left, and nobody can say what became of it.
    Unknown(String),
}

impl Written {
    pub(super) const fn outcome(&self) -> (DeviceOutcome, Feedback) {
        match self {
            Self::Confirmed => (DeviceOutcome::Done, Feedback::ReadBack),
            Self::Accepted => (DeviceOutcome::Done, Feedback::None),
            Self::NotSent(_) | Self::Refused(_) => (DeviceOutcome::Failed, Feedback::None),
            Self::Contradicted(_) => (DeviceOutcome::Failed, Feedback::Contradicts),
            Self::Unknown(_) => (DeviceOutcome::Uncertain, Feedback::None),
        }
    }

    /// Unknown counts as moved: a gate that did open must not fall on a car.
    pub(super) const fn on_end(&self) -> OnEnd {
        match self {
            Self::Confirmed | Self::Accepted | Self::Unknown(_) => OnEnd::Moved,
            Self::NotSent(_) | Self::Refused(_) => OnEnd::NotMoved,
            Self::Contradicted(_) => OnEnd::Contradicted,
        }
    }

    /// Why it isn't simply done.
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Confirmed | Self::Accepted => None,
            Self::NotSent(reason)
            | Self::Refused(reason)
            | Self::Contradicted(reason)
            | Self::Unknown(reason) => Some(reason),
        }
    }
}

impl Driver {
    /// Writes ON or OFF, within [`Driver::budget`].
    pub(super) async fn write(&mut self, on: bool, permission: Permission<'_>) -> Written {
        match self {
            Self::Simulated(device) => device.write(on, &permission).await,
            Self::ModbusTcp(device) => device.write(on, &permission).await,
        }
    }

    /// Whether the output is on, within [`Driver::budget`]; none if the device can't say.
    pub(super) async fn read(&mut self) -> Result<Option<bool>, String> {
        match self {
            Self::Simulated(device) => device.read(),
            Self::ModbusTcp(device) => device.read().await,
        }
    }

    /// Longest time of one write or read, whatever the device does.
    pub(super) fn budget(&self) -> Duration {
        match self {
            Self::Simulated(_) => Simulated::BUDGET,
            Self::ModbusTcp(device) => device.budget(),
        }
    }
}
