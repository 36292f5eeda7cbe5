//! What is published on each topic.
//!
//! A message type owns its topic: [`UpMessage`], [`DownMessage`] and [`GatewayMessage`] say under
//! which kind it travels. All of them travel at QoS 1 and unretained: nothing that acts may greet
//! whoever connects later. Presence is the exception that the broker keeps itself.

mod fleet;
mod gateway;
mod linkage;
mod order;
mod receipt;
mod session;
mod site;
mod visit;

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

pub use fleet::{
    Ack, ConfigReport, DeviceHealth, DeviceState, HELLO_OPEN_MAX, Health, Hello, HelloRequest,
    Presence, ServiceState,
};
pub use gateway::{
    CreateOrder, GatewayAnswer, GatewayEvent, GatewayRefusal, GatewayRequest, GatewayResult,
    Operation, OrderStatus, OrderView, PAYMENTS_MAX, PaymentView, RefundOrder, RefundStatus,
    RefundView, STATEMENT_LINES_MAX, StatementKind, StatementLine, StatementPage,
};
pub use linkage::{
    DEVICES_MAX, DeviceOutcome, DeviceResult, Feedback, Finding, Ground, Inquiry, JournalAnswer,
    LinkageCommand, LinkageMessage, LinkageOutcome, LinkageResult, Off, OffReason, Permit,
    RefusalReason, UncertainReason,
};
pub use order::{
    BillLine, Charge, ItemLine, LINES_MAX, OrderRefusal, OrderRefused, OrderRequest, Passage,
    PaymentMessage, PaymentNotice, PaymentReply, PaymentStanding, PermitRequest, Quote, Settled,
    Standing, VisitCharge,
};
pub use receipt::{Receipt, ReceiptPayment};
pub use session::{EndReason, IdentityRegistration, SessionEnded, SessionMessage, SessionOpened};
pub use site::{
    EntryPolicy, ITEMS_MAX, IdentityPolicy, Item, Merchant, OpenVisit, Payee, Place, SiteConfig,
    Tariff, Text, Visits,
};
pub use visit::{
    Band, FreeMinutes, FreeStays, PlacePrice, RECKONING, Rounding, RoundingDirection, TimeRates,
    VisitRates,
};

use crate::signed::Jws;
use crate::topic::{Down, Gateway, Up};

/// MQTT quality of service (MQTT 3.1.1, section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QualityOfService {
    AtMostOnce,
    AtLeastOnce,
}

/// How a type of message is carried.
pub trait Message: Serialize + DeserializeOwned {
    const QOS: QualityOfService = QualityOfService::AtLeastOnce;
    const RETAIN: bool = false;
}

/// What a terminal publishes under one kind.
pub trait UpMessage: Message {
    const KIND: Up;
}

/// What the platform publishes to a terminal under one kind.
pub trait DownMessage: Message {
    const KIND: Down;
}

/// What platform and payment server publish to each other under one kind.
pub trait GatewayMessage: Message {
    const KIND: Gateway;
}

macro_rules! up {
    ($($message:ty => $kind:ident),+ $(,)?) => {$(
        impl Message for $message {}
        impl UpMessage for $message { const KIND: Up = Up::$kind; }
    )+};
}

macro_rules! down {
    ($($message:ty => $kind:ident),+ $(,)?) => {$(
        impl Message for $message {}
        impl DownMessage for $message { const KIND: Down = Down::$kind; }
    )+};
}

macro_rules! gateway {
    ($($message:ty => $kind:ident),+ $(,)?) => {$(
        impl Message for $message {}
        impl GatewayMessage for $message { const KIND: Gateway = Gateway::$kind; }
    )+};
}

up! {
    Hello => Hello,
    SessionMessage => Session,
    PaymentMessage => Payment,
    LinkageMessage => Linkage,
    Health => Health,
    ConfigReport => Config,
    Presence => Presence,
}

down! {
    Ack => Ack,
    PaymentReply => Payment,
    LinkageCommand => Linkage,
    Visits => Visits,
    Jws<SiteConfig> => Config,
    Jws<Inquiry> => Inquiry,
    HelloRequest => Hello,
}

gateway! {
    Jws<GatewayRequest> => Request,
    Jws<GatewayAnswer> => Response,
    Jws<GatewayEvent> => Event,
}

/// A SHA-256; text form 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl Digest {
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let lower = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 64 || !lower {
            return Err(DigestError);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(2 * index..2 * index + 2).ok_or(DigestError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| DigestError)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// Claims with their `typ` and the member that names their audience.
macro_rules! claims {
    ($($claims:ty => $typ:literal),+ $(,)?) => {$(
        impl crate::signed::Claims for $claims {
            const TYP: &'static str = $typ;

            fn audience(&self) -> &crate::signed::Audience {
                &self.aud
            }
        }
    )+};
}

claims! {
    // Signed by the platform.
    Quote => "paylatch.quote.v1",
    Permit => "paylatch.permit.v1",
    Off => "paylatch.off.v1",
    Inquiry => "paylatch.inquiry.v1",
    Receipt => "paylatch.receipt.v1",
    SiteConfig => "paylatch.site_config.v1",
    GatewayRequest => "paylatch.gateway_request.v1",
    // Signed by the terminal.
    OrderRequest => "paylatch.order_request.v1",
    PermitRequest => "paylatch.permit_request.v1",
    LinkageResult => "paylatch.linkage_result.v1",
    JournalAnswer => "paylatch.journal_answer.v1",
    // Signed by the payment server.
    GatewayAnswer => "paylatch.gateway_answer.v1",
    GatewayEvent => "paylatch.gateway_event.v1",
}
