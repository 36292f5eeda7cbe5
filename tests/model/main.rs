//! The machines that ship, explored state by state: every order of messages, deadlines, losses,
//! duplicates and crashes within the bounds that each test prints.
//!
//! `cargo test -p tests --release --test model -- --nocapture` prints states and times;
//! `PAYLATCH_MODEL_STATES` explores more of the large world.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod acts;
mod cell;
mod forge;
mod judge;
mod people;
mod removed;
mod start;
mod state;
mod world;
mod worlds;
