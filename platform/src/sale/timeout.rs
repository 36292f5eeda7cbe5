//! Deadlines: what happens when nothing happens.

use std::time::Duration;

use protocol::id::Nonce;
use protocol::message::OrderRefusal;
use protocol::time::Tick;
use serde_json::json;

use super::order::OrderState;
use super::policy::doubled;
use super::refund::RefundReason;
use super::review::ReviewReason;
use super::transaction::{NonceLife, TransactionState};
use super::{Output, Sale, Turn, Word};
use crate::rules::Rule;

/// Longest pause between two repetitions of an OFF.
const OFF_PAUSE_MAX_MS: u64 = 60_000;

impl Sale {
    /// Everything that is due by now.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        if let Some(question) = self.order.expire(turn) {
            let detail = json!({ "question": question });
            self.event("gateway_unanswered", detail, turn);
        }
        self.expire_refunds(turn);
        if is_due(self.transaction.deadline, turn) {
            self.transaction.deadline = None;
            self.handle_deadline(turn);
        }
        if is_due(self.transaction.repeat_at, turn) {
            self.transaction.repeat_at = None;
            self.handle_repeat(turn);
        }
        if self.transaction.settle_waits && self.transaction.is_dead(turn.now.tick) {
            self.say_settled(turn);
            self.arm_linger(turn);
        }
        if is_due(self.transaction.linger_until, turn) {
            self.forget_words();
        }
        self.drive(turn);
    }

    /// The state's own limit, in full from now.
    pub(super) fn arm_deadline(&mut self, turn: &Turn<'_>) {
        let timeouts = &turn.policy.timeouts;
        let after = |millis: u64| Some(turn.now.tick + Duration::from_millis(millis));
        self.transaction.deadline = match self.transaction.state {
            TransactionState::Created => after(timeouts.quote_ms),
            TransactionState::AwaitingPayment | TransactionState::Confirming => {
                match self.transaction.ending {
                    None => after(self.facts.order_lifetime_ms),
                    Some(ending) if ending.is_withdrawn => {
                        let tries = u64::from(timeouts.gateway_tries);
                        after(timeouts.gateway_call_ms.saturating_mul(tries))
                    }
                    // A payment may still be found and served while a permit would be good.
                    Some(_) => self
                        .transaction
                        .nonce()
                        .and_then(NonceLife::useful_until)
                        .map(|until| until.max(turn.now.tick)),
                }
            }
            TransactionState::Closing => {
                let age = turn.policy.capabilities.close_age_minimum;
                after(timeouts.closing_ms).map(|at| at + age)
            }
            TransactionState::Commanded => self.transaction.dead_at(),
            TransactionState::LinkageUnknown => {
                let give_up = turn.now.tick + Duration::from_millis(timeouts.give_up_ms);
                Some(
                    self.transaction
                        .dead_at()
                        .filter(|_| turn.holds(Rule::GiveUpOnlyWhenDead))
                        .map_or(give_up, |dead| dead.max(give_up)),
                )
            }
            TransactionState::Confirmed
            | TransactionState::Done
            | TransactionState::Expired
            | TransactionState::RefundPending
            | TransactionState::Refunded
            | TransactionState::Review => None,
        };
    }

    /// The next repetition of what has not been acknowledged.
    pub(super) fn arm_repeat(&mut self, turn: &Turn<'_>) {
        let timeouts = &turn.policy.timeouts;
        let pause = match self.transaction.state {
            TransactionState::Commanded => Duration::from_millis(timeouts.acknowledge_ms),
            TransactionState::LinkageUnknown => Duration::from_millis(timeouts.inquiry_interval_ms),
            _ if self.words.contains(&Word::Off) => doubled(
                timeouts.off_repeat_ms,
                self.transaction.repeats,
                OFF_PAUSE_MAX_MS,
            ),
            _ => {
                self.transaction.repeat_at = None;
                return;
            }
        };
        self.transaction.repeat_at = Some(turn.now.tick + pause);
    }

    fn handle_deadline(&mut self, turn: &mut Turn<'_>) {
        match self.transaction.state {
            TransactionState::Created => {
                self.say_refused(OrderRefusal::GatewayUnavailable, turn);
                self.close(turn);
            }
            TransactionState::AwaitingPayment | TransactionState::Confirming => {
                self.handle_order_deadline(turn);
            }
            TransactionState::Closing => self.handle_closing_deadline(turn),
            TransactionState::Commanded if !turn.holds(Rule::AskJournalBeforeRefund) => {
                self.not_served(RefundReason::GaveUp, turn);
            }
            TransactionState::Commanded => self.inquire(turn),
            TransactionState::LinkageUnknown => self.give_up(turn),
            TransactionState::Confirmed
            | TransactionState::Done
            | TransactionState::Expired
            | TransactionState::RefundPending
            | TransactionState::Refunded
            | TransactionState::Review => {}
        }
    }

    fn handle_order_deadline(&mut self, turn: &mut Turn<'_>) {
        if self.transaction.ending.is_some() {
            // The final query had no definite answer in time: no permit would be good any more.
            self.close(turn);
            self.tell_off_early(turn);
            return;
        }
        self.begin_end(self.end_reason(), false, turn);
    }

    /// "No such order" is definite; silence is not.
    fn handle_closing_deadline(&mut self, turn: &mut Turn<'_>) {
        match self.order.state {
            OrderState::Unknown if !turn.holds(Rule::UnknownIsNotClosed) => {
                self.expire_sale(self.end_reason(), turn);
            }
            OrderState::Unsent | OrderState::Closed => self.expire_sale(self.end_reason(), turn),
            OrderState::Open
            | OrderState::Paying
            | OrderState::Held
            | OrderState::Paid
            | OrderState::Unknown => {
                self.off(self.end_reason(), turn);
                self.review(ReviewReason::GatewaySilent, turn);
            }
        }
    }

    fn handle_repeat(&mut self, turn: &mut Turn<'_>) {
        match self.transaction.state {
            TransactionState::Commanded => self.say_word_again(Word::Permit),
            TransactionState::LinkageUnknown => self.say_word_again(Word::Inquiry),
            _ => {
                self.transaction.repeats = self.transaction.repeats.saturating_add(1);
                self.say_word_again(Word::Off);
                if self.transaction.is_dead(turn.now.tick) {
                    self.withdraw_word(Word::Off);
                }
            }
        }
        self.arm_repeat(turn);
    }

    /// The permit is dead or nearly so, and nothing came back: ask the journal (R8).
    fn inquire(&mut self, turn: &mut Turn<'_>) {
        let nonce = Nonce::from_random(turn.entropy.bytes());
        self.transaction.inquiry = Some(nonce);
        self.withdraw_word(Word::Permit);
        self.go(TransactionState::LinkageUnknown, turn);
        self.say_inquiry(nonce, turn);
    }

    /// Nothing of this sale is to be said any more, unless the terminal asks.
    pub(super) fn forget_words(&mut self) {
        for word in Word::ALL {
            self.withdraw_word(word);
        }
        self.transaction.linger_until = None;
        self.transaction.settle_waits = false;
        self.transaction.repeat_at = None;
        self.transaction.has_lingered = true;
    }

    pub(super) fn withdraw_word(&mut self, word: Word) {
        if self.words.remove(&word) {
            self.outputs.push_back(Output::Withdraw(word));
        }
    }
}

fn is_due(deadline: Option<Tick>, turn: &Turn<'_>) -> bool {
    deadline.is_some_and(|at| at <= turn.now.tick)
}
