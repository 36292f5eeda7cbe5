//! A payment server for tests: ledger, hosted checkout page, and signed answers over MQTT. It books
//! numbers, never money, and misbehaves on order: an [`Outcome`] treats one order one way, a
//! [`Ruleset`] (file or loopback admin API) chooses calls. The ledger under it stays right.
//!
//! ```text
//! request, press, deadline -> machine (pure: ledger + scenario) -> records -> disk
//!                                                               -> answers, events -> broker
//! ```
//!
//! What a press or a request changes is on the disk before anybody is told of it. The caller
//! builds, asks for addresses, then runs:
//!
//! ```no_run
//! # async fn example(config: payment_mock::Config, keys: payment_mock::Keys) -> Result<(), Box<dyn std::error::Error>> {
//! let mock = payment_mock::build(config, keys).await?;
//! let handle = mock.handle();
//! println!("pages at http://{}", mock.http_address());
//! mock.run(tokio_util::sync::CancellationToken::new()).await?;
//! for order in handle.totals().await {
//!     println!("{} received {:?}", order.order, order.received);
//! }
//! # Ok(()) }
//! ```

mod admin;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod decoders;
mod desk;
mod ledger;
mod machine;
mod metrics;
mod own_clock;
mod page;
mod scenario;
mod shell;
pub mod simulation;
mod store;
mod totals;

pub use config::{Broker, Capabilities, Config, Delays, Forgotten, KeyRetention, Settings};
pub use ledger::DeedRefusal;
pub use machine::Outside;
pub use scenario::{Outcome, OutcomeError, RuleError, RuleText, Ruleset, Silence};
pub use shell::{
    BuildError, Handle, Keys, OutsideError, PaymentMock, RunError, build, read_totals,
};
pub use store::StoreError;
pub use totals::OrderTotals;
