//! Linkage: the devices that a sale switches. It knows no money and no permit: whoever calls
//! [`Panel::switch_on`] has verified one.
//!
//! | module | what it owns |
//! |---|---|
//! | [`config`] | which devices there are, how they are reached, how long they stay on |
//! | `action` | when a device goes off (pure) |
//! | `device` | one task per device, which keeps time for it |
//! | `driver` | what every driver owes: simulated, Modbus TCP |

mod action;
pub mod config;
mod device;
mod driver;
mod modbus;
mod simulated;

#[cfg(test)]
mod conformance;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use process::clock::Clock;
use protocol::id::DeviceId;
use protocol::message::{DEVICES_MAX, DeviceHealth, DeviceOutcome, DeviceResult};
use protocol::time::Tick;

pub use config::{DeviceConfig, LinkageError};
pub use simulated::{Simulation, Switch};

use self::action::Switching;
use self::config::DriverConfig;
use self::device::{Device, not_tried};
use self::driver::Driver;
use self::modbus::ModbusTcp;

/// All devices of one terminal.
///
/// Dropped or closed, it switches off what it has switched on: nobody would keep the time of it.
/// Devices that it never wrote to stay as they are.
#[derive(Debug)]
pub struct Panel {
    clock: Clock,
    devices: Vec<Device>,
    simulation: Simulation,
}

impl Panel {
    /// Starts a task for each device on the current tokio runtime. Nothing is connected or written
    /// yet: the first call is [`Panel::safe_state`].
    pub fn build(configs: &[DeviceConfig]) -> Result<Self, LinkageError> {
        Self::build_with(configs, &Clock::system())
    }

    /// [`Panel::build`] with another clock for pulses and maximum on-times.
    pub fn build_with(configs: &[DeviceConfig], clock: &Clock) -> Result<Self, LinkageError> {
        check(configs)?;
        let simulation = Simulation::default();
        let start = |config: &DeviceConfig| {
            let driver = driver_of(config, &simulation, clock);
            let switching = Switching::new(config.action, config.on_max());
            Device::start(config.id.clone(), driver, switching, clock.clone())
        };
        Ok(Self {
            clock: clock.clone(),
            devices: configs.iter().map(start).collect(),
            simulation,
        })
    }

    /// The ids of all devices, in the order of the configuration.
    #[must_use]
    pub fn ids(&self) -> Vec<DeviceId> {
        self.devices
            .iter()
            .map(|device| device.id().clone())
            .collect()
    }

    /// Brings every device to its safe state, all at once. One that can't be reached is tried
    /// again, every 5 s at the slowest, until it is off or switched on.
    pub async fn safe_state(&self) -> Vec<DeviceHealth> {
        self.off(self.devices.iter()).await
    }

    /// Asks every device how it is, all at once, and writes nothing.
    pub async fn probe(&self) -> Vec<DeviceHealth> {
        let inspected = self.inspect().await;
        let pairs = self.devices.iter().zip(&inspected);
        pairs
            .map(|(device, (_, found))| device.health(found))
            .collect()
    }

    /// [`Panel::probe`] in words: on, off, or why nobody knows.
    pub async fn inspect(&self) -> Vec<(DeviceId, Result<bool, String>)> {
        let inspect = |device| async move { (Device::id(device).clone(), device.inspect().await) };
        join_all(self.devices.iter().map(inspect)).await
    }

    /// Switches on one after the other. The first that doesn't move ends it: the rest are
    /// `Skipped`. An unknown device is one that doesn't move.
    ///
    /// Each device answers within twice its connect timeout and six times its answer timeout. A
    /// caller who goes away stops what has not begun; what has begun ends by itself.
    pub async fn switch_on(&self, devices: &[DeviceId]) -> Vec<DeviceResult> {
        self.switch_on_until(devices, None).await
    }

    /// [`Panel::switch_on`], where no write leaves after `not_after`. It is checked after
    /// connecting, directly before each write (R6); a device that is late has definitely failed.
    pub async fn switch_on_until(
        &self,
        devices: &[DeviceId],
        not_after: Option<Tick>,
    ) -> Vec<DeviceResult> {
        let mut results = Vec::with_capacity(devices.len());
        let mut going = true;
        for id in devices {
            let result = match self.devices.iter().find(|device| device.id() == id) {
                _ if !going => not_tried(id.clone(), DeviceOutcome::Skipped),
                Some(device) => device.switch_on(not_after).await,
                None => not_tried(id.clone(), DeviceOutcome::Failed),
            };
            going = going && result.outcome == DeviceOutcome::Done;
            results.push(result);
        }
        results
    }

    /// Switches off the named devices, all at once, whatever their action says. One that can't be
    /// reached is tried again like in [`Panel::safe_state`].
    pub async fn switch_off(&self, devices: &[DeviceId]) -> Vec<DeviceHealth> {
        let named = self
            .devices
            .iter()
            .filter(|device| devices.contains(device.id()));
        self.off(named).await
    }

    /// The simulated devices among them: their log and their faults.
    #[must_use]
    pub fn simulation(&self) -> Simulation {
        self.simulation.clone()
    }

    /// Switches off what is on and ends the tasks, within the devices' deadlines. Further calls
    /// find no device that moves.
    pub async fn close(&self) {
        join_all(self.devices.iter().map(Device::close)).await;
    }

    /// The clock by which `not_after` is judged.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    async fn off(&self, devices: impl Iterator<Item = &Device>) -> Vec<DeviceHealth> {
        let off = |device| async move {
            let result = Device::switch_off(device).await;
            if let Err(reason) = &result {
                tracing::warn!(device = %device.id(), reason, "device did not switch off");
            }
            device.health(&result.map(|()| false))
        };
        join_all(devices.map(off)).await
    }
}

pub(crate) fn check(configs: &[DeviceConfig]) -> Result<(), LinkageError> {
    if configs.len() > DEVICES_MAX {
        return Err(LinkageError::TooMany {
            count: configs.len(),
            max: DEVICES_MAX,
        });
    }
    let mut ids = BTreeSet::new();
    for config in configs {
        config.check()?;
        if !ids.insert(&config.id) {
            return Err(LinkageError::Twice {
                device: config.id.clone(),
            });
        }
    }
    Ok(())
}

fn driver_of(config: &DeviceConfig, simulation: &Simulation, clock: &Clock) -> Driver {
    match &config.driver {
        DriverConfig::Simulated(simulated) => {
            Driver::Simulated(simulation.add(&config.id, simulated.fault, clock.clone()))
        }
        DriverConfig::ModbusTcp(modbus) => Driver::ModbusTcp(ModbusTcp::new(modbus.clone())),
    }
}
