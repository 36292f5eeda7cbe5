//! Every way the payment server can treat an order, through the real pages, to the settled books.

use std::time::Duration;

use payment_mock::Outcome;
use process::clock::Clock;
use tests::system::{Plan, System};
use tests::verdict::Verdict;
use tests::visit::{Press, Visit};

const END_TIMEOUT: Duration = Duration::from_secs(60);

/// Goes through one visit and gives what the page showed and how the books ended.
async fn ends_as(outcome: Outcome, press: Press) -> (String, Verdict) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let system = System::start(Plan::new(folder.path()).with_outcome(outcome))
        .await
        .unwrap();
    let mut visit = Visit::new(&system.terminal(0).unwrap().page, &clock);
    let page = visit.run(press, END_TIMEOUT).await.unwrap();
    let verdict = Verdict::reach(&system, outcome, END_TIMEOUT, &clock)
        .await
        .unwrap();
    system.stop().await.unwrap();
    (page.state(), verdict)
}

fn settled(state: &str, on_count: usize, received: i64, refunded: i64) -> Verdict {
    Verdict {
        state: state.to_owned(),
        on_count,
        received,
        refunded,
        suspense: 0,
        ledgers_equal: true,
        violations: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_is_done_with_one_on() {
    let (page, verdict) = ends_as(Outcome::Paid, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("done", settled("done", 1, 1_200, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_waited_for() {
    let (page, verdict) = ends_as(Outcome::SlowAnswer, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("done", settled("done", 1, 1_200, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_twice_is_done_once_and_one_payment_goes_back() {
    let (page, verdict) = ends_as(Outcome::Twice, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("done", settled("done", 1, 2_400, 1_200))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn declined_ends_without_money_and_without_on() {
    let (page, verdict) = ends_as(Outcome::Declined, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("expired", 0, 0, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_declines_is_not_served() {
    let (page, verdict) = ends_as(Outcome::Declined, Press::Decline).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("expired", 0, 0, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn never_paid_expires() {
    let (page, verdict) = ends_as(Outcome::Never, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("expired", 0, 0, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_who_looks_and_leaves_is_not_charged() {
    let (page, verdict) = ends_as(Outcome::Never, Press::Nothing).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("expired", 0, 0, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn late_money_goes_back_by_itself() {
    let (_, verdict) = ends_as(Outcome::Late, Press::Pay).await;
    assert_eq!(verdict, settled("refunded", 0, 1_200, 1_200));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_goes_back() {
    let (page, verdict) = ends_as(Outcome::Under, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("refunded", 0, 1_199, 1_199))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_goes_back() {
    let (page, verdict) = ends_as(Outcome::Over, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("refunded", 0, 1_201, 1_201))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn money_for_somebody_else_is_never_booked_as_ours() {
    let (page, verdict) = ends_as(Outcome::WrongPayee, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("review", 0, 1_200, 0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn money_of_another_currency_opens_nothing() {
    let (page, verdict) = ends_as(Outcome::WrongCurrency, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("refunded", 0, 1_200, 1_200))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn money_found_after_the_nonce_has_died_goes_back() {
    let (page, verdict) = ends_as(Outcome::NoAnswer, Press::Pay).await;
    assert_eq!(
        (page.as_str(), verdict),
        ("not_confirmed", settled("refunded", 0, 1_200, 1_200))
    );
}
