//! Defects, one for each rule that can be taken away. They live here and nowhere else.

use edge_agent::rules::{Rule as Edge, Rules as EdgeRules};
use platform::rules::{Rule as Hub, Rules as HubRules};

use super::build::RuleBook;

/// A platform that lacks some rules.
#[derive(Debug, Clone, Copy)]
struct WithoutHub(&'static [Hub]);

impl HubRules for WithoutHub {
    fn holds(&self, rule: Hub) -> bool {
        !self.0.contains(&rule)
    }
}

/// A terminal that lacks some rules.
#[derive(Debug, Clone, Copy)]
struct WithoutEdge(&'static [Edge]);

impl EdgeRules for WithoutEdge {
    fn holds(&self, rule: Edge) -> bool {
        !self.0.contains(&rule)
    }
}

/// Everything as shipped, but for these rules of platform and terminal.
#[must_use]
pub fn without(hub: &'static [Hub], edge: &'static [Edge]) -> RuleBook {
    RuleBook {
        platform: Box::leak(Box::new(WithoutHub(hub))),
        terminal: Box::leak(Box::new(WithoutEdge(edge))),
    }
}

/// Every rule of the platform that can be taken away.
pub const HUB: &[Hub] = &[
    Hub::NoticeIsHint,
    Hub::OneQueryInFlight,
    Hub::HintAsksAgain,
    Hub::HintRateLimited,
    Hub::AmountEqual,
    Hub::CurrencyEqual,
    Hub::PayeeEqual,
    Hub::UntouchedPayment,
    Hub::NonceAnswered,
    Hub::OwnOrder,
    Hub::OrderAsMade,
    Hub::PaidIsFinal,
    Hub::UnknownIsNotClosed,
    Hub::MissingAskedLater,
    Hub::AskBeforeResend,
    Hub::KeyRetention,
    Hub::RefundKeyFixed,
    Hub::OneOpenOrder,
    Hub::DuplicateRefunded,
    Hub::FinalQuery,
    Hub::ClosedBeforeExpired,
    Hub::CloseTooEarlyWaits,
    Hub::AlreadyPaidAsks,
    Hub::LateNeverOn,
    Hub::LateRefunded,
    Hub::WithdrawnNeverOn,
    Hub::LateWatch,
    Hub::PermitNeedsLife,
    Hub::PermitDeathWaited,
    Hub::FullWaitAfterRestart,
    Hub::AskJournalBeforeRefund,
    Hub::GiveUpOnlyWhenDead,
    Hub::LateDoneCancelsOnlyUnsent,
    Hub::LateDoneIsLoss,
    Hub::OtherJournalIsUncertain,
    Hub::UncertainFollowsPolicy,
    Hub::ServedStays,
    Hub::RestoredIsReviewed,
    Hub::PartialIsReviewed,
    Hub::SensorSettles,
    Hub::NoFreshNonceAfterRefund,
    Hub::BootDiffers,
    Hub::FreshNonceOwnJournal,
    Hub::ResultNamesPermit,
    Hub::NoOffAfterPermit,
    Hub::ZeroBillPricedByUs,
    Hub::GroundExact,
    Hub::RefundCaps,
    Hub::RefundBreaker,
    Hub::MendingWaits,
    Hub::NoRefundWhileActing,
    Hub::PaymentOfOneSale,
    Hub::RefundOnce,
    Hub::EarnedStays,
    Hub::FailedRefundReopens,
    Hub::SettledOnlyAfterEnd,
    Hub::OperatorOpensOnce,
];

/// Rules that are doubled at another place, taken away together with their second line.
const DOUBLED: &[(&str, &[Hub], &[Edge])] = &[
    (
        "a dead permit acts",
        &[],
        &[
            Edge::AliveAtPermit,
            Edge::AliveAfterSync,
            Edge::DeadlineGoesAlong,
        ],
    ),
    (
        "a permit late in its life",
        &[Hub::PermitNeedsLife],
        &[
            Edge::AliveAtPermit,
            Edge::AliveAfterSync,
            Edge::DeadlineGoesAlong,
        ],
    ),
    (
        "an intent that is not synced",
        &[],
        &[Edge::IntentSyncedFirst, Edge::IntentNeverRepeated],
    ),
    (
        "a tombstone that refuses nothing",
        &[],
        &[
            Edge::TombstoneRefusesLater,
            Edge::TombstoneBeforeNeverSaw,
            Edge::NonceKnown,
        ],
    ),
    (
        "silence that closes",
        &[
            Hub::UnknownIsNotClosed,
            Hub::AskBeforeResend,
            Hub::FinalQuery,
        ],
        &[],
    ),
    (
        "a call that is repeated blindly",
        &[Hub::AskBeforeResend, Hub::KeyRetention, Hub::RefundKeyFixed],
        &[],
    ),
    (
        "paid that is undone",
        &[Hub::PaidIsFinal, Hub::AlreadyPaidAsks, Hub::FinalQuery],
        &[],
    ),
    (
        "an acknowledgement before its effect",
        &[],
        &[Edge::AcknowledgeAfterJournal, Edge::FailedSyncIsFinal],
    ),
    (
        "a device of which nobody knows",
        &[Hub::UncertainFollowsPolicy],
        &[Edge::NoFeedbackIsUncertain, Edge::SilenceIsUncertain],
    ),
    (
        "a payment of two sales",
        &[Hub::PaymentOfOneSale, Hub::OwnOrder],
        &[],
    ),
];

/// Every rule alone, and the doubled ones, each with the name of its defect.
#[must_use]
pub fn all() -> Vec<(String, RuleBook)> {
    let hub = HUB
        .chunks(1)
        .map(|rule| (format!("platform {:?}", rule[0]), without(rule, &[])));
    let edge = Edge::ALL
        .chunks(1)
        .map(|rule| (format!("terminal {:?}", rule[0]), without(&[], rule)));
    let doubled = DOUBLED
        .iter()
        .map(|(name, hub, edge)| (format!("both {name}"), without(hub, edge)));
    hub.chain(edge).chain(doubled).collect()
}
