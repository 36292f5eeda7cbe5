//! The platform: it prices, asks the payment server, decides, and alone lets a device be switched
//! on.
//!
//! [`build`] reads and binds, [`Platform::run`] serves until it is told to stop, and
//! [`audit::read`] tells what became of the money.

mod act;
mod api;
pub mod audit;
mod caps;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod decoders;
mod engine;
pub mod explain;
mod export;
#[allow(
    dead_code,
    reason = "every way of money has its entry before a machine takes it"
)]
mod ledger;
mod metrics;
mod public;
pub mod published;
mod reconciliation;
mod registry;
pub mod rules;
mod sale;
mod shell;
pub mod simulation;
pub mod site;
mod store;
pub mod verify;

pub use caps::CapLimits;
pub use config::{Config, Settings};
pub use shell::{BuildError, Keys, Platform, RunError, build};
