//! End-to-end tests: whole systems in this process, and the separate programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod audit;
mod browser;
mod metrics;
mod operator;
mod outcomes;
mod programs;
mod receipts;
mod statements;
mod tidy;
mod trouble;
