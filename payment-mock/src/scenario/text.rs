//! Rules as people write them: flat tables in a file or in JSON, read strictly.
//!
//! | action | for | parameters | what happens |
//! |---|---|---|---|
//! | `drop-before` | requests, `pay` | | nothing, and no answer |
//! | `outage` | everything | | nothing, no answer, no event, pages answer 503 |
//! | `refuse` | requests | `refusal` | nothing, and the answer says why |
//! | `outcome` | `create` | `outcome` | the order gets this named outcome |
//! | `hide-until-scan` | `create` | | the order is not found before its page was opened |
//! | `forget-key` | `create`, `refund` | | the call counts as new although its key was seen |
//! | `refund-fails`, `refund-pending`, `refund-pending-fails`, `refund-fails-later` | `refund` | `after_ms` but for the first | as the outcomes of these names |
//! | `drop-after` | requests, `event`, `pay` | | it is done, and no answer; the payer's page answers 503 |
//! | `delay` | requests, `event` | `after_ms` | the answer comes later; above the platform's timeout it is a late one |
//! | `truncate` | requests, `event` | | the payload is cut in half |
//! | `double` | requests, `event` | `copies`, `after_ms` | as many, so far apart |
//! | `reorder` | requests, `event` | `after_ms` | it waits until the next message has overtaken it, or so long |
//! | `stale` | `query` | | the order as it was before its last change; not found before the first |
//! | `forge` | requests but `statement`, `event` | `forgeries`, `honest` | lies come before the honest message, or instead of it |
//! | `dispute`, `charge-back` | `pay` | `after_ms` | befalls each payment that is booked |
//! | `refund-outside`, `fee` | `pay` | `after_ms`, `minor` or `permille` | likewise, for this part of it |
//! | `line-missing`, `line-duplicate`, `line-wrong-amount`, `line-unknown` | `statement` | | for each line that fits; `from_call` and `to_call` then are line numbers |

use std::fmt;

use protocol::id::{PayeeId, PlatformId, TransactionId};
use protocol::message::GatewayRefusal;
use protocol::money::Currency;
use serde::{Deserialize, Serialize};

use super::{Outcome, Step};

/// One rule. All that is there must fit; what is not there fits always.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// Its own; for logs and the admin API, and part of its draws.
    pub name: String,
    /// Default: every call that the action is good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<Step>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<PlatformId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<TransactionId>,
    /// The merchant's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) payee: Option<PayeeId>,
    /// Part of the order's place: a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    /// Part of the order's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<Currency>,
    /// The order's amount, both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) minor_from: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) minor_to: Option<i64>,
    /// The how manieth call of this kind of the order, from 1, both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from_call: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to_call: Option<u64>,
    /// The how manieth request of all since the start, from 1, both ends included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from_request: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) to_request: Option<u64>,
    /// Time since the start of the server, on its own clock: from, and before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) from_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before_ms: Option<u64>,
    /// How many of a thousand calls; drawn from seed, rule, order, operation and call number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chance_permille: Option<u16>,
    pub(super) action: Word,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<GatewayRefusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<Outcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copies: Option<u8>,
    /// Default: all four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) forgeries: Option<Vec<ForgeryWord>>,
    /// Whether the honest message follows. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) honest: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) minor: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) permille: Option<u16>,
}

macro_rules! words {
    ($($variant:ident = $word:literal),+ $(,)?) => {
        /// The name of an action.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub(super) enum Word { $(#[serde(rename = $word)] $variant),+ }

        impl fmt::Display for Word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
    };
}

words! {
    DropBefore = "drop-before",
    Outage = "outage",
    Refuse = "refuse",
    Outcome = "outcome",
    HideUntilScan = "hide-until-scan",
    ForgetKey = "forget-key",
    RefundFails = "refund-fails",
    RefundPending = "refund-pending",
    RefundPendingFails = "refund-pending-fails",
    RefundFailsLater = "refund-fails-later",
    DropAfter = "drop-after",
    Delay = "delay",
    Truncate = "truncate",
    Double = "double",
    Reorder = "reorder",
    Stale = "stale",
    Forge = "forge",
    Dispute = "dispute",
    ChargeBack = "charge-back",
    RefundOutside = "refund-outside",
    Fee = "fee",
    LineMissing = "line-missing",
    LineDuplicate = "line-duplicate",
    LineWrongAmount = "line-wrong-amount",
    LineUnknown = "line-unknown",
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ForgeryWord {
    Key,
    Nonce,
    Order,
    Unsigned,
}
