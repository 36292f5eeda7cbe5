//! What becomes of a permit.

use protocol::message::{EndReason, OffReason, RefusalReason, UncertainReason};

use super::*;

const REFUSED: LinkageOutcome = LinkageOutcome::Refused {
    reason: RefusalReason::DeviceUnreachable,
};
const NO_FEEDBACK: LinkageOutcome = LinkageOutcome::Uncertain {
    reason: UncertainReason::NoFeedback,
};
const PARTIAL: LinkageOutcome = LinkageOutcome::Uncertain {
    reason: UncertainReason::Partial,
};

#[test]
fn refused_or_failed_gives_the_money_back() {
    for (outcome, reason) in [
        (REFUSED, "linkage_refused"),
        (LinkageOutcome::Failed, "linkage_failed"),
    ] {
        let mut bench = Bench::permitted();
        bench.result(outcome);
        assert_eq!(
            bench.look(),
            ["withdraw permit", "standing RefundPending", "ask refund"]
        );
        assert_eq!(bench.refunds()[0].reason, reason);
        bench.answer_refund(RefundStatus::Succeeded);
        assert_eq!(
            bench.look(),
            [
                "book debit suspense, credit gateway_receivable",
                "standing Refunded",
                "settled"
            ]
        );
        assert_eq!(bench.balance(Account::Suspense), 0);
    }
}

#[test]
fn a_permit_is_sent_again_every_second_while_its_nonce_lives() {
    let mut bench = Bench::permitted();
    for _ in 0..5 {
        assert_eq!(bench.next_ms(), Some(1_000));
        bench.pass_to_next();
        assert_eq!(bench.look(), ["resend permit"]);
    }
    assert_eq!(bench.permits.len(), 1);
}

#[test]
fn without_a_result_the_journal_is_asked_once_every_permit_is_dead() {
    let mut bench = Bench::permitted();
    bench.pass(seconds(189));
    assert!(bench.look().iter().all(|said| said == "resend permit"));
    bench.pass(seconds(1));
    let said = bench.look();
    assert_eq!(said, ["withdraw permit", "inquiry"]);
    assert_eq!(bench.state(), TransactionState::LinkageUnknown);
    bench.pass(seconds(10));
    assert_eq!(bench.look(), ["resend inquiry", "resend inquiry"]);
}

#[test]
fn what_the_journal_knows_decides() {
    let uncertain = Finding::Uncertain(UncertainReason::IntentWithoutDone);
    let rows = [
        (
            Finding::Tombstone,
            refund_as_loss(),
            TransactionState::RefundPending,
        ),
        (
            Finding::Acting,
            refund_as_loss(),
            TransactionState::LinkageUnknown,
        ),
        (
            uncertain.clone(),
            refund_as_loss(),
            TransactionState::RefundPending,
        ),
        (uncertain, policy(), TransactionState::Review),
    ];
    for (finding, policy, state) in rows {
        let mut bench = Bench::permitted_with(policy);
        bench.pass(seconds(190));
        assert!(bench.journal(finding));
        assert_eq!(bench.state(), state);
    }
}

#[test]
fn a_tombstone_of_another_journal_is_no_answer_but_uncertainty() {
    let mut bench = Bench::permitted();
    bench.pass(seconds(190));
    assert!(bench.journal_of(JournalId::from_random([77; 16]), Finding::Tombstone));
    assert_eq!(bench.state(), TransactionState::Review);
    assert_eq!(bench.refunds(), vec![]);
}

#[test]
fn an_answer_to_no_inquiry_of_ours_moves_nothing() {
    let mut bench = Bench::permitted();
    bench.inquiry = Some(Nonce::from_random([9; 16]));
    assert!(!bench.journal(Finding::Tombstone));
    assert_eq!(bench.state(), TransactionState::Commanded);
}

