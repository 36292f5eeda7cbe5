//! The machines that ship under every order of events: what can happen in a state, and what the
//! state is after it.

use std::hash::Hash as _;
use std::sync::Arc;

use edge_agent::simulation::{Output, Screen, Terminal};
use payment_mock::Outcome;
use platform::simulation::Platform;
use protocol::id::Entropy;
use protocol::message::{DeviceOutcome, DeviceResult, Feedback};
use protocol::time::Tick;
use stateright::{Model, Property};
use tests::world::build::{self, RuleBook};
use tests::world::dice::Dice;
use tests::world::plan::Plan;

use crate::cell::Cell;
use crate::judge::{judge, see_on};
use crate::state::{Budget, Motion, Payer, Seen, State, To};

const DAY_MS: i64 = 86_400_000;

/// One thing that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Deliver(usize),
    /// The platform commits what a message led to and dies before it sends.
    DeliverAndDie(usize),
    Lose(usize),
    Duplicate(usize),
    /// The earliest deadline of all parties passes.
    Timer,
    /// The terminal's oldest write reaches the disk.
    Write,
    /// Power is lost; some of what was not synced is still there, or none of it.
    CutTerminal {
        keeps: bool,
    },
    KillPlatform,
    KillServer,
    LoseJournal,
    StepClock,
    /// The payer takes the lease and chooses.
    Begin,
    GoPaying,
    Pay,
    ComeBack,
    Cancel,
    Move {
        obeys: bool,
    },
    Word,
}

/// A world with one terminal and one payer.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) rules: RuleBook,
    pub(crate) budget: Budget,
    pub(crate) refund_as_loss: bool,
    /// How the payment server treats orders.
    pub(crate) outcome: Outcome,
    pub(crate) start: Start,
}

/// Where the world is met first. Everything until then went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nobody is there.
    Empty,
    /// The payer is on the payment server's page.
    AtPayPage,
    /// The payer has just paid, and nobody was told.
    Paid,
}

impl World {
    fn plan(&self) -> Plan {
        Plan {
            terminals: 1,
            refund_as_loss: self.refund_as_loss,
            is_brisk: true,
            outcomes: vec![self.outcome],
            ..Plan::of(1)
        }
    }

    /// Connected, configured, and nobody is there.
    fn first(&self) -> anyhow::Result<State> {
        let plan = self.plan();
        let mut terminal_dice = Dice::new(1, 100);
        let mut state = State {
            tick: Tick::from_millis(1_000),
            step_ms: 0,
            terminal: Cell::new(
                build::terminal(0, self.rules, start(), &mut terminal_dice)?,
                |terminal, hasher| terminal.hash(hasher),
            ),
            terminal_dice,
            platform: Cell::new(build::hub(&plan, self.rules)?, |platform, hasher| {
                platform.fingerprint(hasher);
            }),
            server: Cell::new(build::server(&plan, start())?, |_, _| {}),
            server_dice: Dice::new(1, 2),
            letters: vec![],
            payer: Payer {
                page: None,
                transaction: None,
                can_pay: false,
                has_paid: false,
            },
            motion: None,
            budget: Budget::PLENTY,
            seen: Seen::default(),
        };
        with_terminal(&mut state, |terminal, now, dice| {
            terminal.handle_connected(now, dice);
        });
        settle_first(&mut state);
        if self.start != Start::Empty {
            begin(&mut state);
            settle_first(&mut state);
            go_paying(&mut state);
            settle_first(&mut state);
        }
        if self.start == Start::Paid {
            pay(&mut state);
        }
        state.budget = self.budget;
        Ok(state)
    }
}

const fn start() -> protocol::time::Now {
    protocol::time::Now {
        utc: protocol::time::Utc::EPOCH,
        tick: Tick::from_millis(1_000),
    }
}

