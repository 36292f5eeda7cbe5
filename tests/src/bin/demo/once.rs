//! `demo --once`: a scripted phone goes through the real pages, then the books are read.

use std::time::Duration;

use anyhow::Context as _;
use payment_mock::Outcome;
use process::clock::Clock;
use serde::Serialize;
use tests::system::{Plan, System};
use tests::verdict::Verdict;
use tests::visit::{Press, Visit};

use crate::timeline::Timeline;

/// The longest way to an end: silence beyond the nonce's life, then a refund.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Result<'a> {
    outcome: Outcome,
    /// What the payer's page shows in the end.
    page: &'a str,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

pub(crate) async fn run(plan: Plan, json: bool) -> anyhow::Result<()> {
    let (clock, outcome, fault) = (Clock::system(), plan.outcome, plan.fault);
    let system = System::start(plan).await?;
    let mut visit = Visit::new(&system.terminal(0)?.page, &clock);
    let page = visit.run(Press::Pay, END_TIMEOUT).await?;
    let verdict = Verdict::reach_with(&system, (outcome, fault), END_TIMEOUT, &clock).await;
    if !json {
        Timeline::read(&system, visit.marks()).await?.print();
    }
    let last = Verdict::of(&system).await?;
    system.stop().await?;
    let shown = Result {
        outcome,
        page: &page.state(),
        verdict: verdict.as_ref().unwrap_or(&last),
    };
    if json {
        println!("{}", serde_json::to_string(&shown)?);
    } else {
        print(&shown);
    }
    verdict
        .map(drop)
        .with_context(|| format!("outcome {outcome}"))
}

fn print(result: &Result<'_>) {
    let verdict = result.verdict;
    println!("\n  outcome          {}", result.outcome);
    println!("  the page shows   {}", result.page);
    println!("  the sale is      {}", verdict.state);
    println!("  switched ON      {}", verdict.on_count);
    println!("  received         {} (minor units)", verdict.received);
    println!("  refunded         {}", verdict.refunded);
    println!("  in suspense      {}", verdict.suspense);
    println!("  ledgers equal    {}", verdict.ledgers_equal);
    println!("  invariants hold  {}", verdict.violations.is_empty());
}
