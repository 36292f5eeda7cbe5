//! Double entry, per payment: what is received stands in `suspense` until the linkage result moves
//! it to the merchant or a refund moves it back. Open suspense is money taken without service yet.
//! What the payment server does beside our sales (fees, payouts) is booked from its statement.
//!
//! Pure: these functions say what is posted, the machine says when, the store keeps it.

use protocol::id::{GatewayId, PaymentId, RefundId, TransactionId};
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
    /// Earned, and claimed back by the payer's bank. A credit balance until that is decided.
    Dispute,
    /// What the payment server keeps for its service. A debit balance.
    Fees,
    /// What the payment server has paid out to the merchant's bank. A debit balance.
    Bank,
    /// Received, not earned, and nobody can be found to return it to. A credit balance.
    Unclaimed,
}

impl Account {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 8] = [
        Self::GatewayReceivable,
        Self::Suspense,
        Self::Merchant,
        Self::Loss,
        Self::Dispute,
        Self::Fees,
        Self::Bank,
        Self::Unclaimed,
    ];

    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::GatewayReceivable => "gateway_receivable",
            Self::Suspense => "suspense",
            Self::Merchant => "merchant",
            Self::Loss => "loss",
            Self::Dispute => "dispute",
            Self::Fees => "fees",
            Self::Bank => "bank",
            Self::Unclaimed => "unclaimed",
        }
    }
}

/// Why an entry was made; one name for each way that money can move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EntryKind {
    Received,
    Earned,
    Refunded,
    RefundFailedLater,
    RefundedOutside,
    Unearned,
    Lost,
    LostOutside,
    LossUndone,
    Disputed,
    DisputeWon,
    DisputeLost,
    WrittenOff,
    Unclaimed,
    Fee,
    FeeReturned,
    PaidOut,
    PayoutReturned,
}

impl EntryKind {
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Earned => "earned",
            Self::Refunded => "refunded",
            Self::RefundFailedLater => "refund_failed_later",
            Self::RefundedOutside => "refunded_outside",
            Self::Unearned => "unearned",
            Self::Lost => "lost",
            Self::LostOutside => "lost_outside",
            Self::LossUndone => "loss_undone",
            Self::Disputed => "disputed",
            Self::DisputeWon => "dispute_won",
            Self::DisputeLost => "dispute_lost",
            Self::WrittenOff => "written_off",
            Self::Unclaimed => "unclaimed",
            Self::Fee => "fee",
            Self::FeeReturned => "fee_returned",
            Self::PaidOut => "paid_out",
            Self::PayoutReturned => "payout_returned",
        }
    }

    /// The account that is debited, and the one that is credited.
    const fn sides(self) -> (Account, Account) {
        match self {
            Self::Received => (Account::GatewayReceivable, Account::Suspense),
            Self::Earned => (Account::Suspense, Account::Merchant),
            Self::Refunded | Self::RefundedOutside => {
                (Account::Suspense, Account::GatewayReceivable)
            }
            Self::RefundFailedLater => (Account::GatewayReceivable, Account::Suspense),
            Self::LostOutside | Self::WrittenOff => (Account::Loss, Account::GatewayReceivable),
            Self::Unearned => (Account::Merchant, Account::Suspense),
            Self::Lost => (Account::Loss, Account::Merchant),
            Self::LossUndone => (Account::Merchant, Account::Loss),
            Self::Disputed => (Account::Merchant, Account::Dispute),
            Self::DisputeWon => (Account::Dispute, Account::Merchant),
            Self::DisputeLost => (Account::Dispute, Account::GatewayReceivable),
            Self::Unclaimed => (Account::Suspense, Account::Unclaimed),
            Self::Fee => (Account::Fees, Account::GatewayReceivable),
            Self::FeeReturned => (Account::GatewayReceivable, Account::Fees),
            Self::PaidOut => (Account::Bank, Account::GatewayReceivable),
            Self::PayoutReturned => (Account::GatewayReceivable, Account::Bank),
        }
    }
}

/// One line of an entry. Exactly one of both sides is above zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Posting {
    pub(crate) kind: EntryKind,
    pub(crate) account: Account,
    pub(crate) debit_minor: i64,
    pub(crate) credit_minor: i64,
    pub(crate) currency: Currency,
    /// The sale it belongs to; none for what the payment server settles beside any sale of ours.
    pub(crate) transaction: Option<TransactionId>,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) refund: Option<RefundId>,
    /// The line of a statement that it was booked from.
    pub(crate) line: Option<LineName>,
}

/// Names one line of a payment server's statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct LineName {
    pub(crate) gateway: GatewayId,
    pub(crate) sequence: u64,
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

