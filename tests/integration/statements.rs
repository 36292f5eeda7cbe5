//! The books beside the payment server's own statement.

use std::collections::BTreeMap;
use std::time::Duration;

use payment_mock::{Outcome, Outside};
use platform::config::ReconciliationPolicy;
use process::clock::Clock;
use tests::api;
use tests::system::{Plan, System};
use tests::verdict::Verdict;
use tests::visit::{Press, Visit};

const END_TIMEOUT: Duration = Duration::from_secs(60);

const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// One visit with `outcome`; the system, once the sale is settled.
async fn settled(folder: &tempfile::TempDir, outcome: Outcome, clock: &Clock) -> System {
    let mut plan = Plan::new(folder.path()).with_outcome(outcome);
    plan.reconciliation = ReconciliationPolicy {
        start_ms: 500,
        interval_ms: 500,
        grace_ms: 3_000,
        ..ReconciliationPolicy::default()
    };
    let system = System::start(plan).await.unwrap();
    let mut visit = Visit::new(&system.terminal(0).unwrap().page, clock);
    visit.run(Press::Pay, END_TIMEOUT).await.unwrap();
    Verdict::reach(&system, outcome, END_TIMEOUT, clock)
        .await
        .unwrap();
    system
}

/// Waits until the statement was found to be `expected`, and gives the open tasks.
async fn found(system: &System, expected: &[(&str, u64)], clock: &Clock) -> serde_json::Value {
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(finding, lines)| ((*finding).to_owned(), *lines))
        .collect();
    let deadline = clock.now().tick + END_TIMEOUT;
    loop {
        let audit = platform::audit::read(system.platform_data()).unwrap();
        assert!(audit.is_clean(), "{:?}", audit.violations);
        if audit.lines == expected {
            break;
        }
        assert!(clock.now().tick < deadline, "{:?}", audit.lines);
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let platform = system.platform().unwrap();
    let path = "/api/v1/tasks?open=true";
    api::fetch(platform.api, &platform.token, path)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_served_and_of_a_returned_payment_matches() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = settled(&folder, Outcome::Twice, &clock).await;
    let tasks = found(&system, &[("matched", 3)], &clock).await;
    assert_eq!(tasks["tasks"], serde_json::json!([]));
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_another_payee_waits_for_a_person_on_both_grounds() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = settled(&folder, Outcome::WrongPayee, &clock).await;
    let tasks = found(&system, &[("payee_differs", 1)], &clock).await;
    let kinds: Vec<_> = tasks["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["review", "payee_differs"]);
    let ids = [0, 1].map(|index| tasks["tasks"][index]["id"].as_str().unwrap().to_owned());
    decide(&system, &ids).await;
    system.stop().await.unwrap();
}

/// A person ends the review of a sale, and then the task beside it.
async fn decide(system: &System, [sale, task]: &[String; 2]) {
    let platform = system.platform().unwrap();
    let (address, token) = (platform.api, platform.token.as_str());
    let get = async |path: &str| api::fetch(address, token, path).await.unwrap();
    let post = async |path: &str, body| api::post(address, token, path, &body).await.unwrap();
    let act = |number: u8| {
        let id = format!("{number:032x}");
        serde_json::json!({"id": id, "name": "Ada", "reason": "the bank returned it"})
    };
    let path = format!("/api/v1/transactions/{sale}/resolve");
    let (status, refused) = post(&path, act(1)).await;
    assert_eq!(status, 400, "{refused}");
    let mut decision = act(1);
    decision["resolution"] = serde_json::json!("returned");
    let (status, done) = post(&path, decision.clone()).await;
    assert_eq!(
        (status, done["again"].as_bool()),
        (200, Some(false)),
        "{done}"
    );
    let (status, done) = post(&path, decision.clone()).await;
    assert_eq!(
        (status, done["again"].as_bool()),
        (200, Some(true)),
        "{done}"
    );
    decision["id"] = act(2)["id"].clone();
    let (status, refused) = post(&path, decision).await;
    assert_eq!(status, 409, "{refused}");
    let found = get(&format!("/api/v1/transactions/{sale}")).await;
    assert_eq!(found["state"], "expired", "{found}");
    let path = format!("/api/v1/tasks/{task}/resolve");
    assert_eq!(post(&path, act(3)).await.0, 200);
    assert_eq!(post(&path, act(4)).await.0, 200);
    let open = get("/api/v1/tasks?open=true").await;
    assert_eq!(open["tasks"], serde_json::json!([]));
    let (status, _) = post("/api/v1/reconcile", act(5)).await;
    assert_eq!(status, 200);
    let audit = platform::audit::read(system.platform_data()).unwrap();
    assert!(audit.is_clean(), "{:?}", audit.violations);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_at_the_payment_server_alone_is_booked_or_waits_for_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = settled(&folder, Outcome::Paid, &clock).await;
    let mock = &system.mock().handle;
    let order = mock.totals().await[0].order;
    let happen = async |outside| mock.happen_outside(order, None, outside).await.unwrap();
    happen(Outside::Fee { minor: 7 }).await;
    happen(Outside::Refund { minor: Some(100) }).await;
    let expected = [("matched", 1), ("booked", 1), ("unexpected_refund", 1)];
    let tasks = found(&system, &expected, &clock).await;
    let kinds: Vec<_> = tasks["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["unexpected_refund"]);
    system.stop().await.unwrap();
}
