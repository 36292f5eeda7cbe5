//! What every process of ours has in the same form: configuration, exit codes, logs, metrics,
//! health, clocks, randomness, key files, listeners and a clean end.
//!
//! Nothing in here knows a payment, a terminal or a topic.
//!
//! | module | what it owns |
//! |---|---|
//! | [`config`] | layers (defaults, file, `conf.d`, environment) and one-line errors |
//! | [`secret`] | secrets by file path, refused when others could read them |
//! | [`cli`] | arguments, and the exit code of wrong ones |
//! | [`exit`] | exit codes and the one line that explains them |
//! | [`log`] | the subscriber, as text or JSON |
//! | [`metrics`] | the one recorder of a process |
//! | [`health`] | liveness, readiness and `/metrics` |
//! | [`http`] | serving a router with bounds on everything, and draining it |
//! | [`clock`] | the only place that reads clocks |
//! | [`entropy`] | the operating system's randomness |
//! | [`shutdown`] | a token that signals cancel |
//! | [`keys`] | signing keys in files |
//! | [`listen`] | listeners that refuse to be open by accident |
//! | [`mod@file`] | files that are there in whole or not at all, also after a power cut |

pub mod cli;
pub mod clock;
pub mod config;
#[cfg(any(test, fuzzing))]
pub mod decoders;
pub mod entropy;
pub mod exit;
pub mod file;
pub mod health;
pub mod http;
pub mod keys;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod secret;
pub mod shutdown;
