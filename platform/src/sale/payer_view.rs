//! A sale as its payer may know it: what was paid, whether it was served, where the money is.

use protocol::id::PaymentId;
use protocol::message::{BillLine, Payee, Place, Receipt};
use protocol::money::Money;
use protocol::signed::Jws;
use protocol::time::Utc;
use protocol::topic::TerminalName;

use super::Sale;
use super::payment::Payment;
use super::refund::{Refund, RefundReason, RefundState};
use super::transaction::TransactionState;

/// No secret and no identity: whoever holds the link may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PayerView<'a> {
    pub(crate) terminal: &'a TerminalName,
    pub(crate) merchant: &'a str,
    pub(crate) payee: &'a Payee,
    pub(crate) place: &'a Place,
    /// IANA name.
    pub(crate) time_zone: Option<&'a str>,
    pub(crate) lines: &'a [BillLine],
    pub(crate) amount: Money,
    pub(crate) created_at: Utc,
    pub(crate) served_at: Option<Utc>,
    pub(crate) stage: Stage,
    /// When a person has to have decided.
    pub(crate) review_due_at: Option<Utc>,
    /// In the order of their ids.
    pub(crate) payments: Vec<Paid>,
    pub(crate) receipt: Option<&'a Jws<Receipt>>,
}

/// Where a sale stands, in a payer's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Nothing is paid yet, as far as we know.
    Unpaid,
    /// Somebody says that it is paid; the payment server is asked.
    Checking,
    /// Paid, and the terminal has not said yet whether it served.
    Serving,
    Served,
    /// The order is being shut; a payment may still turn up, and then goes back.
    Closing,
    /// Shut, and nothing was paid.
    Nothing,
    /// Money is on its way back.
    Returning,
    Returned,
    /// A person decides.
    Review,
}

/// One payment under our order number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paid {
    /// The payment server's reference.
    pub(crate) payment: PaymentId,
    pub(crate) amount: Money,
    pub(crate) paid_at: Utc,
    /// Whether it came to us and not to another payee.
    pub(crate) is_ours: bool,
    /// Whether it is the one that the service was for.
    pub(crate) is_kept: bool,
    pub(crate) returned: Option<Return>,
    /// What the payment server returned by itself.
    pub(crate) outside: Option<Money>,
}

/// Our refund of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Return {
    pub(crate) amount: Money,
    pub(crate) reason: RefundReason,
    pub(crate) journey: Journey,
}

/// How far a refund has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Journey {
    OnItsWay {
        since: Option<Utc>,
    },
    Back {
        at: Option<Utc>,
    },
    /// The payment server does not return it; a person sees to it.
    Stuck,
}

impl Sale {
    pub(crate) fn payer_view(&self) -> PayerView<'_> {
        let facts = &self.facts;
        let paid = |(id, payment): (&PaymentId, &Payment)| self.paid(*id, payment);
        PayerView {
            terminal: &facts.terminal,
            merchant: &facts.merchant,
            payee: &facts.payee,
            place: &facts.place,
            time_zone: facts.time_zone.as_deref(),
            lines: &facts.lines,
            amount: facts.amount,
            created_at: facts.created_at,
            served_at: self.transaction.done_at,
            stage: stage(self.transaction.state),
            review_due_at: self.transaction.reviews.iter().map(|r| r.due_at).min(),
            payments: self.payments.iter().map(paid).collect(),
            receipt: self.receipt.as_ref(),
        }
    }

    fn paid(&self, id: PaymentId, payment: &Payment) -> Paid {
        let outside = Money::new(payment.outside_minor, payment.amount.currency());
        Paid {
            payment: id,
            amount: payment.amount,
            paid_at: payment.paid_at,
            is_ours: payment.verdict.is_ours(),
            is_kept: self.transaction.kept == Some(id),
            returned: payment.refund.as_ref().map(returned),
            outside: outside.ok().filter(|amount| !amount.is_zero()),
        }
    }
}

fn returned(refund: &Refund) -> Return {
    let journey = match refund.state {
        RefundState::Requested | RefundState::Sent | RefundState::Pending => Journey::OnItsWay {
            since: refund.decided_at,
        },
        RefundState::Succeeded => Journey::Back {
            at: refund.succeeded_at,
        },
        RefundState::Failed => Journey::Stuck,
    };
    Return {
        amount: refund.amount,
        reason: refund.reason,
        journey,
    }
}

const fn stage(state: TransactionState) -> Stage {
    match state {
        TransactionState::Created | TransactionState::AwaitingPayment => Stage::Unpaid,
        TransactionState::Confirming => Stage::Checking,
        TransactionState::Confirmed
        | TransactionState::Commanded
        | TransactionState::LinkageUnknown => Stage::Serving,
        TransactionState::Done => Stage::Served,
        TransactionState::Closing => Stage::Closing,
        TransactionState::Expired => Stage::Nothing,
        TransactionState::RefundPending => Stage::Returning,
        TransactionState::Refunded => Stage::Returned,
        TransactionState::Review => Stage::Review,
    }
}
