//! When a device goes off: pulses, runs and the longest on-time, counted here and nowhere else.
//!
//! The end of an ON is set before the ON is written, so that whatever happens to the caller, the
//! connection or the answer, somebody is going to write OFF.

use std::time::Duration;

use protocol::time::Tick;

use super::config::Action;

/// First pause before OFF is written again; doubled up to [`RETRY_MAX`].
const RETRY_FIRST: Duration = Duration::from_millis(250);

/// Longest pause: a device that returns is off within this, and a dead one costs a connection
/// attempt each time.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// What the shell shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Write OFF, then say how it went with [`Switching::handle_off_written`].
    SwitchOff,
}

/// How an ON ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnEnd {
    /// It is on, or may be.
    Moved,
    /// Nothing was written, or the device said no.
    NotMoved,
    /// It took the write and says that it is off: it shall not come on late.
    Contradicted,
}

/// One device over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Switching {
    action: Action,
    on_max: Duration,
    state: State,
    pending: Option<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nobody has written to it, or the last write was an OFF that succeeded.
    Resting,
    On {
        off_at: Tick,
    },
    /// OFF is wanted and not done; `retry_at` is none while it is being written.
    Ending {
        retry_at: Option<Tick>,
        failures: u32,
    },
}

impl Switching {
    pub(super) const fn new(action: Action, on_max: Duration) -> Self {
        Self {
            action,
            on_max,
            state: State::Resting,
            pending: None,
        }
    }

    /// An ON is about to be written. The token gives back what was, should nothing have moved.
    pub(super) fn handle_on_begin(&mut self, now: Tick) -> Before {
        let before = Before(self.state);
        self.pending = None;
        self.state = State::On {
            off_at: self.off_at(before, now),
        };
        before
    }

    /// The ON that began after `before` has ended.
    pub(super) fn handle_on_end(&mut self, before: Before, end: OnEnd, now: Tick) {
        match end {
            // A pulse lasts from the write, not from the attempt to connect.
            OnEnd::Moved => {
                self.state = State::On {
                    off_at: self.off_at(before, now),
                };
            }
            OnEnd::NotMoved => {
                self.state = before.0;
                if matches!(before.0, State::Ending { .. }) {
                    self.handle_off_wanted();
                }
            }
            OnEnd::Contradicted => self.handle_off_wanted(),
        }
    }

    /// OFF, whoever wants it.
    pub(super) fn handle_off_wanted(&mut self) {
        self.state = State::Ending {
            retry_at: None,
            failures: 0,
        };
        self.pending = Some(Output::SwitchOff);
    }

    /// The shell has tried to write OFF.
    pub(super) fn handle_off_written(&mut self, succeeded: bool, now: Tick) {
        let State::Ending { failures, .. } = self.state else {
            return;
        };
        self.state = if succeeded {
            State::Resting
        } else {
            State::Ending {
                retry_at: Some(now + pause_after(failures)),
                failures: failures.saturating_add(1),
            }
        };
    }

