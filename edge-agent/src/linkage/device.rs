//! One task per device: it alone talks to the hardware, and it keeps time for it. Whoever asked may
//! go away; the task still writes OFF.

use std::time::Duration;

use process::clock::Clock;
use protocol::id::DeviceId;
use protocol::message::{DeviceHealth, DeviceOutcome, DeviceResult, DeviceState, Feedback};
use protocol::time::Tick;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::action::{Output, Switching};
use super::driver::{Driver, Permission, Written};

/// Requests that wait for one device: a sale, a health probe, an operator, and one to spare.
const QUEUE_MAX: usize = 4;

/// Between a task's answer and its arrival, on a busy machine.
const HANDOVER: Duration = Duration::from_millis(500);

/// Attempts to leave a device off when its task ends; the next start brings it to its safe state.
const FAREWELL_TRIES: u32 = 2;

enum Request {
    On {
        not_after: Tick,
        reply: oneshot::Sender<Written>,
    },
    Off {
        reply: oneshot::Sender<Result<(), String>>,
    },
    Inspect {
        reply: oneshot::Sender<Result<bool, String>>,
    },
    Close {
        reply: oneshot::Sender<()>,
    },
}

/// The asking side.
#[derive(Debug)]
pub(super) struct Device {
    id: DeviceId,
    clock: Clock,
    budget: Duration,
    requests: mpsc::Sender<Request>,
}

impl Device {
    /// Starts the task. It ends after [`Device::close`] or when the asking side is dropped.
    pub(super) fn start(id: DeviceId, driver: Driver, switching: Switching, clock: Clock) -> Self {
        let budget = driver.budget();
        let (requests, inbox) = mpsc::channel(QUEUE_MAX);
        let task = Task {
            id: id.clone(),
            clock: clock.clone(),
            driver,
            switching,
        };
        tokio::spawn(task.run(inbox));
        Self {
            id,
            clock,
            budget,
            requests,
        }
    }

    pub(super) const fn id(&self) -> &DeviceId {
        &self.id
    }

    /// Switches on unless the write can't begin in time. The answer comes within twice the budget.
    pub(super) async fn switch_on(&self, not_after: Option<Tick>) -> DeviceResult {
        let begin_before = self.clock.now().tick + self.budget;
        let not_after = not_after.map_or(begin_before, |deadline| deadline.min(begin_before));
        let written = self.ask(|reply| Request::On { not_after, reply }).await;
        let written = written.unwrap_or_else(|absence| match absence {
            Absence::NotTaken => Written::NotSent("the device's queue is full".to_owned()),
            Absence::NoAnswer => Written::Unknown("the device's task is silent".to_owned()),
        });
        let (outcome, feedback) = written.outcome();
        if let Some(reason) = written.reason() {
            tracing::warn!(device = %self.id, ?outcome, reason, "device did not switch on");
        }
        DeviceResult {
            device: self.id.clone(),
            outcome,
            feedback,
        }
    }

    pub(super) async fn switch_off(&self) -> Result<(), String> {
        let answer = self.ask(|reply| Request::Off { reply }).await;
        answer.unwrap_or_else(|absence| Err(absence.reason()))
    }

    /// Whether it is on, or why nobody knows.
    pub(super) async fn inspect(&self) -> Result<bool, String> {
        let answer = self.ask(|reply| Request::Inspect { reply }).await;
        answer.unwrap_or_else(|absence| Err(absence.reason()))
    }

    /// Leaves the device off and ends its task.
    pub(super) async fn close(&self) {
        if let Err(absence) = self.ask(|reply| Request::Close { reply }).await {
            tracing::warn!(device = %self.id, reason = absence.reason(), "device not closed");
        }
    }

