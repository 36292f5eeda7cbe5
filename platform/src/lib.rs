//! The platform: it prices, asks the payment server, decides, and alone lets a device be switched
//! on.

mod engine;
mod ledger;
mod registry;
mod sale;
mod store;
