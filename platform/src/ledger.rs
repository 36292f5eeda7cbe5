//! Double entry, per payment: what is received stands in `suspense` until the linkage result moves
//! it to the merchant or a refund moves it back. Open suspense is money taken without service yet.
//!
//! Pure: these functions say what is posted, the machine says when, the store keeps it.

use protocol::id::{PaymentId, RefundId, TransactionId};
use protocol::money::{Currency, Money};
use serde::{Deserialize, Serialize};

/// Where money stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Account {
    /// What the payment server holds for the merchant. A debit balance.
    GatewayReceivable,
    /// Received, and neither earned nor returned yet. A credit balance, zero once a sale is over.
    Suspense,
    /// Earned. A credit balance.
    Merchant,
    /// Served although the money went back. A debit balance.
    Loss,
}

impl Account {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 4] = [
        Self::GatewayReceivable,
        Self::Suspense,
        Self::Merchant,
        Self::Loss,
    ];

    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GatewayReceivable => "gateway_receivable",
            Self::Suspense => "suspense",
            Self::Merchant => "merchant",
            Self::Loss => "loss",
        }
    }
}

/// One line of an entry. Exactly one of both sides is above zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posting {
    pub(crate) account: Account,
    pub(crate) debit_minor: i64,
    pub(crate) credit_minor: i64,
    pub(crate) currency: Currency,
    pub(crate) transaction: TransactionId,
    pub(crate) payment: PaymentId,
    pub(crate) refund: Option<RefundId>,
}

/// One entry: a debit and the credit that balances it. Nothing for nothing.
pub(crate) type Entry = Vec<Posting>;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Matter {
    pub(crate) transaction: TransactionId,
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
}

/// The payment server says that it took money for us.
pub(crate) fn received(matter: Matter) -> Entry {
    entry(matter, None, Account::GatewayReceivable, Account::Suspense)
}

/// The linkage result says that the payer was served.
pub(crate) fn earned(matter: Matter) -> Entry {
    entry(matter, None, Account::Suspense, Account::Merchant)
}

/// A refund succeeded.
pub(crate) fn refunded(matter: Matter, refund: RefundId) -> Entry {
    let refund = Some(refund);
    entry(
        matter,
        refund,
        Account::Suspense,
        Account::GatewayReceivable,
    )
}

/// A refund that had succeeded failed after all: we owe again.
pub(crate) fn refund_failed_later(matter: Matter, refund: RefundId) -> Entry {
    let refund = Some(refund);
    entry(
        matter,
        refund,
        Account::GatewayReceivable,
        Account::Suspense,
    )
}

/// The payment server gave money back without us: nothing of it is left to earn or return.
pub(crate) fn refunded_outside(matter: Matter) -> Entry {
    entry(matter, None, Account::Suspense, Account::GatewayReceivable)
}

/// The payer was served and has the money back: the merchant's price is our loss.
pub(crate) fn lost(matter: Matter) -> Entry {
    entry(matter, None, Account::Loss, Account::Merchant)
}

/// Why postings are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BalanceError {
    #[error("debits and credits of {0} differ")]
    Unbalanced(Currency),
    #[error("a posting has one side, above zero")]
    Sides,
    #[error("the sum is out of range")]
    Overflow,
}

/// Debits equal credits, per currency.
pub(crate) fn check_balanced(postings: &[Posting]) -> Result<(), BalanceError> {
    for posting in postings {
        let (debit, credit) = (posting.debit_minor, posting.credit_minor);
        if !(debit > 0 && credit == 0 || debit == 0 && credit > 0) {
            return Err(BalanceError::Sides);
        }
        if balance_of(postings, posting.currency)? != 0 {
            return Err(BalanceError::Unbalanced(posting.currency));
        }
    }
    Ok(())
}

fn balance_of(postings: &[Posting], currency: Currency) -> Result<i64, BalanceError> {
    postings
        .iter()
        .filter(|posting| posting.currency == currency)
        .try_fold(0_i64, |sum, posting| {
            sum.checked_add(posting.debit_minor)?
                .checked_sub(posting.credit_minor)
        })
        .ok_or(BalanceError::Overflow)
}

fn entry(matter: Matter, refund: Option<RefundId>, debit: Account, credit: Account) -> Entry {
    let minor = matter.amount.minor();
    if minor == 0 {
        return Vec::new();
    }
    let posting = |account, debit_minor, credit_minor| Posting {
        account,
        debit_minor,
        credit_minor,
        currency: matter.amount.currency(),
        transaction: matter.transaction,
        payment: matter.payment,
        refund,
    };
    vec![posting(debit, minor, 0), posting(credit, 0, minor)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matter(minor: i64) -> Matter {
        Matter {
            transaction: TransactionId::from_random([1; 16]),
            payment: PaymentId::from_random([2; 16]),
            amount: Money::new(minor, "CNY".parse().unwrap()).unwrap(),
        }
    }

    fn balance(postings: &[Posting], account: Account) -> i64 {
        let of_account = postings.iter().filter(|posting| posting.account == account);
        of_account.map(|p| p.debit_minor - p.credit_minor).sum()
    }

    #[test]
    fn every_way_of_a_payment_leaves_suspense_empty() {
        let refund = RefundId::from_random([3; 16]);
        let ways: [(Vec<Entry>, [i64; 4]); 4] = [
            (
                vec![received(matter(450)), earned(matter(450))],
                [450, 0, -450, 0],
            ),
            (
                vec![received(matter(450)), refunded(matter(450), refund)],
                [0, 0, 0, 0],
            ),
            (
                vec![received(matter(450)), refunded_outside(matter(450))],
                [0, 0, 0, 0],
            ),
            (
                vec![
                    received(matter(450)),
                    refunded(matter(450), refund),
                    lost(matter(450)),
                ],
                [0, 0, -450, 450],
            ),
        ];
        for (entries, expected) in ways {
            let postings = entries.concat();
            assert_eq!(check_balanced(&postings), Ok(()));
            assert_eq!(
                Account::ALL.map(|account| balance(&postings, account)),
                expected
            );
        }
    }

    #[test]
    fn a_refund_that_fails_later_owes_again() {
        let refund = RefundId::from_random([3; 16]);
        let matter = matter(450);
        let entries = [
            received(matter),
            refunded(matter, refund),
            refund_failed_later(matter, refund),
        ];
        assert_eq!(balance(&entries.concat(), Account::Suspense), -450);
    }

    #[test]
    fn nothing_is_posted_for_nothing() {
        assert_eq!(received(matter(0)), vec![]);
    }

    #[test]
    fn half_an_entry_is_refused() {
        let mut half = received(matter(450));
        half.pop();
        let unbalanced = Err(BalanceError::Unbalanced("CNY".parse().unwrap()));
        assert_eq!(check_balanced(&half), unbalanced);
        half[0].debit_minor = 0;
        assert_eq!(check_balanced(&half), Err(BalanceError::Sides));
    }
}