#[test]
fn it_gives_up_after_fifteen_minutes_of_silence_and_never_before_the_nonce_is_dead() {
    for (policy, state) in [
        (refund_as_loss(), TransactionState::RefundPending),
        (policy(), TransactionState::Review),
    ] {
        let mut bench = Bench::permitted_with(policy);
        bench.pass(seconds(190 + 899));
        assert_eq!(bench.state(), TransactionState::LinkageUnknown);
        bench.pass(seconds(1));
        assert_eq!(bench.state(), state);
        assert!(bench.kinds.contains(&"gave_up".to_owned()));
    }
}

#[test]
fn uncertain_follows_the_policy_and_the_sensor_comes_first() {
    let rows = [
        (
            refund_as_loss(),
            NO_FEEDBACK,
            Feedback::None,
            TransactionState::RefundPending,
        ),
        (
            policy(),
            NO_FEEDBACK,
            Feedback::None,
            TransactionState::Review,
        ),
        (
            policy(),
            NO_FEEDBACK,
            Feedback::Sensor,
            TransactionState::Done,
        ),
        (
            policy(),
            NO_FEEDBACK,
            Feedback::Contradicts,
            TransactionState::RefundPending,
        ),
        (
            refund_as_loss(),
            PARTIAL,
            Feedback::Sensor,
            TransactionState::Review,
        ),
    ];
    for (policy, outcome, feedback, state) in rows {
        let mut bench = Bench::permitted_with(policy);
        bench.result_with(outcome, feedback);
        assert_eq!(bench.state(), state, "{outcome:?} {feedback:?}");
    }
}

#[test]
fn a_definite_result_ends_a_review_of_uncertainty() {
    let mut bench = Bench::permitted();
    bench.result_with(NO_FEEDBACK, Feedback::None);
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Done, 0)
    );
}

#[test]
fn a_second_payment_during_a_review_goes_back_alone() {
    let mut bench = Bench::permitted();
    bench.result_with(NO_FEEDBACK, Feedback::None);
    bench.step(|sale, turn| sale.handle_event(turn));
    bench.pass_to_next();
    bench.answer(paid(&[exact(1), exact(2)]));
    assert_eq!(bench.asked_back(), [exact(2).payment]);
    assert_eq!(bench.state(), TransactionState::Review);
    bench.answer_refund(RefundStatus::Succeeded);
    bench.result(LinkageOutcome::Done);
    assert_eq!(
        (
            bench.state(),
            bench.balance(Account::Suspense),
            bench.balance(Account::Loss)
        ),
        (TransactionState::Done, 0, 0)
    );
}

#[test]
fn a_done_after_the_refund_was_sent_is_our_loss_once() {
    let mut bench = Bench::permitted();
    bench.result(REFUSED);
    bench.look();
    bench.result(LinkageOutcome::Done);
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.look(), ["book debit loss, credit merchant"]);
    bench.answer_refund(RefundStatus::Succeeded);
    assert_eq!(
        (bench.state(), bench.balance(Account::Suspense)),
        (TransactionState::Refunded, 0)
    );
    assert_eq!(bench.balance(Account::Loss), 450);
}

#[test]
fn a_repeated_result_gets_the_same_words_and_books_nothing() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Done);
    bench.look();
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.look(), ["resend receipt", "resend settled"]);
    bench.pass(seconds(60));
    bench.look();
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.look(), ["receipt again", "settled"]);
}

#[test]
fn a_terminal_that_withdraws_before_any_permit_ends_the_offer() {
    let mut bench = Bench::quoted();
    let withdrawn = LinkageOutcome::Refused {
        reason: RefusalReason::Withdrawn,
    };
    bench.result(withdrawn);
    assert_eq!(bench.look(), ["ask query"]);
    bench.answer(paid(&[exact(1)]));
    assert_eq!(
        (bench.state(), bench.permits.len()),
        (TransactionState::RefundPending, 0)
    );
}

#[test]
fn a_done_without_a_permit_is_for_a_person() {
    let mut bench = Bench::quoted();
    bench.result(LinkageOutcome::Done);
    assert_eq!(bench.state(), TransactionState::Review);
    // And so is what is paid for it.
    bench.answer(paid(&[exact(1), exact(2)]));
    bench.pass(seconds(600));
    assert_eq!(bench.state(), TransactionState::Review);
    assert_eq!(bench.asked_back(), [exact(2).payment]);
}

