//! Statements beside the sales of one core and its store.

use std::collections::BTreeMap;

use protocol::id::GatewayId;
use protocol::message::{GatewayRefusal, Operation, StatementKind, StatementLine, StatementPage};

use super::*;
use crate::engine::reconcile::BookRows;
use crate::reconciliation::{ReconciliationPolicy, STEP_MAX, Want};

fn mock() -> GatewayId {
    "mock".parse().unwrap()
}

/// A page with the payment of [`exact`], booked before anything else.
fn page() -> StatementPage {
    let line = StatementLine {
        sequence: 3,
        kind: StatementKind::Payment,
        order: transaction(),
        payment: exact().payment,
        refund: None,
        minor: exact().amount.minor(),
        currency: exact().amount.currency(),
        payee: exact().payee,
        booked_at: Utc::from_millis(-1).unwrap(),
    };
    StatementPage {
        lines: vec![line],
        next: 3,
        more: false,
    }
}

fn operations(parcels: &[Parcel]) -> Vec<Operation> {
    let requests = parcels
        .iter()
        .filter(|parcel| parcel.topic == gateway_topic(GatewayKind::Request));
    requests.map(|parcel| asked(parcel).operation).collect()
}

impl Desk {
    /// Reconciles from now on, as the store says; every difference is old enough.
    fn reconciling(mut self) -> Self {
        let kept = self.store.reconciliation(&mock()).unwrap();
        let kept: BTreeMap<_, _> = kept.map(|kept| (mock(), kept)).into_iter().collect();
        let policy = ReconciliationPolicy {
            start_ms: 0,
            grace_ms: 0,
            ..ReconciliationPolicy::default()
        };
        self.core.reconcile_with(&policy, &kept, self.now.tick);
        self
    }

    fn due(&mut self) -> Vec<Parcel> {
        self.core.handle_timeout(&[], self.now);
        self.finish()
    }

    fn read_page(&mut self, asked: &Parcel, page: StatementPage) {
        let books = self.store.order_books(&[transaction()]).unwrap();
        self.core.lend_books(books);
        let (topic, payload) = answer(asked, GatewayResult::Statement(page));
        self.believe(&topic, &payload);
        for order in self.core.hinted().to_vec() {
            if !self.core.has(order) {
                self.load(order);
            }
        }
        self.core.apply_hints(self.now);
    }

    /// What the machine waits for, until it waits for nothing.
    fn serve(&mut self) {
        while let Some((gateway, want)) = self.core.reconciliation_wants() {
            let rows = match want {
                Want::Pending { after } => BookRows {
                    lines: self.store.pending_lines(&gateway, after, STEP_MAX).unwrap(),
                    books: self.store.order_books(&[transaction()]).unwrap(),
                    unlisted: vec![],
                },
                Want::Unlisted { from, until } => BookRows {
                    unlisted: self
                        .store
                        .unlisted(&gateway, (from, until), STEP_MAX)
                        .unwrap(),
                    ..BookRows::default()
                },
            };
            self.core.apply_rows(&gateway, &rows, &want, self.now);
            self.finish();
        }
    }

    fn findings(&self) -> Vec<String> {
        let reader = crate::store::sqlite::SqliteReader::open(self.folder.path()).unwrap();
        let audit = crate::store::reader::Reader::audit(&reader, Utc::EPOCH).unwrap();
        audit.lines.into_keys().collect()
    }
}

/// An order that the payment server refused, so that nobody was ever asked to pay it.
fn expired() -> Desk {
    let mut desk = Desk::new().reconciling();
    let create = desk.say(order(), None);
    let refused = GatewayResult::Refused(GatewayRefusal::PayeeUnknown);
    desk.answer(&create[0], refused);
    assert_eq!(desk.state(), "expired");
    desk
}

