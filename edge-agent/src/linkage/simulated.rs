//! A device that exists in memory only, with faults to order and a log of what it did.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use process::clock::Clock;
use protocol::id::DeviceId;
use protocol::time::Now;

use super::config::Fault;
use super::driver::{Permission, Written};

/// Switches that the log keeps, the newest: a minute of a thousand sales a second, on and off.
const LOG_MAX: usize = 120_000;

/// How long a slow device keeps its caller waiting: the default answer timeout of a real one.
const SLOW: Duration = Duration::from_secs(1);

/// What a simulated device did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    pub device: DeviceId,
    pub on: bool,
    pub at: Now,
}

/// All simulated devices of one terminal, seen from outside. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Simulation {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    outputs: BTreeMap<DeviceId, Output>,
    log: VecDeque<Switch>,
    on_total: u64,
}

#[derive(Debug, Clone, Copy)]
struct Output {
    on: bool,
    fault: Fault,
}

impl Simulation {
    /// Every ON, and every OFF that ended one, in order; the oldest are forgotten after 120,000.
    #[must_use]
    pub fn log(&self) -> Vec<Switch> {
        self.lock().log.iter().cloned().collect()
    }

    /// How often any of them was switched on.
    #[must_use]
    pub fn on_total(&self) -> u64 {
        self.lock().on_total
    }

    /// Breaks or mends a device; false if there is none of that name.
    pub fn set_fault(&self, device: &DeviceId, fault: Fault) -> bool {
        let mut shared = self.lock();
        let output = shared.outputs.get_mut(device);
        output.map(|output| output.fault = fault).is_some()
    }

    /// Whether its output is on; none if there is no such device.
    #[must_use]
    pub fn is_on(&self, device: &DeviceId) -> Option<bool> {
        self.lock().outputs.get(device).map(|output| output.on)
    }

    pub(super) fn add(&self, id: &DeviceId, fault: Fault, clock: Clock) -> Simulated {
        let output = Output { on: false, fault };
        self.lock().outputs.insert(id.clone(), output);
        Simulated {
            id: id.clone(),
            clock,
            simulation: self.clone(),
        }
    }

    fn fault_of(&self, device: &DeviceId) -> Fault {
        let shared = self.lock();
        shared
            .outputs
            .get(device)
            .map_or(Fault::Gone, |output| output.fault)
    }

    fn switch(&self, device: &DeviceId, on: bool, at: Now) {
        let mut shared = self.lock();
        let Some(output) = shared.outputs.get_mut(device) else {
            return;
        };
        let was_on = std::mem::replace(&mut output.on, on);
        if !on && !was_on {
            return;
        }
        shared.on_total = shared.on_total.saturating_add(u64::from(on));
        if shared.log.len() == LOG_MAX {
            shared.log.pop_front();
        }
        shared.log.push_back(Switch {
            device: device.clone(),
            on,
            at,
        });
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing under this lock can panic half-way.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One simulated device, seen from its task.
#[derive(Debug)]
pub(super) struct Simulated {
    id: DeviceId,
    clock: Clock,
    simulation: Simulation,
}

impl Simulated {
    /// The slow one, and room for a busy machine.
    pub(super) const BUDGET: Duration = Duration::from_millis(1_500);

    pub(super) async fn write(&self, on: bool, permission: &Permission<'_>) -> Written {
        let fault = self.simulation.fault_of(&self.id);
        if fault == Fault::Gone {
            return Written::NotSent("simulated: nobody is there".to_owned());
        }
        if !permission.stands() {
            return Written::NotSent("too late: the permit is over".to_owned());
        }
        match fault {
            Fault::None | Fault::Gone => {
                self.simulation.switch(&self.id, on, self.clock.now());
                Written::Confirmed
            }
            Fault::Refuse => Written::Refused("simulated: it refuses".to_owned()),
            Fault::Stuck => self.stuck(on),
            Fault::Lying => Written::Unknown("simulated: its answer fits no question".to_owned()),
            Fault::Slow => {
                self.simulation.switch(&self.id, on, self.clock.now());
                tokio::time::sleep(SLOW).await;
                Written::Unknown(format!(
                    "simulated: no answer within {} ms",
                    SLOW.as_millis()
                ))
            }
        }
    }

    pub(super) fn read(&self) -> Result<Option<bool>, String> {
        match self.simulation.fault_of(&self.id) {
            Fault::None | Fault::Refuse | Fault::Stuck | Fault::Lying | Fault::Slow => {
                Ok(self.simulation.is_on(&self.id))
            }
            Fault::Gone => Err("simulated: nobody is there".to_owned()),
        }
    }

    fn stuck(&self, on: bool) -> Written {
        if self.simulation.is_on(&self.id) == Some(on) {
            Written::Confirmed
        } else {
            Written::Contradicted("simulated: it is stuck".to_owned())
        }
    }
}
