//! Every way that money can go, and that each of them balances.

use super::*;

fn matter(minor: i64) -> Matter {
    Matter {
        transaction: TransactionId::from_random([1; 16]),
        payment: PaymentId::from_random([2; 16]),
        amount: Money::new(minor, "CNY".parse().unwrap()).unwrap(),
    }
}

fn balance(postings: &[Posting], account: Account) -> i64 {
    let of_account = postings.iter().filter(|posting| posting.account == account);
    of_account.map(|p| p.debit_minor - p.credit_minor).sum()
}

fn settlement(minor: i64) -> Settlement {
    let Matter {
        transaction,
        payment,
        amount,
    } = matter(minor);
    Settlement {
        line: LineName {
            gateway: "mock".parse().unwrap(),
            sequence: 7,
        },
        about: Some((transaction, payment)),
        amount,
    }
}

/// Balances of all accounts that are not zero, debits above zero.
fn balances(entries: &[Entry]) -> Vec<(Account, i64)> {
    let postings = entries.concat();
    assert_eq!(check_balanced(&postings), Ok(()));
    let of = |account| (account, balance(&postings, account));
    let all = Account::ALL.map(of).into_iter();
    all.filter(|(_, balance)| *balance != 0).collect()
}

/// Entries, and the balances that they lead to.
type Way<'a> = (Vec<Entry>, &'a [(Account, i64)]);

#[test]
fn every_way_of_a_payment_leaves_suspense_empty() {
    use Account::{Dispute, GatewayReceivable, Loss, Merchant, Unclaimed};
    let refund = RefundId::from_random([3; 16]);
    let m = matter(450);
    let received = || received(m);
    let with = |more: Vec<Entry>| [vec![received(), earned(m)], more].concat();
    let kept = [(GatewayReceivable, 450), (Merchant, -450)];
    let lost_all = [(Merchant, -450), (Loss, 450)];
    let ways: [Way<'_>; 13] = [
        (with(vec![]), &kept),
        (with(vec![unearned(m), refunded(m, refund)]), &[]),
        (with(vec![lost_outside(m)]), &lost_all),
        (with(vec![written_off(m)]), &lost_all),
        (
            with(vec![disputed(m)]),
            &[(GatewayReceivable, 450), (Dispute, -450)],
        ),
        (with(vec![disputed(m), dispute_won(m)]), &kept),
        (with(vec![disputed(m), dispute_lost(m)]), &lost_all),
        (vec![received(), refunded(m, refund)], &[]),
        (vec![received(), refunded_outside(m)], &[]),
        (vec![received(), refunded(m, refund), lost(m)], &lost_all),
        (
            vec![
                received(),
                refunded(m, refund),
                lost(m),
                refund_failed_later(m, refund),
                loss_undone(m),
                earned(m),
            ],
            &kept,
        ),
        (
            vec![
                received(),
                refunded(m, refund),
                refund_failed_later(m, refund),
                refunded(m, refund),
            ],
            &[],
        ),
        (
            vec![received(), unclaimed(m)],
            &[(GatewayReceivable, 450), (Unclaimed, -450)],
        ),
    ];
    for (entries, expected) in ways {
        assert_eq!(balances(&entries), expected, "{entries:?}");
    }
}

#[test]
fn what_is_paid_out_is_what_was_received_less_the_fee() {
    let m = matter(450);
    let month = [
        received(m),
        earned(m),
        fee(&settlement(5)),
        fee(&settlement(2)),
        fee_returned(&settlement(2)),
        paid_out(&settlement(445)),
        payout_returned(&settlement(445)),
        paid_out(&settlement(445)),
    ];
    let expected = [
        (Account::Merchant, -450),
        (Account::Fees, 5),
        (Account::Bank, 445),
    ];
    assert_eq!(balances(&month), expected);
}

#[test]
fn a_settlement_names_its_line_and_a_sale_only_if_it_has_one() {
    let settlement = Settlement {
        about: None,
        ..settlement(445)
    };
    let entry = paid_out(&settlement);
    assert_eq!(entry.len(), 2);
    for posting in entry {
        assert_eq!(posting.line.as_ref(), Some(&settlement.line));
        assert_eq!((posting.transaction, posting.payment), (None, None));
    }
}

#[test]
fn a_refund_that_fails_later_owes_again() {
    let refund = RefundId::from_random([3; 16]);
    let matter = matter(450);
    let entries = [
        received(matter),
        refunded(matter, refund),
        refund_failed_later(matter, refund),
    ];
    assert_eq!(balance(&entries.concat(), Account::Suspense), -450);
}

#[test]
fn nothing_is_posted_for_nothing() {
    assert_eq!(received(matter(0)), vec![]);
}

#[test]
fn half_an_entry_is_refused() {
    let mut half = received(matter(450));
    half.pop();
    let unbalanced = Err(BalanceError::Unbalanced("CNY".parse().unwrap()));
    assert_eq!(check_balanced(&half), unbalanced);
    half[0].debit_minor = 0;
    assert_eq!(check_balanced(&half), Err(BalanceError::Sides));
}
