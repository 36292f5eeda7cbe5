//! The door of the message bus, with rumqttd's router behind it.
//!
//! The router is never exposed: this crate listens, checks what comes before it is decoded, knows
//! who everybody is and what each may do, and keeps the sessions. Terminals live outside the
//! router: what they say goes in over one shared uplink, what they are told comes out over one
//! dispatcher. Only services (platform, payment servers, monitors) have a link each.
//!
//! ```text
//!  terminal ──┐                    ┌── uplink ──►┐        ┌─► link ── service
//!  terminal ──┤ door: one task per │             │ router ├─► link ── service
//!  service  ──┘ socket, one driver └◄─ dispatcher┘        └─► link ── monitor
//! ```
//!
//! | module | what it owns |
//! |---|---|
//! | [`authorization`] | who may do what: a pure function |
//! | `packet`, `syntax` | what may come in at all |
//! | `session` | one client's side of MQTT 3.1.1: a pure machine |
//! | `presence`, `gap` | last states of terminals; what the ring lost |
//! | `handshake`, `connection`, `client` | a socket, a connection, a session over its connections |
//! | `bus`, `service`, `dispatcher`, `registry` | ways into the router and out of it |

pub mod authorization;
mod bus;
mod client;
mod config;
mod connection;
#[cfg(any(test, fuzzing))]
pub mod decoders;
mod dispatcher;
mod door;
mod gap;
mod handshake;
mod identity;
mod message;
mod metrics;
mod packet;
mod presence;
mod registry;
mod service;
mod session;
mod shell;
mod stream;
mod syntax;
mod tls;

pub use authorization::Policy;
pub use bus::RouterError;
pub use config::{Config, Limits, Listener, Password, TlsFiles, User};
pub use identity::{DirectoryError, Identity};
pub use shell::{Broker, BuildError, build, check};
pub use tls::TlsError;
