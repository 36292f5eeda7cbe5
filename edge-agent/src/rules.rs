//! The guards of this program by name, so that a test can take one away and see whether its
//! checkers notice. Shipped programs hold [`Sound`]; only [`crate::simulation`] takes another, so
//! defects live in test code alone.
//!
//! That signatures are checked is no rule here: a test plants that defect by pinning a stranger's
//! key among the platform's.
//!
//! ```
//! use edge_agent::rules::{Rule, Rules, Sound};
//!
//! #[derive(Debug)]
//! struct Without(Rule);
//!
//! impl Rules for Without {
//!     fn holds(&self, rule: Rule) -> bool {
//!         rule != self.0
//!     }
//! }
//!
//! assert!(Rule::ALL.iter().all(|rule| Sound.holds(*rule)));
//! assert!(!Without(Rule::OneLease).holds(Rule::OneLease));
//! ```

use std::fmt::Debug;

/// Which guards stand.
pub trait Rules: Debug + Send + Sync {
    /// Whether the guard of `rule` stands.
    fn holds(&self, _rule: Rule) -> bool {
        true
    }
}

/// Every guard stands.
#[derive(Debug, Clone, Copy)]
pub struct Sound;

impl Rules for Sound {}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// One guard. The number is that of the rule in `ARCHITECTURE.md` which it keeps; the text
        /// is what is true while it stands.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $name),+ }

        impl Rule {
            /// Every guard.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

rules! {
    /// R6: a permit whose nonce has died is refused when it comes.
    AliveAtPermit,
    /// R6: it is asked again once the intent is on the disk, directly before the devices move.
    AliveAfterSync,
    /// R6: the devices' end is told when the nonce dies, and writes nothing after that.
    DeadlineGoesAlong,
    /// R6: a permit names the nonce, transaction and session of an open request.
    NonceKnown,
    /// R6: a nonce dies with its boot.
    NonceDiesWithBoot,
    /// R6: the life of a nonce counts from its birth and is never extended.
    NonceNeverExtended,
    /// R7: the intent is on the disk before a device moves.
    IntentSyncedFirst,
    /// R7: an intent refuses every later permit of its transaction.
    IntentRefusesLater,
    /// R7: a result refuses every later permit of its transaction.
    DoneRefusesLater,
    /// R7: a tombstone refuses every later permit of its transaction.
    TombstoneRefusesLater,
    /// R7: what was pruned is uncertain, never unseen.
    PrunedIsUncertain,
    /// R7: what another journal may hold is uncertain, never unseen.
    OtherJournalIsUncertain,
    /// R7: what a damaged journal may have held is uncertain, and it sells nothing.
    DamagedIsUncertain,
    /// R7: an intent without a result is uncertain after a start, and never repeated.
    IntentNeverRepeated,
    /// R7: an OFF after the intent changes nothing: the devices may have moved.
    IntentOutlastsOff,
    /// R7: records leave the journal only once the platform has settled their transaction.
    RecordsStayUntilSettled,
    /// R8: a tombstone is written before the answer "never saw it".
    TombstoneBeforeNeverSaw,
    /// R8: the tombstone is on the disk before the answer leaves.
    TombstoneSyncedFirst,
    /// R8: a device that can't say whether it moved is uncertain, not failed.
    NoFeedbackIsUncertain,
    /// R8: service in part is uncertain, whatever the first device says.
    PartIsUncertain,
    /// R8: devices that stay silent are uncertain, not failed.
    SilenceIsUncertain,
    /// R9: no fresh nonce for a transaction that the journal has closed, and none reopens it.
    FreshNonceOnlyIfOpen,
    /// R9: a fresh nonce is asked for only once the payer has been here since the boot.
    PayerAskedSinceBoot,
    /// R10: an OFF names a nonce of its transaction.
    OffNamesNonce,
    /// R10: an OFF never cuts another customer's run.
    OffNeverCutsARun,
    /// R11: a delivery is acknowledged after its effect is journaled.
    AcknowledgeAfterJournal,
    /// R12: the ground of a permit fits the bill that the payer agreed to.
    GroundFitsQuote,
    /// R14: room for everything a sale may write is there before money is asked for.
    RoomBeforeSale,
    /// R14: after a write or a sync has failed nothing is believed to be on the disk.
    FailedSyncIsFinal,
    /// I12: one phone at a time.
    OneLease,
    /// The payer's browser proves by a secret that the payment server sent it back.
    ReturnNeedsSecret,
}
