//! Parts that stop in mid-payment, phones that come second, devices that do not move.

use std::time::Duration;

use edge_agent::linkage::config::Fault;
use payment_mock::Outcome;
use process::clock::Clock;
use tests::phone::{Page, Phone};
use tests::system::{Pace, Plan, System};
use tests::verdict::Verdict;
use tests::visit::{Press, Visit};

/// After its return a stopped part has settled everything within this.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);

async fn real_paced(folder: &tempfile::TempDir) -> System {
    let mut plan = Plan::new(folder.path());
    plan.pace = Pace::Real;
    System::start(plan).await.unwrap()
}

/// Pays while the broker is away for `outage`; gives the system, the visit and its session's page.
async fn pay_without_broker(plan: Plan, outage: Duration) -> (System, Visit, Page) {
    let clock = Clock::system();
    let mut system = System::start(plan).await.unwrap();
    let mut visit = Visit::new(&system.terminal(0).unwrap().page, &clock);
    let bill = visit.to_bill().await.unwrap();
    let checkout = visit.to_checkout(&bill).await.unwrap();
    system.stop_broker().await.unwrap();
    let back = visit.press(&checkout, Press::Pay).await.unwrap();
    assert_eq!(back.state(), "verifying");
    clock.until(Some(clock.now().tick + outage)).await;
    let before = Verdict::of(&system).await.unwrap();
    assert_eq!((before.on_count, before.received), (0, 1_200));
    system.start_broker().await.unwrap();
    (system, visit, bill)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_away_for_a_minute_after_the_payment_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut plan = Plan::new(folder.path());
    plan.pace = Pace::Real;
    let (system, mut visit, bill) = pay_without_broker(plan, Duration::from_secs(60)).await;
    let end = visit.to_end(&bill, SETTLE_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    Verdict::reach(&system, Outcome::Paid, SETTLE_TIMEOUT, &clock)
        .await
        .unwrap();
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_was_away_for_longer_than_the_nonce_lives_costs_nobody_money() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    // A brisk nonce lives for ten seconds, and two until everybody is sure of it.
    let plan = Plan::new(folder.path());
    let (system, mut visit, bill) = pay_without_broker(plan, Duration::from_secs(13)).await;
    let end = visit.to_end(&bill, SETTLE_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "not_confirmed");
    // Found when nothing may be switched on any more, as money that came too late.
    Verdict::reach(&system, Outcome::Late, SETTLE_TIMEOUT, &clock)
        .await
        .unwrap();
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_restarts_after_the_payment_serves_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut system = real_paced(&folder).await;
    let mut visit = Visit::new(&system.terminal(0).unwrap().page, &clock);
    let bill = visit.to_bill().await.unwrap();
    let checkout = visit.to_checkout(&bill).await.unwrap();
    system.stop_platform().await.unwrap();
    visit.press(&checkout, Press::Pay).await.unwrap();
    system.start_platform().await.unwrap();
    let end = visit.to_end(&bill, SETTLE_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "done");
    Verdict::reach(&system, Outcome::Paid, SETTLE_TIMEOUT, &clock)
        .await
        .unwrap();
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_phone_waits_until_the_first_has_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = System::start(Plan::new(folder.path())).await.unwrap();
    let page = system.terminal(0).unwrap().page.clone();
    let mut first = Visit::new(&page, &clock);
    let bill = first.to_bill().await.unwrap();
    let second = Phone::new(clock.clone());
    let refused = second.open(&page).await.unwrap();
    assert_eq!(refused.state(), "busy");
    assert!(
        refused.form("/accept").is_err(),
        "a busy page offers no way in"
    );
    let cancelled = first
        .phone()
        .submit(&bill, &bill.form("/cancel").unwrap())
        .await
        .unwrap();
    assert_eq!(cancelled.state(), "cancelled");
    second
        .wait_for(&refused, &["free"], SETTLE_TIMEOUT)
        .await
        .unwrap();
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_move_costs_the_payer_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let plan = Plan::new(folder.path()).with_fault(Fault::Refuse);
    let system = System::start(plan).await.unwrap();
    let mut visit = Visit::new(&system.terminal(0).unwrap().page, &clock);
    let end = visit.run(Press::Pay, SETTLE_TIMEOUT).await.unwrap();
    assert_eq!(end.state(), "failed");
    // The books of a sale that was paid and not served are those of money that came too late.
    let verdict = Verdict::reach(&system, Outcome::Late, SETTLE_TIMEOUT, &clock)
        .await
        .unwrap();
    assert_eq!(
        (verdict.on_count, verdict.received, verdict.refunded),
        (0, 1_200, 1_200)
    );
    system.stop().await.unwrap();
}

/// Goes through one paid visit with a device that takes its ON as `fault` says; gives what the page
/// showed and how the books ended.
async fn pay_at(fault: Fault) -> (String, Verdict) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let plan = Plan::new(folder.path()).with_fault(fault);
    let system = System::start(plan).await.unwrap();
    let mut visit = Visit::new(&system.terminal(0).unwrap().page, &clock);
    let end = visit.run(Press::Pay, SETTLE_TIMEOUT).await.unwrap();
    let expected = (Outcome::Paid, fault);
    let verdict = Verdict::reach_with(&system, expected, SETTLE_TIMEOUT, &clock)
        .await
        .unwrap();
    system.stop().await.unwrap();
    (end.state(), verdict)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_stuck_costs_the_payer_nothing() {
    let (page, verdict) = pay_at(Fault::Stuck).await;
    assert_eq!(page, "failed");
    let money = (verdict.on_count, verdict.received, verdict.refunded);
    assert_eq!(money, (0, 1_200, 1_200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_of_which_nobody_knows_leaves_the_money_to_a_person() {
    let (page, verdict) = pay_at(Fault::Slow).await;
    assert_eq!(page, "failed");
    let money = (verdict.on_count, verdict.received, verdict.suspense);
    assert_eq!(
        (verdict.state.as_str(), money),
        ("review", (1, 1_200, 1_200))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_terminal_serves_one_visit_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = System::start(Plan::new(folder.path())).await.unwrap();
    let page = system.terminal(0).unwrap().page.clone();
    for _ in 0..3 {
        let mut visit = Visit::new(&page, &clock);
        assert_eq!(
            visit.run(Press::Pay, SETTLE_TIMEOUT).await.unwrap().state(),
            "done"
        );
    }
    let log = system.terminal(0).unwrap().handle.device_log();
    assert_eq!(log.iter().filter(|switch| switch.on).count(), 3);
    system.stop().await.unwrap();
}
