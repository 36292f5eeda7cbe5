use std::time::Duration;

use payment_mock::Outcome;
use protocol::message::{CreateOrder, Operation};

use crate::browser::{self, Page};
use crate::platform::{create, order};
use crate::server::Server;

const RETURN_URL: &str = "http://127.0.0.1:9/s/abc?x=1";

fn assert_strict(page: &Page, form_action: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        policy.contains(&format!("form-action {form_action}; ")),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains("script-src"),
        "{policy}"
    );
    assert_eq!(page.header("set-cookie"), None);
    for loaded in ["<script", "src=", "@import", "url("] {
        assert!(!page.body.contains(loaded), "{loaded}");
    }
    assert!(page.body.contains("<html lang=\"en\">"));
    assert!(page.body.contains("No real money moves here."));
}

async fn opened(outcome: Outcome) -> (Server, crate::platform::Platform, String) {
    opened_with(outcome, create(1)).await
}

async fn opened_with(
    outcome: Outcome,
    create: CreateOrder,
) -> (Server, crate::platform::Platform, String) {
    let server = Server::start_with(|config| config.outcome = outcome).await;
    let mut platform = server.platform().await;
    let page = platform.page_of(create).await;
    (server, platform, page)
}

#[tokio::test]
async fn the_page_shows_whom_what_and_how_much() {
    let (server, _platform, path) = opened(Outcome::Paid).await;
    let page = browser::get(server.http, &path).await;
    assert_eq!(page.status, 200);
    assert_strict(&page, "'self' http://127.0.0.1:9");
    for text in [
        "North Parking &lt;Ltd&gt;",
        "north-parking",
        "North Street 7",
        "Short stay, up to 2 hours",
        "4.50 <span>CNY</span>",
        "Pay 4.50 CNY",
        "value=\"decline\"",
    ] {
        assert!(page.body.contains(text), "{text}");
    }
    assert!(!path.contains(&order(1).to_string()) && !page.body.contains(&order(1).to_string()));
}

#[tokio::test]
async fn amounts_have_the_decimals_of_their_currency() {
    for (currency, text) in [("JPY", "Pay 450 JPY"), ("KWD", "Pay 0.450 KWD")] {
        let mut create = create(1);
        let minor = create.amount.minor();
        create.amount = protocol::money::Money::new(minor, currency.parse().unwrap()).unwrap();
        let (server, _platform, path) = opened_with(Outcome::Paid, create).await;
        let page = browser::get(server.http, &path).await;
        assert!(page.body.contains(text), "{text}");
    }
}

