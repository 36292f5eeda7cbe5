//! Our decision about a sale: what we have promised, to whom, and what is still owed.

use std::time::Duration;

use protocol::id::{BootId, Nonce, PaymentId};
use protocol::message::{LinkageOutcome, OffReason};
use protocol::time::{Tick, Utc};
use serde::{Deserialize, Serialize};

use super::operator::Hand;
use super::policy::Policy;
use super::review::Reviews;
use crate::rules::Rule;

/// Most nonces that one transaction takes: one, and a fresh one for each of three reboots. A
/// terminal that reboots more often in the middle of a sale serves nobody.
const NONCES_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TransactionState {
    /// The payment server has been asked for an order.
    Created,
    /// The quote is out.
    AwaitingPayment,
    /// Somebody says that it is paid; the payment server is asked closely.
    Confirming,
    /// Paid as it must be.
    Confirmed,
    /// A permit is signed.
    Commanded,
    Done,
    /// No permit will be signed; the order must be shut.
    Closing,
    /// Shut without money.
    Expired,
    /// A permit is out, its nonce is nearly dead or silent, and the journal is asked.
    LinkageUnknown,
    RefundPending,
    Refunded,
    /// A person decides.
    Review,
}

impl TransactionState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Confirming => "confirming",
            Self::Confirmed => "confirmed",
            Self::Commanded => "commanded",
            Self::Done => "done",
            Self::Closing => "closing",
            Self::Expired => "expired",
            Self::LinkageUnknown => "linkage_unknown",
            Self::RefundPending => "refund_pending",
            Self::Refunded => "refunded",
            Self::Review => "review",
        }
    }

    /// Before any decision: a payment may still lead to a permit.
    pub(crate) const fn is_undecided(self) -> bool {
        matches!(
            self,
            Self::Created | Self::AwaitingPayment | Self::Confirming
        )
    }

    /// The quote is out and nothing is decided.
    pub(crate) const fn is_offered(self) -> bool {
        matches!(self, Self::AwaitingPayment | Self::Confirming)
    }

    /// A permit is out or about to be: no refund is sent meanwhile (I14).
    pub(crate) const fn may_act(self) -> bool {
        matches!(
            self,
            Self::Confirmed | Self::Commanded | Self::LinkageUnknown
        )
    }

    /// Over, as far as we know.
    pub(crate) const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Expired | Self::Refunded)
    }

    /// The moves that exist. Everything else is a defect.
    #[cfg(test)]
    pub(crate) fn may_become(self, next: Self) -> bool {
        use TransactionState::{
            AwaitingPayment, Closing, Commanded, Confirmed, Confirming, Created, Done, Expired,
            LinkageUnknown, RefundPending, Refunded, Review,
        };
        let ways: &[Self] = match self {
            Created => &[
                AwaitingPayment,
                Closing,
                Expired,
                Confirmed,
                RefundPending,
                Review,
            ],
            AwaitingPayment => &[
                Confirming,
                Confirmed,
                Closing,
                Expired,
                RefundPending,
                Review,
            ],
            Confirming => &[
                AwaitingPayment,
                Confirmed,
                Closing,
                Expired,
                RefundPending,
                Review,
            ],
            Confirmed => &[Commanded, RefundPending],
            Commanded => &[
                Done,
                LinkageUnknown,
                RefundPending,
                Closing,
                Expired,
                Review,
            ],
            LinkageUnknown => &[Done, Commanded, RefundPending, Closing, Expired, Review],
            Closing => &[Done, Expired, RefundPending, Review, Confirmed],
            // A person knows of late money that went back by another hand.
            Expired => &[RefundPending, Refunded, Review, Done, Confirmed],
            Refunded => &[RefundPending, Review, Done, Confirmed],
            RefundPending => &[Refunded, Done, Review],
            Review => &[Closing, Expired, Refunded, Done, RefundPending, Confirmed],
            Done => &[RefundPending],
        };
        ways.contains(&next)
    }
}

/// A nonce and how long a permit for it can live (R6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NonceLife {
    pub(crate) nonce: Nonce,
    pub(crate) lifetime_ms: u64,
    pub(crate) boot: BootId,
    /// Whether a permit was signed for it.
    pub(crate) is_permitted: bool,
    #[serde(skip)]
    useful_until: Option<Tick>,
    #[serde(skip)]
    dead_at: Option<Tick>,
}

impl NonceLife {
    pub(crate) fn new(nonce: Nonce, lifetime_ms: u64, boot: BootId) -> Self {
        Self {
            nonce,
            lifetime_ms,
            boot,
            is_permitted: false,
            useful_until: None,
            dead_at: None,
        }
    }

    /// Counts from now: on receiving it, and in full again after a restart.
    pub(crate) fn arm(&mut self, now: Tick, policy: &Policy) {
        let timeouts = &policy.timeouts;
        let lifetime = Duration::from_millis(self.lifetime_ms);
        let useful = self.lifetime_ms.saturating_sub(timeouts.permit_minimum_ms);
        self.useful_until = Some(now + Duration::from_millis(useful));
        let wait = lifetime + Duration::from_millis(timeouts.nonce_margin_ms);
        let is_waited = policy.holds(Rule::PermitDeathWaited);
        self.dead_at = Some(if is_waited { now + wait } else { now });
    }

