//! When the next question about an order is asked.

use std::time::Duration;

use protocol::time::Tick;

use super::{Aim, Order, OrderState};
use crate::rules::Rule;
use crate::sale::Turn;
use crate::sale::policy::doubled;

/// Longest pause between two attempts to close.
const CLOSE_PAUSE_MAX_MS: u64 = 60_000;

impl Order {
    /// From an answer, or its absence, to the next question; `None` for never.
    pub(super) fn pause(&self, turn: &Turn<'_>) -> Option<Duration> {
        let timeouts = &turn.policy.timeouts;
        let pause_ms = match self.aim {
            // An order without a page to pay on is no order yet: look again, not in a circle.
            Aim::Create => match self.state {
                OrderState::Unsent | OrderState::Unknown => 0,
                _ => timeouts.query_interval_ms,
            },
            Aim::Watch => self
                .notice_step
                .and_then(|step| timeouts.notice_schedule_ms.get(step + 1).copied())
                .unwrap_or_else(|| self.watch_pause_ms(turn)),
            Aim::Final => timeouts.query_interval_ms,
            Aim::Close => return self.close_pause(turn),
            // What was never made can't be paid late.
            Aim::Rest if !self.is_sent || !turn.holds(Rule::LateWatch) => return None,
            Aim::Rest => {
                let watch = if self.is_short_watch {
                    &timeouts.paid_watch_ms
                } else {
                    &timeouts.late_watch_ms
                };
                return watch
                    .get(self.watch_step)
                    .copied()
                    .map(Duration::from_millis);
            }
        };
        Some(Duration::from_millis(pause_ms))
    }

    fn close_pause(&self, turn: &Turn<'_>) -> Option<Duration> {
        if self.has_given_up() {
            return None;
        }
        let times = self.close_attempts.saturating_sub(1);
        let first_ms = turn.policy.timeouts.close_retry_ms;
        let pause = doubled(first_ms, times, CLOSE_PAUSE_MAX_MS);
        let until_closable = self
            .closable_at(turn)
            .filter(|at| *at > turn.now.tick)
            .map(|at| at.since(turn.now.tick));
        Some(until_closable.map_or(pause, |wait| wait.min(pause)))
    }

    /// From one query to the next while nobody says that money came.
    fn watch_pause_ms(&self, turn: &Turn<'_>) -> u64 {
        let (timeouts, capabilities) = (&turn.policy.timeouts, &turn.policy.capabilities);
        let waited = self
            .queried_at
            .map_or(Duration::ZERO, |at| turn.now.tick.since(at));
        let has_waited = !capabilities.waiting_query.is_zero()
            && waited.saturating_mul(2) >= capabilities.waiting_query;
        if has_waited {
            // The payment server held the query until something changed, or as long as it does.
            timeouts.hint_interval_ms
        } else if capabilities.push {
            timeouts.query_interval_ms.saturating_mul(2)
        } else {
            timeouts.query_interval_ms
        }
    }

    pub(super) fn closable_at(&self, turn: &Turn<'_>) -> Option<Tick> {
        let age = turn.policy.capabilities.close_age_minimum;
        self.made_at.map(|made_at| made_at + age)
    }
}
