//! What was measured, as a table or as JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::cost::Cost;
use crate::payments::Options;

/// How often each part that has a disk synced it; the histograms of its duration count.
const SYNCED_WRITES: [&str; 3] = [
    "paylatch_platform_commit_seconds_count",
    "paylatch_agent_journal_sync_duration_seconds_count",
    "paylatch_mock_commit_duration_seconds_count",
];

pub(crate) struct Report {
    pub(crate) options: Options,
    /// In the books at the end, the warm-up included.
    pub(crate) payments: usize,
    pub(crate) paced: Run,
    pub(crate) full: Run,
}

/// One run of all phones.
pub(crate) struct Run {
    /// From payment notice to ON, sorted.
    pub(crate) latencies_ms: Vec<u64>,
    pub(crate) elapsed: Duration,
    pub(crate) cost: Cost,
}

/// A run in figures.
#[derive(Debug, Serialize)]
struct Figures {
    payments: usize,
    payments_per_second: f64,
    notice_to_on_p50_ms: u64,
    notice_to_on_p99_ms: u64,
    processor_ms_per_payment: f64,
    processor_ms_per_payment_by_part: Vec<(String, f64)>,
    synced_writes_per_payment: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn print(&self, json: bool) -> anyhow::Result<()> {
        let (paced, full) = (self.paced.figures(), self.full.figures());
        if json {
            let all = json!({
                "terminals": self.options.terminals,
                "seconds": self.options.duration.as_secs(),
                "rate": self.options.rate,
                "cores": std::thread::available_parallelism()?,
                "version": env!("CARGO_PKG_VERSION"),
                "payments_in_the_books": self.payments,
                "fixed_rate": paced,
                "full_speed": full,
            });
            println!("{all}");
            return Ok(());
        }
        println!(
            "{} terminals, {} s each, {} cores, version {}, {} payments in the books\n",
            self.options.terminals,
            self.options.duration.as_secs(),
            std::thread::available_parallelism()?,
            env!("CARGO_PKG_VERSION"),
            self.payments,
        );
        print_table(&paced, &full, self.options.rate);
        Ok(())
    }
}

impl Run {
    #[expect(
        clippy::float_arithmetic,
        clippy::cast_precision_loss,
        reason = "figures for people"
    )]
    fn figures(&self) -> Figures {
        let payments = self.latencies_ms.len();
        let per_payment = |value: u64| value as f64 / payments.max(1) as f64;
        let total: u64 = self.cost.processor_ms.values().sum();
        let parts = self.cost.processor_ms.iter();
        let writes = SYNCED_WRITES.iter();
        Figures {
            payments,
            payments_per_second: payments as f64 / self.elapsed.as_secs_f64(),
            notice_to_on_p50_ms: percentile(&self.latencies_ms, 50),
            notice_to_on_p99_ms: percentile(&self.latencies_ms, 99),
            processor_ms_per_payment: per_payment(total),
            processor_ms_per_payment_by_part: parts
                .map(|(name, ms)| (name.clone(), per_payment(*ms)))
                .collect(),
            synced_writes_per_payment: writes
                .map(|name| ((*name).to_owned(), per_payment(self.cost.counter(name))))
                .collect(),
        }
    }
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0)
}

fn print_table(paced: &Figures, full: &Figures, rate: u32) {
    println!(
        "{:<52} {:>12} {:>12}",
        "",
        format!("{rate}/s"),
        "full speed"
    );
    let row =
        |name: &str, left: String, right: String| println!("{name:<52} {left:>12} {right:>12}");
    let number = |value: f64| format!("{value:.2}");
    row(
        "whole payments",
        paced.payments.to_string(),
        full.payments.to_string(),
    );
    row(
        "whole payments per second",
        number(paced.payments_per_second),
        number(full.payments_per_second),
    );
    row(
        "payment notice to ON, p50 ms",
        paced.notice_to_on_p50_ms.to_string(),
        full.notice_to_on_p50_ms.to_string(),
    );
    row(
        "payment notice to ON, p99 ms",
        paced.notice_to_on_p99_ms.to_string(),
        full.notice_to_on_p99_ms.to_string(),
    );
    row(
        "processor ms per payment",
        number(paced.processor_ms_per_payment),
        number(full.processor_ms_per_payment),
    );
    let parts = full.processor_ms_per_payment_by_part.iter();
    for (name, right) in parts {
        let left = value_of(&paced.processor_ms_per_payment_by_part, name);
        row(&format!("  thread {name}"), number(left), number(*right));
    }
    for (name, right) in &full.synced_writes_per_payment {
        let left = value_of(&paced.synced_writes_per_payment, name);
        row(name, number(left), number(*right));
    }
}

fn value_of(list: &[(String, f64)], name: &str) -> f64 {
    list.iter()
        .find(|(listed, _)| listed == name)
        .map_or(0.0, |(_, value)| *value)
}
