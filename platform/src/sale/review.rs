//! What waits for a person: why, for whom, and until when.

use std::time::Duration;

use protocol::time::{Now, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::policy::Timeouts;
use super::{Sale, Turn};

/// Why a person must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReviewReason {
    /// Money went to another payee than ours.
    WrongPayee,
    /// The payment is booked for another transaction (I4).
    PaymentOfAnotherSale,
    /// The payer's bank claims the money back.
    Disputed,
    /// The payment server has another order under our number.
    OrderDiffers,
    /// The payment server never said whether the order is shut.
    GatewaySilent,
    /// The payment server refused the refund for good, or it failed there.
    RefundFailed,
    /// The payment is too old to be refunded there.
    RefundWindowPassed,
    /// Asked as often as makes sense, or its key may be forgotten: nobody said how it went.
    RefundUnknown,
    /// The payment server works on it for longer than it should.
    RefundPending,
    /// It waits since a restore, and not every journal was read.
    RefundHeld,
    /// Above the cap of R13.
    RefundCapped,
    LinkageUncertain,
    /// The terminal acted without a permit of ours.
    DoneWithoutPermit,
}

impl ReviewReason {
    /// Who looks: at the place and its devices, or at the books.
    pub(crate) const fn owner(self) -> Owner {
        match self {
            Self::GatewaySilent
            | Self::RefundHeld
            | Self::RefundCapped
            | Self::LinkageUncertain
            | Self::DoneWithoutPermit => Owner::Operator,
            Self::WrongPayee
            | Self::PaymentOfAnotherSale
            | Self::Disputed
            | Self::OrderDiffers
            | Self::RefundFailed
            | Self::RefundWindowPassed
            | Self::RefundUnknown
            | Self::RefundPending => Owner::Accountant,
        }
    }

    /// Whether it is about a refund, and goes with it.
    pub(crate) const fn is_of_refund(self) -> bool {
        matches!(
            self,
            Self::RefundFailed
                | Self::RefundWindowPassed
                | Self::RefundUnknown
                | Self::RefundPending
                | Self::RefundHeld
                | Self::RefundCapped
        )
    }
}

/// The role that a review waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    Operator,
    Accountant,
}

/// A task for a person, with the day on which it is overdue (I2, I7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Review {
    pub(crate) reason: ReviewReason,
    pub(crate) owner: Owner,
    pub(crate) since: Utc,
    pub(crate) due_at: Utc,
}

/// The open reviews of one sale: at most one per reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Reviews(Vec<Review>);

impl Reviews {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, reason: ReviewReason) -> bool {
        self.0.iter().any(|review| review.reason == reason)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Review> {
        self.0.iter()
    }

    /// The new review; `None` if there is one of that reason.
    fn open(&mut self, reason: ReviewReason, now: Now, timeouts: &Timeouts) -> Option<Review> {
        if self.has(reason) {
            return None;
        }
        let wait = Duration::from_millis(timeouts.review_ms);
        let review = Review {
            reason,
            owner: reason.owner(),
            since: now.utc,
            due_at: now.utc.saturating_add(wait),
        };
        self.0.push(review);
        Some(review)
    }

    fn close(&mut self, reason: ReviewReason) -> bool {
        let before = self.0.len();
        self.0.retain(|review| review.reason != reason);
        self.0.len() != before
    }
}

impl Sale {
    /// Asks a person, once per reason. Where the sale stands is for the caller to say.
    pub(super) fn open_review(&mut self, reason: ReviewReason, turn: &mut Turn<'_>) {
        let timeouts = &turn.policy.timeouts;
        if let Some(review) = self.transaction.reviews.open(reason, turn.now, timeouts) {
            let detail = json!({
                "reason": reason, "owner": review.owner, "due_at": review.due_at,
            });
            self.event("review_opened", detail, turn);
        }
    }

    /// The question has answered itself.
    pub(super) fn close_review(&mut self, reason: ReviewReason, turn: &mut Turn<'_>) {
        if self.transaction.reviews.close(reason) {
            self.event("review_closed", json!({ "reason": reason }), turn);
        }
    }

    /// Reviews of refunds follow the refunds themselves.
    pub(super) fn review_refunds(&mut self, turn: &mut Turn<'_>) {
        let stuck: Vec<ReviewReason> = self
            .payments
            .values()
            .filter_map(|payment| payment.refund.as_ref()?.stuck())
            .collect();
        let over: Vec<ReviewReason> = self
            .transaction
            .reviews
            .iter()
            .map(|review| review.reason)
            .filter(|reason| reason.is_of_refund() && !stuck.contains(reason))
            .collect();
        for reason in over {
            self.close_review(reason, turn);
        }
        for reason in stuck {
            self.open_review(reason, turn);
        }
    }
}
