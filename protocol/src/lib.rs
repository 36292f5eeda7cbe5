//! The contract that terminal, platform, payment server and broker speak.
//!
//! Everything that crosses a process boundary is named here once: identifiers, money, instants,
//! topics, messages, and the signatures that make a message an order. There is no I/O, no clock,
//! no randomness and no policy in this crate: the parties decide, this crate only says what their
//! words mean and refuses what is not a word.
//!
//! | module | what it owns |
//! |---|---|
//! | [`id`] | identifiers and the alphabet each is made of |
//! | [`money`] | integer minor units with an ISO 4217 currency |
//! | [`time`] | UTC instants, monotonic ticks, and the pair of both |
//! | [`topic`] | every MQTT topic in both directions, and who may use it |
//! | [`message`] | what is published on each topic |
//! | [`signed`] | claims, signing keys, keyrings and strict verification |
//! | [`codec`] | the envelope, its JSON form and the size cap |
//! | [`evidence`] | published keys and the check of a receipt, for third parties |

pub mod codec;
#[cfg(any(test, fuzzing))]
pub mod decoders;
pub mod evidence;
pub mod id;
pub mod message;
pub mod money;
pub mod signed;
pub mod time;
pub mod topic;
