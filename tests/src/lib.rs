//! The harness of demo, bench and end-to-end tests: whole systems in one process or as separate
//! programs, and phones that go through the real pages.
//!
//! | module | what it owns |
//! |---|---|
//! | [`system`] | broker, platform, payment server and terminals in one process |
//! | [`programs`] | the same as separate programs |
//! | [`phone`] | a payer's phone without JavaScript |
//! | [`visit`] | one visit of a phone to a terminal, from landing to the end |
//! | [`verdict`] | what must be true of the books when everything has settled |
//! | [`api`] | the platform's read API |
//! | [`html`] | the forms of a page |

pub mod api;
pub mod html;
pub mod phone;
pub mod programs;
pub mod system;
pub mod verdict;
pub mod visit;
