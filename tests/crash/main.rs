//! Faults done to the separate programs: kills, errors of the disk, pauses, stepped clocks, a broken
//! network. After each everything settles, and the payer has a receipt or the money back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod clocks;
mod disks;
mod kills;
mod pauses;
mod wires;
