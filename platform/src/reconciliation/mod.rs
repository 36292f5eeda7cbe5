//! Comparing our books with a payment server's statement. One machine per payment server.
//!
//! Pure: pages and rows of ours go in, effects come out; the engine asks, loads and commits. A run
//! reads the statement from the cursor to its end, looks again at lines that were not final, and
//! then looks for what we have and the statement has not. The cursor is committed with the lines
//! that it covers, so a crash anywhere repeats nothing and skips nothing.
//!
//! | module | what it owns |
//! |---|---|
//! | [`compare`] | what a line is |
//! | [`page`] | whether a page can be believed |
//! | [`policy`] | when, how much, how long |

mod compare;
mod page;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use protocol::id::{Entropy, GatewayId, Nonce, TransactionId};
use protocol::message::{
    GatewayAnswer, GatewayResult, Operation, STATEMENT_LINES_MAX, StatementPage,
};
use protocol::time::{Now, Tick, Utc};
use serde::{Deserialize, Serialize};

pub(crate) use compare::Finding;
use compare::{Again, Compared, compare};
pub(crate) use page::Fault;
pub use policy::ReconciliationPolicy;

use crate::store::books::{BookNote, LineRow, OrderBook, Resolution, TaskId, TaskRow, Unlisted};

/// Pages of one run: 120,000 lines, an hour of 30 payments a second. A statement that never ends
/// must not keep the engine from its sales.
const PAGES_MAX: u32 = 5_000;

/// From a run that was cut short to the next one.
const CUT_PAUSE: Duration = Duration::from_secs(60);

/// From a run that nobody answered to the next one: most outages are over by then.
const SILENT_PAUSE: Duration = Duration::from_secs(300);

/// Differences of one run. Who has more needs one person, not a thousand tasks.
const DIFFERENCES_MAX: u32 = 1_000;

/// Lines, and rows of ours, that are looked at in one step: as many as one page has.
pub(crate) const STEP_MAX: usize = STATEMENT_LINES_MAX as usize;

/// Who resolves a task that has resolved itself.
const OWN_NAME: &str = "reconciliation";

/// What the machine wants done: commit these, then send that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Output {
    Note(BookNote),
    /// Ask the payment server for this order again; the sale judges the answer.
    Hint(TransactionId),
    /// Sign and send.
    Ask {
        operation: Operation,
        nonce: Nonce,
    },
    /// Count it.
    Found(Finding),
    /// Count and log it.
    Fault(Fault),
    /// A run came to the end of the statement and of our books.
    Completed,
}

/// Rows of ours that the machine waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    /// Lines to look at again, numbered above `after`, with the books of their orders.
    Pending { after: u64 },
    /// What no line names, of this window.
    Unlisted { from: Utc, until: Utc },
}

