//! What must be true of the books when a visit is over: the platform's, the payment server's, and
//! the devices' own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use edge_agent::linkage::config::Fault;
use payment_mock::{OrderTotals, Outcome};
use platform::audit::{Audit, AuditedTransaction};
use process::clock::Clock;
use serde::Serialize;

use crate::system::System;

const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// States in which nothing more happens to the money of a sale, unless it comes late.
const SETTLED: [&str; 4] = ["done", "expired", "refunded", "review"];

/// One visit in numbers, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub state: String,
    pub on_count: usize,
    /// What the payment server booked, to whatever account and currency.
    pub received: i64,
    pub refunded: i64,
    /// What the platform holds without having served yet.
    pub suspense: i64,
    /// Whether both ledgers hold the same money of our account.
    pub ledgers_equal: bool,
    /// Invariants of the platform's ledger that do not hold.
    pub violations: Vec<String>,
}

impl Verdict {
    /// Waits until the only sale of a system has settled as `outcome` demands.
    ///
    /// # Errors
    /// What was found instead.
    pub async fn reach(
        system: &System,
        outcome: Outcome,
        timeout: Duration,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        Self::reach_with(system, (outcome, Fault::None), timeout, clock).await
    }

    /// [`Verdict::reach`] with a device that takes its ON as `fault` says.
    ///
    /// # Errors
    /// What was found instead.
    pub async fn reach_with(
        system: &System,
        (outcome, fault): (Outcome, Fault),
        timeout: Duration,
        clock: &Clock,
    ) -> anyhow::Result<Self> {
        let deadline = clock.now().tick + timeout;
        loop {
            let found = Self::of(system).await;
            let fits = found
                .as_ref()
                .is_ok_and(|verdict| verdict.check_with(outcome, fault).is_ok());
            if fits || clock.now().tick >= deadline {
                let verdict = found?;
                verdict.check_with(outcome, fault)?;
                return Ok(verdict);
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// As it stands now.
    pub async fn of(system: &System) -> anyhow::Result<Self> {
        let audit = platform::audit::read(system.platform_data())?;
        let orders = system.mock().handle.totals().await;
        ensure!(
            audit.transactions.len() == 1,
            "{} sales instead of one",
            audit.transactions.len()
        );
        let sale = audit.transactions.first().context("no sale")?;
        let order = orders.iter().find(|order| order.order == sale.transaction);
        Ok(Self {
            state: sale.state.clone(),
            on_count: on_count(system),
            received: order.map_or(0, |order| order.received.values().sum()),
            refunded: order.map_or(0, |order| order.refunded.values().sum()),
            suspense: sale.suspense,
            ledgers_equal: order.is_none_or(|order| equal(sale, order)),
            violations: violations(&audit),
        })
    }

    /// Whether this is how a visit has to end whose device takes its ON as `fault` says.
    ///
    /// # Errors
    /// The first thing that is not as it has to be.
    pub fn check_with(&self, outcome: Outcome, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::None => self.check(outcome),
            Fault::Slow => self.check_uncertain(),
            // Paid and not served: the books of money that came too late.
            Fault::Refuse | Fault::Gone | Fault::Stuck | Fault::Lying => self.check(Outcome::Late),
        }
    }

    /// The device has moved and nobody was told: a person decides, and nothing moves by itself.
    fn check_uncertain(&self) -> anyhow::Result<()> {
        let found = (self.state.as_str(), self.on_count, self.refunded);
        ensure!(found == ("review", 1, 0), "not one ON in review: {self:?}");
        ensure!(
            self.suspense == self.received && self.received > 0,
            "not the whole payment in suspense: {self:?}"
        );
        ensure!(
            self.ledgers_equal && self.violations.is_empty(),
            "broken invariants: {self:?}"
        );
        Ok(())
    }

    /// Whether this is how a visit with `outcome` has to end.
    ///
    /// # Errors
    /// The first thing that is not as it has to be.
    pub fn check(&self, outcome: Outcome) -> anyhow::Result<()> {
        let states = settled_states(outcome);
        ensure!(
            states.contains(&self.state.as_str()),
            "state {} is none of {states:?}",
            self.state
        );
        let served = usize::from(self.state == "done");
        ensure!(
            self.on_count == served,
            "{} ON instead of {served}",
            self.on_count
        );
        ensure!(self.ledgers_equal, "the ledgers differ: {self:?}");
        ensure!(
            self.violations.is_empty(),
            "broken invariants: {:?}",
            self.violations
        );
        let reviewed = self.state == "review";
        ensure!(
            reviewed || self.suspense == 0,
            "{} in suspense",
            self.suspense
        );
        let kept = self.received - self.refunded;
        match outcome {
            Outcome::Twice => ensure!(
                self.refunded == kept,
                "not exactly one of two refunded: {self:?}"
            ),
            _ if served == 1 => ensure!(self.refunded == 0 && kept > 0, "served, but {self:?}"),
            _ => ensure!(reviewed || kept == 0, "{kept} kept without service"),
        }
        Ok(())
    }
}

/// The books of a platform, whatever happened: every sale settled, no invariant broken, and the
/// payment server's ledger equal.
///
/// # Errors
/// What is not as it has to be.
pub fn check_books(data: &Path, orders: &[OrderTotals]) -> anyhow::Result<Audit> {
    let audit = platform::audit::read(data)?;
    ensure!(
        audit.is_clean(),
        "broken invariants: {:?}",
        audit.violations
    );
    for sale in &audit.transactions {
        ensure!(
            SETTLED.contains(&sale.state.as_str()),
            "{} is {}",
            sale.transaction,
            sale.state
        );
        let order = orders.iter().find(|order| order.order == sale.transaction);
        let equal = order.is_none_or(|order| equal(sale, order));
        ensure!(equal, "the ledgers differ: {sale:?}, {order:?}");
    }
    Ok(audit)
}

const fn settled_states(outcome: Outcome) -> &'static [&'static str] {
    match outcome {
        Outcome::Paid
        | Outcome::Twice
        | Outcome::SlowAnswer
        | Outcome::DroppedAnswer
        | Outcome::LostRequest
        | Outcome::TruncatedAnswer
        | Outcome::DoubledAnswer
        | Outcome::ReorderedAnswer
        | Outcome::StaleAnswer
        | Outcome::Outage
        | Outcome::AfterScan => &["done"],
        Outcome::Declined | Outcome::Never | Outcome::ForgedAnswer | Outcome::CloseTooEarly => {
            &["expired"]
        }
        Outcome::Late
        | Outcome::Under
        | Outcome::Over
        | Outcome::NoAnswer
        | Outcome::RefundPending
        | Outcome::RefundUnknown => &["refunded"],
        Outcome::RefundFails
        | Outcome::RefundPendingFails
        | Outcome::RefundFailsLater
        | Outcome::Disputed
        | Outcome::ChargedBack => &["review"],
        Outcome::WrongPayee
        | Outcome::WrongCurrency
        | Outcome::KeyForgotten
        | Outcome::RefundedOutside
        | Outcome::PartRefundedOutside => &["refunded", "review"],
    }
}

fn violations(audit: &Audit) -> Vec<String> {
    let unbalanced = (!audit.balanced).then(|| "debits differ from credits".to_owned());
    let broken = (!audit.chain_intact).then(|| "the event chain is broken".to_owned());
    audit
        .violations
        .iter()
        .map(ToString::to_string)
        .chain(unbalanced)
        .chain(broken)
        .collect()
}

/// The money of our account: what went elsewhere is not in our ledger.
fn equal(sale: &AuditedTransaction, order: &OrderTotals) -> bool {
    let ours = order
        .payments
        .iter()
        .filter(|payment| payment.payee == order.payee);
    let (received, refunded) = ours.fold((0, 0), |(received, refunded), payment| {
        (
            received + payment.amount.minor(),
            refunded + payment.refunded.minor(),
        )
    });
    (sale.received, sale.refunded) == (received, refunded)
}

fn on_count(system: &System) -> usize {
    let mut count = 0;
    for terminal in system.terminals() {
        count += terminal
            .handle
            .device_log()
            .iter()
            .filter(|switch| switch.on)
            .count();
    }
    count
}
