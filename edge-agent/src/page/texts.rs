//! Every word that a payer reads, in one place, so that other languages can come.

use protocol::message::{LinkageOutcome, OffReason, Standing};
use protocol::money::Money;

use crate::desk::NotConfirmedReason;

pub(super) const LANGUAGE: &str = "en";

pub(super) const NO_SHOP: &str = "Payment terminal";
pub(super) const CONNECTION_LOST: &str = "No connection to the terminal. Trying again…";
pub(super) const HELP: &str = "Help";
pub(super) const CODE: &str = "Code";
pub(super) const PAYEE: &str = "Payee";
pub(super) const PLACE: &str = "Place";
pub(super) const TIME_LEFT: &str = "Time left";

pub(super) const SOLD_HERE: &str = "Sold here";
pub(super) const CONTINUE: &str = "Continue";
pub(super) const AGREEMENT: &str = "By continuing you agree to start an order at this terminal. You see \
     the bill before you pay.";

pub(super) const BUSY: &str = "Another phone is being served";
pub(super) const BUSY_LEAD: &str = "One phone at a time. This page shows when it is your turn.";
pub(super) const TRY_AGAIN: &str = "Try again";
pub(super) const OUT_OF_SERVICE: &str = "Not in service";

pub(super) const CHOOSE: &str = "Choose what you need";
pub(super) const CONFIRM_ONE: &str = "Your order";
pub(super) const TO_THE_BILL: &str = "Show the bill";
pub(super) const CANCEL: &str = "Cancel";
pub(super) const LESS: &str = "Fewer";
pub(super) const MORE: &str = "More";

pub(super) const QUOTING: &str = "Preparing your bill";
pub(super) const QUOTING_LEAD: &str = "This takes a moment.";

pub(super) const BILL: &str = "Your bill";
pub(super) const PAY_ELSEWHERE: &str = "You pay on the payment service's own page. This terminal never sees \
     your card or account.";

pub(super) const PAYING: &str = "Waiting for your payment";
pub(super) const PAYING_LEAD: &str = "Pay on the payment page, then come back here. If you have paid \
     already, keep this page open.";
pub(super) const DECLINED_NOTE: &str =
    "The payment was declined. No money was taken. You can try again.";

pub(super) const VERIFYING: &str = "Checking your payment";
pub(super) const VERIFYING_LEAD: &str =
    "This usually takes a few seconds. Please keep this page open.";
pub(super) const VERIFYING_LONG: &str = "Still checking. Please do not pay again";
pub(super) const VERIFYING_LONG_LEAD: &str = "Your payment may have gone through. We keep asking the payment \
     service. If we can't serve you, the money is sent back by itself.";
pub(super) const NOT_PAID_YET: &str = "I have not paid yet";

pub(super) const ACTUATING: &str = "Payment confirmed";
pub(super) const ACTUATING_LEAD: &str = "Switching on now…";

pub(super) const DONE: &str = "Please go ahead";
pub(super) const DONE_LEAD: &str = "Payment confirmed. Thank you.";
pub(super) const DONE_FREE_LEAD: &str = "Nothing to pay. Thank you.";
pub(super) const RECEIPT: &str = "Receipt";
pub(super) const RECEIPT_COMING: &str =
    "Your receipt is on its way. You don't have to wait for it.";
pub(super) const SAVE_RECEIPT: &str = "Save the signed receipt";
pub(super) const KEEP_LINK: &str = "Keep this link: receipt and refund status.";
pub(super) const PAID_AT: &str = "Paid";
pub(super) const PAYMENT: &str = "Payment reference";
pub(super) const PAYMENT_SERVER: &str = "Payment service";
pub(super) const MERCHANT: &str = "Merchant";
pub(super) const ISSUED_AT: &str = "Issued";
pub(super) const SIGNED_BY_BOTH: &str = "Signed by the platform and by this terminal. Anybody can check \
     the saved file later.";
pub(super) const ORDER: &str = "Order";

pub(super) const EXPIRED: &str = "Time is up";
pub(super) const EXPIRED_LEAD: &str = "The order was not paid in time and is closed. Should a payment \
     still arrive, it is sent back by itself.";
