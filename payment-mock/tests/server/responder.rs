use std::time::Duration;

use payment_mock::Outcome;
use protocol::id::RefundId;
use protocol::message::{
    GatewayRefusal, GatewayResult, Operation, OrderStatus, RefundOrder, RefundStatus,
};

use crate::browser;
use crate::platform::{Heard, create, order};
use crate::server::{Server, in_folder, start_broker};

fn query(byte: u8) -> Operation {
    Operation::Query { order: order(byte) }
}

#[tokio::test]
async fn a_payment_is_announced_found_by_query_and_refunded_once() {
    let server = Server::start().await;
    let mut platform = server.platform().await;
    let page = platform.page_of(create(1)).await;
    browser::press(server.http, &page, "pay").await;
    assert_eq!(platform.hear().await, Heard::Event(order(1)));

    let paid = platform.order(query(1)).await;
    assert_eq!((paid.status, paid.payments.len()), (OrderStatus::Paid, 1));
    let close = platform.ask(Operation::Close { order: order(1) }).await;
    assert_eq!(close, GatewayResult::Refused(GatewayRefusal::AlreadyPaid));
    let refund = RefundOrder {
        refund: RefundId::from_random([9; 16]),
        order: order(1),
        payment: paid.payments[0].payment,
        amount: paid.amount,
        reason: "late".to_owned(),
    };
    for _ in 0..2 {
        let GatewayResult::Refund(view) = platform.ask(Operation::Refund(refund.clone())).await
        else {
            panic!("not a refund");
        };
        assert_eq!(
            (view.status, view.amount),
            (RefundStatus::Succeeded, paid.amount)
        );
    }
    let totals = server.handle.totals().await;
    assert_eq!(totals.len(), 1);
    let cny = "CNY".parse().unwrap();
    assert_eq!(
        (totals[0].received[&cny], totals[0].refunded[&cny]),
        (450, 450)
    );
    assert_eq!((totals[0].payments.len(), totals[0].refunds.len()), (1, 1));

    let handle = server.handle.clone();
    server.stop().await;
    assert_eq!(
        handle.totals().await,
        totals,
        "the books outlive the server"
    );
}

#[tokio::test]
async fn a_statement_lists_what_moved() {
    let server = Server::start().await;
    let mut platform = server.platform().await;
    server.handle.set_outcome(Outcome::Twice);
    let page = platform.page_of(create(1)).await;
    browser::press(server.http, &page, "pay").await;
    let statement = Operation::Statement {
        after: 0,
        limit: 24,
    };
    let GatewayResult::Statement(page) = platform.ask(statement).await else {
        panic!("not a statement");
    };
    let lines: Vec<_> = page
        .lines
        .iter()
        .map(|line| (line.sequence, line.minor))
        .collect();
    assert_eq!(
        (lines, page.next, page.more),
        (vec![(1, 450), (2, 450)], 2, false)
    );
}

#[tokio::test]
async fn late_money_is_announced_after_the_close() {
    let server = Server::start_with(|config| {
        config.outcome = Outcome::Late;
        config.delays.late_booking = Duration::from_millis(50);
    })
    .await;
    let mut platform = server.platform().await;
    let page = platform.page_of(create(1)).await;
    browser::press(server.http, &page, "pay").await;
    assert_eq!(platform.order(query(1)).await.status, OrderStatus::Paying);
    let closed = platform.order(Operation::Close { order: order(1) }).await;
    assert_eq!(closed.status, OrderStatus::Closed);
    // The event of the close came before its answer; this is the one of the money.
    assert_eq!(platform.hear().await, Heard::Event(order(1)));
    let found = platform.order(query(1)).await;
    assert_eq!((found.status, found.payments.len()), (OrderStatus::Paid, 1));
}

#[tokio::test]
async fn the_ledger_and_its_pages_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_broker().await;
    let server = Server::start_at(broker, in_folder(folder.path())).await;
    let mut platform = server.platform().await;
    let paid_page = platform.page_of(create(1)).await;
    let open_page = platform.page_of(create(2)).await;
    let form = browser::get(server.http, &open_page).await.form_token();
    browser::press(server.http, &paid_page, "pay").await;
    let before = server.handle.totals().await;
    server.stop().await;

    let server = Server::start_at(broker, in_folder(folder.path())).await;
    assert_eq!(server.handle.totals().await, before);
    let again = platform.order(Operation::Create(create(1))).await;
    assert_eq!(again.status, OrderStatus::Paid);
    let pressed = format!("form={form}&press=pay");
    let pressed = browser::post(server.http, &open_page, &pressed).await;
    assert_eq!(
        pressed.status, 303,
        "a form from before the restart still pays"
    );
    assert_eq!(platform.order(query(2)).await.status, OrderStatus::Paid);
}

#[tokio::test]
async fn what_was_told_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_broker().await;
    let server = Server::start_at(broker, in_folder(folder.path())).await;
    let mut platform = server.platform().await;
    let page = platform.page_of(create(1)).await;
    let paid = browser::press(server.http, &page, "pay").await;
    assert_eq!(paid.status, 303);
    server.crash().await;

    let server = Server::start_at(broker, in_folder(folder.path())).await;
    let found = platform.order(query(1)).await;
    assert_eq!((found.status, found.payments.len()), (OrderStatus::Paid, 1));
    assert_eq!(server.handle.totals().await.len(), 1);
}
