//! Defects that must be seen: each takes one rule away, and a world must notice.

use tests::campaign::{self, Goal};
use tests::world::build::RuleBook;
use tests::world::planted;
use tests::world::trace::Trace;

/// Worlds until each of [`NOTICED`] was seen, and some more.
const SEEDS: u64 = 400;

/// What `simulate --hunt 500` noticed, each within two seconds of a release build. What it did not
/// notice, docs/RELIABILITY.md names.
const NOTICED: [&str; 42] = [
    "both a call that is repeated blindly",
    "both a device of which nobody knows",
    "both an intent that is not synced",
    "platform AmountEqual",
    "platform AskJournalBeforeRefund",
    "platform ClosedBeforeExpired",
    "platform CurrencyEqual",
    "platform DuplicateRefunded",
    "platform EarnedStays",
    "platform FailedRefundReopens",
    "platform FullWaitAfterRestart",
    "platform GroundExact",
    "platform LateDoneCancelsOnlyUnsent",
    "platform LateNeverOn",
    "platform LateRefunded",
    "platform LateWatch",
    "platform NoOffAfterPermit",
    "platform NonceAnswered",
    "platform NoticeIsHint",
    "platform OneOpenOrder",
    "platform OneQueryInFlight",
    "platform PartialIsReviewed",
    "platform PayeeEqual",
    "platform PermitDeathWaited",
    "platform RefundKeyFixed",
    "platform RefundOnce",
    "platform ServedStays",
    "platform SettledOnlyAfterEnd",
    "platform UncertainFollowsPolicy",
    "platform UntouchedPayment",
    "platform ZeroBillPricedByUs",
    "terminal FreshNonceOnlyIfOpen",
    "terminal IntentNeverRepeated",
    "terminal IntentRefusesLater",
    "terminal IntentSyncedFirst",
    "terminal NoFeedbackIsUncertain",
    "terminal NonceDiesWithBoot",
    "terminal OneLease",
    "terminal PartIsUncertain",
    "terminal PrunedIsUncertain",
    "terminal RecordsStayUntilSettled",
    "terminal ReturnNeedsSecret",
];

#[test]
fn every_planted_defect_is_noticed() {
    let mut unnoticed = Vec::new();
    for name in NOTICED {
        let (_, rules) = planted::all()
            .into_iter()
            .find(|(planted, _)| planted == name)
            .expect("the name of a defect");
        let goal = Goal {
            first_seed: 1,
            seeds: SEEDS,
            payments: u64::MAX,
            threads: 2,
        };
        match campaign::run(goal, rules).unwrap().broken {
            Some(broken) => {
                let sound = campaign::world(broken.seed, RuleBook::SOUND, Trace::digest_only());
                assert_eq!(sound.unwrap().broken, Vec::<String>::new(), "{name}");
                println!("{name}: seed {}, {:?}", broken.seed, broken.broken);
            }
            None => unnoticed.push(name),
        }
    }
    assert_eq!(unnoticed, Vec::<&str>::new());
}
