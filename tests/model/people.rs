//! What the payer does, and the device.

use edge_agent::simulation::Screen;
use protocol::message::{DeviceOutcome, DeviceResult, Feedback};
use tests::world::build;

use crate::acts::{drain_server, with_terminal};
use crate::judge::see_on;
use crate::state::{Motion, State};

pub(crate) fn begin(state: &mut State) {
    state.budget.sessions -= 1;
    let page = with_terminal(state, |terminal, now, dice| {
        let page = terminal.accept(now, dice)?;
        let item = build::item().ok()?;
        terminal.choose(page, item, now, dice).then_some(page)
    });
    state.payer.page = page;
}

pub(crate) fn go_paying(state: &mut State) {
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

pub(crate) fn cancel(state: &mut State) {
    if let Some(page) = state.payer.page {
        let done = with_terminal(state, |terminal, now, dice| {
            terminal.cancel(page, now, dice)
        });
        if done {
            state.payer.page = None;
        }
    }
}

pub(crate) fn pay(state: &mut State) {
    state.budget.presses -= 1;
    let Some(transaction) = state.payer.transaction else {
        return;
    };
    let now = state.now();
    let mut server = state.server.copy();
    state.payer.has_paid |= server.press_pay(transaction, now, &mut state.server_dice);
    drain_server(state, server);
}

pub(crate) fn come_back(state: &mut State) {
    let url = state
        .payer
        .transaction
        .and_then(|transaction| state.server.content().return_url(transaction));
    let page = with_terminal(state, |terminal, now, dice| {
        terminal.returned(&url.unwrap_or_default(), now, dice)
    });
    state.payer.page = page.or(state.payer.page);
}

pub(crate) fn move_device(state: &mut State, obeys: bool) {
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

pub(crate) fn word(state: &mut State) {
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
