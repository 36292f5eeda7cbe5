//! Faults of real machines, done to unmodified programs: SIGKILL at the n-th system call, errors of
//! the disk, a full disk, a stopped process, a stepped wall clock, a broken network.
//!
//! | module | what it owns |
//! |---|---|
//! | [`point`] | where a fault happens, in words that can be repeated |
//! | [`plan`] | which points a run of cases visits, all of it drawn from a seed |
//! | [`strace`] | system calls of a running program: counted, killed at, failed |
//! | [`payer`] | a payer who comes back after every error, and pays once |
//! | [`books`] | what must be true after a case: of both ledgers, the relay and the payer |
//! | [`lane`] | a shop in which one case follows another |
//! | [`run`] | many lanes side by side, and a file from which a run goes on |
//! | [`disk`] | small file systems in memory |
//! | [`proxy`] | a connection that can be cut, stalled, or lose one direction |
//! | [`wall_clock`] | a wall clock that is stepped, while monotonic time goes on |

pub mod books;
pub mod disk;
pub mod lane;
pub mod payer;
pub mod plan;
pub mod point;
pub mod proxy;
pub mod run;
pub mod strace;
pub mod wall_clock;
