//! The one MQTT client of terminal, platform and payment server (MQTT 3.1.1, QoS 1).
//!
//! It promises little, on purpose: a publish that was handed over may be lost on a disconnect, and
//! its owner sends it again after the next [`Event::Connected`] until the receiver's own message
//! acknowledges it. A delivery is acknowledged by its owner once its effect is committed.
//!
//! ```no_run
//! # async fn example(options: protocol_client::Options, topic: protocol::topic::Topic) {
//! use protocol_client::Event;
//! use tokio_util::sync::CancellationToken;
//!
//! let entropy = process::entropy::SystemEntropy::new();
//! let (client, mut incoming) = protocol_client::start(options, entropy, CancellationToken::new());
//! while let Some(event) = incoming.next().await {
//!     match event {
//!         Event::Connected => client.publish(topic.clone(), b"{}".to_vec()).await.unwrap(),
//!         Event::Disconnected => {}
//!         Event::Delivery(delivery) => {
//!             // commit the effect of `delivery.payload`, then:
//!             delivery.ack();
//!         }
//!     }
//! }
//! # }
//! ```

mod address;
mod arrivals;
mod backoff;
mod client;
mod delivery;
mod link;
mod machine;
mod metrics;
mod options;
mod shell;
mod window;

pub use address::{AddressError, BrokerAddress, ClientTls, TlsError};
pub use client::{Client, PublishError, start};
pub use delivery::{Delivery, Event, Incoming};
pub use options::Options;
