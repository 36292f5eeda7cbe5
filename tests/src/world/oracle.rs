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
    /// lied. Then served and refunded is a loss with a bound, and no defect, if the policy is to
    /// refund; else a person must be asked.
    pub is_excused: bool,
    /// One of its devices moved, another did not.
    pub is_partial: bool,
    /// A person decided about its money, and answers for it.
    pub is_by_hand: bool,
    /// The store that knew it is gone; what there is was made before.
    pub is_forgotten: bool,
}

/// For whom it waits.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// Sales under review.
    pub reviewed: BTreeSet<TransactionId>,
    /// Orders in the work list of reconciliation.
    pub tasks: BTreeSet<TransactionId>,
}

/// What has to be true at every instant, and at the end.
#[derive(Debug, Clone, Default)]
pub struct Oracle {
    stories: BTreeMap<TransactionId, Story>,
    /// Whether money goes back when nobody knows.
    refund_as_loss: bool,
    /// Rules that were broken, each with the instant.
    broken: Vec<String>,
}

impl Oracle {
    #[must_use]
    pub fn new(refund_as_loss: bool) -> Self {
        Self {
            refund_as_loss,
            ..Self::default()
        }
    }

    /// A device moves for `transaction`; `order` is the payment server's truth at this instant.
    pub fn switched_on(
        &mut self,
        transaction: TransactionId,
        order: Option<&OrderTotals>,
        is_free: bool,
        now: Tick,
    ) {
        let story = self.stories.entry(transaction).or_default();
        story.ons.push(now);
        if story.ons.len() > 1 {
            self.breaks("I4", "a second ON", transaction, now);
        }
        if self.is_by_hand(transaction) {
            return;
        }
        let order = match order {
            None if is_free => return,
            None => return self.breaks("I3", "an ON without an order", transaction, now),
            Some(order) => order,
        };
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

    /// One of its devices moved, and another one did not.
    pub fn served_in_part(&mut self, transaction: TransactionId) {
        self.stories.entry(transaction).or_default().is_partial = true;
    }

    /// A person has decided about it.
    pub fn decided_by_hand(&mut self, transaction: TransactionId) {
        self.stories.entry(transaction).or_default().is_by_hand = true;
    }

    /// The store is an older one: of `before` it may know less, or nothing.
    pub fn store_restored(&mut self, before: impl Iterator<Item = TransactionId>) {
        for transaction in before {
            self.stories.entry(transaction).or_default();
        }
        for story in self.stories.values_mut() {
            story.is_forgotten = true;
        }
    }

    /// Whether a person or a lost store answers for how it ends.
    #[must_use]
    pub fn is_pardoned(&self, transaction: TransactionId) -> bool {
        let story = self.stories.get(&transaction);
        story.is_some_and(|story| story.is_by_hand || story.is_forgotten)
    }

    fn is_by_hand(&self, transaction: TransactionId) -> bool {
        let story = self.stories.get(&transaction);
        story.is_some_and(|story| story.is_by_hand)
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
    /// otherwise, or a person must be asked.
    #[must_use]
    pub fn unsettled(&self, orders: &[OrderTotals], people: &People) -> Vec<String> {
        orders
            .iter()
            .filter(|order| !people.reviewed.contains(&order.order))
            .filter(|order| !self.is_by_hand(order.order))
            .filter_map(|order| self.fault_of(order, people))
            .collect()
    }

    fn fault_of(&self, order: &OrderTotals, people: &People) -> Option<String> {
        let story = self.stories.get(&order.order).cloned().unwrap_or_default();
        let ours = order.payments.iter().filter(|p| p.payee == order.payee);
        let kept = ours
            .filter(|p| p.refunded.minor() < p.amount.minor())
            .count();
        let served = !story.ons.is_empty();
        let may_be_loss = self.refund_as_loss && (story.is_excused || story.is_forgotten);
        let fault = match (served, kept) {
            _ if story.is_forgotten && people.tasks.contains(&order.order) => None,
            _ if story.is_partial && !story.is_excused && !story.is_forgotten => {
                Some("R8: served in part, and nobody was asked")
            }
            (true, 1) | (false, 0) => None,
            (true, 0) if may_be_loss => None,
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
