//! The ledger: accounts, orders, payments and refunds. Pure; every mutation is one [`Entry`],
//! applied at once and given out by [`Ledger::poll_output`] to be written down before anybody is
//! answered.
//!
//! | key | same content | other content |
//! |---|---|---|
//! | order number | the order as it stands | `order_differs` |
//! | refund id | the refund as it stands | `refund_differs` |
//!
//! A key that was forgotten ([`KeyRetention`], or a scenario's word) makes the same content new
//! again or refused like other content, as declared.
//!
//! Orders belong to the platform that created them; for another platform they don't exist.
//! Deadlines count from the entry's application in this process, so a restart gives an open order
//! its whole lifetime again: a stepped wall clock changes no money.

mod apply;
mod deed;
mod entry;
mod order;
mod refund;
mod return_url;
mod rules;
mod statement;
#[cfg(test)]
mod tests;
mod token;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use protocol::id::{PayeeId, PlatformId, RefundId, TransactionId};
use protocol::message::{CreateOrder, GatewayRefusal, PAYMENTS_MAX, RefundOrder};
use protocol::money::Currency;
use protocol::time::{Now, Tick, Utc};

pub use deed::DeedRefusal;
pub(crate) use entry::{
    Attempt, Booking, Closing, Deed, Entry, Opening, Payout, RefundCourse, RefundTurn,
};
pub(crate) use order::{Order, Payment, Phase, pay_url};
pub(crate) use return_url::ReturnUrl;
pub(crate) use rules::Rules;
pub use rules::{Capabilities, Forgotten, KeyRetention};
use statement::Statements;
pub(crate) use statement::page;
pub(crate) use token::{CheckoutToken, FormSeed};

/// Most orders in one ledger: about 1 KiB each in memory, and more than a day of bench at full
/// speed asks of a test server.
pub(crate) const ORDERS_MAX: usize = 1_000_000;

/// Longest life of an order; real payment servers stop at a day too.
pub(crate) const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Most presses of one order: a person gives up long before, a script must not grow the ledger.
pub(crate) const ATTEMPTS_MAX: u32 = 50;

/// What the owner of a ledger has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    /// Write it down before anything that follows from it is told.
    Record(Entry),
    /// Tell the platform that something happened to this order.
    Changed {
        platform: PlatformId,
        order: TransactionId,
        at: Utc,
    },
}

/// Why an order was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CreateRefusal {
    Named(GatewayRefusal),
    /// [`ORDERS_MAX`]: the contract has no name for it, so the platform gets no answer.
    Full,
}

/// A refund id as an idempotency key.
#[derive(Debug, Clone)]
struct KnownRefund {
    asked: RefundOrder,
    /// In this process.
    since: Tick,
}

/// What is still known of an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Memory {
    Kept,
    /// Forgotten, and the call is done again.
    Anew,
    /// Forgotten, and the call is refused.
    Refused,
}

#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    rules: Rules,
    orders: BTreeMap<TransactionId, Order>,
    checkouts: BTreeMap<CheckoutToken, TransactionId>,
    refunds: BTreeMap<RefundId, KnownRefund>,
    statements: Statements,
    /// What each account holds: received less refunded.
    balances: BTreeMap<(PayeeId, Currency), i64>,
    deadlines: BTreeSet<(Tick, TransactionId)>,
    outputs: VecDeque<Output>,
}

impl Ledger {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            orders: BTreeMap::new(),
            checkouts: BTreeMap::new(),
            refunds: BTreeMap::new(),
            statements: Statements::default(),
            balances: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Applies an entry that was written down earlier.
    pub(crate) fn restore(&mut self, entry: &Entry, tick: Tick) {
        self.apply(entry, tick);
    }

    /// `Ok` once the order exists with this content. The opening is only used for a new one, or one
    /// whose key was forgotten: by its age, or because the caller says so.
    pub(crate) fn handle_create(
        &mut self,
        platform: &PlatformId,
        create: CreateOrder,
        opening: Opening,
        forgotten: bool,
        now: Now,
    ) -> Result<(), CreateRefusal> {
        if let Some(found) = self.orders.get(&create.order) {
            let same = found.platform == *platform && found.create == create;
            let memory = self.memory_of(found.created, forgotten, now);
            return match memory {
                Memory::Kept if same => Ok(()),
                Memory::Anew if same => {
                    let order = create.order;
                    self.record(Entry::OrderReopened { order, opening }, now);
                    Ok(())
                }
                _ => Err(CreateRefusal::Named(GatewayRefusal::OrderDiffers)),
            };
        }
        if !is_well_formed(&create) {
            return Err(CreateRefusal::Named(GatewayRefusal::Malformed));
        }
        if !self.rules.payees.contains(&create.payee) {
            return Err(CreateRefusal::Named(GatewayRefusal::PayeeUnknown));
        }
        if self.orders.len() >= ORDERS_MAX {
            return Err(CreateRefusal::Full);
        }
        self.record(
            Entry::OrderCreated {
                platform: platform.clone(),
                create,
                opening,
                at: now.utc,
            },
            now,
        );
        Ok(())
    }

    /// Ends an unpaid order; one that is closed stays so.
    pub(crate) fn handle_close(
        &mut self,
        platform: &PlatformId,
        order: TransactionId,
        now: Now,
    ) -> Result<(), GatewayRefusal> {
        let found = self.order_of(platform, order)?;
        if found.phase() == Phase::Paid {
            return Err(GatewayRefusal::AlreadyPaid);
        }
        if found.closed.is_some() {
            return Ok(());
        }
        if now.tick.since(found.created) < self.rules.capabilities.close_minimum_age {
            return Err(GatewayRefusal::CloseTooEarly);
        }
        self.close(order, Closing::Platform, now);
        Ok(())
    }

