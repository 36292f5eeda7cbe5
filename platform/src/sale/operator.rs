//! What a person does to a sale: by name, with a reason, and never around a rule.

use protocol::message::{Ground, OffReason};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::refund::RefundReason;
use super::transaction::TransactionState;
use super::{Sale, Turn};
use crate::rules::Rule;

/// Who acts, and why. Both stand in the sale's history, and in the permit of an ON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hand {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// How a person ends the reviews of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resolution {
    /// Give the money back, or try so again.
    Refund,
    /// The payer was served: the money is the merchant's.
    KeepAsEarned,
    /// The payer was served, and the money is gone.
    WriteOffAsLoss,
    /// The payer was not served, and has the money back without us.
    ReturnedOutside,
}

/// Why nothing was done. Nothing has changed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperatorRefusal {
    #[error("nothing of this sale is left to return")]
    NothingToReturn,
    #[error("a permit is out: the device may still move")]
    PermitOut,
    #[error("a refund was sent: only the payment server knows how it went")]
    RefundSent,
    #[error("the payer's bank claims the money back: resolve the review instead")]
    Disputed,
    #[error("this sale was switched ON before")]
    PermittedBefore,
    #[error("the terminal was told OFF, or its nonce has too little life left")]
    TooLate,
    #[error("nothing of this sale waits for a person")]
    NothingToResolve,
}

impl Sale {
    /// Returns whatever is left of its payments, what was earned included.
    pub(crate) fn handle_operator_refund(
        &mut self,
        hand: &Hand,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        if self.transaction.state.may_act() {
            return Err(OperatorRefusal::PermitOut);
        }
        let is_owed = |id| {
            let payment = self.payments.get(&id);
            payment.is_some_and(|payment| payment.is_unsettled(turn.policy.rules))
        };
        if !self.payments.keys().copied().any(is_owed) {
            return Err(OperatorRefusal::NothingToReturn);
        }
        self.hand_event("operator_refund", hand, turn);
        self.transaction.review = None;
        self.give_back(OffReason::Operator, Some(RefundReason::Operator), turn);
        self.drive(turn);
        Ok(())
    }

    /// Switches ON by hand (R12): once, and never what was permitted or returned before (I4, I14).
    pub(crate) fn handle_operator_open(
        &mut self,
        hand: &Hand,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        if self.transaction.was_permitted() && turn.holds(Rule::OperatorOpensOnce) {
            return Err(OperatorRefusal::PermittedBefore);
        }
        let is_returning = self.payments.values().any(|p| p.refund.is_some());
        if is_returning {
            return Err(OperatorRefusal::RefundSent);
        }
        let is_useful = self.transaction.is_useful(turn.now.tick, turn.policy);
        if self.transaction.is_off || !is_useful {
            return Err(OperatorRefusal::TooLate);
        }
        self.hand_event("operator_open", hand, turn);
        self.transaction.review = None;
        self.transaction.operator = Some(hand.clone());
        self.go(TransactionState::Confirmed, turn);
        self.permit(
            Ground::Operator {
                name: hand.name.clone(),
                reason: hand.reason.clone(),
            },
            turn,
        );
        self.shut_order(turn);
        self.drive(turn);
        Ok(())
    }

    /// Ends what waits for a person.
    pub(crate) fn handle_operator_resolve(
        &mut self,
        resolution: Resolution,
        hand: &Hand,
        turn: &mut Turn<'_>,
    ) -> Result<(), OperatorRefusal> {
        if self.transaction.review.is_none() {
            return Err(OperatorRefusal::NothingToResolve);
        }
        match resolution {
            Resolution::Refund => self.handle_operator_refund(hand, turn),
            Resolution::KeepAsEarned | Resolution::WriteOffAsLoss | Resolution::ReturnedOutside => {
                Err(OperatorRefusal::NothingToResolve)
            }
        }
    }

    fn hand_event(&mut self, kind: &str, hand: &Hand, turn: &Turn<'_>) {
        let detail = json!({ "name": hand.name, "reason": hand.reason });
        self.event(kind, detail, turn);
    }
}