/// Everything is delivered and written until the terminal can sell.
fn settle_first(state: &mut State) {
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

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first().expect("the world is built")]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.seen.broken.is_some() {
            return;
        }
        let budget = state.budget;
        for index in 0..state.letters.len() {
            actions.push(Action::Deliver(index));
            if budget.crashes > 0 && state.letters[index].to == To::Platform {
                actions.push(Action::DeliverAndDie(index));
            }
            if budget.losses > 0 {
                actions.push(Action::Lose(index));
            }
            if budget.duplicates > 0 {
                actions.push(Action::Duplicate(index));
            }
        }
        if budget.timers > 0 {
            actions.push(Action::Timer);
        }
        if state.terminal.content().writes_waiting() > 0 {
            actions.push(Action::Write);
        }
        if budget.crashes > 0 {
            actions.extend([Action::KillPlatform, Action::KillServer]);
            actions.push(Action::CutTerminal { keeps: true });
            if state.terminal.content().unsynced_count() > 0 {
                actions.push(Action::CutTerminal { keeps: false });
            }
        }
        if budget.journals > 0 {
            actions.push(Action::LoseJournal);
        }
        if budget.clock_steps > 0 {
            actions.push(Action::StepClock);
        }
        self.human_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        take(&mut state, action);
        judge(&mut state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no rule is broken", |_, state: &State| {
                state.seen.broken.is_none()
            }),
            Property::sometimes("a sale is done", |_, state: &State| {
                has_state(state, "done")
            }),
            Property::sometimes("a sale is refunded", |_, state: &State| {
                has_state(state, "refunded")
            }),
            Property::sometimes("a sale expires", |_, state: &State| {
                has_state(state, "expired")
            }),
        ]
    }
}

impl World {
    fn human_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let payer = &state.payer;
        if payer.page.is_none() && state.budget.sessions > 0 {
            actions.push(Action::Begin);
        }
        if payer.page.is_some() && !payer.can_pay && !payer.has_paid {
            actions.extend([Action::GoPaying, Action::Cancel]);
        }
        if payer.can_pay && state.budget.presses > 0 {
            actions.push(Action::Pay);
        }
        if payer.has_paid {
            actions.push(Action::ComeBack);
        }
        match &state.motion {
            Some(motion) if motion.has_moved => actions.push(Action::Word),
            Some(_) => {
                actions.extend([Action::Move { obeys: true }, Action::Move { obeys: false }]);
            }
            None => {}
        }
    }
}

fn has_state(state: &State, name: &str) -> bool {
    let books = state.platform.content().books();
    books.iter().any(|sale| sale.state == name)
}

fn take(state: &mut State, action: Action) {
    match action {
        Action::Deliver(index) => deliver(state, index, false),
        Action::DeliverAndDie(index) => {
            state.budget.crashes -= 1;
            deliver(state, index, true);
        }
        Action::Lose(index) => {
            state.budget.losses -= 1;
            state.letters.remove(index);
        }
        Action::Duplicate(index) => {
            // Delivered, and still there.
            state.budget.duplicates -= 1;
            let letter = Arc::clone(&state.letters[index]);
            deliver(state, index, false);
            let (to, topic) = (letter.to, letter.topic.clone());
            state.send(to, topic, letter.payload.clone());
        }
        Action::Timer => timer(state),
        Action::Write => write(state),
        Action::CutTerminal { keeps } => cut(state, keeps),
        Action::KillPlatform => {
            state.budget.crashes -= 1;
            restart_platform(state);
        }
        Action::KillServer => {
            state.budget.crashes -= 1;
            let mut server = state.server.copy();
            server.restart(state.now());
            state.letters.retain(|letter| letter.to != To::Server);
            state.put_server(server);
        }
        Action::LoseJournal => {
            state.budget.journals -= 1;
            excuse_motion(state);
            with_terminal(state, Terminal::lose_journal);
            reconnect_terminal(state);
        }
        Action::StepClock => {
            state.budget.clock_steps -= 1;
            state.step_ms += DAY_MS;
        }
        Action::Begin => begin(state),
        Action::GoPaying => go_paying(state),
        Action::Pay => pay(state),
        Action::ComeBack => come_back(state),
        Action::Cancel => cancel(state),
        Action::Move { obeys } => move_device(state, obeys),
        Action::Word => word(state),
    }
}

