//! The receipt: both signatures on one page, kept by both sides.

use serde::{Deserialize, Serialize};

use super::{BillLine, Digest, Ground, LinkageResult, Payee, Place};
use crate::id::{GatewayId, PaymentId, SessionId, TransactionId};
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
