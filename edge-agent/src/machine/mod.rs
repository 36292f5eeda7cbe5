//! Every decision of the terminal. No I/O, no clock, no randomness: inputs in, outputs out.
//!
//! Its owner makes one call of [`Terminal`], drains [`Terminal::poll_output`], and sleeps until
//! [`Terminal::poll_timeout`] or the next input. Outputs are carried out in their order.
//!
//! | module | what it decides |
//! |---|---|
//! | `session` | one phone's stay |
//! | [`permit`] | whether a device may move |
//! | `book` | what the journal's records come to |
//! | `outbox` | when a message is sent again |
//! | `terminal` | what these tell each other |

pub(crate) mod book;
pub(crate) mod event;
pub(crate) mod limits;
pub(crate) mod message;
mod outbox;
pub(crate) mod permit;
pub(crate) mod record;
mod session;
mod terminal;
pub(crate) mod token;
pub(crate) mod view;

pub(crate) use terminal::{
    CallId, DeliveryId, Inbound, Output, Recovered, Setup, Terminal, Ticket, has_room,
};

#[cfg(test)]
pub(crate) mod tests;