/// What an entry is about that comes from a line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settlement {
    pub(crate) line: LineName,
    /// The sale and the payment, where they are ours.
    pub(crate) about: Option<(TransactionId, PaymentId)>,
    pub(crate) amount: Money,
}

/// The payment server says that it took money for us.
pub(crate) fn received(matter: Matter) -> Entry {
    entry(EntryKind::Received, matter, None)
}

/// The linkage result says that the payer was served.
pub(crate) fn earned(matter: Matter) -> Entry {
    entry(EntryKind::Earned, matter, None)
}

/// A refund succeeded.
pub(crate) fn refunded(matter: Matter, refund: RefundId) -> Entry {
    entry(EntryKind::Refunded, matter, Some(refund))
}

/// A refund that had succeeded failed after all: we owe again.
pub(crate) fn refund_failed_later(matter: Matter, refund: RefundId) -> Entry {
    entry(EntryKind::RefundFailedLater, matter, Some(refund))
}

/// The payment server gave money back without us: nothing of it is left to earn or return.
pub(crate) fn refunded_outside(matter: Matter) -> Entry {
    entry(EntryKind::RefundedOutside, matter, None)
}

/// What was earned is to be returned after all.
pub(crate) fn unearned(matter: Matter) -> Entry {
    entry(EntryKind::Unearned, matter, None)
}

/// The payer was served and has the money back: the merchant's price is our loss.
pub(crate) fn lost(matter: Matter) -> Entry {
    entry(EntryKind::Lost, matter, None)
}

/// The payment server gave earned money back without us: the payer was served for nothing.
pub(crate) fn lost_outside(matter: Matter) -> Entry {
    entry(EntryKind::LostOutside, matter, None)
}

/// The refund that made it a loss failed for good: nothing went back.
pub(crate) fn loss_undone(matter: Matter) -> Entry {
    entry(EntryKind::LossUndone, matter, None)
}

/// The payer's bank claims earned money back.
pub(crate) fn disputed(matter: Matter) -> Entry {
    entry(EntryKind::Disputed, matter, None)
}

/// The claim came to nothing.
pub(crate) fn dispute_won(matter: Matter) -> Entry {
    entry(EntryKind::DisputeWon, matter, None)
}

/// The claim was paid from what the payment server holds for us: served for nothing. What was not
/// earned before is [`refunded_outside`].
pub(crate) fn dispute_lost(matter: Matter) -> Entry {
    let mut postings = entry(EntryKind::DisputeLost, matter, None);
    postings.extend(lost(matter));
    postings
}

/// A person gave up earned money that the payment server will never pay out.
pub(crate) fn written_off(matter: Matter) -> Entry {
    entry(EntryKind::WrittenOff, matter, None)
}

/// A person closed a payment that was not earned and can't be returned to anybody.
pub(crate) fn unclaimed(matter: Matter) -> Entry {
    entry(EntryKind::Unclaimed, matter, None)
}

/// The payment server took its fee.
pub(crate) fn fee(settlement: &Settlement) -> Entry {
    settled(EntryKind::Fee, settlement)
}

/// The payment server gave a fee back.
pub(crate) fn fee_returned(settlement: &Settlement) -> Entry {
    settled(EntryKind::FeeReturned, settlement)
}

/// The payment server paid out to the merchant's bank.
pub(crate) fn paid_out(settlement: &Settlement) -> Entry {
    settled(EntryKind::PaidOut, settlement)
}

/// A payout came back.
pub(crate) fn payout_returned(settlement: &Settlement) -> Entry {
    settled(EntryKind::PayoutReturned, settlement)
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

fn entry(kind: EntryKind, matter: Matter, refund: Option<RefundId>) -> Entry {
    let about = (Some(matter.transaction), Some(matter.payment), refund);
    pair(kind, matter.amount, about, None)
}

fn settled(kind: EntryKind, settlement: &Settlement) -> Entry {
    let (transaction, payment) = settlement.about.unzip();
    let line = Some(&settlement.line);
    pair(kind, settlement.amount, (transaction, payment, None), line)
}

type About = (Option<TransactionId>, Option<PaymentId>, Option<RefundId>);

fn pair(
    kind: EntryKind,
    amount: Money,
    (transaction, payment, refund): About,
    line: Option<&LineName>,
) -> Entry {
    let minor = amount.minor();
    if minor == 0 {
        return Vec::new();
    }
    let posting = |account, debit_minor, credit_minor| Posting {
        kind,
        account,
        debit_minor,
        credit_minor,
        currency: amount.currency(),
        transaction,
        payment,
        refund,
        line: line.cloned(),
    };
    let (debit, credit) = kind.sides();
    vec![posting(debit, minor, 0), posting(credit, 0, minor)]
}

#[cfg(test)]
mod tests;
