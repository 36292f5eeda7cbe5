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

/// Every visit at once, each in a system of its own; what ended otherwise is named.
async fn all_end_as(rows: Vec<(Outcome, &'static str, Verdict)>) {
    let mut visits = tokio::task::JoinSet::new();
    for (outcome, page, verdict) in rows {
        visits.spawn(async move {
            let ended = ends_as(outcome, Press::Pay).await;
            assert_eq!(ended, (page.to_owned(), verdict), "{outcome}");
        });
    }
    while let Some(visit) = visits.join_next().await {
        visit.unwrap();
    }
}

fn reviewed(received: i64) -> Verdict {
    Verdict {
        suspense: received,
        ..settled("review", 0, received, 0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_late_doubled_and_cut_messages_cost_nothing_but_time() {
    let outcomes = [
        Outcome::DroppedAnswer,
        Outcome::LostRequest,
        Outcome::TruncatedAnswer,
        Outcome::DoubledAnswer,
        Outcome::ReorderedAnswer,
        Outcome::StaleAnswer,
        Outcome::Outage,
        Outcome::AfterScan,
    ];
    let rows = outcomes.map(|outcome| (outcome, "done", settled("done", 1, 1_200, 0)));
    all_end_as(rows.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_words_and_early_closes_open_nothing() {
    let outcomes = [Outcome::ForgedAnswer, Outcome::CloseTooEarly];
    let rows = outcomes.map(|outcome| (outcome, "not_confirmed", settled("expired", 0, 0, 0)));
    all_end_as(rows.into()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_followed_to_its_definite_end() {
    let refunded = || settled("refunded", 0, 1_199, 1_199);
    let rows = vec![
        (Outcome::RefundPending, "not_confirmed", refunded()),
        (Outcome::RefundUnknown, "not_confirmed", refunded()),
        (Outcome::KeyForgotten, "not_confirmed", refunded()),
        (Outcome::RefundFails, "not_confirmed", reviewed(1_199)),
        (
            Outcome::RefundPendingFails,
            "not_confirmed",
            reviewed(1_199),
        ),
        (Outcome::RefundFailsLater, "not_confirmed", reviewed(1_199)),
    ];
    all_end_as(rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_disputed_or_refunded_elsewhere_opens_nothing() {
    let refunded = || settled("refunded", 0, 1_200, 1_200);
    let rows = vec![
        (Outcome::RefundedOutside, "not_confirmed", refunded()),
        (Outcome::PartRefundedOutside, "not_confirmed", refunded()),
        (Outcome::Disputed, "not_confirmed", reviewed(1_200)),
        (Outcome::ChargedBack, "not_confirmed", reviewed(1_200)),
    ];
    all_end_as(rows).await;
}