    pub(super) fn health(&self, inspected: &Result<bool, String>) -> DeviceHealth {
        DeviceHealth {
            device: self.id.clone(),
            state: match inspected {
                Ok(true) => DeviceState::On,
                Ok(false) => DeviceState::Off,
                Err(_) => DeviceState::Unreachable,
            },
        }
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Absence> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .try_send(request(reply))
            .map_err(|_| Absence::NotTaken)?;
        // What the task is busy with, then this request.
        match timeout(self.budget * 2 + HANDOVER, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Absence::NoAnswer),
        }
    }
}

/// Why a task said nothing.
enum Absence {
    NotTaken,
    NoAnswer,
}

impl Absence {
    fn reason(&self) -> String {
        match self {
            Self::NotTaken => "the device's queue is full",
            Self::NoAnswer => "the device's task is silent",
        }
        .to_owned()
    }
}

/// A device that was never tried.
pub(super) const fn not_tried(device: DeviceId, outcome: DeviceOutcome) -> DeviceResult {
    DeviceResult {
        device,
        outcome,
        feedback: Feedback::None,
    }
}

struct Task {
    id: DeviceId,
    clock: Clock,
    driver: Driver,
    switching: Switching,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        loop {
            self.drain().await;
            tokio::select! {
                () = self.clock.until(self.switching.poll_timeout()) => {
                    self.switching.handle_timeout(self.clock.now().tick);
                }
                request = inbox.recv() => match request {
                    Some(Request::Close { reply }) => {
                        self.leave_off().await;
                        answer(reply, ());
                        return;
                    }
                    Some(request) => self.serve(request).await,
                    None => return self.leave_off().await,
                },
            }
        }
    }

    async fn serve(&mut self, request: Request) {
        match request {
            Request::On { not_after, reply } => {
                // Nobody would learn of it: the sale is settled without this device.
                if !reply.is_closed() {
                    let written = self.write_on(not_after).await;
                    answer(reply, written);
                }
            }
            Request::Off { reply } => {
                self.switching.handle_off_wanted();
                let result = self.write_off().await;
                answer(reply, result);
            }
            Request::Inspect { reply } => answer(reply, self.inspect().await),
            Request::Close { reply } => answer(reply, ()),
        }
    }

    async fn write_on(&mut self, not_after: Tick) -> Written {
        let before = self.switching.handle_on_begin(self.clock.now().tick);
        let permission = Permission {
            clock: &self.clock,
            not_after: Some(not_after),
        };
        let written = self.driver.write(true, permission).await;
        let now = self.clock.now().tick;
        self.switching.handle_on_end(before, written.on_end(), now);
        written
    }

    async fn drain(&mut self) {
        while let Some(Output::SwitchOff) = self.switching.poll_output() {
            if let Err(reason) = self.write_off().await {
                tracing::warn!(device = %self.id, reason, "device did not switch off; trying on");
            }
        }
    }

    async fn write_off(&mut self) -> Result<(), String> {
        // This write is the one that was asked for.
        self.switching.poll_output();
        let permission = Permission {
            clock: &self.clock,
            not_after: None,
        };
        let written = self.driver.write(false, permission).await;
        let result = written
            .reason()
            .map_or(Ok(()), |reason| Err(reason.to_owned()));
        let now = self.clock.now().tick;
        self.switching.handle_off_written(result.is_ok(), now);
        result
    }

    async fn inspect(&mut self) -> Result<bool, String> {
        let found = self.driver.read().await?;
        Ok(found.unwrap_or_else(|| self.switching.may_be_on()))
    }

    /// Without this task nobody counts the time of what is on.
    async fn leave_off(&mut self) {
        for _ in 0..FAREWELL_TRIES {
            if !self.switching.may_be_on() {
                return;
            }
            self.switching.handle_off_wanted();
            if let Err(reason) = self.write_off().await {
                tracing::warn!(device = %self.id, reason, "device may be left on");
            }
        }
    }
}

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    if reply.send(value).is_err() {
        tracing::debug!("whoever asked the device has gone");
    }
}
