//! Every decision of the terminal. No I/O, no clock, no randomness: inputs in, outputs out.

pub(crate) mod token;
pub(crate) mod view;
