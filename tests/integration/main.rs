//! End-to-end tests: whole systems in this process, and the separate programs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod outcomes;
mod tidy;
mod trouble;
