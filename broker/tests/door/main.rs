//! The door as clients see it, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test ends where an expectation fails, and measures with the machine's clock"
)]

mod attacks;
mod delivery;
mod entrance;
mod interop;
mod life;
mod presence;
mod rights;
mod support;
