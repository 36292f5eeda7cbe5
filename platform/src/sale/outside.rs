//! What happens to a payment without us: refunds made elsewhere, and claims of the payer's bank.

use protocol::id::PaymentId;
use protocol::message::PaymentView;
use protocol::money::Money;
use serde_json::json;

use super::payment::Payment;
use super::review::ReviewReason;
use super::{Output, Sale, Turn};
use crate::ledger::{self, Entry};

impl Sale {
    /// Money that went back without us is not ours to return; earned before, it is a loss.
    pub(super) fn note_outside(&mut self, view: &PaymentView, turn: &mut Turn<'_>) {
        let id = view.payment;
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let more = outside_of(payment, view);
        if more <= 0 {
            return;
        }
        payment.outside_minor = payment.outside_minor.saturating_add(more);
        let (is_earned, claimed) = (payment.is_earned, payment.disputed_minor.min(more));
        payment.disputed_minor = payment.disputed_minor.saturating_sub(claimed);
        let currency = payment.amount.currency();
        let Ok(amount) = Money::new(more, currency) else {
            return;
        };
        let detail = json!({"payment": id, "amount": amount});
        self.event("refunded_outside", detail, turn);
        if is_earned {
            self.book_minor(id, claimed, ledger::dispute_lost);
            self.book_minor(id, more.saturating_sub(claimed), ledger::lost_outside);
        } else {
            self.book_minor(id, more, ledger::refunded_outside);
        }
        self.write_payment(id);
        self.trim_refund(id, turn);
    }

    /// The payer's bank claims a payment back, or does not any more.
    pub(super) fn note_dispute(&mut self, view: &PaymentView, turn: &mut Turn<'_>) {
        let id = view.payment;
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let was_disputed = std::mem::replace(&mut payment.is_disputed, view.disputed);
        if was_disputed != view.disputed {
            let detail = json!({"payment": id, "disputed": view.disputed});
            self.event("dispute", detail, turn);
        }
        self.book_dispute(id);
        if view.disputed {
            self.open_review(ReviewReason::Disputed, turn);
        } else if was_disputed && !self.payments.values().any(|payment| payment.is_disputed) {
            self.close_review(ReviewReason::Disputed, turn);
        }
    }

    /// Earned money follows the claim on it.
    pub(super) fn book_dispute(&mut self, id: PaymentId) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let left = payment.owed().minor();
        let is_booked = payment.disputed_minor > 0;
        if payment.is_earned && payment.is_disputed && !is_booked {
            payment.disputed_minor = left;
            self.book_minor(id, left, ledger::disputed);
        } else if is_booked && !payment.is_disputed {
            let claimed = std::mem::take(&mut payment.disputed_minor);
            self.book_minor(id, claimed, ledger::dispute_won);
        }
    }

    /// Books an entry about so much of a payment; nothing for nothing.
    pub(super) fn book_minor(
        &mut self,
        id: PaymentId,
        minor: i64,
        entry: impl FnOnce(ledger::Matter) -> Entry,
    ) {
        let Some(currency) = self.payments.get(&id).map(|p| p.amount.currency()) else {
            return;
        };
        if let Ok(amount) = Money::new(minor, currency)
            && !amount.is_zero()
        {
            let entry = entry(self.matter(id, amount));
            self.outputs.push_back(Output::Entry(entry));
        }
    }

    /// A refund that is certain not to have happened returns no more than what is left.
    fn trim_refund(&mut self, id: PaymentId, turn: &mut Turn<'_>) {
        let Some(payment) = self.payments.get_mut(&id) else {
            return;
        };
        let owed = payment.owed();
        let Some(refund) = payment.refund.as_mut().filter(|refund| refund.is_void()) else {
            return;
        };
        if !owed.is_zero() {
            refund.amount = owed;
            return;
        }
        self.drop_refund(id, turn);
        self.event("refund_cancelled", json!({ "payment": id }), turn);
        self.settle_refunds(turn);
    }
}

/// What went back without us since the last look. A refund of ours that may be done explains as
/// much as it returns.
fn outside_of(payment: &Payment, view: &PaymentView) -> i64 {
    let returned = payment.returned_minor();
    let most = payment.amount.minor().saturating_sub(returned);
    let outside = view.refunded.minor().saturating_sub(returned).min(most);
    outside.saturating_sub(payment.outside_minor)
}