/// What is kept of a machine between its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    /// The last line that was taken.
    cursor: u64,
    /// By the payment server's clock: everything that it booked before is in our copy.
    covered_until_ms: Option<i64>,
    /// What is older must be on both sides, or in the work list.
    settled_until_ms: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Idle,
    /// The statement is being read.
    Reading(Reading),
    /// Lines above `after` are looked at again; none above `last`, which are new.
    Looking {
        after: u64,
        last: u64,
    },
    Sweeping,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Reading {
    nonce: Nonce,
    overdue_at: Tick,
    tries: u32,
    pages: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Reconciliation {
    gateway: GatewayId,
    policy: ReconciliationPolicy,
    document: Document,
    phase: Phase,
    next_at: Option<Tick>,
    deep_at: Tick,
    is_deep: bool,
    /// The cursor at which this run began: older lines have been looked at before.
    began_at: u64,
    mends: u32,
    differences: u32,
    /// The payment server's clock at its last page.
    told_ms: Option<i64>,
    outputs: VecDeque<Output>,
}

impl Reconciliation {
    /// The machine of one gateway with what the store kept of it; an unreadable document begins
    /// again at the first line, which finds the same and posts nothing twice.
    pub(crate) fn new(
        gateway: GatewayId,
        policy: ReconciliationPolicy,
        kept: Option<&str>,
        now: Tick,
    ) -> Self {
        let document = kept.and_then(|kept| serde_json::from_str(kept).ok());
        let start = now + Duration::from_millis(policy.start_ms);
        Self {
            gateway,
            policy,
            document: document.unwrap_or_default(),
            phase: Phase::Idle,
            next_at: Some(start),
            deep_at: start,
            is_deep: false,
            began_at: 0,
            mends: 0,
            differences: 0,
            told_ms: None,
            outputs: VecDeque::new(),
        }
    }

    pub(crate) const fn gateway(&self) -> &GatewayId {
        &self.gateway
    }

    /// Somebody wants a run now; one that is under way is it.
    pub(crate) fn handle_demand(&mut self, now: Tick) {
        if self.phase == Phase::Idle {
            self.next_at = Some(now);
        }
    }

    /// Everything that is due by now.
    pub(crate) fn handle_timeout(&mut self, now: Now, entropy: &mut dyn Entropy) {
        match &mut self.phase {
            Phase::Idle if self.next_at.is_some_and(|at| at <= now.tick) => {
                self.begin(now, entropy);
            }
            Phase::Reading(reading) if reading.overdue_at <= now.tick => {
                let (tries, pages) = (reading.tries, reading.pages);
                if tries >= self.policy.tries {
                    self.give_up(Fault::Silent, now);
                } else {
                    self.ask((tries + 1, pages), now, entropy);
                }
            }
            Phase::Idle | Phase::Reading(_) | Phase::Looking { .. } | Phase::Sweeping => {}
        }
    }

    /// Takes an answer; `false` if it is not to the question that is open. `books` are those of the
    /// orders that the page names.
    pub(crate) fn handle_answer(
        &mut self,
        answer: &GatewayAnswer,
        books: &[OrderBook],
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let Phase::Reading(reading) = &self.phase else {
            return false;
        };
        if reading.nonce != answer.nonce || answer.gateway != self.gateway {
            return false;
        }
        let pages = reading.pages;
        match &answer.result {
            GatewayResult::Statement(page) => match page::check(page, self.document.cursor) {
                Ok(()) => {
                    self.take_page(page, answer.answered_at, books, now);
                    self.go_on(page.more, pages.saturating_add(1), now, entropy);
                }
                Err(fault) => self.give_up(fault, now),
            },
            GatewayResult::Refused(_) => self.give_up(Fault::Refused, now),
            GatewayResult::Order(_) | GatewayResult::Refund(_) => return false,
        }
        true
    }

    /// Takes the lines it wanted to look at again, with the books of their orders.
    pub(crate) fn handle_pending(&mut self, lines: &[LineRow], books: &[OrderBook], now: Now) {
        let Phase::Looking { after, last } = self.phase else {
            return;
        };
        let mut reached = after;
        for row in lines.iter().filter(|row| row.line.sequence <= last) {
            reached = row.line.sequence;
            self.take_line(row, true, books, now);
        }
        let is_over = lines.len() < STEP_MAX || reached == after || reached >= last;
        self.phase = if is_over {
            Phase::Sweeping
        } else {
            Phase::Looking {
                after: reached,
                last,
            }
        };
    }

    /// Takes rows of ours that no line names.
    pub(crate) fn handle_unlisted(&mut self, rows: &[Unlisted], now: Now) {
        if self.phase != Phase::Sweeping {
            return;
        }
        for row in rows {
            let (finding, subject) = match row.refund {
                None => (Finding::MissingThere, payment_subject(row.payment)),
                Some(refund) => (Finding::MissingRefund, refund_subject(refund)),
            };
            self.outputs.push_back(Output::Found(finding));
            let detail = format!(
                "{} of {} to {}, no line names it",
                row.amount, row.at, row.payee
            );
            self.open_task(finding, subject, (Some(row.transaction), detail), now);
        }
        if rows.is_empty() {
            self.complete(now);
        } else if self.differences >= DIFFERENCES_MAX {
            self.give_up(Fault::TooManyDifferences, now);
        }
    }

    /// The rows that it waits for, if any.
    pub(crate) fn poll_want(&self) -> Option<Want> {
        match self.phase {
            Phase::Looking { after, .. } => Some(Want::Pending { after }),
            Phase::Sweeping => {
                let (from, until) = self.window();
                Some(Want::Unlisted { from, until })
            }
            Phase::Idle | Phase::Reading(_) => None,
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Tick> {
        match &self.phase {
            Phase::Idle => self.next_at,
            Phase::Reading(reading) => Some(reading.overdue_at),
            // There is something to do already.
            Phase::Looking { .. } | Phase::Sweeping => Some(Tick::from_millis(0)),
        }
    }

    fn begin(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.is_deep = self.deep_at <= now.tick;
        self.began_at = self.document.cursor;
        self.mends = 0;
        self.differences = 0;
        self.ask((1, 0), now, entropy);
    }

    fn ask(&mut self, (tries, pages): (u32, u32), now: Now, entropy: &mut dyn Entropy) {
        let nonce = Nonce::from_random(entropy.bytes());
        self.phase = Phase::Reading(Reading {
            nonce,
            overdue_at: now.tick + Duration::from_millis(self.policy.call_ms),
            tries,
            pages,
        });
        let operation = Operation::Statement {
            after: self.document.cursor,
            limit: STATEMENT_LINES_MAX,
        };
        self.outputs.push_back(Output::Ask { operation, nonce });
    }

    fn take_page(&mut self, page: &StatementPage, asked: Utc, books: &[OrderBook], now: Now) {
        let mut books = books.to_vec();
        self.told_ms = Some(asked.as_millis());
        if !page.more {
            self.document.covered_until_ms = Some(asked.as_millis());
        }
        for line in &page.lines {
            let book = books.iter_mut().find(|book| book.transaction == line.order);
            if let Some(book) = book {
                book.list(line);
            }
        }
        for line in &page.lines {
            let row = LineRow {
                gateway: self.gateway.clone(),
                line: line.clone(),
                finding: String::new(),
                is_pending: true,
            };
            self.take_line(&row, false, &books, now);
        }
        self.document.cursor = page.next;
        self.keep_document();
    }

    /// The next page, or what comes after the last one.
    fn go_on(&mut self, more: bool, pages: u32, now: Now, entropy: &mut dyn Entropy) {
        if self.differences >= DIFFERENCES_MAX {
            self.give_up(Fault::TooManyDifferences, now);
        } else if !more {
            self.phase = Phase::Looking {
                after: 0,
                last: self.began_at,
            };
        } else if pages >= PAGES_MAX {
            self.phase = Phase::Idle;
            self.next_at = Some(now.tick + CUT_PAUSE);
        } else {
            self.ask((1, pages), now, entropy);
        }
    }

    fn take_line(&mut self, row: &LineRow, is_again: bool, books: &[OrderBook], now: Now) {
        let order = row.line.order;
        let book = books.iter().find(|book| book.transaction == order);
        let compared = compare(row, book, self.grace_begins(now));
        let is_first = !is_again || row.finding != compared.finding.as_str();
        let looks = match compared.again {
            Again::No => false,
            Again::Look => is_first,
            Again::Mend => is_first && self.mend(order),
        };
        let is_pending = compared.finding == Finding::Timing || looks;
        if is_first {
            self.outputs.push_back(Output::Found(compared.finding));
        }
        self.put_line(row, &compared, is_pending);
        if let Some(entry) = compared.entry {
            let note = BookNote::Entry { at: now.utc, entry };
            self.outputs.push_back(Output::Note(note));
        }
        if compared.finding.is_settled() {
            self.resolve_missing(row, now);
        } else if !is_pending {
            let subject = format!("line:{}/{}", self.gateway, row.line.sequence);
            let transaction = book.is_some().then_some(order);
            self.open_task(
                compared.finding,
                subject,
                (transaction, compared.detail),
                now,
            );
        }
    }

    /// Asks the sale to mend it, unless that was asked of too many in this run.
    fn mend(&mut self, order: TransactionId) -> bool {
        let may_mend = self.mends < self.policy.mends_max;
        if may_mend {
            self.mends += 1;
            self.outputs.push_back(Output::Hint(order));
        }
        may_mend
    }

    fn put_line(&mut self, row: &LineRow, compared: &Compared, is_pending: bool) {
        let line = LineRow {
            finding: compared.finding.as_str().to_owned(),
            is_pending,
            ..row.clone()
        };
        if line != *row {
            self.outputs.push_back(Output::Note(BookNote::Line(line)));
        }
    }

    /// What was missing there has come.
    fn resolve_missing(&mut self, row: &LineRow, now: Now) {
        let line = &row.line;
        let (kind, subject) = match (line.kind, line.refund) {
            (protocol::message::StatementKind::Payment, _) => {
                (Finding::MissingThere, payment_subject(line.payment))
            }
            (protocol::message::StatementKind::Refund, Some(refund)) => {
                (Finding::MissingRefund, refund_subject(refund))
            }
            _ => return,
        };
        let note = format!("line {}/{} came later", self.gateway, line.sequence);
        self.outputs.push_back(Output::Note(BookNote::Resolved {
            task: TaskId::of(kind.as_str(), &subject),
            resolution: Resolution {
                by: OWN_NAME.to_owned(),
                at: now.utc,
                note,
            },
        }));
    }

    fn open_task(
        &mut self,
        finding: Finding,
        subject: String,
        (transaction, detail): (Option<TransactionId>, String),
        now: Now,
    ) {
        self.differences = self.differences.saturating_add(1);
        self.put_task(finding.as_str(), subject, (transaction, detail), now);
    }

    fn put_task(
        &mut self,
        kind: &str,
        subject: String,
        (transaction, detail): (Option<TransactionId>, String),
        now: Now,
    ) {
        let due = Duration::from_millis(self.policy.task_ms);
        let task = TaskRow {
            id: TaskId::of(kind, &subject),
            kind: kind.to_owned(),
            subject,
            transaction,
            owner: self.policy.owner.clone(),
            since: now.utc,
            due_at: now.utc.saturating_add(due),
            detail,
            resolved: None,
        };
        self.outputs.push_back(Output::Note(BookNote::Task(task)));
    }

    /// Both sides are compared up to here.
    fn complete(&mut self, now: Now) {
        let grace = i64::try_from(self.policy.grace_ms).unwrap_or(i64::MAX);
        let covered = self.document.covered_until_ms;
        self.document.settled_until_ms = covered.map(|covered| covered.saturating_sub(grace));
        self.keep_document();
        if self.is_deep {
            self.deep_at = now.tick + Duration::from_millis(self.policy.deep_interval_ms);
        }
        self.outputs.push_back(Output::Completed);
        self.end(now);
    }

    /// Nothing more is believed of this run; what was committed stays.
    fn give_up(&mut self, fault: Fault, now: Now) {
        self.outputs.push_back(Output::Fault(fault));
        if fault.is_for_a_person() {
            let subject = format!("statement:{}/{}", self.gateway, fault.as_str());
            let detail = format!("after line {}: {fault}", self.document.cursor);
            self.put_task("statement_fault", subject, (None, detail), now);
        }
        self.end(now);
        if fault == Fault::Silent {
            let soon = now.tick + SILENT_PAUSE;
            self.next_at = self.next_at.map(|at| at.min(soon));
        }
    }

    fn end(&mut self, now: Now) {
        self.phase = Phase::Idle;
        self.next_at = Some(now.tick + Duration::from_millis(self.policy.interval_ms));
    }

    fn keep_document(&mut self) {
        let Ok(document) = serde_json::to_string(&self.document) else {
            return;
        };
        let gateway = self.gateway.clone();
        let note = BookNote::Reconciliation { gateway, document };
        self.outputs.push_back(Output::Note(note));
    }

    /// What is younger may only be newer than the other side. By the payment server's clock where
    /// it has told it.
    fn grace_begins(&self, now: Now) -> i64 {
        let clock = self.told_ms;
        let grace = i64::try_from(self.policy.grace_ms).unwrap_or(i64::MAX);
        clock
            .unwrap_or_else(|| now.utc.as_millis())
            .saturating_sub(grace)
    }

    fn window(&self) -> (Utc, Utc) {
        let instant = |millis: i64| Utc::from_millis(millis).unwrap_or(Utc::EPOCH);
        let grace = i64::try_from(self.policy.grace_ms).unwrap_or(i64::MAX);
        let until = self.document.covered_until_ms.unwrap_or(0);
        let until = until.saturating_sub(grace);
        let back = i64::try_from(self.policy.deep_window_ms).unwrap_or(i64::MAX);
        let from = match self.document.settled_until_ms {
            None => 0,
            Some(settled) if self.is_deep => settled.min(until.saturating_sub(back)),
            // What was found late is dated before: a day back is the late watch's first half.
            Some(settled) => settled.saturating_sub(86_400_000),
        };
        (instant(from.max(0)), instant(until.max(0)))
    }
}

fn payment_subject(payment: protocol::id::PaymentId) -> String {
    format!("payment:{payment}")
}

fn refund_subject(refund: protocol::id::RefundId) -> String {
    format!("refund:{refund}")
}
