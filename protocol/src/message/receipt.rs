//! The receipt: both signatures on one page, kept by both sides.

use serde::{Deserialize, Serialize};

use super::{BillLine, Digest, Ground, LinkageResult, Payee, Place};
use crate::id::{DeviceId, GatewayId, PaymentId, SessionId, TransactionId};
use crate::money::Money;
use crate::signed::{Audience, Jws};
use crate::time::Utc;
use crate::topic::TerminalName;

/// Signed by the platform; the terminal's signature is inside. A third party checks it with the
/// two published keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub aud: Audience,
    pub terminal: TerminalName,
    pub transaction: TransactionId,
    pub session: SessionId,
    pub merchant: String,
    pub payee: Payee,
    pub place: Place,
    pub lines: Vec<BillLine>,
    pub amount: Money,
    pub ground: Ground,
    /// Absent when nothing was to be paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<ReceiptPayment>,
    /// What the permit named; the first one decided. Absent in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceId>,
    /// What the lines were priced by. Absent in receipts of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tariff_version: Option<Digest>,
    /// IANA name of the site's time zone, for instants that people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The terminal's countersignature.
    pub result: Jws<LinkageResult>,
    /// SHA-256 of the receipt before this one of the same terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    pub issued_at: Utc,
}

/// The payment server's own reference, by which the payer can ask there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPayment {
    pub gateway: GatewayId,
    pub payment: PaymentId,
    pub paid_at: Utc,
}