    /// Whether enough of its life is left to sign a permit.
    pub(crate) fn is_useful(&self, now: Tick) -> bool {
        self.useful_until.is_some_and(|until| now <= until)
    }

    /// Unarmed it is alive: nobody has waited for its death yet.
    pub(crate) fn is_dead(&self, now: Tick) -> bool {
        self.dead_at.is_some_and(|at| now >= at)
    }

    pub(crate) const fn useful_until(&self) -> Option<Tick> {
        self.useful_until
    }

    pub(crate) const fn dead_at(&self) -> Option<Tick> {
        self.dead_at
    }
}

/// Why a sale ends without a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) reason: OffReason,
    /// The offer was taken back: even a payment that is found in time is returned.
    pub(crate) is_withdrawn: bool,
}

/// What we have decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub(crate) state: TransactionState,
    /// The newest is the one that a permit would be signed for.
    pub(crate) nonces: Vec<NonceLife>,
    /// The one payment that is earned if the device moves (I4).
    pub(crate) kept: Option<PaymentId>,
    /// Why the sale ends without a permit, once that is so.
    pub(crate) ending: Option<Ending>,
    /// Whether the terminal was told OFF.
    pub(crate) is_off: bool,
    pub(crate) quoted_at: Option<Utc>,
    pub(crate) permitted_at: Option<Utc>,
    pub(crate) done_at: Option<Utc>,
    /// How many declined attempts the terminal was told of.
    pub(crate) declines_told: u32,
    /// The nonce of the inquiry that is open.
    pub(crate) inquiry: Option<Nonce>,
    pub(crate) outcome: Option<LinkageOutcome>,
    pub(crate) reviews: Reviews,
    /// The terminal can't say what became of it although it was open in our store.
    #[serde(default)]
    pub(crate) is_unaccounted: bool,
    /// The terminal has said that it will not act, or we had ended it before it spoke.
    #[serde(default)]
    pub(crate) has_refused: bool,
    /// It waits until no earlier order of its terminal is open (R4).
    pub(crate) is_blocked: bool,
    /// Whether the terminal's journal has answered an inquiry for good.
    pub(crate) has_answered: bool,
    /// The terminal may forget the sale once its own answer came, or every nonce is dead.
    pub(crate) settle_waits: bool,
    pub(crate) is_settled: bool,
    /// Who switched it ON by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<Hand>,
    /// Of the state itself: quote, order, closing or give-up.
    #[serde(skip)]
    pub(crate) deadline: Option<Tick>,
    #[serde(skip)]
    pub(crate) repeat_at: Option<Tick>,
    #[serde(skip)]
    pub(crate) linger_until: Option<Tick>,
    pub(crate) repeats: u32,
    /// Whether the last words were kept in the outbox long enough.
    pub(crate) has_lingered: bool,
}

impl Transaction {
    pub(crate) fn new(nonce: NonceLife) -> Self {
        Self {
            state: TransactionState::Created,
            nonces: vec![nonce],
            kept: None,
            ending: None,
            is_off: false,
            quoted_at: None,
            permitted_at: None,
            done_at: None,
            declines_told: 0,
            inquiry: None,
            outcome: None,
            reviews: Reviews::default(),
            is_unaccounted: false,
            has_refused: false,
            is_blocked: false,
            has_answered: false,
            settle_waits: false,
            is_settled: false,
            operator: None,
            deadline: None,
            repeat_at: None,
            linger_until: None,
            repeats: 0,
            has_lingered: false,
        }
    }

    /// The nonce that a permit would be signed for. There is always one.
    pub(crate) fn nonce(&self) -> Option<&NonceLife> {
        self.nonces.last()
    }

    pub(crate) fn knows(&self, nonce: Nonce) -> bool {
        self.nonces.iter().any(|life| life.nonce == nonce)
    }

    pub(crate) const fn was_permitted(&self) -> bool {
        self.permitted_at.is_some()
    }

    pub(crate) fn is_useful(&self, now: Tick, policy: &Policy) -> bool {
        let is_useful = |life: &NonceLife| life.is_useful(now);
        self.nonce().is_some_and(is_useful) || !policy.holds(Rule::PermitNeedsLife)
    }

    /// The first tick at which every permit is dead.
    pub(crate) fn dead_at(&self) -> Option<Tick> {
        self.nonces.iter().filter_map(NonceLife::dead_at).max()
    }

    pub(crate) fn is_dead(&self, now: Tick) -> bool {
        self.nonces.iter().all(|life| life.is_dead(now))
    }

    /// Takes a fresh nonce; refused when there were too many.
    pub(crate) fn take_nonce(&mut self, life: NonceLife) -> bool {
        let has_room = self.nonces.len() < NONCES_MAX;
        if has_room {
            self.nonces.push(life);
        }
        has_room
    }

    pub(crate) fn rearm_nonces(&mut self, now: Tick, policy: &Policy) {
        for life in &mut self.nonces {
            life.arm(now, policy);
            if !policy.holds(Rule::FullWaitAfterRestart) {
                life.dead_at = Some(now);
            }
        }
    }

    pub(crate) fn timeout(&self) -> Option<Tick> {
        let settle_at = self.dead_at().filter(|_| self.settle_waits);
        [self.deadline, self.repeat_at, self.linger_until, settle_at]
            .into_iter()
            .flatten()
            .min()
    }
}
