//! What a sale is about: fixed when it is made, and who may have one made.

use protocol::id::{
    BootId, DeviceId, GatewayId, JournalId, Nonce, PayeeId, Pseudonym, SessionId, StoreEpoch,
    TransactionId,
};
use protocol::message::{BillLine, Digest, OrderRefusal, OrderRequest, Payee, Place, Tariff};
use protocol::money::Money;
use protocol::time::Utc;
use protocol::topic::TerminalName;
use serde::{Deserialize, Serialize};
use tariff::Bill;

use super::policy::Policy;
use crate::rules::Rule;

/// What the site says about a sale at one of its terminals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SiteFacts {
    pub(crate) merchant: String,
    pub(crate) payee: Payee,
    pub(crate) place: Place,
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) gateway: GatewayId,
    pub(crate) order_lifetime_ms: u64,
    pub(crate) store_epoch: StoreEpoch,
    pub(crate) traceparent: Option<String>,
    pub(crate) time_zone: String,
    /// Where payers find their status page, without the token; none if we serve none.
    pub(crate) status_url: Option<String>,
}

/// Everything about a sale that never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) transaction: TransactionId,
    pub(crate) terminal: TerminalName,
    pub(crate) session: SessionId,
    pub(crate) boot: BootId,
    pub(crate) journal: JournalId,
    pub(crate) nonce: Nonce,
    pub(crate) lines: Vec<BillLine>,
    pub(crate) amount: Money,
    pub(crate) tariff_version: Digest,
    pub(crate) merchant: String,
    pub(crate) payee: Payee,
    pub(crate) place: Place,
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) gateway: GatewayId,
    pub(crate) order_lifetime_ms: u64,
    pub(crate) return_url: String,
    pub(crate) store_epoch: StoreEpoch,
    pub(crate) created_at: Utc,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time_zone: Option<String>,
    /// For the quote. None without a token to look for there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status_url: Option<String>,
    /// SHA-256 of that token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<Digest>,
    /// Under which refunds of one payer are counted (R13). Never an identity (R15).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payer: Option<Pseudonym>,
}

impl Facts {
    pub(crate) fn new(request: OrderRequest, bill: Bill, site: SiteFacts, at: Utc) -> Self {
        Self {
            transaction: request.transaction,
            terminal: request.terminal,
            session: request.session,
            boot: request.boot,
            journal: request.journal,
            nonce: request.nonce,
            lines: bill.lines,
            amount: bill.amount,
            tariff_version: request.tariff_version,
            merchant: site.merchant,
            payee: site.payee,
            place: site.place,
            devices: site.devices,
            gateway: site.gateway,
            order_lifetime_ms: site.order_lifetime_ms,
            return_url: request.return_url,
            store_epoch: site.store_epoch,
            created_at: at,
            traceparent: site.traceparent,
            time_zone: Some(site.time_zone),
            status_url: site
                .status_url
                .filter(|_| request.status_token_sha256.is_some()),
            link: request.status_token_sha256,
            payer: request.payer,
        }
    }

    pub(crate) const fn payee_id(&self) -> &PayeeId {
        &self.payee.id
    }

    /// Whether a request under the same transaction id is this sale's own.
    pub(crate) fn is_same_request(&self, request: &OrderRequest) -> bool {
        self.terminal == request.terminal
            && self.session == request.session
            && self.nonce == request.nonce
    }
}

/// Prices a request by the tariff in force and lets it in, or names why not.
pub(crate) fn admit(
    request: &OrderRequest,
    tariff: &Tariff,
    tariff_version: Digest,
    order_lifetime_ms: u64,
    policy: &Policy,
) -> Result<Bill, OrderRefusal> {
    if request.tariff_version != tariff_version {
        return Err(OrderRefusal::TariffVersion);
    }
    let bill = tariff::price(tariff, &request.charge).map_err(|_| OrderRefusal::Charge)?;
    let bill = if policy.holds(Rule::ZeroBillPricedByUs) {
        bill
    } else {
        Bill {
            amount: request.amount,
            ..bill
        }
    };
    if bill.amount != request.amount {
        return Err(OrderRefusal::Amount);
    }
    let timeouts = &policy.timeouts;
    let shortest = order_lifetime_ms.saturating_add(timeouts.permit_minimum_ms);
    if !(shortest..=timeouts.nonce_lifetime_max_ms).contains(&request.nonce_lifetime_ms) {
        return Err(OrderRefusal::NonceLifetime);
    }
    Ok(bill)
}