fn with_terminal<R>(
    state: &mut State,
    act: impl FnOnce(&mut Terminal, protocol::time::Now, &mut dyn Entropy) -> R,
) -> R {
    let now = state.now();
    let mut terminal = state.terminal.copy();
    let result = act(&mut terminal, now, &mut state.terminal_dice);
    drain_terminal(state, &mut terminal);
    state.put_terminal(terminal);
    result
}

fn drain_terminal(state: &mut State, terminal: &mut Terminal) {
    while let Some(output) = terminal.poll_output() {
        match output {
            Output::Publish { topic, payload } => state.send(To::Platform, topic, payload),
            Output::Switch {
                transaction,
                devices,
                not_after,
            } => {
                state.motion = Some(Motion {
                    transaction,
                    devices,
                    not_after,
                    has_moved: false,
                });
            }
            Output::PayPage { pay_url, .. } => {
                state.payer.can_pay = pay_url.is_some();
            }
            Output::SafeState { .. } | Output::SwitchOff { .. } | Output::Acknowledge(_) => {}
        }
    }
}

fn with_platform(state: &mut State, dies: bool, act: impl FnOnce(&mut Platform)) {
    let now = state.now();
    let mut platform = state.platform.copy();
    act(&mut platform);
    let sent = platform.commit(now);
    if dies {
        platform.crash(now);
        state.letters.retain(|letter| letter.to != To::Platform);
    } else {
        for (topic, payload) in sent {
            let to = match topic {
                protocol::topic::Topic::Down(..) => To::Terminal,
                _ => To::Server,
            };
            state.send(to, topic, payload);
        }
    }
    if dies {
        // It connects and says again what nobody has acknowledged.
        platform.handle_connected();
        for (topic, payload) in platform.commit(now) {
            let to = match topic {
                protocol::topic::Topic::Down(..) => To::Terminal,
                _ => To::Server,
            };
            state.send(to, topic, payload);
        }
    }
    state.put_platform(platform);
}

fn restart_platform(state: &mut State) {
    let now = state.now();
    let mut platform = state.platform.copy();
    platform.crash(now);
    state.letters.retain(|letter| letter.to != To::Platform);
    state.put_platform(platform);
    with_platform(state, false, Platform::handle_connected);
}

fn deliver(state: &mut State, index: usize, dies: bool) {
    let letter = state.letters.remove(index);
    let now = state.now();
    let (topic, payload) = (&letter.topic, &letter.payload);
    match letter.to {
        To::Platform => with_platform(state, dies, |platform| {
            platform.handle_delivery(topic, payload, false, now);
        }),
        To::Terminal => with_terminal(state, |terminal, now, dice| {
            terminal.handle_delivery(1, (topic, payload), now, dice);
        }),
        To::Server => {
            let mut server = state.server.copy();
            server.handle_request(topic, payload, now, &mut state.server_dice);
            drain_server(state, server);
        }
    }
}

fn drain_server(state: &mut State, mut server: payment_mock::simulation::Server) {
    while let Some(publication) = server.poll_output() {
        state.send(To::Platform, publication.topic, publication.payload);
    }
    state.put_server(server);
}

