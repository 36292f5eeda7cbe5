//! The admin API over real HTTP, while a platform asks over the broker.

use std::net::SocketAddr;

use protocol::message::{GatewayRefusal, GatewayResult, Operation, OrderStatus};
use serde_json::{Value, json};

use crate::browser::{self, Page};
use crate::platform::{create, order};
use crate::server::Server;

fn query(byte: u8) -> Operation {
    Operation::Query { order: order(byte) }
}

async fn start() -> (Server, SocketAddr) {
    let server = Server::start_with(|config| {
        config.admin = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    let admin = server.admin.unwrap();
    (server, admin)
}

async fn send(admin: SocketAddr, method: &str, path: &str, body: &Value) -> Page {
    browser::send(admin, method, path, "application/json", &body.to_string()).await
}

fn value(page: &Page) -> Value {
    assert_eq!(page.status, 200, "{}", page.body);
    serde_json::from_str(&page.body).unwrap()
}

#[tokio::test]
async fn rules_are_read_replaced_and_added_and_hold_at_once() {
    let (server, admin) = start().await;
    let mut platform = server.platform().await;
    let none = value(&browser::get(admin, "/rules").await);
    assert_eq!(none, json!({"seed": 0, "rules": []}));
    let refuse = json!({
        "name": "closed", "operation": "create", "action": "refuse", "refusal": "payee_unknown"
    });
    let rules = json!({"seed": 4, "rules": [refuse]});
    assert_eq!(send(admin, "PUT", "/rules", &rules).await.status, 204);
    let refused = platform.ask(Operation::Create(create(1))).await;
    assert_eq!(
        refused,
        GatewayResult::Refused(GatewayRefusal::PayeeUnknown)
    );

    let stale = json!({"name": "lag", "action": "stale"});
    assert_eq!(send(admin, "POST", "/rules", &stale).await.status, 204);
    let again = send(admin, "POST", "/rules", &stale).await;
    assert_eq!(
        (again.status, again.body.as_str()),
        (400, "rule 'lag' is there twice; give each its own name\n")
    );
    let both = value(&browser::get(admin, "/rules").await);
    assert_eq!(both, json!({"seed": 4, "rules": [refuse, stale]}));
    server.stop().await;
}

#[tokio::test]
async fn orders_are_shown_treated_and_befallen() {
    let (server, admin) = start().await;
    let mut platform = server.platform().await;
    let page = platform.page_of(create(1)).await;
    platform.page_of(create(2)).await;
    let path = |rest: &str| format!("/orders/{}{rest}", order(1));
    let outcome = json!({"outcome": "twice"});
    let set = send(admin, "PUT", &path("/outcome"), &outcome).await;
    assert_eq!(set.status, 204);
    browser::press(server.http, &page, "pay").await;
    let shown = value(&browser::get(admin, &path("")).await);
    assert_eq!(shown["received"], json!({"CNY": 900}));

    let happened = [
        json!({"what": "refund", "minor": 100}),
        json!({"what": "fee", "minor": 3}),
        json!({"what": "charge-back"}),
    ];
    for happening in &happened {
        let done = send(admin, "POST", &path("/outside"), happening).await;
        assert_eq!(done.status, 204, "{happening}: {}", done.body);
    }
    let payout = json!({
        "platform": "north", "payee": "north-parking", "amount": {"minor": 400, "currency": "CNY"}
    });
    let paid_out = send(admin, "POST", "/payouts", &payout).await;
    assert_eq!(paid_out.status, 204, "{}", paid_out.body);
    let view = platform.order(query(1)).await;
    assert!(view.payments[0].disputed && !view.payments[1].disputed);
    let shown = value(&browser::get(admin, &path("")).await);
    let sums = ["refunded", "charged_back", "fees"].map(|sum| shown[sum]["CNY"].clone());
    assert_eq!(sums, [json!(100), json!(350), json!(3)]);

    let listed = |page: Value| page["orders"].as_array().unwrap().len();
    assert_eq!(listed(value(&browser::get(admin, "/orders").await)), 2);
    let after = format!("/orders?after={}&limit=5", order(1));
    assert_eq!(listed(value(&browser::get(admin, &after).await)), 1);
    server.stop().await;
}

#[tokio::test]
async fn the_clock_goes_ahead_and_what_is_due_happens() {
    let (server, admin) = start().await;
    let mut platform = server.platform().await;
    platform.page_of(create(1)).await;
    assert_eq!(platform.order(query(1)).await.status, OrderStatus::Open);
    let ahead = send(admin, "POST", "/clock", &json!({"advance_ms": 120_000})).await;
    assert_eq!(value(&ahead)["ahead_ms"], 120_000);
    assert_eq!(platform.order(query(1)).await.status, OrderStatus::Closed);
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_told_in_one_line() {
    let (server, admin) = start().await;
    let unknown = format!("/orders/{}/outside", order(9));
    let rows = [
        (
            "PUT",
            "/rules",
            json!({"rule": []}),
            400,
            "unknown field `rule`",
        ),
        (
            "POST",
            "/rules",
            json!({"name": "x", "action": "delay"}),
            400,
            "rule 'x': after_ms: ",
        ),
        (
            "POST",
            "/rules",
            json!({"name": "x"}),
            400,
            "missing field `action`",
        ),
        (
            "PUT",
            "/orders/7/outcome",
            json!({"outcome": "paid"}),
            400,
            "'7' is no TransactionId",
        ),
        (
            "POST",
            unknown.as_str(),
            json!({"what": "fee"}),
            400,
            "minor: a fee needs it",
        ),
        (
            "POST",
            unknown.as_str(),
            json!({"what": "dispute"}),
            409,
            "there is no such order",
        ),
        (
            "POST",
            "/clock",
            json!({"advance_ms": 100_000_000_000_000u64}),
            409,
            "advance_ms: use so much",
        ),
        ("POST", "/nothing", json!({}), 404, "there is no such path"),
    ];
    for (method, path, body, status, line) in rows {
        let page = send(admin, method, path, &body).await;
        assert_eq!(page.status, status, "{path}: {}", page.body);
        assert!(page.body.starts_with(line), "{path}: {}", page.body);
        assert_eq!(page.body.lines().count(), 1, "{}", page.body);
    }
    let form = browser::post(admin, "/clock", "advance_ms=1").await;
    assert_eq!(form.status, 415);
    let large = "x".repeat(70_000);
    let large = browser::send(admin, "PUT", "/rules", "application/json", &large).await;
    assert_eq!(large.status, 413);
    server.stop().await;
}

#[tokio::test]
async fn it_listens_on_no_address_that_others_reach_and_on_none_unless_told() {
    let server = Server::start().await;
    assert_eq!(server.admin, None);
    server.stop().await;
    let mut config = payment_mock::Config::new(
        "mock".parse().unwrap(),
        payment_mock::Broker::new("127.0.0.1:1".parse::<SocketAddr>().unwrap(), "mock", "x"),
    );
    config.admin = Some("0.0.0.0:0".parse().unwrap());
    let signing = protocol::signed::SigningKey::from_seed([1; 32]);
    let keys = payment_mock::Keys { signing };
    let refused = payment_mock::build(config, keys).await.unwrap_err();
    assert_eq!(refused.exit_code().as_u8(), 78);
}
