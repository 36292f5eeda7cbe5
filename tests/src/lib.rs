//! The harness of demo, bench and end-to-end tests: whole systems in one process or as separate
//! programs, and phones that go through the real pages.
//!
//! | module | what it owns |
//! |---|---|
//! | [`system`] | broker, platform, payment server and terminals in one process |
//! | [`programs`] | one of the separate programs: spawned, watched, killed |
//! | [`stand`] | all of them as one shop, with their configuration files and keys |
//! | [`relay`] | a Modbus relay board that remembers what it did |
//! | [`faults`] | what is done to separate programs, and what must be true afterwards |
//! | [`tool`] | programs that are no part of the workspace |
//! | [`phone`] | a payer's phone without JavaScript |
//! | [`visit`] | one visit of a phone to a terminal, from landing to the end |
//! | [`verdict`] | what must be true of the books when everything has settled |
//! | [`api`] | the platform's read API |
//! | [`html`] | the forms of a page |
//! | [`campaign`] | many simulated worlds |
//! | [`world`] | the machines without their shells, simulated whole |

pub mod api;
pub mod campaign;
pub mod faults;
pub mod html;
pub mod phone;
pub mod programs;
pub mod relay;
pub mod stand;
pub mod system;
pub mod tool;
pub mod verdict;
pub mod visit;
pub mod world;
