//! Statement lines: appended once, never changed, numbered from 1 for each platform.

use std::collections::BTreeMap;

use protocol::id::{PayeeId, PaymentId, PlatformId, RefundId, TransactionId};
use protocol::message::{STATEMENT_LINES_MAX, StatementKind, StatementLine, StatementPage};
use protocol::money::Money;
use protocol::time::Utc;

#[derive(Debug, Clone, Default)]
pub(crate) struct Statements(BTreeMap<PlatformId, Vec<StatementLine>>);

/// Money that moved. What leaves the account carries a negative number of minor units, so that
/// lines add up to the balance; the positive line of a refund is a success that failed afterwards.
#[derive(Clone, Copy)]
pub(crate) struct Moved<'a> {
    pub(crate) kind: StatementKind,
    pub(crate) order: TransactionId,
    pub(crate) payment: PaymentId,
    pub(crate) refund: Option<RefundId>,
    pub(crate) amount: Money,
    pub(crate) way: Way,
    pub(crate) payee: &'a PayeeId,
    pub(crate) at: Utc,
}

/// Into the account, or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

impl Way {
    /// In minor units; money never leaves the range in which this is exact.
    pub(crate) const fn signed(self, amount: Money) -> i64 {
        match self {
            Self::In => amount.minor(),
            Self::Out => -amount.minor(),
        }
    }
}

impl Statements {
    /// All lines of a platform, oldest first.
    pub(crate) fn lines(&self, platform: &PlatformId) -> &[StatementLine] {
        self.0.get(platform).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn append(&mut self, platform: &PlatformId, moved: Moved<'_>) {
        let lines = self.0.entry(platform.clone()).or_default();
        lines.push(StatementLine {
            sequence: lines.len() as u64 + 1,
            kind: moved.kind,
            order: moved.order,
            payment: moved.payment,
            refund: moved.refund,
            minor: moved.way.signed(moved.amount),
            currency: moved.amount.currency(),
            payee: moved.payee.clone(),
            booked_at: moved.at,
        });
    }

    /// At most `limit` lines after the one numbered `after`.
    pub(crate) fn page(&self, platform: &PlatformId, after: u64, limit: u16) -> StatementPage {
        page(self.lines(platform), after, limit)
    }
}

/// A page of lines that are numbered from 1; a limit of 0 or above [`STATEMENT_LINES_MAX`] means
/// that maximum.
pub(crate) fn page(all: &[StatementLine], after: u64, limit: u16) -> StatementPage {
    let limit = match limit {
        1..=STATEMENT_LINES_MAX => limit,
        _ => STATEMENT_LINES_MAX,
    };
    let skipped = usize::try_from(after).unwrap_or(usize::MAX).min(all.len());
    let rest = &all[skipped..];
    let lines = rest[..rest.len().min(usize::from(limit))].to_vec();
    StatementPage {
        next: lines.last().map_or(after, |line| line.sequence),
        more: lines.len() < rest.len(),
        lines,
    }
}
