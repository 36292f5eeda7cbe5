//! What a sale wants done: commit these, then send those.

use protocol::id::Nonce;
use protocol::message::{
    Inquiry, Off, Operation, OrderRefused, PaymentStanding, Permit, Quote, Receipt, Settled,
};
use protocol::signed::Jws;
use serde::{Deserialize, Serialize};

use crate::ledger::Entry;
use crate::store::{EventRow, PaymentRow, RefundRow};

/// One effect. All outputs of one step are committed together; only then is anything sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    /// Commit.
    Event(EventRow),
    Entry(Entry),
    Payment(PaymentRow),
    Refund(RefundRow),
    /// Sign, commit into the outbox, send.
    Quote(Quote),
    Permit(Permit),
    Off(Off),
    Inquiry(Inquiry),
    Receipt(Box<Receipt>),
    /// The receipt that was signed before, once more.
    ReceiptAgain(Jws<Receipt>),
    /// Commit into the outbox, send.
    Settled(Settled),
    Standing(PaymentStanding),
    Refused(OrderRefused),
    /// Sign, send once the sale is committed. Repeated by the sale itself under a new nonce.
    Gateway {
        operation: Operation,
        nonce: Nonce,
    },
    /// Send the committed bytes again.
    Resend(Word),
    /// The receiver has it, or needs it no more.
    Withdraw(Word),
}

/// A kind of message in the outbox; the newest of a kind replaces the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    Quote,
    Permit,
    Off,
    Inquiry,
    Receipt,
    Settled,
    Standing,
    Refused,
}

impl Word {
    pub(crate) const ALL: [Self; 8] = [
        Self::Quote,
        Self::Permit,
        Self::Off,
        Self::Inquiry,
        Self::Receipt,
        Self::Settled,
        Self::Standing,
        Self::Refused,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::Permit => "permit",
            Self::Off => "off",
            Self::Inquiry => "inquiry",
            Self::Receipt => "receipt",
            Self::Settled => "settled",
            Self::Standing => "standing",
            Self::Refused => "refused",
        }
    }
}