#[tokio::test]
async fn paying_leads_back_to_the_merchant_and_a_second_press_pays_nothing_more() {
    let (server, _platform, path) = opened(Outcome::Paid).await;
    let form = browser::get(server.http, &path).await.form_token();
    let body = format!("form={form}&press=pay");
    for _ in 0..2 {
        let page = browser::post(server.http, &path, &body).await;
        assert_eq!(
            (page.status, page.header("location")),
            (303, Some(RETURN_URL))
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    assert_eq!(server.handle.totals().await[0].payments.len(), 1);
    let page = browser::get(server.http, &path).await;
    assert!(page.body.contains(">Paid<") && page.body.contains(RETURN_URL));
    assert!(!page.body.contains("<form"));
}

#[tokio::test]
async fn presses_at_the_same_moment_pay_once() {
    let (server, _platform, path) = opened(Outcome::Paid).await;
    let form = browser::get(server.http, &path).await.form_token();
    let body = format!("form={form}&press=pay");
    let post = || browser::post(server.http, &path, &body);
    let pages = tokio::join!(post(), post(), post(), post());
    for page in [pages.0, pages.1, pages.2, pages.3] {
        assert_eq!(
            (page.status, page.header("location")),
            (303, Some(RETURN_URL))
        );
    }
    assert_eq!(server.handle.totals().await[0].payments.len(), 1);
}

#[tokio::test]
async fn a_decline_offers_another_try_and_the_way_back() {
    let (server, _platform, path) = opened(Outcome::Paid).await;
    let declined = browser::press(server.http, &path, "decline").await;
    let own = format!("http://{}{path}", server.http);
    assert_eq!(
        (declined.status, declined.header("location")),
        (303, Some(own.as_str()))
    );
    let page = browser::get(server.http, &path).await;
    assert!(page.body.contains("The payment was declined"));
    assert!(page.body.contains("Pay 4.50 CNY") && page.body.contains(RETURN_URL));
    let paid = browser::press(server.http, &path, "pay").await;
    assert_eq!(paid.header("location"), Some(RETURN_URL));
}

#[tokio::test]
async fn each_state_has_its_own_page() {
    let rows = [
        (Outcome::Declined, "The payment was declined"),
        (Outcome::Never, "Please try again later"),
        (Outcome::Late, "Your payment is being processed"),
        (Outcome::Under, "4.49 CNY to "),
        (Outcome::WrongPayee, "somebody-else"),
    ];
    for (outcome, text) in rows {
        let (server, _platform, path) = opened(outcome).await;
        browser::press(server.http, &path, "pay").await;
        let page = browser::get(server.http, &path).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains(text), "{outcome}: {}", page.body);
    }
}

#[tokio::test]
async fn a_closed_order_can_not_be_paid() {
    let (server, mut platform, path) = opened(Outcome::Paid).await;
    let form = browser::get(server.http, &path).await.form_token();
    platform.order(Operation::Close { order: order(1) }).await;
    let body = format!("form={form}&press=pay");
    assert_eq!(browser::post(server.http, &path, &body).await.status, 303);
    let page = browser::get(server.http, &path).await;
    assert!(page.body.contains("This payment was cancelled") && !page.body.contains("<form"));
    assert_eq!(server.handle.totals().await[0].payments, []);
}

#[tokio::test]
async fn an_order_past_its_lifetime_says_so() {
    let mut create = create(1);
    create.lifetime_ms = 1;
    let (server, _platform, path) = opened_with(Outcome::Paid, create).await;
    let expired = async {
        while !browser::get(server.http, &path)
            .await
            .body
            .contains("The time to pay has passed")
        {}
    };
    tokio::time::timeout(Duration::from_secs(5), expired)
        .await
        .unwrap();
}

#[tokio::test]
async fn wrong_addresses_and_forms_are_told_in_plain_words() {
    let (server, _platform, path) = opened(Outcome::Paid).await;
    let unknown = format!("/pay/{}", "0".repeat(32));
    for path in [unknown.as_str(), "/pay/x", "/pay/", "/nowhere"] {
        let page = browser::get(server.http, path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.body.contains("There is no such payment"), "{path}");
        assert_strict(&page, "'self' ");
    }
    let rows = [
        ("form=0&press=pay".to_owned(), 403),
        ("press=pay".to_owned(), 400),
        ("form=0&press=steal".to_owned(), 400),
        ("x".repeat(5_000), 400),
    ];
    for (body, status) in rows {
        let page = browser::post(server.http, &path, &body).await;
        assert_eq!(page.status, status);
        assert!(page.body.contains("This form can't be used") || page.body.contains("&#39;"));
    }
    assert_eq!(
        browser::post(server.http, &unknown, "form=0&press=pay")
            .await
            .status,
        404
    );
    assert_eq!(server.handle.totals().await[0].payments, []);
}

#[tokio::test]
async fn an_order_without_a_way_back_stays_on_its_page() {
    let mut create = create(1);
    create.return_url = String::new();
    let (server, _platform, path) = opened_with(Outcome::Paid, create).await;
    let own = format!("http://{}{path}", server.http);
    let paid = browser::press(server.http, &path, "pay").await;
    assert_eq!(paid.header("location"), Some(own.as_str()));
    assert!(
        !browser::get(server.http, &path)
            .await
            .body
            .contains("Return")
    );
}

#[tokio::test]
async fn health_and_metrics_are_served_beside_the_pages() {
    let (server, _platform, path) = opened(Outcome::Paid).await;
    browser::press(server.http, &path, "pay").await;
    assert_eq!(browser::get(server.http, "/livez").await.status, 200);
    assert_eq!(browser::get(server.http, "/readyz").await.status, 200);
    let metrics = browser::get(server.http, "/metrics").await.body;
    for name in ["answers", "presses", "payments_booked", "orders_created"] {
        let name = format!("# TYPE paylatch_mock_{name}_total counter");
        assert!(metrics.contains(&name), "{name}");
    }
}
