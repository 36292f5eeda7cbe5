//! A table per kind, lying statements, and the property that whatever happens on the way, the
//! result is that of one fresh comparison.

mod kinds;
mod lies;
mod property;

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{PayeeId, PaymentId, RefundId};
use protocol::message::{StatementKind, StatementLine};
use protocol::money::Money;
use protocol::signed::Audience;

use super::*;
use crate::ledger::Posting;
use crate::store::{PaymentRow, RefundRow};

const GRACE: i64 = 3_600_000;

/// The payment server's clock when it answers.
const ASKED: i64 = 100 * GRACE;

fn at(millis: i64) -> Utc {
    Utc::from_millis(millis).unwrap()
}

fn now(seconds: u64) -> Now {
    Now {
        utc: at(ASKED),
        tick: Tick::from_millis(seconds * 1_000),
    }
}

fn order(number: u8) -> TransactionId {
    TransactionId::from_random([number; 16])
}

fn payment(number: u8) -> PaymentId {
    PaymentId::from_random([number; 16])
}

fn refund(number: u8) -> RefundId {
    RefundId::from_random([number; 16])
}

fn shop() -> PayeeId {
    "shop".parse().unwrap()
}

fn yuan(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

/// An old line about order and payment `number`.
fn line(sequence: u64, kind: StatementKind, number: u8, minor: i64) -> StatementLine {
    StatementLine {
        sequence,
        kind,
        order: order(number),
        payment: payment(number),
        refund: (kind == StatementKind::Refund).then(|| refund(number)),
        minor,
        currency: "CNY".parse().unwrap(),
        payee: shop(),
        booked_at: at(ASKED - 2 * GRACE),
    }
}

fn paid(number: u8) -> PaymentRow {
    PaymentRow {
        payment: payment(number),
        transaction: order(number),
        gateway: "mock".parse().unwrap(),
        amount: yuan(450),
        payee: shop(),
        refunded_minor: 0,
        received_at: at(ASKED - 2 * GRACE),
    }
}

fn returned(number: u8, status: &str) -> RefundRow {
    RefundRow {
        refund: refund(number),
        payment: payment(number),
        transaction: order(number),
        amount: yuan(450),
        status: status.to_owned(),
        reason: "late".to_owned(),
        updated_at: at(ASKED - 2 * GRACE),
    }
}

fn book(number: u8, payments: Vec<PaymentRow>, refunds: Vec<RefundRow>) -> OrderBook {
    OrderBook {
        transaction: order(number),
        terminal: "north/gate-1".parse().unwrap(),
        payee: Some(shop()),
        payments,
        refunds,
        disputed: vec![],
        listed: vec![],
    }
}

/// A machine with a store of its own and a payment server's statement.
#[derive(Clone)]
struct Bench {
    machine: Reconciliation,
    kept: Option<String>,
    statement: Vec<StatementLine>,
    books: BTreeMap<TransactionId, OrderBook>,
    lines: BTreeMap<u64, LineRow>,
    tasks: BTreeMap<TaskId, TaskRow>,
    postings: Vec<Posting>,
    hints: Vec<TransactionId>,
    faults: Vec<Fault>,
    asked: Option<(u64, Nonce)>,
    completed: u32,
    draws: u8,
    page_size: usize,
    seconds: u64,
}

impl Bench {
    fn new(statement: Vec<StatementLine>, books: Vec<OrderBook>) -> Self {
        Self {
            machine: machine(None),
            kept: None,
            statement,
            books: books
                .into_iter()
                .map(|book| (book.transaction, book))
                .collect(),
            lines: BTreeMap::new(),
            tasks: BTreeMap::new(),
            postings: vec![],
            hints: vec![],
            faults: vec![],
            asked: None,
            completed: 0,
            draws: 0,
            page_size: 24,
            seconds: 0,
        }
    }

    fn now(&self) -> Now {
        now(self.seconds)
    }

    /// Commits what the machine wants.
    fn commit(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Note(note) => self.write(note),
                Output::Hint(order) => self.hints.push(order),
                Output::Ask { operation, nonce } => {
                    let Operation::Statement { after, limit } = operation else {
                        panic!("{operation:?}");
                    };
                    assert_eq!(limit, STATEMENT_LINES_MAX);
                    self.asked = Some((after, nonce));
                }
                Output::Fault(fault) => self.faults.push(fault),
                Output::Completed => self.completed += 1,
                Output::Found(_) => {}
            }
        }
    }

    fn write(&mut self, note: BookNote) {
        match note {
            BookNote::Line(row) => {
                if let Some(book) = self.books.get_mut(&row.line.order) {
                    book.list(&row.line);
                }
                self.lines.insert(row.line.sequence, row);
            }
            BookNote::Entry { entry, .. } => {
                for posting in entry {
                    let is_same = |other: &Posting| {
                        other.line == posting.line && other.account == posting.account
                    };
                    assert!(!self.postings.iter().any(is_same), "booked twice");
                    self.postings.push(posting);
                }
            }
            BookNote::Reconciliation { document, .. } => self.kept = Some(document),
            BookNote::Task(task) => {
                self.tasks.entry(task.id.clone()).or_insert(task);
            }
            BookNote::Resolved { task, resolution } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    task.resolved.get_or_insert(resolution);
                }
            }
        }
    }

    /// The process is killed and starts again from what was committed.
    fn restart(&mut self) {
        self.machine = machine(self.kept.as_deref());
        self.asked = None;
    }

    fn page(&self, after: u64) -> StatementPage {
        let rest = self.statement.iter().filter(|line| line.sequence > after);
        let lines: Vec<_> = rest.clone().take(self.page_size).cloned().collect();
        StatementPage {
            next: lines.last().map_or(after, |line| line.sequence),
            more: rest.count() > lines.len(),
            lines,
        }
    }

    fn answer(&mut self, nonce: Nonce, result: GatewayResult) -> bool {
        let answer = GatewayAnswer {
            aud: Audience::platform(&"main".parse().unwrap()),
            gateway: "mock".parse().unwrap(),
            nonce,
            order: None,
            result,
            answered_at: at(ASKED),
        };
        let books: Vec<_> = self.books.values().cloned().collect();
        let mut draws = self.draws;
        let mut entropy = || {
            draws = draws.wrapping_add(1);
            [draws; 16]
        };
        let now = now(self.seconds);
        let taken = self
            .machine
            .handle_answer(&answer, &books, now, &mut entropy);
        self.draws = draws;
        taken
    }

    /// One step: a timer, an answer or rows; whether there was anything to do.
    fn step(&mut self) -> bool {
        if let Some((after, nonce)) = self.asked.take() {
            let page = self.page(after);
            assert!(self.answer(nonce, GatewayResult::Statement(page)));
        } else if let Some(want) = self.machine.poll_want() {
            self.serve(&want);
        } else {
            let due = self.machine.poll_timeout().unwrap();
            if self.completed > 0 || !self.faults.is_empty() {
                return false;
            }
            self.seconds = self.seconds.max(due.as_millis().div_ceil(1_000));
            self.draws = self.draws.wrapping_add(1);
            let draw = self.draws;
            let now = self.now();
            self.machine.handle_timeout(now, &mut || [draw; 16]);
        }
        true
    }

    fn serve(&mut self, want: &Want) {
        let books: Vec<_> = self.books.values().cloned().collect();
        let now = self.now();
        match want {
            Want::Pending { after } => {
                let pending = self.lines.values().filter(|row| row.is_pending);
                let above = pending.filter(|row| row.line.sequence > *after);
                let rows: Vec<_> = above.take(STEP_MAX).cloned().collect();
                self.machine.handle_pending(&rows, &books, now);
            }
            Want::Unlisted { from, until } => {
                let rows = self.unlisted(*from, *until);
                self.machine.handle_unlisted(&rows, now);
            }
        }
    }

    fn unlisted(&self, from: Utc, until: Utc) -> Vec<Unlisted> {
        let listed = |payment, refund| {
            let names = |row: &LineRow| row.line.payment == payment && row.line.refund == refund;
            self.lines.values().any(names)
        };
        let known =
            |kind: &str, subject: String| self.tasks.contains_key(&TaskId::of(kind, &subject));
        let mut rows = Vec::new();
        for book in self.books.values() {
            for row in &book.payments {
                let subject = payment_subject(row.payment);
                if !listed(row.payment, None) && !known("missing_there", subject) {
                    rows.push(Unlisted {
                        transaction: book.transaction,
                        payment: row.payment,
                        refund: None,
                        amount: row.amount,
                        payee: row.payee.clone(),
                        at: row.received_at,
                    });
                }
            }
            for row in book.refunds.iter().filter(|row| row.status == "succeeded") {
                let subject = refund_subject(row.refund);
                if !listed(row.payment, Some(row.refund)) && !known("missing_refund", subject) {
                    rows.push(Unlisted {
                        transaction: book.transaction,
                        payment: row.payment,
                        refund: Some(row.refund),
                        amount: row.amount,
                        payee: shop(),
                        at: row.updated_at,
                    });
                }
            }
        }
        rows.retain(|row| (from..until).contains(&row.at));
        rows
    }

    /// Runs to the end of one reconciliation.
    fn run(&mut self) {
        (self.completed, self.faults) = (0, vec![]);
        for _ in 0..1_000 {
            if !self.step() {
                return;
            }
            self.commit();
        }
        panic!("it does not end: {:?}", self.machine);
    }

    fn findings(&self) -> Vec<(u64, &str, bool)> {
        let row = |row: &LineRow| row.line.sequence;
        let all = self.lines.values();
        all.map(|found| (row(found), found.finding.as_str(), found.is_pending))
            .collect()
    }

    fn open_tasks(&self) -> BTreeSet<(String, String)> {
        let open = self.tasks.values().filter(|task| task.resolved.is_none());
        open.map(|task| (task.kind.clone(), task.subject.clone()))
            .collect()
    }
}

fn machine(kept: Option<&str>) -> Reconciliation {
    let gateway = "mock".parse().unwrap();
    let policy = ReconciliationPolicy::default();
    Reconciliation::new(gateway, policy, kept, Tick::from_millis(0))
}

fn young(line: StatementLine) -> StatementLine {
    StatementLine {
        booked_at: at(ASKED - GRACE),
        ..line
    }
}
