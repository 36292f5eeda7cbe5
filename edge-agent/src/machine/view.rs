//! What the payer's page shows. The machine says it, the page renders it and decides nothing.

use std::hash::{Hash, Hasher};

use protocol::message::{
    Item, LinkageOutcome, Merchant, OffReason, Payee, Place, Quote, Receipt, Standing,
};
use serde::{Deserialize, Serialize};

/// The first page, before anybody agreed to anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Landing {
    /// Who sells here; absent until the platform's first site config.
    pub(crate) shop: Option<Shop>,
    pub(crate) state: LandingState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shop {
    pub(crate) merchant: Merchant,
    pub(crate) payee: Payee,
    pub(crate) place: Place,
    /// IANA name, for instants that people read.
    pub(crate) time_zone: String,
    pub(crate) items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum LandingState {
    Free,
    /// Another phone is being served.
    Busy,
    /// Nothing is sold now; `reason` is a sentence for the payer.
    Unavailable {
        reason: String,
    },
}

/// One session as its payer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum View {
    Choose {
        items: Vec<Item>,
        /// Until the lease ends.
        seconds_left: u64,
    },
    /// The order request is on its way.
    Quoting,
    Bill {
        quote: Box<Quote>,
        /// Until the order expires.
        seconds_left: u64,
    },
    /// The payer is on the payment server's page, or may go there (again).
    Paying {
        quote: Box<Quote>,
        pay_url: String,
        seconds_left: u64,
        /// The last attempt was declined; the same order takes another.
        declined: bool,
    },
    /// The payer says that it has paid; the platform asks the payment server.
    Verifying {
        quote: Box<Quote>,
        /// For a payer who came back without having paid.
        pay_url: String,
        /// Since the first notice.
        seconds: u64,
        declined: bool,
    },
    Actuating,
    Done {
        quote: Option<Box<Quote>>,
        receipt: Option<Box<StoredReceipt>>,
    },
    NotConfirmed {
        reason: NotConfirmedReason,
        refund: Option<Standing>,
    },
    /// Not paid in time.
    Expired,
    /// By the payer, before paying.
    Cancelled,
    /// Paid, but the device did not move or nobody can say so.
    Failed {
        outcome: LinkageOutcome,
        refund: Option<Standing>,
    },
    Unavailable {
        /// A sentence for the payer.
        reason: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content", rename_all = "snake_case")]
pub(crate) enum NotConfirmedReason {
    /// The platform withdrew the request.
    Off(OffReason),
    /// No answer came while the terminal could still act on one.
    NoAnswer,
    /// The platform asked the journal and was told that nothing will move.
    Withdrawn,
}

/// A verified receipt and the signed text it came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredReceipt {
    pub(crate) receipt: Receipt,
    /// JWS compact form, for the payer to keep and check.
    pub(crate) signed: String,
}

impl Hash for StoredReceipt {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.signed.hash(state);
    }
}
