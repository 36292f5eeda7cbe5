//! The judge of a simulated world. It sees only taps: what phones were told, which pins moved, and
//! the payment server's own ledger. What the platform believes is none of its business.

use std::collections::{BTreeMap, BTreeSet};

use payment_mock::OrderTotals;
use protocol::id::TransactionId;
use protocol::message::PaymentView;
use protocol::time::Tick;

/// What a phone's page said last, as far as money hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    Served,
    NotConfirmed,
    Refunded,
    Review,
}

/// Everything that was seen of one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Story {
    /// When its device moved.
    pub ons: Vec<Tick>,
    pub told: BTreeSet<Told>,
    /// Nobody can know whether the device moved: the power was cut while it did, or the device
    /// lied. Then served and refunded is a loss with a bound, and no defect.
    pub is_excused: bool,
}

/// What has to be true at every instant, and at the end.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    stories: BTreeMap<TransactionId, Story>,
    /// Rules that were broken, each with the instant.
    broken: Vec<String>,
}

impl Oracle {
    /// A device moves for `transaction`; `order` is the payment server's truth at this instant.
    pub fn switched_on(
        &mut self,
        transaction: TransactionId,
        order: Option<&OrderTotals>,
        now: Tick,
    ) {
        let story = self.stories.entry(transaction).or_default();
        story.ons.push(now);
        if story.ons.len() > 1 {
            self.breaks("I4", "a second ON", transaction, now);
        }
        let Some(order) = order else {
            return self.breaks("I3", "an ON without an order", transaction, now);
        };
        if order.amount.is_zero() {
            return;
        }
        let exact = order.payments.iter().filter(|p| is_exact(order, p));
        if exact.count() == 0 {
            self.breaks("I3", "an ON without an exact payment", transaction, now);
        }
    }

    pub fn told(&mut self, transaction: TransactionId, told: Told, now: Tick) {
        let story = self.stories.entry(transaction).or_default();
        let is_new = story.told.insert(told);
        let is_lie = told == Told::Served && story.ons.is_empty();
        if is_new && is_lie {
            self.breaks("D2", "told served, and nothing moved", transaction, now);
        }
    }

    /// From now on nobody can know whether its device moved.
    pub fn excuse(&mut self, transaction: TransactionId) {
        self.stories.entry(transaction).or_default().is_excused = true;
    }

    /// Two phones in one lane.
    pub fn crowded(&mut self, terminal: &str, now: Tick) {
        let at = now.as_millis();
        self.broken
            .push(format!("I12: two phones at {terminal} at {at} ms"));
    }

    pub fn note(&mut self, line: String) {
        self.broken.push(line);
    }

    /// What is not settled yet: every payment has to be served or returned, and nobody told
    /// otherwise. `reviewed` is the work list of people.
    #[must_use]
    pub fn unsettled(
        &self,
        orders: &[OrderTotals],
        reviewed: &BTreeSet<TransactionId>,
    ) -> Vec<String> {
        orders
            .iter()
            .filter(|order| !reviewed.contains(&order.order))
            .filter_map(|order| self.fault_of(order))
            .collect()
    }

    fn fault_of(&self, order: &OrderTotals) -> Option<String> {
        let story = self.stories.get(&order.order).cloned().unwrap_or_default();
        let ours = order.payments.iter().filter(|p| p.payee == order.payee);
        let kept = ours
            .filter(|p| p.refunded.minor() < p.amount.minor())
            .count();
        let served = !story.ons.is_empty();
        let fault = match (served, kept) {
            (true, 1) => None,
            (false, 0) => None,
            (true, 0) if order.amount.is_zero() || story.is_excused => None,
            (false, 1) if story.is_excused => None,
            (true, 0) => Some("I2: served and not paid"),
            (true, _) => Some("I4: served once and paid more than once"),
            (false, _) if story.told.contains(&Told::Refunded) => {
                Some("D2: told refunded, and nothing went back")
            }
            (false, _) => Some("I2: paid and not served"),
        };
        fault.map(|fault| format!("{fault}: {}", order.order.short()))
    }

    #[must_use]
    pub fn story(&self, transaction: TransactionId) -> Option<&Story> {
        self.stories.get(&transaction)
    }

    #[must_use]
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    fn breaks(&mut self, rule: &str, what: &str, transaction: TransactionId, now: Tick) {
        let at = now.as_millis();
        let name = transaction.short();
        self.broken
            .push(format!("{rule}: {what}: {name} at {at} ms"));
    }
}

/// Amount, currency and payee of the order, and nothing of it has gone back or is disputed.
fn is_exact(order: &OrderTotals, payment: &PaymentView) -> bool {
    payment.payee == order.payee
        && payment.amount == order.amount
        && payment.refunded.is_zero()
        && !payment.disputed
}
