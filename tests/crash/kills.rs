//! SIGKILL and failing syncs at the points of one payment. The same by command, for a night:
//! `cargo run --release --bin crash -- --kills 10000 --resume FILE`.

use tests::faults::run::{self, Kind, Options, Report};

const SEED: u64 = 3;

/// Shops side by side: a case is mostly waiting, and two cores carry so many.
const LANES: usize = 6;

async fn run(kind: Kind, cases: u64) -> Option<Report> {
    let options = Options {
        seed: SEED,
        cases,
        lanes: LANES,
        kind,
        file: None,
    };
    run::run(options, |_| ()).await.unwrap()
}

fn assert_nothing_broken(report: &Report) {
    let told: Vec<_> = report
        .violations()
        .iter()
        .map(|entry| format!("{}\n{:?}", entry.replay(), entry.end))
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payer_has_a_receipt_or_a_refund_after_each_of_60_kills() {
    let Some(report) = run(Kind::Kill, 60).await else {
        return;
    };
    assert_nothing_broken(&report);
    println!("{} of 60 hit, {:?}", report.hits(), report.ends());
    println!("{:#?}", report.kinds());
    assert!(
        report.hits() >= 50,
        "most kills missed: {:?}",
        report.kinds()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_payer_has_a_receipt_or_a_refund_after_each_of_20_failed_syncs() {
    let Some(report) = run(Kind::SyncError, 20).await else {
        return;
    };
    assert_nothing_broken(&report);
    println!("{} of 20 hit, {:?}", report.hits(), report.ends());
    assert!(
        report.hits() >= 16,
        "most errors missed: {:?}",
        report.kinds()
    );
}
