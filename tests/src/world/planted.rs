//! Defects, one for each rule that can be taken away. They live here and nowhere else.

use edge_agent::rules::{Rule as Edge, Rules as EdgeRules};
use platform::rules::{Rule as Hub, Rules as HubRules};

use super::build::RuleBook;

/// A platform that lacks one rule.
#[derive(Debug, Clone, Copy)]
pub struct WithoutHub(pub Hub);

impl HubRules for WithoutHub {
    fn holds(&self, rule: Hub) -> bool {
        rule != self.0
    }
}

/// A terminal that lacks one rule.
#[derive(Debug, Clone, Copy)]
pub struct WithoutEdge(pub Edge);

impl EdgeRules for WithoutEdge {
    fn holds(&self, rule: Edge) -> bool {
        rule != self.0
    }
}

/// Everything as shipped, but for one rule of the platform.
#[must_use]
pub fn without_hub(rule: Hub) -> RuleBook {
    RuleBook {
        platform: Box::leak(Box::new(WithoutHub(rule))),
        ..RuleBook::SOUND
    }
}

/// Everything as shipped, but for one rule of the terminal.
#[must_use]
pub fn without_edge(rule: Edge) -> RuleBook {
    RuleBook {
        terminal: Box::leak(Box::new(WithoutEdge(rule))),
        ..RuleBook::SOUND
    }
}

/// Every rule of the platform that can be taken away.
pub const HUB: [Hub; 54] = [
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

/// Every defect with its name.
#[must_use]
pub fn all() -> Vec<(String, RuleBook)> {
    let hub = HUB
        .iter()
        .map(|rule| (format!("platform {rule:?}"), without_hub(*rule)));
    let edge = Edge::ALL
        .iter()
        .map(|rule| (format!("terminal {rule:?}"), without_edge(*rule)));
    hub.chain(edge).collect()
}