#[test]
fn a_refusal_of_what_has_expired_ends_nothing_again() {
    let mut bench = Bench::quoted();
    bench.pass(seconds(125));
    assert!(bench.answer(open()));
    assert!(bench.answer(closed()));
    assert_eq!(bench.state(), TransactionState::Expired);
    let begun = |bench: &Bench| {
        bench
            .kinds
            .iter()
            .filter(|kind| *kind == "end_begun")
            .count()
    };
    assert_eq!(begun(&bench), 1);
    bench.look();
    bench.result(LinkageOutcome::Refused {
        reason: RefusalReason::Withdrawn,
    });
    assert_eq!(bench.look(), ["withdraw off", "settled"]);
    assert_eq!(
        (bench.state(), begun(&bench)),
        (TransactionState::Expired, 1)
    );
}

#[test]
fn an_off_is_repeated_until_the_terminal_has_answered() {
    let mut bench = Bench::quoted();
    bench.step(|sale, turn| sale.handle_ended(EndReason::Cancelled, turn));
    bench.answer(open());
    bench.answer(closed());
    bench.look();
    bench.pass(seconds(2));
    assert_eq!(bench.look(), ["resend off"]);
    bench.pass(seconds(4));
    assert_eq!(bench.look(), ["resend off"]);
    let withdrawn = LinkageOutcome::Refused {
        reason: RefusalReason::Withdrawn,
    };
    bench.result(withdrawn);
    // Only now may the terminal forget it: before, it could not have answered any more.
    assert_eq!(bench.look(), ["withdraw off", "settled"]);
    bench.pass(seconds(20));
    assert_eq!(bench.look(), NOTHING);
}

#[test]
fn off_names_the_newest_nonce() {
    let mut bench = Bench::quoted();
    assert!(bench.permit_request(9, 99));
    let mut off = None;
    bench.step(|sale, turn| {
        sale.handle_ended(EndReason::Cancelled, turn);
        off = sale.transaction.nonce().map(|life| life.nonce);
    });
    assert_eq!(off, Some(Nonce::from_random([99; 16])));
    assert_eq!(bench.sale.end_reason(), OffReason::Ended);
}

#[test]
fn a_fresh_nonce_after_a_reboot_gets_a_permit_for_the_same_payment() {
    let mut bench = Bench::permitted();
    assert!(!bench.permit_request(5, 99)); // the same boot
    assert_eq!(bench.look(), ["resend permit"]);
    assert!(bench.permit_request(9, 99));
    assert_eq!(bench.look(), ["permit"]);
    assert_eq!(bench.permits[1].nonce, Nonce::from_random([99; 16]));
    assert_eq!(bench.permits[1].ground, bench.permits[0].ground);
}

#[test]
fn no_fresh_nonce_is_taken_once_a_refund_exists() {
    let mut bench = Bench::permitted();
    bench.result(REFUSED);
    assert!(!bench.permit_request(9, 99));
    assert_eq!(bench.permits.len(), 1);
}

#[test]
fn a_listed_transaction_that_is_over_hears_its_end_again() {
    let mut bench = Bench::permitted();
    bench.result(LinkageOutcome::Done);
    bench.pass(seconds(60));
    bench.look();
    bench.step(|sale, turn| sale.handle_hello(true, boot(5), turn));
    assert_eq!(bench.look(), ["receipt again", "settled"]);
    bench.step(|sale, turn| sale.handle_hello(false, boot(5), turn));
    assert_eq!(bench.look(), ["withdraw receipt", "withdraw settled"]);
}

#[test]
fn a_hello_in_the_middle_gets_what_is_open() {
    let mut bench = Bench::permitted();
    bench.step(|sale, turn| sale.handle_hello(true, boot(5), turn));
    assert_eq!(bench.look(), ["resend permit"]);
}

#[test]
fn the_same_order_request_gets_the_same_quote() {
    let mut bench = Bench::quoted();
    bench.step(Sale::handle_request_again);
    assert_eq!(bench.look(), ["resend quote"]);
}