    pub(super) fn handle_timeout(&mut self, now: Tick) {
        match self.state {
            State::On { off_at } if off_at <= now => self.handle_off_wanted(),
            State::Ending {
                retry_at: Some(retry_at),
                failures,
            } if retry_at <= now => {
                self.state = State::Ending {
                    retry_at: None,
                    failures,
                };
                self.pending = Some(Output::SwitchOff);
            }
            State::Resting | State::On { .. } | State::Ending { .. } => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Tick> {
        match self.state {
            State::Resting => None,
            State::On { off_at } => Some(off_at),
            State::Ending { retry_at, .. } => retry_at,
        }
    }

    pub(super) const fn poll_output(&mut self) -> Option<Output> {
        self.pending.take()
    }

    /// Whether leaving now would leave it on, as far as anybody knows.
    pub(super) const fn may_be_on(&self) -> bool {
        !matches!(self.state, State::Resting)
    }

    /// A new ON never ends an earlier one sooner, and a run is added to what is left of the last.
    fn off_at(&self, before: Before, now: Tick) -> Tick {
        let earlier = match before.0 {
            State::On { off_at } => off_at,
            State::Resting | State::Ending { .. } => now,
        };
        let wanted = match self.action {
            Action::Pulse(span) => (now + Duration::from_millis(span.ms)).max(earlier),
            Action::RunFor(span) => earlier.max(now) + Duration::from_millis(span.ms),
            Action::Hold => now + self.on_max,
        };
        wanted.min(now + self.on_max)
    }
}

/// What a device was before an ON.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct Before(State);

fn pause_after(failures: u32) -> Duration {
    RETRY_FIRST
        .saturating_mul(2_u32.saturating_pow(failures.min(8)))
        .min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::config::Span;
    use super::*;

    fn at(millis: u64) -> Tick {
        Tick::from_millis(millis)
    }

    fn switching(action: Action, on_max_ms: u64) -> Switching {
        Switching::new(action, Duration::from_millis(on_max_ms))
    }

    fn switched_on(action: Action, on_max_ms: u64, now: u64) -> Switching {
        let mut device = switching(action, on_max_ms);
        on(&mut device, now);
        device
    }

    fn on(device: &mut Switching, now: u64) {
        let before = device.handle_on_begin(at(now));
        device.handle_on_end(before, OnEnd::Moved, at(now));
    }

    const PULSE: Action = Action::Pulse(Span { ms: 500 });
    const RUN: Action = Action::RunFor(Span { ms: 1_000 });

    #[test]
    fn a_device_that_nobody_touched_is_left_alone() {
        let mut device = switching(PULSE, 60_000);
        device.handle_timeout(at(1_000_000));
        assert_eq!((device.poll_timeout(), device.poll_output()), (None, None));
        assert!(!device.may_be_on());
    }

    #[test]
    fn a_pulse_ends_by_itself_and_once() {
        let mut device = switched_on(PULSE, 60_000, 100);
        assert_eq!(
            (device.poll_timeout(), device.poll_output()),
            (Some(at(600)), None)
        );
        device.handle_timeout(at(599));
        assert_eq!(device.poll_output(), None);
        device.handle_timeout(at(600));
        assert_eq!(device.poll_output(), Some(Output::SwitchOff));
        assert_eq!((device.poll_timeout(), device.poll_output()), (None, None));
        device.handle_off_written(true, at(601));
        assert!(!device.may_be_on());
        assert_eq!((device.poll_timeout(), device.poll_output()), (None, None));
    }

    #[test]
    fn the_end_is_set_before_the_write_and_counts_from_it_afterwards() {
        let mut device = switching(PULSE, 60_000);
        let before = device.handle_on_begin(at(0));
        assert_eq!(device.poll_timeout(), Some(at(500)));
        device.handle_on_end(before, OnEnd::Moved, at(80));
        assert_eq!(device.poll_timeout(), Some(at(580)));
    }

    #[test]
    fn an_off_that_fails_is_written_again_at_growing_intervals_for_ever() {
        let mut device = switched_on(PULSE, 60_000, 0);
        device.handle_timeout(at(500));
        assert_eq!(device.poll_output(), Some(Output::SwitchOff));
        let mut pauses = Vec::new();
        let mut now = at(500);
        for _ in 0..7 {
            device.handle_off_written(false, now);
            let retry = device.poll_timeout().unwrap();
            pauses.push(retry.since(now).as_millis());
            device.handle_timeout(retry);
            assert_eq!(device.poll_output(), Some(Output::SwitchOff));
            now = retry;
        }
        assert_eq!(pauses, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        assert!(device.may_be_on());
    }

    #[test]
    fn nothing_is_ever_on_for_longer_than_its_maximum() {
        let held = switched_on(Action::Hold, 3_000, 10);
        assert_eq!(held.poll_timeout(), Some(at(3_010)));
        let mut run = switched_on(RUN, 2_500, 0);
        on(&mut run, 0);
        on(&mut run, 0);
        assert_eq!(run.poll_timeout(), Some(at(2_500)));
    }

    #[test]
    fn a_second_sale_never_cuts_the_first() {
        let mut run = switched_on(RUN, 60_000, 0);
        on(&mut run, 400);
        assert_eq!(run.poll_timeout(), Some(at(2_000)));
        let mut pulse = switched_on(PULSE, 60_000, 0);
        on(&mut pulse, 400);
        assert_eq!(pulse.poll_timeout(), Some(at(900)));
    }

    #[test]
    fn an_on_that_did_not_move_changes_nothing() {
        let mut idle = switching(PULSE, 60_000);
        let before = idle.handle_on_begin(at(0));
        idle.handle_on_end(before, OnEnd::NotMoved, at(10));
        assert_eq!(idle, switching(PULSE, 60_000));

        let mut running = switched_on(RUN, 60_000, 0);
        let before = running.handle_on_begin(at(10));
        running.handle_on_end(before, OnEnd::NotMoved, at(20));
        assert_eq!(running, switched_on(RUN, 60_000, 0));

        let mut ending = switched_on(PULSE, 60_000, 0);
        ending.handle_timeout(at(500));
        assert_eq!(ending.poll_output(), Some(Output::SwitchOff));
        ending.handle_off_written(false, at(500));
        let before = ending.handle_on_begin(at(510));
        ending.handle_on_end(before, OnEnd::NotMoved, at(520));
        assert_eq!(ending.poll_output(), Some(Output::SwitchOff));
    }

    #[test]
    fn a_device_that_contradicts_is_switched_off_at_once() {
        let mut device = switching(Action::Hold, 60_000);
        let before = device.handle_on_begin(at(0));
        device.handle_on_end(before, OnEnd::Contradicted, at(10));
        assert_eq!(device.poll_output(), Some(Output::SwitchOff));
    }

    proptest::proptest! {
        #[test]
        fn whatever_happens_off_is_due_within_the_maximum(
            steps in proptest::collection::vec((0_u8..5, 0_u64..3_000), 1..40),
        ) {
            let mut device = switching(RUN, 2_000);
            let (mut now, mut last_on) = (0, 0);
            for (step, pause) in steps {
                now += pause;
                match step {
                    0 => { on(&mut device, now); last_on = now; }
                    1 => device.handle_off_wanted(),
                    2 => device.handle_off_written(true, at(now)),
                    3 => device.handle_off_written(false, at(now)),
                    _ => device.handle_timeout(at(now)),
                }
                let due = device.poll_timeout();
                let ending = due.is_some() || device.poll_output().is_some()
                    || matches!(device.state, State::Ending { .. });
                proptest::prop_assert!(ending || !device.may_be_on());
                if let State::On { off_at } = device.state {
                    proptest::prop_assert!(off_at <= at(last_on + 2_000));
                }
            }
        }
    }
}
