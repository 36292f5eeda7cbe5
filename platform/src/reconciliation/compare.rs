//! What a line of a statement is, beside what we hold of its order.

use protocol::message::{StatementKind, StatementLine};
use protocol::money::Money;

use crate::ledger::{self, Entry, LineName, Settlement};
use crate::store::books::{LineRow, Listed, OrderBook};
use crate::store::{PaymentRow, RefundRow};

/// What a comparison can find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// Both sides hold the same.
    Matched,
    /// A fee or a payout, booked from the line.
    Booked,
    /// They differ, and one side may only be newer.
    Timing,
    /// A payment that we do not hold.
    MissingHere,
    /// A payment of ours that the statement does not hold.
    MissingThere,
    AmountDiffers,
    CurrencyDiffers,
    PayeeDiffers,
    StatusDiffers,
    /// A second payment of a paid order, or a second line of the same payment or refund.
    Duplicate,
    /// Money went back without us.
    UnexpectedRefund,
    /// A refund of ours that the statement does not hold.
    MissingRefund,
    /// It is about nothing that we know.
    UnknownLine,
}

impl Finding {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Booked => "booked",
            Self::Timing => "timing",
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::AmountDiffers => "amount_differs",
            Self::CurrencyDiffers => "currency_differs",
            Self::PayeeDiffers => "payee_differs",
            Self::StatusDiffers => "status_differs",
            Self::Duplicate => "duplicate",
            Self::UnexpectedRefund => "unexpected_refund",
            Self::MissingRefund => "missing_refund",
            Self::UnknownLine => "unknown_line",
        }
    }

    /// Whether nothing is left to be done about it.
    pub(crate) const fn is_settled(self) -> bool {
        matches!(self, Self::Matched | Self::Booked)
    }
}

/// Whether a difference is looked at once more before a person has to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    No,
    /// A line of a later page may explain it.
    Look,
    /// The sale can mend it by asking the payment server again: what it finds then it earns or
    /// returns by its own rules, the terminal's journal included.
    Mend,
}

/// One line, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) finding: Finding,
    pub(super) again: Again,
    pub(super) entry: Option<Entry>,
    /// For a person to read.
    pub(super) detail: String,
}

/// Compares a line with the books of its order. Differences of lines booked at or after
/// `grace_begins` (milliseconds since 1970) are timing.
pub(super) fn compare(row: &LineRow, book: Option<&OrderBook>, grace_begins: i64) -> Compared {
    let line = &row.line;
    if let StatementKind::Fee | StatementKind::Payout = line.kind {
        return settle(row, book);
    }
    let (finding, again) = match line.kind {
        StatementKind::Payment => payment(line, book),
        StatementKind::Refund => refund(line, book),
        StatementKind::Dispute => (dispute(line, book), Again::No),
        StatementKind::Fee | StatementKind::Payout => (Finding::UnknownLine, Again::No),
    };
    let is_young = line.booked_at.as_millis() >= grace_begins;
    if is_young && !finding.is_settled() {
        return compared(Finding::Timing, line);
    }
    Compared {
        again,
        ..compared(finding, line)
    }
}

fn payment(line: &StatementLine, book: Option<&OrderBook>) -> (Finding, Again) {
    let Some(book) = book else {
        return (Finding::MissingHere, Again::No);
    };
    if line.minor <= 0 {
        return (Finding::UnknownLine, Again::No);
    }
    if book.is_listed(line) {
        return (Finding::Duplicate, Again::No);
    }
    let ours = |row: &&PaymentRow| row.payment == line.payment;
    if let Some(ours) = book.payments.iter().find(ours) {
        let finding = differs(line, ours.amount, Some(&ours.payee));
        return (finding.unwrap_or(Finding::Matched), Again::No);
    }
    if book
        .payee
        .as_ref()
        .is_some_and(|payee| *payee != line.payee)
    {
        return (Finding::PayeeDiffers, Again::No);
    }
    if book.payments.is_empty() {
        (Finding::MissingHere, Again::Mend)
    } else {
        (Finding::Duplicate, Again::Mend)
    }
}

