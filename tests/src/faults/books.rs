//! What must be true after a case: of the platform's ledger, the payment server's, the relay, and
//! what the payer holds. It knows nothing of the machines but what they leave outside.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, ensure};
use payment_mock::OrderTotals;
use platform::audit::{Audit, AuditedTransaction};
use protocol::id::TransactionId;
use serde::{Deserialize, Serialize};

use super::payer::Told;
use crate::relay::Change;

/// States after which nothing more happens to a sale whose payer has left.
const SETTLED: [&str; 3] = ["done", "expired", "refunded"];

/// What is known outside of the programs at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    pub sales: BTreeMap<TransactionId, AuditedTransaction>,
    /// Invariants that do not hold.
    pub broken: Vec<String>,
    pub orders: BTreeMap<TransactionId, OrderTotals>,
    pub changes: Vec<Change>,
}

/// How a case ended, all rules kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Nobody paid and nothing moved.
    Nothing,
    /// Paid, switched on once, receipt in hand.
    Served,
    /// Paid, not switched on, all of it back.
    GivenBack,
    /// Switched on, but nobody could say so: all of it back.
    Lost,
}

impl Books {
    /// Reads both ledgers while their programs run on.
    pub fn read(platform: &Path, mock: &Path, changes: Vec<Change>) -> anyhow::Result<Self> {
        let audit = platform::audit::read(platform)?;
        let orders = totals(mock)?;
        Ok(Self {
            broken: broken(&audit),
            sales: audit
                .transactions
                .into_iter()
                .map(|sale| (sale.transaction, sale))
                .collect(),
            orders: orders
                .into_iter()
                .map(|order| (order.order, order))
                .collect(),
            changes,
        })
    }

    /// Compares with the books before the case, in which one payer bought for `price`.
    ///
    /// # Errors
    /// The first thing that is not as it has to be.
    pub fn judge(&self, before: &Self, told: &Told, price: i64) -> anyhow::Result<End> {
        self.judge_settled(before)?;
        let new = |id: &&TransactionId| !before.orders.contains_key(id);
        let orders = self.orders.keys().filter(new).map(|id| &self.orders[id]);
        let paid: Vec<_> = orders.filter(|order| !order.payments.is_empty()).collect();
        let moved = self.moved_since(before)?;
        let Some(order) = paid.first() else {
            ensure!(moved == 0, "{moved} ON without a payment");
            return Ok(End::Nothing);
        };
        ensure!(paid.len() == 1, "one payer paid {} orders", paid.len());
        ensure!(order.payments.len() == 1, "paid twice: {order:?}");
        ensure!(moved <= 1, "{moved} ON for one payment");
        let (received, refunded) = sums(order);
        ensure!(received == price, "{received} received");
        let sale = self.sales.get(&order.order).context("no sale for money")?;
        if sale.state == "done" {
            ensure!(
                (refunded, moved) == (0, 1),
                "done with {moved} ON, {refunded} back"
            );
            ensure!(sale.kept == price, "{} kept", sale.kept);
            self.judge_receipt(told, order)?;
            return Ok(End::Served);
        }
        ensure!(
            refunded == price,
            "{refunded} of {price} back, {sale:?}, {told:?}"
        );
        ensure!(sale.kept <= 0, "{} kept and given back", sale.kept);
        Ok(if moved == 0 {
            End::GivenBack
        } else {
            End::Lost
        })
    }

    /// Nothing is under way, no rule is broken, both ledgers are equal, old sales are as they were.
    fn judge_settled(&self, before: &Self) -> anyhow::Result<()> {
        ensure!(self.broken.is_empty(), "broken: {:?}", self.broken);
        for (id, sale) in &self.sales {
            let settled = SETTLED.contains(&sale.state.as_str()) && sale.suspense == 0;
            ensure!(settled, "not settled: {sale:?}");
            if let Some(old) = before.sales.get(id) {
                let money = |sale: &AuditedTransaction| (sale.received, sale.refunded, sale.kept);
                ensure!(
                    (money(old), &old.state) == (money(sale), &sale.state),
                    "an old sale changed: {old:?} is {sale:?}"
                );
            }
            let (received, refunded) = self.orders.get(id).map_or((0, 0), sums);
            let equal = (sale.received, sale.refunded) == (received, refunded);
            ensure!(equal, "the ledgers differ: {sale:?} {received} {refunded}");
        }
        for (id, order) in &self.orders {
            let known = self.sales.contains_key(id);
            ensure!(
                known || order.payments.is_empty(),
                "money of nobody: {order:?}"
            );
        }
        Ok(())
    }

    /// ONs since then; every one of them was ended.
    fn moved_since(&self, before: &Self) -> anyhow::Result<usize> {
        let changes = self
            .changes
            .strip_prefix(&before.changes[..])
            .context("the relay forgot")?;
        let on = changes.iter().filter(|change| change.on).count();
        ensure!(changes.len() == on * 2, "left on: {changes:?}");
        Ok(on)
    }

    fn judge_receipt(&self, told: &Told, order: &OrderTotals) -> anyhow::Result<()> {
        let receipt = told
            .receipt
            .as_ref()
            .with_context(|| format!("served, and no receipt in hand: {told:?}"))?;
        let payment = receipt.payment.as_ref().map(|payment| payment.payment);
        let paid = order.payments.first().map(|payment| payment.payment);
        ensure!(
            (receipt.transaction, payment) == (order.order, paid),
            "another's receipt: {receipt:?}"
        );
        Ok(())
    }
}

fn sums(order: &OrderTotals) -> (i64, i64) {
    let received = order.payments.iter().map(|payment| payment.amount.minor());
    let refunded = order
        .payments
        .iter()
        .map(|payment| payment.refunded.minor());
    (received.sum(), refunded.sum())
}

