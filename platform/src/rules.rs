//! The rules that keep money safe, each as a guard that can be named. What is shipped holds all of
//! them; a checker takes one away to see that it would notice.

use std::fmt::Debug;

/// Which rules hold. Everything that is shipped runs on [`Sound`].
pub trait Rules: Debug + Send + Sync {
    /// Whether the guards of `rule` are in place.
    fn holds(&self, rule: Rule) -> bool {
        let _every_rule = rule;
        true
    }
}

/// Every rule holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound;

impl Rules for Sound {}

/// One guard of the platform. Its words say what holds while it is in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// R1: a payment notice says nothing about the order's state.
    NoticeIsHint,
    /// R1: one question about an order is in flight at a time.
    OneQueryInFlight,
    /// R1: a hint during a flight causes one more question after it.
    HintAsksAgain,
    /// R1: hints ask at most so often.
    HintRateLimited,
    /// R2: a payment of another amount does not count.
    AmountEqual,
    /// R2: a payment in another currency does not count.
    CurrencyEqual,
    /// R2: a payment to another payee does not count, and is not booked.
    PayeeEqual,
    /// R2: a payment that is refunded or disputed does not count.
    UntouchedPayment,
    /// R2: an answer counts under a nonce of ours, once.
    NonceAnswered,
    /// R2: an answer about another order does not count.
    OwnOrder,
    /// R2: an order of other content under our number is never served.
    OrderAsMade,
    /// R2: "paid" is not undone by an older or later "open".
    PaidIsFinal,
    /// R3: silence never counts as closed.
    UnknownIsNotClosed,
    /// R3: "no such order" counts if it was asked for after the newest create.
    MissingAskedLater,
    /// R3: after silence the next question is a query, and only then the call again.
    AskBeforeResend,
    /// R3: a call whose key the payment server may have forgotten is not repeated.
    KeyRetention,
    /// R3, R11: a refund keeps its id through all attempts.
    RefundKeyFixed,
    /// R4: an order is created once no other one is open for its terminal and session.
    OneOpenOrder,
    /// R4: a second payment of a sale that is served goes back.
    DuplicateRefunded,
    /// R5: only a query asked after the deadline is the final one.
    FinalQuery,
    /// R5: without money a sale ends once the order is known to be closed.
    ClosedBeforeExpired,
    /// R5: "too early to close" leaves the sale closing.
    CloseTooEarlyWaits,
    /// R5: "already paid", said to a close, leads to a query.
    AlreadyPaidAsks,
    /// R5: money found after the decision never leads to an ON.
    LateNeverOn,
    /// R5: money found after the decision goes back by itself.
    LateRefunded,
    /// R5: a payment of an offer that was taken back is returned, not served.
    WithdrawnNeverOn,
    /// R5: an order is asked about for days after its end.
    LateWatch,
    /// R6: no permit is signed for a nonce with less than a minimum of its life left.
    PermitNeedsLife,
    /// R6: a nonce counts as dead its lifetime and a margin after it was received.
    PermitDeathWaited,
    /// R6: after a restart the full time is waited again.
    FullWaitAfterRestart,
    /// R8: a missing result leads to a question to the journal, not to a refund.
    AskJournalBeforeRefund,
    /// R8: nobody gives up while a permit may live.
    GiveUpOnlyWhenDead,
    /// R8: a late "done" cancels a refund only if nothing of it was sent.
    LateDoneCancelsOnlyUnsent,
    /// R8: a "done" after the refund was sent is booked as a loss.
    LateDoneIsLoss,
    /// R7: another journal than the sale's never says "not done".
    OtherJournalIsUncertain,
    /// R8: when nobody knows, the device's policy decides.
    UncertainFollowsPolicy,
    /// R8: what is paid for a sale that was served without a permit of ours is not paid back by
    /// itself.
    ServedStays,
    /// R8: of a sale that is older than a restore, what nobody knows is for a person.
    RestoredIsReviewed,
    /// R8: partial service goes to a person.
    PartialIsReviewed,
    /// R8: the sensor settles what the terminal could not.
    SensorSettles,
    /// R9: no fresh nonce is taken once a refund exists.
    NoFreshNonceAfterRefund,
    /// R9: a fresh nonce needs another boot than the one before it.
    BootDiffers,
    /// R9: a fresh nonce needs the journal that the sale began with.
    FreshNonceOwnJournal,
    /// R7: a result names a nonce and session of the sale.
    ResultNamesPermit,
    /// R10: OFF is never said after a permit.
    NoOffAfterPermit,
    /// R12: what is to be paid is what the platform priced.
    ZeroBillPricedByUs,
    /// R12, I3: ground `paid` names an exact payment.
    GroundExact,
    /// R13: refunds that rest on a terminal's word are capped.
    RefundCaps,
    /// R13: late, duplicate and wrong-amount refunds have a breaker.
    RefundBreaker,
    /// After a restore no refund is sent by itself until the journals were read.
    MendingWaits,
    /// I14: no refund is sent while a permit may act.
    NoRefundWhileActing,
    /// I4: a payment is booked for one transaction only.
    PaymentOfOneSale,
    /// I5: one refund per payment.
    RefundOnce,
    /// I2, I5: what was earned is not returned by itself.
    EarnedStays,
    /// A refund that fails after it succeeded is owed again.
    FailedRefundReopens,
    /// R7: a terminal may forget a sale only once its own answer came, or its nonce is dead.
    SettledOnlyAfterEnd,
    /// R12, I4: a person switches ON only what was never permitted.
    OperatorOpensOnce,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_holds_every_rule() {
        assert!(Sound.holds(Rule::NoticeIsHint));
        assert!(Sound.holds(Rule::OperatorOpensOnce));
    }
}