fn timer(state: &mut State) {
    state.budget.timers -= 1;
    let terminal = state.terminal.content().poll_timeout();
    let platform = state.platform.content().poll_timeout();
    let server = state.server.content().poll_timeout();
    let Some(at) = [terminal, platform, server].into_iter().flatten().min() else {
        return;
    };
    state.tick = state.tick.max(at);
    let now = state.now();
    if platform == Some(at) {
        with_platform(state, false, |platform| platform.handle_timeout(now));
    } else if terminal == Some(at) {
        with_terminal(state, Terminal::handle_timeout);
    } else {
        let mut server = state.server.copy();
        server.handle_timeout(now, &mut state.server_dice);
        drain_server(state, server);
    }
}

fn write(state: &mut State) {
    with_terminal(state, Terminal::complete_write);
}

fn cut(state: &mut State, keeps: bool) {
    state.budget.crashes -= 1;
    excuse_motion(state);
    let kept = if keeps { usize::MAX } else { 0 };
    with_terminal(state, |terminal, now, dice| {
        terminal.power_cut(kept, now, dice);
    });
    reconnect_terminal(state);
}

fn reconnect_terminal(state: &mut State) {
    state.letters.retain(|letter| letter.to != To::Terminal);
    state.payer.can_pay = false;
    with_terminal(state, Terminal::handle_connected);
}

fn excuse_motion(state: &mut State) {
    if let Some(motion) = state.motion.take() {
        state.seen.excused.push(motion.transaction);
    }
}

fn begin(state: &mut State) {
    state.budget.sessions -= 1;
    let page = with_terminal(state, |terminal, now, dice| {
        let page = terminal.accept(now, dice)?;
        let item = build::item().ok()?;
        terminal.choose(page, item, now, dice).then_some(page)
    });
    state.payer.page = page;
}

fn go_paying(state: &mut State) {
    let Some(page) = state.payer.page else {
        return;
    };
    let look = with_terminal(state, |terminal, now, dice| terminal.look(page, now, dice));
    let Some(look) = look else {
        return;
    };
    state.payer.transaction = look.transaction;
    if matches!(look.screen, Screen::Bill | Screen::Paying) {
        with_terminal(state, |terminal, now, dice| {
            terminal.go_paying(page, now, dice);
        });
    }
}

fn cancel(state: &mut State) {
    if let Some(page) = state.payer.page {
        let done = with_terminal(state, |terminal, now, dice| {
            terminal.cancel(page, now, dice)
        });
        if done {
            state.payer.page = None;
        }
    }
}

fn pay(state: &mut State) {
    state.budget.presses -= 1;
    let Some(transaction) = state.payer.transaction else {
        return;
    };
    let now = state.now();
    let mut server = state.server.copy();
    state.payer.has_paid |= server.press_pay(transaction, now, &mut state.server_dice);
    drain_server(state, server);
}

fn come_back(state: &mut State) {
    let url = state
        .payer
        .transaction
        .and_then(|transaction| state.server.content().return_url(transaction));
    let page = with_terminal(state, |terminal, now, dice| {
        terminal.returned(&url.unwrap_or_default(), now, dice)
    });
    state.payer.page = page.or(state.payer.page);
}

fn move_device(state: &mut State, obeys: bool) {
    let Some(mut motion) = state.motion.take() else {
        return;
    };
    let is_late = state.tick > motion.not_after;
    if obeys && !is_late {
        motion.has_moved = true;
        see_on(state, &motion);
        state.motion = Some(motion);
    } else {
        say(state, motion, DeviceOutcome::Failed);
    }
}

fn word(state: &mut State) {
    if let Some(motion) = state.motion.take() {
        say(state, motion, DeviceOutcome::Done);
    }
}

fn say(state: &mut State, motion: Motion, outcome: DeviceOutcome) {
    let feedback = match outcome {
        DeviceOutcome::Done => Feedback::ReadBack,
        _ => Feedback::Contradicts,
    };
    let result = |device| DeviceResult {
        device,
        outcome,
        feedback,
    };
    let results = motion.devices.into_iter().map(result).collect();
    with_terminal(state, |terminal, now, dice| {
        terminal.switched(motion.transaction, results, now, dice);
    });
}
