//! Sales of which a restored store knows less than their terminals.

use protocol::message::{EndReason, UncertainReason};

use super::*;
use crate::ledger::Account;
use crate::sale::operator::Resolution;

const PARTIAL: LinkageOutcome = LinkageOutcome::Uncertain {
    reason: UncertainReason::Partial,
};

/// A sale whose quote was out when the backup was made.
fn restored() -> Bench {
    let mut bench = Bench::quoted();
    bench.store_epoch = StoreEpoch::from_random([44; 16]);
    bench
}

fn resolve(bench: &mut Bench, resolution: Resolution) {
    let resolved = bench.step(|sale, turn| sale.handle_operator_resolve(resolution, &hand(), turn));
    assert_eq!(resolved, Ok(()));
}

#[test]
fn a_done_that_a_restored_store_has_forgotten_is_earned() {
    let mut bench = restored();
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.reasons(), [ReviewReason::DoneWithoutPermit]);
    assert!(bench.answer(paid(&[exact(1)])));
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Done, vec![])
    );
    bench.result(LinkageOutcome::Done);
    bench.result_with(LinkageOutcome::Done, Feedback::Sensor);
    bench.pass(seconds(90_000));
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Done, vec![])
    );
    assert_eq!(
        (bench.refunds(), bench.balance(Account::Suspense)),
        (vec![], 0)
    );
}

#[test]
fn a_doubt_about_a_permit_that_was_forgotten_is_for_a_person() {
    let uncertain = |bench: &Bench| {
        assert_eq!(bench.reasons(), [ReviewReason::LinkageUncertain]);
        assert_eq!(bench.refunds(), vec![]);
    };
    let mut bench = restored();
    bench.result(PARTIAL);
    uncertain(&bench);
    assert!(bench.answer(paid(&[exact(1)])));
    bench.pass(seconds(600));
    uncertain(&bench);
}

#[test]
fn what_is_paid_for_a_sale_that_its_terminal_has_forgotten_is_for_a_person() {
    for is_paid_before in [true, false] {
        let mut bench = restored();
        bench.policy.self_mending = false;
        bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
        if is_paid_before {
            assert!(bench.answer(paid(&[exact(1)])));
        }
        bench.step(Sale::handle_unaccounted);
        if !is_paid_before {
            assert!(bench.answer(paid(&[exact(1)])));
        }
        bench.policy.self_mending = true;
        bench.step(Sale::handle_mending);
        bench.pass(seconds(600));
        assert_eq!(bench.state(), TransactionState::Review);
        assert_eq!(bench.reasons(), [ReviewReason::LinkageUncertain]);
        assert_eq!(bench.refunds(), vec![]);
    }
}

#[test]
fn a_late_payment_that_is_held_stays_when_its_terminal_says_that_it_has_served() {
    let mut bench = restored();
    bench.policy.self_mending = false;
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    assert!(bench.answer(paid(&[exact(1)])));
    assert_eq!(bench.state(), TransactionState::RefundPending);
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.state(), TransactionState::Done);
    bench.policy.self_mending = true;
    bench.step(Sale::handle_mending);
    bench.pass(seconds(90_000));
    assert_eq!(
        (bench.refunds(), bench.state()),
        (vec![], TransactionState::Done)
    );
    assert_eq!(bench.refund_rows, ["requested", "cancelled"]);
}

#[test]
fn what_nobody_knows_of_a_sale_that_is_older_than_a_restore_is_for_a_person() {
    let lost = || LinkageOutcome::Uncertain {
        reason: UncertainReason::JournalLost,
    };
    let mut bench = Bench::permitted_with(refund_as_loss());
    bench.result(lost());
    assert_eq!((bench.refunds().len(), bench.reasons()), (1, vec![]));
    // A terminal that was told that it is settled was told so by a store that knew more.
    let mut bench = Bench::permitted_with(refund_as_loss());
    bench.result(LinkageOutcome::Uncertain {
        reason: UncertainReason::Pruned,
    });
    let uncertain = vec![ReviewReason::LinkageUncertain];
    assert_eq!((bench.refunds(), bench.reasons()), (vec![], uncertain));
    let mut bench = Bench::permitted_with(refund_as_loss());
    bench.store_epoch = StoreEpoch::from_random([44; 16]);
    bench.result(lost());
    let uncertain = vec![ReviewReason::LinkageUncertain];
    assert_eq!((bench.refunds(), bench.reasons()), (vec![], uncertain));
}

#[test]
fn a_done_under_a_fresh_nonce_that_was_forgotten_counts() {
    let mut result = linkage_result(LinkageOutcome::Done, Feedback::ReadBack);
    result.nonce = Nonce::from_random([77; 16]);
    let result = verified(&terminal_key(), &result, &ours());
    let mut bench = Bench::quoted();
    assert!(!bench.step(|sale, turn| sale.handle_result(&result, turn)));
    let mut bench = restored();
    assert!(bench.step(|sale, turn| sale.handle_result(&result, turn)));
    assert!(bench.answer(paid(&[exact(1)])));
    assert_eq!(bench.state(), TransactionState::Done);
    assert_eq!(bench.refunds(), vec![]);
}

#[test]
fn a_done_after_a_word_that_it_would_never_act_is_for_a_person() {
    for is_tombstone in [true, false] {
        let mut bench = restored();
        bench.policy.self_mending = false;
        if is_tombstone {
            bench.step(|sale, _| sale.handle_tombstone());
            bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
        } else {
            bench.result(LinkageOutcome::Failed);
        }
        assert!(bench.answer(paid(&[exact(1)])));
        assert_eq!(bench.state(), TransactionState::RefundPending);
        bench.result(LinkageOutcome::Done);
        assert_eq!(bench.reasons(), [ReviewReason::DoneWithoutPermit]);
        assert_eq!(bench.state(), TransactionState::Review);
        assert_eq!(bench.refunds(), vec![]);
    }
}

#[test]
fn what_a_person_has_decided_stays_decided() {
    let mut bench = restored();
    bench.step(Sale::handle_unaccounted);
    bench.result(LinkageOutcome::Done);
    let mut shown = exact(1);
    shown.refunded = shown.amount;
    assert!(bench.answer(paid(&[shown.clone()])));
    assert_eq!(bench.reasons(), [ReviewReason::DoneWithoutPermit]);
    resolve(&mut bench, Resolution::ReturnedOutside);
    assert_eq!(bench.state(), TransactionState::Refunded);
    bench.step(Sale::handle_event);
    bench.pass(seconds(1));
    assert!(bench.answer(paid(&[shown])));
    bench.pass(seconds(90_000));
    assert_eq!(
        (bench.state(), bench.reasons()),
        (TransactionState::Refunded, vec![])
    );
}
