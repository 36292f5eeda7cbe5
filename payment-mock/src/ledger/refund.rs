//! Money that goes back because a platform asks for it.

use protocol::id::{PlatformId, TransactionId};
use protocol::message::{GatewayRefusal, PAYMENTS_MAX, RefundOrder, RefundStatus, RefundView};
use protocol::time::Now;

use super::entry::RefundCourse;
use super::{Entry, Ledger, Memory};

impl Ledger {
    /// Gives money of one payment back, once per refund id; how it goes is only asked for a new one.
    pub(crate) fn handle_refund(
        &mut self,
        platform: &PlatformId,
        refund: &RefundOrder,
        course: RefundCourse,
        forgotten: bool,
        now: Now,
    ) -> Result<RefundView, GatewayRefusal> {
        self.order_of(platform, refund.order)?;
        if let Some(known) = self.refunds.get(&refund.refund) {
            let same = known.asked == *refund;
            match self.memory_of(known.since, forgotten, now) {
                Memory::Kept if same => return self.refund_of(refund),
                Memory::Anew if same => {}
                _ => return Err(GatewayRefusal::RefundDiffers),
            }
        }
        self.check_refund(platform, refund, now)?;
        self.record(refund_entry(platform, refund, course, now), now);
        self.changed(refund.order, now);
        self.refund_of(refund)
    }

    /// The newest refund under this id, as it stands.
    fn refund_of(&self, refund: &RefundOrder) -> Result<RefundView, GatewayRefusal> {
        let order = self.orders.get(&refund.order);
        let refunds = order.map_or(&[][..], |order| &order.refunds);
        let newest = refunds
            .iter()
            .rev()
            .find(|found| found.refund == refund.refund);
        newest
            .map(super::order::Refund::view)
            .ok_or(GatewayRefusal::PaymentNotFound)
    }

    fn check_refund(
        &self,
        platform: &PlatformId,
        refund: &RefundOrder,
        now: Now,
    ) -> Result<(), GatewayRefusal> {
        let order = self.order_of(platform, refund.order)?;
        let payment = order
            .payment(refund.payment)
            .ok_or(GatewayRefusal::PaymentNotFound)?;
        // An answer lists at most this many, and a refund that no answer shows would be lost.
        let listed = order.refunds.len() < PAYMENTS_MAX;
        let same_currency = refund.amount.currency() == payment.amount.currency();
        if refund.amount.is_zero() || !same_currency || !listed {
            return Err(GatewayRefusal::Malformed);
        }
        let age = now.tick.since(payment.booked);
        let window = self.rules.capabilities.refund_window;
        if window.is_some_and(|window| age > window) {
            return Err(GatewayRefusal::RefundWindowPassed);
        }
        let left = order.left_of(refund.payment);
        left.and_then(|left| left.checked_sub(refund.amount).ok())
            .map(|_| ())
            .ok_or(GatewayRefusal::RefundExceedsPayment)
    }

    /// Refunds whose status changes by itself now.
    pub(super) fn turn_refunds(&mut self, order: TransactionId, now: Now) {
        let Some(found) = self.orders.get(&order) else {
            return;
        };
        let refunds = found.refunds.iter().enumerate();
        let due: Vec<usize> = refunds
            .filter(|(_, refund)| refund.turn_due().is_some_and(|due| due <= now.tick))
            .map(|(nth, _)| nth)
            .collect();
        for nth in due {
            let at = now.utc;
            self.record(Entry::RefundTurned { order, nth, at }, now);
            self.changed(order, now);
        }
    }
}

/// The plain course keeps its own short form.
fn refund_entry(
    platform: &PlatformId,
    refund: &RefundOrder,
    course: RefundCourse,
    now: Now,
) -> Entry {
    let (platform, refund, at) = (platform.clone(), refund.clone(), now.utc);
    let is_plain = course.status == RefundStatus::Succeeded && course.turn.is_none();
    if is_plain {
        Entry::Refunded {
            platform,
            refund,
            at,
        }
    } else {
        Entry::RefundBegun {
            platform,
            refund,
            course,
            at,
        }
    }
}
