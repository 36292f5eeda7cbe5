//! The one place that verifies a permit. Nothing else in this program lets a device move.
//!
//! [`verify`] says whether the platform signed it for this terminal, [`decide`] whether it may be
//! acted on, [`is_alive`] whether it still may once the intent is on the disk.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::id::{DeviceId, JournalId, Nonce, SessionId, TransactionId};
use protocol::message::{DEVICES_MAX, Ground, Permit, Quote, RefusalReason};
use protocol::signed::{Audience, Jws, Keyring, Refusal, Verified};
use protocol::time::Tick;

use crate::rules::{Rule, Rules};

/// An open request: a nonce that was told to the platform and has not been used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) transaction: TransactionId,
    pub(crate) session: SessionId,
    pub(crate) nonce: Nonce,
    /// On the boot-time clock; the nonce dies with the boot.
    pub(crate) born_at: Tick,
    pub(crate) lifetime: Duration,
}

impl Request {
    pub(crate) fn dies_at(&self) -> Tick {
        self.born_at + self.lifetime
    }
}

/// What a permit is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) rules: &'static dyn Rules,
    pub(crate) journal: JournalId,
    /// Devices that are attached here.
    pub(crate) devices: &'a BTreeSet<DeviceId>,
    /// The open request under the permit's nonce.
    pub(crate) request: Option<&'a Request>,
    /// What the payer was shown.
    pub(crate) quote: Option<&'a Quote>,
    /// The journal holds an intent, a result or a tombstone of this transaction, or may have
    /// held one.
    pub(crate) is_closed: bool,
    /// The journal takes an intent and a result.
    pub(crate) is_journal_ready: bool,
}

/// Believes `jws` only if the platform signed it as a permit for this terminal.
pub(crate) fn verify(
    jws: &Jws<Permit>,
    keyring: &Keyring,
    audience: &Audience,
) -> Result<Verified<Permit>, Refusal> {
    protocol::signed::verify(jws, keyring, audience)
}

/// Whether a verified permit may be journaled as an intent. All guards are here, in this order;
/// after the last one nothing but the journal and the clock can stop it.
pub(crate) fn decide(
    permit: &Verified<Permit>,
    facts: Facts<'_>,
    now: Tick,
) -> Result<(), RefusalReason> {
    let rules = facts.rules;
    if permit.journal != facts.journal && rules.holds(Rule::OtherJournalIsUncertain) {
        return Err(RefusalReason::NonceMismatch);
    }
    if facts.is_closed {
        return Err(RefusalReason::AlreadyDecided);
    }
    let request = facts.request.ok_or(RefusalReason::NonceUnknown)?;
    if (request.nonce, request.transaction, request.session)
        != (permit.nonce, permit.transaction, permit.session)
        && rules.holds(Rule::NonceKnown)
    {
        return Err(RefusalReason::NonceMismatch);
    }
    if !is_alive(request, now) && rules.holds(Rule::AliveAtPermit) {
        return Err(RefusalReason::NonceExpired);
    }
    if !are_known(&permit.devices, facts.devices) {
        return Err(RefusalReason::DevicesUnknown);
    }
    if !fits(&permit.ground, facts.quote) && rules.holds(Rule::GroundFitsQuote) {
        return Err(RefusalReason::GroundMismatch);
    }
    if !facts.is_journal_ready {
        return Err(RefusalReason::JournalUnavailable);
    }
    Ok(())
}

/// Whether a permit for this request may still be acted on (R6). Asked again directly before the
/// devices move.
pub(crate) fn is_alive(request: &Request, now: Tick) -> bool {
    now < request.dies_at()
}

fn are_known(wanted: &[DeviceId], attached: &BTreeSet<DeviceId>) -> bool {
    let distinct: BTreeSet<_> = wanted.iter().collect();
    wanted.len() <= DEVICES_MAX
        && distinct.len() == wanted.len()
        && wanted.iter().all(|device| attached.contains(device))
}

/// The grounds of R12, measured against the bill that the payer agreed to.
fn fits(ground: &Ground, quote: Option<&Quote>) -> bool {
    let Some(quote) = quote else {
        return false;
    };
    match ground {
        Ground::Paid {
            gateway,
            payment: _,
            amount,
            payee,
        } => {
            *gateway == quote.gateway
                && *amount == quote.amount
                && *payee == quote.payee.id
                && !quote.amount.is_zero()
        }
        Ground::ZeroBill { tariff_version } => {
            quote.amount.is_zero() && *tariff_version == quote.tariff_version
        }
        // No visit is journaled by this version, so none can be a ground.
        Ground::EntryVisit { visit: _ } => false,
        Ground::Operator { name, reason } => !name.trim().is_empty() && !reason.trim().is_empty(),
    }
}