pub(super) const CANCELLED: &str = "Cancelled";
pub(super) const CANCELLED_LEAD: &str = "You have not paid anything.";
pub(super) const START_AGAIN: &str = "New order";

pub(super) const NOT_CONFIRMED: &str = "Payment not confirmed";
pub(super) const DECLINED: &str = "Payment declined";

pub(super) const GONE: &str = "This page has ended";
pub(super) const GONE_LEAD: &str = "There is no order here any more.";
pub(super) const NO_PAGE: &str = "There is no such page";
pub(super) const NO_PAGE_LEAD: &str = "Scan the code on the terminal, or start here.";
pub(super) const WRONG_FORM: &str = "That did not work";
pub(super) const BACK: &str = "Back";

pub(super) fn pay(amount: &Money) -> String {
    format!("Pay {amount}")
}

pub(super) fn quantity_of(name: &str) -> String {
    format!("How many: {name}")
}

/// Minutes and seconds, as the page's script writes them too.
pub(super) fn countdown(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// What happened instead of a confirmation.
pub(super) const fn not_confirmed(reason: NotConfirmedReason) -> &'static str {
    match reason {
        NotConfirmedReason::Off(reason) => off(reason),
        NotConfirmedReason::NoAnswer => {
            "We could not confirm your payment in time. Please do not pay again: if money was \
             taken, it is sent back by itself."
        }
        NotConfirmedReason::Withdrawn => {
            "Your order was closed. If money was taken, it is sent back by itself."
        }
    }
}

const fn off(reason: OffReason) -> &'static str {
    match reason {
        OffReason::Declined => "The payment was declined. No money was taken.",
        OffReason::Expired => {
            "No payment arrived in time. If you did pay, it is sent back by itself."
        }
        OffReason::Ended => "The order was ended. If you did pay, it is sent back by itself.",
        OffReason::Late => {
            "Your payment arrived after the order had ended. It is sent back by itself."
        }
        OffReason::WrongAmount => {
            "The amount paid is not the amount of the bill. It is sent back by itself."
        }
        OffReason::WrongPayee => {
            "The payment went to somebody else, not to this shop. Please call the help number."
        }
        OffReason::WrongCurrency => {
            "The payment was made in another currency. It is sent back or looked at by a person."
        }
        OffReason::Inconsistent => {
            "The payment service reports something unusual about this payment. A person looks at it."
        }
        OffReason::TooLate => {
            "Your payment was confirmed too late for this terminal to act. It is sent back by itself."
        }
        OffReason::Operator => {
            "The operator has withdrawn the order. If money was taken, it is sent back."
        }
    }
}

/// The headline over [`failed`].
pub(super) const fn failed_headline(outcome: LinkageOutcome) -> &'static str {
    match outcome {
        LinkageOutcome::Done | LinkageOutcome::Uncertain { .. } => {
            "We can't tell whether it worked"
        }
        LinkageOutcome::Failed | LinkageOutcome::Refused { .. } => "We could not switch it on",
    }
}

/// Why the device is not on although it was paid.
pub(super) const fn failed(outcome: LinkageOutcome) -> &'static str {
    match outcome {
        // A done that is shown as failed is a partial one.
        LinkageOutcome::Done | LinkageOutcome::Uncertain { .. } => {
            "Your payment is confirmed, but we can't tell whether everything was switched on. \
             Please do not pay again."
        }
        LinkageOutcome::Failed => {
            "Your payment is confirmed, but the device did not move. Please do not pay again."
        }
        LinkageOutcome::Refused { .. } => {
            "Your payment is confirmed, but this terminal could not act on it. Please do not pay again."
        }
    }
}

/// Where the money is.
pub(super) const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Declined => "No money was taken.",
        Standing::RefundPending => "Your money is on its way back.",
        Standing::Refunded => "Your money has been sent back.",
        Standing::Review => "A person is looking at it. The help number can tell you more.",
        Standing::Closed => "The order is closed. No money was taken.",
    }
}

pub(super) const REFUND_UNKNOWN: &str = "We are finding out what happens with your money.";
