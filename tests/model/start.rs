//! Where a world is met first: everything until then went well.

use std::hash::Hash as _;
use std::time::Duration;

use edge_agent::simulation::Limits;
use platform::config::Timeouts;
use protocol::time::{Now, Tick, Utc};
use tests::world::build::{self, Pace};
use tests::world::dice::Dice;
use tests::world::plan::{Plan, Rare};
use tests::world::tap::Tap;

use crate::acts::{deliver, restart_terminal, timer, with_terminal, write};
use crate::cell::Cell;
use crate::people::{begin, come_back, go_paying, move_device, pay, word};
use crate::state::{Budget, Payer, Seen, State};
use crate::world::{World, has_state};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nobody is there.
    Empty,
    /// The payer has the bill and was sent nowhere yet.
    Bill,
    /// The payer is on the payment server's page.
    AtPayPage,
    /// The payer has just paid, and nobody was told.
    Paid,
    /// The payer has paid and did nothing more until the platform's sale came into this state: what
    /// it has just sent is still under way.
    PaidUntil(&'static str),
    /// The payer was served, and nothing is left to be said but the permit, which comes once more.
    ServedAndPruned,
    /// The device has moved, and before its terminal said so the power was lost. The payer's page
    /// asks again.
    ServedAndRebooted,
}

impl World {
    pub(crate) fn first(&self) -> anyhow::Result<State> {
        let mut state = self.connected()?;
        self.lead(&mut state)?;
        let broken = state.seen.broken;
        anyhow::ensure!(broken.is_none(), "broken before it begins: {broken:?}");
        state.budget = self.budget;
        state.backup = (self.budget.restores > 0).then(|| state.platform.clone());
        let disk = || state.terminal.content().clone_journal();
        state.copy = (self.budget.copies > 0).then(disk);
        Ok(state)
    }

    /// Configured, and nobody is there.
    fn connected(&self) -> anyhow::Result<State> {
        let (plan, pace) = (self.plan(), pace());
        let mut dice = Dice::new(1, 100);
        let terminal = build::terminal((0, &plan), self.rules, &pace, start(), &mut dice)?;
        let mut state = State {
            tick: start().tick,
            step_ms: 0,
            terminal: Cell::new(terminal, |terminal, hasher| terminal.hash(hasher)),
            terminal_dice: dice,
            platform: Cell::new(build::hub(&plan, self.rules, &pace, start())?, |_, _| {}),
            replica: None,
            backup: None,
            copy: None,
            server: Cell::new(build::server(&plan, start())?, |_, _| {}),
            server_dice: Dice::new(1, 2),
            letters: vec![],
            payer: Payer::default(),
            motion: None,
            budget: Budget::PLENTY,
            seen: Seen::default(),
            tap: Tap::default(),
            overheard: None,
        };
        with_terminal(&mut state, |terminal, now, dice| {
            terminal.handle_connected(now, dice);
            // Nothing is sold before the devices were looked at.
            terminal.handle_timeout(now, dice);
        });
        settle(&mut state);
        Ok(state)
    }

    fn plan(&self) -> Plan {
        Plan {
            terminals: 1,
            refund_as_loss: self.refund_as_loss,
            is_brisk: true,
            outcomes: vec![self.outcome],
            rare: Rare::default(),
            ..Plan::of(1)
        }
    }

    fn lead(&self, state: &mut State) -> anyhow::Result<()> {
        if self.start == Start::Empty {
            return Ok(());
        }
        begin(state);
        settle(state);
        if self.start == Start::Bill {
            return Ok(());
        }
        go_paying(state);
        settle(state);
        anyhow::ensure!(state.payer.can_pay, "nobody gets to the payment page");
        if self.start != Start::AtPayPage {
            pay(state);
            anyhow::ensure!(state.payer.has_paid, "nobody has paid");
        }
        match self.start {
            Start::PaidUntil(name) => lead_until(state, name),
            Start::ServedAndPruned => {
                lead_until(state, "commanded")?;
                let permit = state.letters[0].clone();
                serve(state)?;
                word(state);
                settle(state);
                anyhow::ensure!(has_state(state, "done"), "the sale is not done");
                state.letters.push(permit);
                Ok(())
            }
            Start::ServedAndRebooted => {
                lead_until(state, "commanded")?;
                serve(state)?;
                restart_terminal(state, |terminal, now, dice| {
                    terminal.power_cut(usize::MAX, now, dice);
                });
                come_back(state);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Every matter has one deadline: its repetitions are the duplicates of the budget. So a few
/// deadlines lead far.
fn pace() -> Pace {
    let shipped = Pace::shipped();
    let hour_ms = 3_600_000;
    let hour = Duration::from_millis(hour_ms);
    Pace {
        timeouts: Timeouts {
            gateway_tries: 1,
            query_interval_ms: hour_ms,
            notice_schedule_ms: vec![0],
            acknowledge_ms: hour_ms,
            off_repeat_ms: hour_ms,
            inquiry_interval_ms: hour_ms,
            give_up_ms: 30_000,
            closing_ms: 30_000,
            linger_ms: hour_ms,
            late_watch_ms: vec![],
            paid_watch_ms: vec![],
            ..shipped.timeouts
        },
        limits: Limits {
            notice_interval: hour,
            resend_first: hour,
            resend_max: hour,
            ..shipped.limits
        },
    }
}

const fn start() -> Now {
    Now {
        utc: Utc::EPOCH,
        tick: Tick::from_millis(1_000),
    }
}

/// Everything is delivered and written.
fn settle(state: &mut State) {
    for _ in 0..100 {
        if state.terminal.content().writes_waiting() > 0 {
            write(state);
        } else if state.letters.is_empty() {
            return;
        } else {
            deliver(state, 0, false);
        }
    }
}

/// The permit comes, and the device moves.
fn serve(state: &mut State) -> anyhow::Result<()> {
    deliver(state, 0, false);
    write(state);
    move_device(state, true);
    anyhow::ensure!(state.seen.ons.len() == 1, "nothing has moved");
    Ok(())
}

/// Everything goes well until a sale is in the state.
fn lead_until(state: &mut State, name: &str) -> anyhow::Result<()> {
    for _ in 0..200 {
        if has_state(state, name) {
            return Ok(());
        } else if state.terminal.content().writes_waiting() > 0 {
            write(state);
        } else if state.letters.is_empty() {
            timer(state);
        } else {
            deliver(state, 0, false);
        }
    }
    anyhow::bail!("no sale comes to {name}")
}