fn refund(line: &StatementLine, book: Option<&OrderBook>) -> (Finding, Again) {
    let Some(book) = book else {
        return (Finding::UnknownLine, Again::No);
    };
    let is_known = |id| move |row: &&RefundRow| row.refund == id;
    let ours = line
        .refund
        .and_then(|id| book.refunds.iter().find(is_known(id)));
    let Some(ours) = ours else {
        let has_payment = book.payments.iter().any(|row| row.payment == line.payment);
        return if has_payment && line.minor < 0 {
            (Finding::UnexpectedRefund, Again::No)
        } else {
            (Finding::UnknownLine, Again::No)
        };
    };
    if book.is_listed(line) {
        return (Finding::Duplicate, Again::No);
    }
    if let Some(finding) = differs(line, ours.amount, None) {
        return (finding, Again::No);
    }
    // A line with the sign of a payment takes a refund back.
    let expected = if line.minor < 0 {
        "succeeded"
    } else {
        "failed"
    };
    let was_returned = line.minor < 0 && book.is_reversed(line);
    if ours.status == expected || was_returned {
        (Finding::Matched, Again::No)
    } else {
        (Finding::StatusDiffers, Again::Look)
    }
}

fn dispute(line: &StatementLine, book: Option<&OrderBook>) -> Finding {
    let Some(book) = book else {
        return Finding::UnknownLine;
    };
    if book.disputed.contains(&line.payment) {
        Finding::Matched
    } else if book.payments.iter().any(|row| row.payment == line.payment) {
        Finding::StatusDiffers
    } else {
        Finding::UnknownLine
    }
}

fn differs(
    line: &StatementLine,
    amount: Money,
    payee: Option<&protocol::id::PayeeId>,
) -> Option<Finding> {
    if line.currency != amount.currency() {
        Some(Finding::CurrencyDiffers)
    } else if line.minor.unsigned_abs() != amount.minor().unsigned_abs() {
        Some(Finding::AmountDiffers)
    } else if payee.is_some_and(|payee| *payee != line.payee) {
        Some(Finding::PayeeDiffers)
    } else {
        None
    }
}

/// Fees and payouts stand on the statement's word: there is no other side.
fn settle(row: &LineRow, book: Option<&OrderBook>) -> Compared {
    let line = &row.line;
    let minor = line.minor.checked_abs();
    let amount = minor.and_then(|minor| Money::new(minor, line.currency).ok());
    let Some(amount) = amount else {
        return compared(Finding::UnknownLine, line);
    };
    let is_ours = |book: &&OrderBook| book.payments.iter().any(|row| row.payment == line.payment);
    let settlement = Settlement {
        line: LineName {
            gateway: row.gateway.clone(),
            sequence: line.sequence,
        },
        about: book
            .filter(is_ours)
            .map(|book| (book.transaction, line.payment)),
        amount,
    };
    let entry = match (line.kind, line.minor < 0) {
        (StatementKind::Payout, true) => ledger::paid_out(&settlement),
        (StatementKind::Payout, false) => ledger::payout_returned(&settlement),
        (_, true) => ledger::fee(&settlement),
        (_, false) => ledger::fee_returned(&settlement),
    };
    Compared {
        entry: Some(entry),
        ..compared(Finding::Booked, line)
    }
}

fn compared(finding: Finding, line: &StatementLine) -> Compared {
    Compared {
        finding,
        again: Again::No,
        entry: None,
        detail: format!(
            "{:?} of {} minor units {} to {}, booked at {}, order {}, payment {}",
            line.kind,
            line.minor,
            line.currency.code(),
            line.payee,
            line.booked_at,
            line.order,
            line.payment
        ),
    }
}

impl OrderBook {
    /// Whether another line says the same.
    fn is_listed(&self, line: &StatementLine) -> bool {
        let is_same = |listed: &Listed| {
            listed.sequence < line.sequence
                && listed.kind == line.kind
                && listed.payment == line.payment
                && listed.refund == line.refund
                && (listed.minor < 0) == (line.minor < 0)
        };
        self.listed.iter().any(is_same)
    }

    /// Whether another line takes this refund back.
    fn is_reversed(&self, line: &StatementLine) -> bool {
        let is_reverse = |listed: &Listed| {
            listed.kind == line.kind && listed.refund == line.refund && listed.minor > 0
        };
        self.listed.iter().any(is_reverse)
    }

    /// Remembers a line for those after it.
    pub(super) fn list(&mut self, line: &StatementLine) {
        let listed = Listed::of(line);
        if !self.listed.contains(&listed) {
            self.listed.push(listed);
        }
    }
}