fn broken(audit: &Audit) -> Vec<String> {
    let unbalanced = (!audit.balanced).then(|| "I1: debits differ from credits".to_owned());
    let torn = (!audit.chain_intact).then(|| "I8: the event chain is broken".to_owned());
    let violations = audit.violations.iter().map(ToString::to_string);
    violations.chain(unbalanced).chain(torn).collect()
}

/// The payment server keeps its ledger for itself, so that a copy is read. A copy that was made
/// during a write may be old, or torn and refused; the next one is not.
fn totals(data: &Path) -> anyhow::Result<Vec<OrderTotals>> {
    let copy = tempfile::tempdir()?;
    for name in ["ledger.sqlite", "ledger.sqlite-wal"] {
        let from = data.join(name);
        if from.exists() {
            std::fs::copy(from, copy.path().join(name))?;
        }
    }
    Ok(payment_mock::read_totals(copy.path())?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use payment_mock::Outcome;
    use protocol::id::PaymentId;
    use protocol::message::{OrderStatus, PaymentView};
    use protocol::money::Money;
    use protocol::time::Utc;

    use super::*;

    const PRICE: i64 = 1_200;

    fn money(minor: i64) -> Money {
        Money::new(minor, "CNY".parse().unwrap()).unwrap()
    }

    fn id() -> TransactionId {
        TransactionId::from_random([7; 16])
    }

    fn nothing() -> Books {
        Books {
            sales: BTreeMap::new(),
            broken: Vec::new(),
            orders: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    /// One sale, its state, and what both ledgers say went back.
    fn paid(state: &str, refunded: i64, on_count: usize) -> Books {
        let sale = AuditedTransaction {
            transaction: id(),
            terminal: "north/washer-1".parse().unwrap(),
            state: state.to_owned(),
            open: false,
            currency: "CNY".parse().unwrap(),
            received: PRICE,
            refunded,
            kept: PRICE - refunded,
            suspense: 0,
        };
        let payment = PaymentView {
            payment: PaymentId::from_random([8; 16]),
            amount: money(PRICE),
            payee: "north-laundry".parse().unwrap(),
            refunded: money(refunded),
            disputed: false,
            paid_at: Utc::EPOCH,
        };
        let order = OrderTotals {
            order: id(),
            platform: "main".parse().unwrap(),
            payee: "north-laundry".parse().unwrap(),
            amount: money(PRICE),
            status: OrderStatus::Paid,
            outcome: Outcome::Paid,
            received: BTreeMap::new(),
            refunded: BTreeMap::new(),
            charged_back: BTreeMap::new(),
            fees: BTreeMap::new(),
            payments: vec![payment],
            refunds: Vec::new(),
        };
        let pulse = [true, false].map(|on| Change { coil: 0, on });
        Books {
            sales: BTreeMap::from([(id(), sale)]),
            broken: Vec::new(),
            orders: BTreeMap::from([(id(), order)]),
            changes: pulse.repeat(on_count),
        }
    }

    fn told() -> Told {
        Told {
            has_pressed: true,
            receipt: None,
            state: "returned".to_owned(),
            session: None,
            status: None,
        }
    }

    fn broken(books: &Books) -> String {
        let judged = books.judge(&nothing(), &told(), PRICE);
        judged.unwrap_err().to_string()
    }

    #[test]
    fn money_that_is_back_is_a_good_end() {
        let judged = paid("refunded", PRICE, 0).judge(&nothing(), &told(), PRICE);
        assert_eq!(judged.unwrap(), End::GivenBack);
        let judged = paid("refunded", PRICE, 1).judge(&nothing(), &told(), PRICE);
        assert_eq!(judged.unwrap(), End::Lost);
        let judged = nothing().judge(&nothing(), &told(), PRICE);
        assert_eq!(judged.unwrap(), End::Nothing);
    }

    #[test]
    fn every_broken_rule_is_told() {
        assert!(broken(&paid("done", 0, 1)).starts_with("served, and no receipt"));
        assert!(broken(&paid("done", 0, 0)).starts_with("done with 0 ON"));
        assert!(broken(&paid("done", 0, 2)).starts_with("2 ON for one payment"));
        assert!(broken(&paid("done", PRICE, 1)).starts_with("done with 1 ON, 1200 back"));
        assert!(broken(&paid("refunded", 0, 0)).starts_with("0 of 1200 back"));
        assert!(broken(&paid("commanded", 0, 0)).starts_with("not settled"));
        assert!(broken(&paid("review", 0, 1)).starts_with("not settled"));
        let ons = Books {
            changes: paid("done", 0, 1).changes,
            ..nothing()
        };
        assert!(broken(&ons).starts_with("1 ON without a payment"));
        let mut left_on = paid("refunded", PRICE, 1);
        left_on.changes.pop();
        assert!(broken(&left_on).starts_with("left on"));
        let mut twice = paid("refunded", PRICE, 0);
        let order = twice.orders.get_mut(&id()).unwrap();
        order.payments.push(order.payments[0].clone());
        assert!(broken(&twice).starts_with("the ledgers differ"));
        let mut unknown = paid("refunded", PRICE, 0);
        unknown.sales.clear();
        assert!(broken(&unknown).starts_with("money of nobody"));
        let mut invariant = paid("refunded", PRICE, 0);
        invariant.broken.push("I5".to_owned());
        assert!(broken(&invariant).starts_with("broken"));
    }

    #[test]
    fn a_sale_of_before_that_changes_is_told() {
        let before = paid("expired", PRICE, 0);
        let after = paid("refunded", PRICE, 0);
        let judged = after.judge(&before, &told(), PRICE);
        let error = judged.unwrap_err().to_string();
        assert!(error.starts_with("an old sale changed"), "{error}");
    }
}
