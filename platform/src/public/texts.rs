//! Every sentence of the public pages. Another language is another table.

use crate::sale::{RefundReason, Stage};

/// One language.
#[derive(Debug)]
pub(super) struct Texts {
    /// BCP 47 tag.
    pub(super) language: &'static str,
    pub(super) unpaid: Words,
    pub(super) checking: Words,
    pub(super) serving: Words,
    pub(super) served: Words,
    pub(super) served_free: Words,
    pub(super) served_and_returned: Words,
    pub(super) closing: Words,
    pub(super) nothing: Words,
    pub(super) returning: Words,
    pub(super) returned: Words,
    pub(super) review: Words,
    pub(super) unknown: Words,
    pub(super) too_often: Words,
    pub(super) broken: Words,
    pub(super) no_page: Words,

    pub(super) bill: &'static str,
    pub(super) receipt: &'static str,
    pub(super) save_receipt: &'static str,
    pub(super) verify: &'static str,
    pub(super) verify_link: &'static str,
    pub(super) payee: &'static str,
    pub(super) place: &'static str,
    pub(super) ordered: &'static str,
    pub(super) payment: &'static str,
    pub(super) paid: &'static str,
    pub(super) served_at: &'static str,
    pub(super) order: &'static str,
    pub(super) reference: &'static str,
    pub(super) another_payment: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) amount: &'static str,
    pub(super) refund_on_its_way: &'static str,
    pub(super) refund_back: &'static str,
    pub(super) refund_stuck: &'static str,
    pub(super) since: &'static str,
    pub(super) back_on: &'static str,
    pub(super) stuck: &'static str,
    pub(super) outside: &'static str,
    pub(super) reviewer: &'static str,
    pub(super) review_due: &'static str,
    pub(super) operator_of: &'static str,
    pub(super) help: &'static str,
    pub(super) code: &'static str,
    pub(super) keep: &'static str,

    pub(super) late: &'static str,
    pub(super) duplicate: &'static str,
    pub(super) wrong_amount: &'static str,
    pub(super) wrong_currency: &'static str,
    pub(super) inconsistent: &'static str,
    pub(super) ended: &'static str,
    pub(super) too_late: &'static str,
    pub(super) not_served: &'static str,
    pub(super) uncertain: &'static str,
    pub(super) operator: &'static str,
}

/// A headline and what it means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) headline: &'static str,
    pub(super) lead: &'static str,
}

impl Texts {
    pub(super) const fn stage(&self, stage: Stage) -> Words {
        match stage {
            Stage::Unpaid => self.unpaid,
            Stage::Checking => self.checking,
            Stage::Serving => self.serving,
            Stage::Served => self.served,
            Stage::Closing => self.closing,
            Stage::Nothing => self.nothing,
            Stage::Returning => self.returning,
            Stage::Returned => self.returned,
            Stage::Review => self.review,
        }
    }

    /// Why money goes back.
    pub(super) const fn why(&self, reason: RefundReason) -> &'static str {
        match reason {
            RefundReason::Late => self.late,
            RefundReason::Duplicate => self.duplicate,
            RefundReason::WrongAmount => self.wrong_amount,
            RefundReason::WrongCurrency => self.wrong_currency,
            RefundReason::Inconsistent => self.inconsistent,
            RefundReason::Ended => self.ended,
            RefundReason::TooLate => self.too_late,
            RefundReason::Operator => self.operator,
            RefundReason::LinkageRefused | RefundReason::LinkageFailed => self.not_served,
            RefundReason::LinkageUncertain | RefundReason::GaveUp => self.uncertain,
        }
    }
}

const fn words(headline: &'static str, lead: &'static str) -> Words {
    Words { headline, lead }
}

pub(super) static ENGLISH: Texts = Texts {
    language: "en",
    unpaid: words(
        "Not paid yet",
        "We know of no payment for this order. Nothing was charged.",
    ),
    checking: words(
        "Checking your payment",
        "We are asking the payment service. Please do not pay again.",
    ),
    serving: words(
        "Paid",
        "Your payment is confirmed. We are waiting for the terminal's word that you were served; \
         if you were not, the money is sent back by itself.",
    ),
    served: words(
        "Paid and served",
        "Your payment is confirmed, and the terminal has signed that it served you.",
    ),
    served_free: words(
        "Served",
        "There was nothing to pay, and the terminal has signed that it served you.",
    ),
    served_and_returned: words(
        "Served, and your money was returned",
        "You were served, and your payment went back to you all the same. You owe nothing.",
    ),
    closing: words(
        "The order is being closed",
        "We know of no payment. Should one still turn up, it is sent back by itself.",
    ),
    nothing: words(
        "Nothing was charged",
        "The order is closed. Should a payment still arrive, it is sent back by itself.",
    ),
    returning: words(
        "Your money is on its way back",
        "It goes back to where it came from, by itself. You need do nothing.",
    ),
    returned: words(
        "Your money was returned",
        "The payment service has sent it back to where it came from. A bank may take some days to \
         show it.",
    ),
    review: words(
        "Under review",
        "The machines could not settle this by themselves, so a person decides. Please do not pay \
         again.",
    ),
    unknown: words(
        "There is nothing under this link",
        "Please check that the link is complete, with all characters at its end.",
    ),
    too_often: words("Too many requests", "Please wait a minute and try again."),
    broken: words(
        "We can't look that up now",
        "Please try again in a few minutes. Nothing is lost.",
    ),
    no_page: words(
        "There is no such page",
        "Please open the link that you were given.",
    ),
    bill: "Order",
    receipt: "Receipt",
    save_receipt: "Save the signed receipt",
    verify: "Anybody can check the saved receipt, without asking us:",
    verify_link: "check a receipt",
    payee: "Paid to",
    place: "Place",
    ordered: "Ordered",
    payment: "Payment",
    paid: "Paid",
    served_at: "Served",
    order: "Order number",
    reference: "Payment reference",
    another_payment: "Another payment",
    elsewhere: "This payment went to somebody else, not to this shop. Please call the help number.",
    amount: "Amount",
    refund_on_its_way: "Refund, on its way",
    refund_back: "Refund, returned",
    refund_stuck: "Refund, not returned yet",
    since: "Since",
    back_on: "On",
    stuck: "The payment server has not returned it yet. A person sees to it.",
    outside: "Returned by the payment server",
    reviewer: "Who decides",
    review_due: "Until",
    operator_of: "The operator of",
    help: "Help:",
    code: "Order code",
    keep: "Keep the link of this page: it always shows how things stand.",
    late: "The payment arrived after the order had ended.",
    duplicate: "The order was paid already.",
    wrong_amount: "The amount paid was not the amount of the order.",
    wrong_currency: "The payment was in another currency than the order.",
    inconsistent: "The payment service reported something unusual about the payment.",
    ended: "The order was ended before it was paid.",
    too_late: "The payment was confirmed too late for the terminal to serve you.",
    not_served: "The terminal could not serve you.",
    uncertain: "Nobody can say for sure whether the terminal served you.",
    operator: "The operator decided to return it.",
};
