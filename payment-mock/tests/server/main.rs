//! The payment server with its wires: a broker in the same process, its pages over real HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on says so at the line"
)]

mod admin;
mod browser;
mod pages;
mod platform;
mod responder;
mod server;
