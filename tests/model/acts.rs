//! What the state is after something has happened to machines, messages and disks.

use std::sync::Arc;

use edge_agent::simulation::{Output, Terminal};
use payment_mock::simulation::Server;
use platform::simulation::Platform;
use protocol::id::Entropy;
use protocol::time::Now;
use protocol::topic::Topic;

use crate::cell::Cell;
use crate::forge::{forge, overhear_platform, overhear_terminal};
use crate::people::{begin, cancel, come_back, go_paying, move_device, pay, word};
use crate::state::{Motion, State, To};
use crate::world::Action;

const DAY_MS: i64 = 86_400_000;

pub(crate) fn take(state: &mut State, action: Action) {
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
        Action::KillServer => kill_server(state),
        Action::LoseJournal => {
            state.budget.journals -= 1;
            restart_terminal(state, Terminal::lose_journal);
        }
        Action::RestoreJournal => {
            state.budget.copies -= 1;
            if let Some(disk) = state.copy.clone() {
                restart_terminal(state, |terminal, now, dice| {
                    terminal.restore_journal(disk, now, dice);
                });
            }
        }
        Action::RestoreStore => restore_store(state),
        Action::Pause => {
            state.budget.pauses -= 1;
            state.replica = Some(state.platform.clone());
            restart_platform(state);
        }
        Action::Resume(index) => resume(state, index),
        Action::Forge(forgery) => {
            state.budget.forgeries -= 1;
            forge(state, forgery);
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

pub(crate) fn with_terminal<R>(
    state: &mut State,
    act: impl FnOnce(&mut Terminal, Now, &mut dyn Entropy) -> R,
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
            Output::Publish { topic, payload } => {
                state.tap.terminal_says(&topic, &payload, state.tick);
                overhear_terminal(state, &topic, &payload);
                state.send(To::Platform, topic, payload);
            }
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
        state.tap.platform_restarts();
        state.letters.retain(|letter| letter.to != To::Platform);
        // It connects and says again what nobody has acknowledged.
        platform.handle_connected();
        let sent = platform.commit(now);
        state.put_platform(platform);
        say_of_platform(state, sent);
    } else {
        state.put_platform(platform);
        say_of_platform(state, sent);
    }
}

fn say_of_platform(state: &mut State, sent: Vec<(Topic, Vec<u8>)>) {
    for (topic, payload) in sent {
        let server = state.server.content();
        let broken = state
            .tap
            .platform_says(&topic, &payload, server, state.tick);
        state.seen.broken = state.seen.broken.or(broken);
        overhear_platform(state, &topic, &payload);
        let to = match topic {
            Topic::Down(..) => To::Terminal,
            _ => To::Server,
        };
        state.send(to, topic, payload);
    }
}

fn restart_platform(state: &mut State) {
    let now = state.now();
    let mut platform = state.platform.copy();
    platform.crash(now);
    start_platform(state, platform);
}

/// On what the store holds now; what was on its way to it is lost.
fn start_platform(state: &mut State, platform: Platform) {
    state.tap.platform_restarts();
    state.letters.retain(|letter| letter.to != To::Platform);
    state.put_platform(platform);
    with_platform(state, false, Platform::handle_connected);
}

fn restore_store(state: &mut State) {
    state.budget.restores -= 1;
    let Some(backup) = state.backup.clone() else {
        return;
    };
    let now = state.now();
    let mut platform = state.platform.copy();
    platform.restore(backup.content(), [77; 16], now);
    let name = state.terminal.content().name().clone();
    state.tap.platform_is_restored([name].into());
    start_platform(state, platform);
}

/// The paused process meets a store that another one has written.
fn resume(state: &mut State, index: Option<usize>) {
    state.budget.resumptions -= 1;
    let Some(mut replica) = state.replica.as_ref().map(Cell::copy) else {
        return;
    };
    let now = state.now();
    let mut platform = state.platform.copy();
    // A process that reads its store again waits for no answer of the other one.
    state.tap.platform_restarts();
    replica.share_store(&platform);
    match index {
        Some(index) => {
            let letter = state.letters.remove(index);
            let (topic, payload) = (&letter.topic, &letter.payload);
            state.tap.platform_hears(topic, payload, state.tick);
            replica.handle_delivery(topic, payload, false, now);
        }
        None => replica.handle_timeout(now),
    }
    let sent = replica.commit(now);
    platform.share_store(&replica);
    state.put_platform(platform);
    state.put_replica(replica);
    say_of_platform(state, sent);
}

fn kill_server(state: &mut State) {
    state.budget.crashes -= 1;
    let mut server = state.server.copy();
    server.restart(state.now());
    state.letters.retain(|letter| letter.to != To::Server);
    state.put_server(server);
}

pub(crate) fn deliver(state: &mut State, index: usize, dies: bool) {
    let letter = state.letters.remove(index);
    let now = state.now();
    let (topic, payload) = (&letter.topic, &letter.payload);
    match letter.to {
        To::Platform => {
            state.tap.platform_hears(topic, payload, state.tick);
            with_platform(state, dies, |platform| {
                platform.handle_delivery(topic, payload, false, now);
            });
        }
        To::Terminal => with_terminal(state, |terminal, now, dice| {
            terminal.handle_delivery(1, (topic, payload), now, dice);
        }),
        To::Server => {
            state.tap.server_hears(payload, state.tick);
            let mut server = state.server.copy();
            server.handle_request(topic, payload, now, &mut state.server_dice);
            drain_server(state, server);
        }
    }
}

pub(crate) fn drain_server(state: &mut State, mut server: Server) {
    while let Some(publication) = server.poll_output() {
        state.send(To::Platform, publication.topic, publication.payload);
    }
    state.put_server(server);
}

pub(crate) fn timer(state: &mut State) {
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

pub(crate) fn write(state: &mut State) {
    with_terminal(state, Terminal::complete_write);
}

fn cut(state: &mut State, keeps: bool) {
    state.budget.crashes -= 1;
    let kept = if keeps { usize::MAX } else { 0 };
    restart_terminal(state, |terminal, now, dice| {
        terminal.power_cut(kept, now, dice);
    });
}

/// What was on its way to it is lost, and its nonces are dead.
pub(crate) fn restart_terminal(
    state: &mut State,
    start: impl FnOnce(&mut Terminal, Now, &mut dyn Entropy),
) {
    excuse_motion(state);
    let name = state.terminal.content().name().clone();
    state.tap.terminal_restarts(&name);
    with_terminal(state, start);
    state.letters.retain(|letter| letter.to != To::Terminal);
    state.payer.can_pay = false;
    with_terminal(state, Terminal::handle_connected);
}

fn excuse_motion(state: &mut State) {
    if let Some(motion) = state.motion.take() {
        state.seen.excused.push(motion.transaction);
    }
}