    /// Books money for an order that is open, or closed with a promise.
    pub(crate) fn handle_payment(&mut self, order: TransactionId, booking: Booking, now: Now) {
        let full = |order: &Order| order.payments.len() >= PAYMENTS_MAX;
        if self.orders.get(&order).is_none_or(full) {
            return;
        }
        let at = now.utc;
        self.record(Entry::PaymentBooked { order, booking, at }, now);
        self.changed(order, now);
    }

    /// Remembers money that comes after the close.
    pub(crate) fn handle_promise(&mut self, order: TransactionId, booking: Booking, now: Now) {
        self.record(Entry::PaymentPromised { order, booking }, now);
    }

    /// Remembers a press that moved no money.
    pub(crate) fn handle_failed_attempt(
        &mut self,
        order: TransactionId,
        attempt: Attempt,
        now: Now,
    ) {
        self.record(Entry::AttemptFailed { order, attempt }, now);
        if attempt == Attempt::Declined {
            self.changed(order, now);
        }
    }

    /// Changes the outcome of one order; false if there is no such order.
    pub(crate) fn handle_outcome(
        &mut self,
        order: TransactionId,
        outcome: crate::scenario::Outcome,
        now: Now,
    ) -> bool {
        let known = self.orders.contains_key(&order);
        if known {
            self.record(Entry::OutcomeSet { order, outcome }, now);
        }
        known
    }

    /// The payer sees the page: an order that was hidden exists from now on.
    pub(crate) fn handle_page(&mut self, order: TransactionId, now: Now) {
        if self.orders.get(&order).is_some_and(Order::is_hidden) {
            self.record(Entry::PageOpened { order }, now);
        }
    }

    /// Closes orders past their lifetime and books promised money of closed ones.
    pub(crate) fn handle_timeout(&mut self, now: Now) {
        while let Some(&(deadline, order)) = self.deadlines.first() {
            if deadline > now.tick {
                return;
            }
            self.deadlines.pop_first();
            self.handle_deadline(order, now);
        }
    }

    fn handle_deadline(&mut self, order: TransactionId, now: Now) {
        let Some(found) = self.orders.get_mut(&order) else {
            return;
        };
        found.deadline = None;
        match (found.phase(), found.promise.clone()) {
            (Phase::Open | Phase::Promised, _) if found.lifetime_end() <= now.tick => {
                self.close(order, Closing::Lifetime, now);
            }
            (Phase::Closed | Phase::Expired, Some(booking))
                if found.late.is_some_and(|late| late <= now.tick) =>
            {
                self.handle_payment(order, booking, now);
            }
            _ => {}
        }
        self.turn_refunds(order, now);
        self.fulfil_plans(order, now);
        self.reschedule(order);
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The platform's own order; one that its payer has still to scan may not exist yet.
    pub(crate) fn order_of(
        &self,
        platform: &PlatformId,
        order: TransactionId,
    ) -> Result<&Order, GatewayRefusal> {
        self.orders
            .get(&order)
            .filter(|found| found.platform == *platform && !found.is_hidden())
            .ok_or(GatewayRefusal::OrderNotFound)
    }

    pub(crate) fn order(&self, order: TransactionId) -> Option<&Order> {
        self.orders.get(&order)
    }

    pub(crate) fn order_at(&self, checkout: CheckoutToken) -> Option<&Order> {
        self.orders.get(self.checkouts.get(&checkout)?)
    }

    /// All orders, by number.
    pub(crate) fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    pub(crate) fn orders_after(
        &self,
        after: Option<TransactionId>,
    ) -> impl Iterator<Item = &Order> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.orders
            .range((start, Bound::Unbounded))
            .map(|(_, order)| order)
    }

    /// Whether every order waits to be scanned before it exists for its platform.
    pub(crate) const fn hides_orders(&self) -> bool {
        self.rules.capabilities.order_after_scan
    }

    pub(crate) fn is_payee(&self, payee: &PayeeId) -> bool {
        self.rules.payees.contains(payee)
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    #[cfg(test)]
    pub(crate) fn balances(&self) -> &BTreeMap<(PayeeId, Currency), i64> {
        &self.balances
    }

    fn close(&mut self, order: TransactionId, closing: Closing, now: Now) {
        let at = now.utc;
        self.record(Entry::OrderClosed { order, closing, at }, now);
        self.changed(order, now);
    }

    fn changed(&mut self, order: TransactionId, now: Now) {
        if let Some(found) = self.orders.get(&order)
            && !found.is_hidden()
        {
            self.outputs.push_back(Output::Changed {
                platform: found.platform.clone(),
                order,
                at: now.utc,
            });
        }
    }

    fn memory_of(&self, since: Tick, forgotten: bool, now: Now) -> Memory {
        let retention = self.rules.capabilities.key_retention;
        let passed = retention.filter(|retention| now.tick.since(since) >= retention.lasts);
        match (forgotten, passed.map(|retention| retention.afterwards)) {
            (true, _) | (false, Some(Forgotten::New)) => Memory::Anew,
            (false, Some(Forgotten::Refused)) => Memory::Refused,
            (false, None) => Memory::Kept,
        }
    }

    fn record(&mut self, entry: Entry, now: Now) {
        self.apply(&entry, now.tick);
        self.outputs.push_back(Output::Record(entry));
    }
}

/// What the contract asks beyond its types.
fn is_well_formed(create: &CreateOrder) -> bool {
    let lifetime = Duration::from_millis(create.lifetime_ms);
    let returns = create.return_url.is_empty() || ReturnUrl::parse(&create.return_url).is_some();
    !create.amount.is_zero() && !lifetime.is_zero() && lifetime <= LIFETIME_MAX && returns
}
