//! Defects that must be seen: each takes one rule away, and a world must notice.

use tests::campaign::{self, Goal};
use tests::world::build::RuleBook;
use tests::world::planted;
use tests::world::trace::Trace;

/// Worlds until each of [`NOTICED`] was seen, and some more.
const SEEDS: u64 = 250;

/// What `simulate --hunt 600` noticed within so many worlds, each within two seconds of a release
/// build. What it did not notice, docs/RELIABILITY.md names.
const NOTICED: [&str; 25] = [
    "both a call that is repeated blindly",
    "platform AmountEqual",
    "platform AskJournalBeforeRefund",
    "platform ClosedBeforeExpired",
    "platform CurrencyEqual",
    "platform DuplicateRefunded",
    "platform EarnedStays",
    "platform FailedRefundReopens",
    "platform FullWaitAfterRestart",
    "platform GroundExact",
    "platform LateNeverOn",
    "platform LateRefunded",
    "platform LateWatch",
    "platform NoOffAfterPermit",
    "platform NonceAnswered",
    "platform OneOpenOrder",
    "platform OneQueryInFlight",
    "platform PermitDeathWaited",
    "platform RefundKeyFixed",
    "platform RefundOnce",
    "platform SettledOnlyAfterEnd",
    "platform UntouchedPayment",
    "terminal IntentRefusesLater",
    "terminal NonceDiesWithBoot",
    "terminal OneLease",
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