#[test]
fn a_payment_that_only_the_statement_knows_is_asked_for_and_returned_by_its_sale() {
    let mut desk = expired();
    let asking = desk.due();
    let statement = Operation::Statement {
        after: 0,
        limit: protocol::message::STATEMENT_LINES_MAX,
    };
    assert_eq!(operations(&asking), [statement]);
    desk.read_page(&asking[0], page());
    let query = desk.finish();
    let order = transaction();
    assert_eq!(operations(&query), [Operation::Query { order }]);
    desk.serve();
    assert_eq!(desk.findings(), ["missing_here"]);

    let refund = desk.answer(&query[0], GatewayResult::Order(view(&[exact()])));
    let [Operation::Refund(refund)] = &operations(&refund)[..] else {
        panic!("{refund:?}");
    };
    assert_eq!(refund.payment, exact().payment);
    assert_eq!(desk.state(), "refund_pending");

    desk.now.tick = desk.now.tick + Duration::from_secs(3_600);
    let asked_again = desk.due();
    let again = asked_again
        .iter()
        .find(|parcel| {
            matches!(
                operations(std::slice::from_ref(parcel))[..],
                [Operation::Statement { after: 3, .. }]
            )
        })
        .unwrap();
    let nothing = StatementPage {
        lines: vec![],
        next: 3,
        more: false,
    };
    desk.read_page(again, nothing);
    desk.finish();
    desk.serve();
    assert_eq!(desk.findings(), ["matched"]);
}

#[test]
fn a_page_is_taken_with_its_cursor_or_not_at_all() {
    let mut desk = expired();
    let asking = desk.due();
    desk.read_page(&asking[0], page()); // killed before the commit
    let mut desk = desk.killed().reconciling();
    assert_eq!(desk.store.reconciliation(&mock()).unwrap(), None);
    assert_eq!(desk.findings(), Vec::<String>::new());
    let asking = desk.due();
    let again = asking
        .iter()
        .find(|parcel| {
            matches!(
                operations(std::slice::from_ref(parcel))[..],
                [Operation::Statement { after: 0, .. }]
            )
        })
        .unwrap();
    desk.read_page(again, page());
    desk.finish();
    assert_eq!(desk.findings(), ["missing_here"]);
    let mut desk = desk.killed().reconciling();
    let asking = desk.due();
    let is_next =
        |operation: &Operation| matches!(operation, Operation::Statement { after: 3, .. });
    assert!(operations(&asking).iter().any(is_next));
}

#[test]
fn an_answer_that_nobody_waits_for_is_not_taken() {
    let mut desk = expired();
    let asking = desk.due();
    desk.read_page(&asking[0], page());
    desk.finish();
    let kept = desk.store.reconciliation(&mock()).unwrap();
    let lie = StatementPage {
        next: 900,
        ..page()
    };
    desk.read_page(&asking[0], lie);
    assert_eq!(desk.finish(), vec![]);
    assert_eq!(desk.store.reconciliation(&mock()).unwrap(), kept);
}

#[test]
fn a_person_resolves_a_task_once_and_a_run_begins_on_demand() {
    use crate::store::books::{BookNote, TaskId, TaskQuery, TaskRow};
    let mut desk = Desk::new().reconciling();
    let task = TaskId::of("missing_there", "payment:1");
    desk.core.group.books.push(BookNote::Task(TaskRow {
        id: task.clone(),
        kind: "missing_there".to_owned(),
        subject: "payment:1".to_owned(),
        transaction: None,
        owner: "operations".to_owned(),
        since: Utc::EPOCH,
        due_at: Utc::EPOCH,
        detail: "found".to_owned(),
        resolved: None,
    }));
    desk.finish();
    let deed = crate::act::Deed::ResolveTask { task };
    assert!(!desk.act(1, deed.clone()).unwrap().again);
    assert!(desk.act(1, deed).unwrap().again);
    let reader = crate::store::sqlite::SqliteReader::open(desk.folder.path()).unwrap();
    let query = TaskQuery {
        open: Some(false),
        limit: 9,
    };
    let closed = crate::store::reader::Reader::tasks(&reader, query).unwrap();
    assert_eq!(closed.len(), 1);
    let resolved = closed[0].resolved.clone().unwrap();
    assert!(!resolved.by.is_empty() && !resolved.note.is_empty());

    let asking = desk.due();
    let nothing = StatementPage {
        lines: vec![],
        next: 0,
        more: false,
    };
    desk.read_page(&asking[0], nothing);
    desk.finish();
    desk.serve();
    assert_eq!(desk.due(), vec![]);
    desk.act(2, crate::act::Deed::Reconcile).unwrap();
    assert_eq!(operations(&desk.due()).len(), 1);
}
