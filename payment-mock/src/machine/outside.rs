//! What a payment server does to money behind the platform's back.

use protocol::id::{Entropy, PayeeId, PaymentId, PlatformId, RefundId, TransactionId};
use protocol::money::Money;
use protocol::time::Now;

use super::Machine;
use crate::ledger::{Deed, DeedRefusal, Payout};
use crate::scenario::{Aftermath, Call, Step};

/// Something that no platform asked for; each tells the platform by an event, but for a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The payer disputes the payment; no money moves yet.
    Dispute,
    /// The payer wins: what is left of the payment is taken back.
    ChargeBack,
    /// Minor units of it are refunded by other hands; none is all that is left.
    Refund { minor: Option<i64> },
    /// Minor units that the payment server keeps.
    Fee { minor: i64 },
}

impl Machine {
    /// Without a payment, the first of the order is meant.
    pub(crate) fn handle_outside(
        &mut self,
        order: TransactionId,
        payment: Option<PaymentId>,
        outside: Outside,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeedRefusal> {
        self.handle_timeout(now, entropy);
        let found = self.ledger.order(order).ok_or(DeedRefusal::OrderUnknown)?;
        let first = || found.payments.first().map(|payment| payment.payment);
        let payment = payment.or_else(first).ok_or(DeedRefusal::PaymentUnknown)?;
        let booked = found.payment(payment).ok_or(DeedRefusal::PaymentUnknown)?;
        let left = found.left_of(payment).ok_or(DeedRefusal::PaymentUnknown)?;
        let money = |minor| {
            let money = Money::new(minor, booked.amount.currency());
            money.map_err(|_| DeedRefusal::Amount)
        };
        let deed = match outside {
            Outside::Dispute => Deed::Dispute,
            Outside::ChargeBack => Deed::ChargeBack,
            Outside::Refund { minor } => Deed::RefundOutside {
                refund: RefundId::from_random(entropy.bytes()),
                amount: minor.map_or(Ok(left), money)?,
            },
            Outside::Fee { minor } => Deed::Fee {
                amount: money(minor)?,
            },
        };
        let done = self.ledger.handle_deed(order, payment, deed, now);
        self.drain_ledger(now, entropy);
        done
    }

    /// Pays out of an account; its statement line goes to this platform.
    pub(crate) fn handle_payout(
        &mut self,
        platform: &PlatformId,
        payee: &PayeeId,
        amount: Money,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeedRefusal> {
        if !self.identity.platforms.contains_key(platform) {
            return Err(DeedRefusal::PlatformUnknown);
        }
        if !self.ledger.is_payee(payee) {
            return Err(DeedRefusal::PayeeUnknown);
        }
        if amount.is_zero() {
            return Err(DeedRefusal::Amount);
        }
        let payout = Payout {
            reference: PaymentId::from_random(entropy.bytes()),
            payee: payee.clone(),
            amount,
        };
        self.ledger.handle_payout(platform, payout, now);
        self.drain_ledger(now, entropy);
        Ok(())
    }

    /// What outcome and rules have in store for a payment that was just booked. What does not fit it
    /// does not happen: a fee above the payment, say.
    pub(super) fn befall(
        &mut self,
        order: TransactionId,
        payment: PaymentId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let Some(found) = self.ledger.order(order) else {
            return;
        };
        let Some(booked) = found.payment(payment) else {
            return;
        };
        let (amount, n) = (booked.amount, found.payments.len() as u64);
        let call = Call {
            n,
            ..self.call(Step::Pay, &found.platform, Some(order), n, now)
        };
        for (aftermath, after) in self.scenario.aftermath(&call) {
            let Some(deed) = deed(aftermath, amount, entropy) else {
                continue;
            };
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            let done = match after_ms {
                0 => self.ledger.handle_deed(order, payment, deed, now),
                _ => self.ledger.handle_plan(order, payment, deed, after_ms, now),
            };
            if let Err(refusal) = done {
                let reason = refusal.to_string();
                self.note(super::Note::Spared { order, reason });
            }
        }
    }
}

fn deed(aftermath: Aftermath, amount: Money, entropy: &mut dyn Entropy) -> Option<Deed> {
    match aftermath {
        Aftermath::Dispute => Some(Deed::Dispute),
        Aftermath::ChargeBack => Some(Deed::ChargeBack),
        Aftermath::RefundOutside(share) => Some(Deed::RefundOutside {
            refund: RefundId::from_random(entropy.bytes()),
            amount: share.of(amount)?,
        }),
        Aftermath::Fee(share) => Some(Deed::Fee {
            amount: share.of(amount)?,
        }),
    }
}
