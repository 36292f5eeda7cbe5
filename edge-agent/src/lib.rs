//! The access terminal's agent: lets one phone at a time order and pay, and switches its linkage
//! devices on a signed permit of the platform, at most once per transaction.
//!
//! | module | what it owns |
//! |---|---|
//! | `machine` | every decision; no I/O, no clock, no randomness |
//! | `journal` | what must survive a power cut |
//! | [`linkage`] | the devices |
//! | `page` | what the payer sees |
//! | `desk` | the handle from the page to the machine |
//! | `shell` | the task that owns the machine, and all I/O around it |
//! | `agent` | one terminal, from its settings to its drain |
//! | `doctor` | what an operator asks first |
//! | [`cli`] | the program |
//! | [`rules`] | the guards by name, for tests that take one away |
//! | [`simulation`] | one terminal without its shell, for model checkers and simulators |

mod agent;
pub mod cli;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod decoders;
mod desk;
mod doctor;
mod journal;
pub mod linkage;
mod machine;
mod metrics;
mod page;
pub mod rules;
mod shell;
pub mod simulation;

pub use agent::{Agent, BuildError, Handle, Keys, build};
pub use config::Config;
pub use linkage::Switch;
