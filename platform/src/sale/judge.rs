//! Whether a payment counts (R2). Everything must match; whatever does not has a name.

use protocol::id::PayeeId;
use protocol::message::{OffReason, PaymentView};
use protocol::money::Money;
use serde::{Deserialize, Serialize};

use crate::rules::{Rule, Rules};

/// What a payment must be to count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) amount: Money,
    pub(crate) payee: &'a PayeeId,
    pub(crate) rules: &'static dyn Rules,
}

/// What a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Amount, currency and payee are ours, and nothing of it is refunded or disputed.
    Exact,
    Under,
    Over,
    WrongCurrency,
    WrongPayee,
    /// It is booked for another transaction of ours (I4).
    OtherSale,
    Disputed,
    RefundedOutside,
}

impl Verdict {
    /// Whether the money came to our payee, for this sale: only then is it booked, and ours to
    /// refund.
    pub(crate) const fn is_ours(self) -> bool {
        !matches!(self, Self::WrongPayee | Self::OtherSale)
    }

    /// Why a terminal is told OFF because of it.
    pub(crate) const fn off_reason(self) -> OffReason {
        match self {
            Self::Under | Self::Over => OffReason::WrongAmount,
            Self::WrongCurrency => OffReason::WrongCurrency,
            Self::WrongPayee => OffReason::WrongPayee,
            Self::Exact | Self::OtherSale | Self::Disputed | Self::RefundedOutside => {
                OffReason::Inconsistent
            }
        }
    }
}

/// Judges one payment. `returned_minor` is what we ourselves have asked to be returned of it.
pub(crate) fn judge(expected: Expected<'_>, payment: &PaymentView, returned_minor: i64) -> Verdict {
    let rules = expected.rules;
    let is_untouched = rules.holds(Rule::UntouchedPayment);
    let is_equal = rules.holds(Rule::AmountEqual);
    if payment.payee != *expected.payee && rules.holds(Rule::PayeeEqual) {
        Verdict::WrongPayee
    } else if payment.amount.currency() != expected.amount.currency()
        && rules.holds(Rule::CurrencyEqual)
    {
        Verdict::WrongCurrency
    } else if payment.disputed && is_untouched {
        Verdict::Disputed
    } else if payment.refunded.minor() > returned_minor && is_untouched {
        Verdict::RefundedOutside
    } else if payment.amount.minor() < expected.amount.minor() && is_equal {
        Verdict::Under
    } else if payment.amount.minor() > expected.amount.minor() && is_equal {
        Verdict::Over
    } else {
        Verdict::Exact
    }
}

#[cfg(test)]
mod tests {
    use protocol::id::PaymentId;
    use protocol::time::Utc;

    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money::new(minor, currency.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_an_equal_untouched_payment_to_us_is_exact() {
        let exact = PaymentView {
            payment: PaymentId::from_random([1; 16]),
            amount: money(450, "CNY"),
            payee: "shop".parse().unwrap(),
            refunded: money(0, "CNY"),
            disputed: false,
            paid_at: Utc::EPOCH,
        };
        let with = |change: &dyn Fn(&mut PaymentView)| {
            let mut payment = exact.clone();
            change(&mut payment);
            payment
        };
        let rows = [
            (exact.clone(), 0, Verdict::Exact),
            (with(&|p| p.amount = money(449, "CNY")), 0, Verdict::Under),
            (with(&|p| p.amount = money(451, "CNY")), 0, Verdict::Over),
            (
                with(&|p| p.amount = money(450, "EUR")),
                0,
                Verdict::WrongCurrency,
            ),
            (
                with(&|p| p.payee = "other".parse().unwrap()),
                0,
                Verdict::WrongPayee,
            ),
            (with(&|p| p.disputed = true), 0, Verdict::Disputed),
            (
                with(&|p| p.refunded = money(1, "CNY")),
                0,
                Verdict::RefundedOutside,
            ),
            (
                with(&|p| p.refunded = money(450, "CNY")),
                450,
                Verdict::Exact,
            ),
        ];
        let payee = "shop".parse().unwrap();
        let expected = Expected {
            amount: money(450, "CNY"),
            payee: &payee,
            rules: &crate::rules::Sound,
        };
        for (payment, returned_minor, verdict) in rows {
            assert_eq!(judge(expected, &payment, returned_minor), verdict);
        }
    }
}
