use std::time::Duration;

use protocol::id::PayeeId;
use protocol::money::Money;

use super::{Action, Case, Outcome, Scenario, Silence, Step, Transfer};

fn scenario(silence: Silence) -> Scenario {
    Scenario {
        default: Outcome::Paid,
        slow_answer: Duration::from_secs(2),
        silence,
    }
}

fn money(minor: i64, currency: &str) -> Money {
    Money::new(minor, currency.parse().unwrap()).unwrap()
}

fn pressed(outcome: Outcome, amount: Money, payee: &str) -> Action {
    let payee: PayeeId = payee.parse().unwrap();
    let case = Case {
        outcome,
        amount,
        payee: &payee,
        booked_for: None,
    };
    scenario(Silence::Forever).decide(Step::Pay, case, 1)
}

fn book(transfers: &[(i64, &str, &str)]) -> Action {
    let transfer = |(minor, currency, payee): &(i64, &str, &str)| Transfer {
        amount: money(*minor, currency),
        payee: payee.parse().unwrap(),
    };
    Action::Book(transfers.iter().map(transfer).collect())
}

#[test]
fn each_outcome_books_what_it_says() {
    let exact = (450, "CNY", "shop");
    let rows = [
        (Outcome::Paid, book(&[exact])),
        (Outcome::Declined, Action::Decline),
        (Outcome::Never, Action::TryLater),
        (
            Outcome::Late,
            Action::BookAfterClose(Transfer {
                amount: money(450, "CNY"),
                payee: "shop".parse().unwrap(),
            }),
        ),
        (Outcome::Twice, book(&[exact, exact])),
        (Outcome::Under, book(&[(449, "CNY", "shop")])),
        (Outcome::Over, book(&[(451, "CNY", "shop")])),
        (Outcome::WrongPayee, book(&[(450, "CNY", "somebody-else")])),
        (Outcome::WrongCurrency, book(&[(450, "EUR", "shop")])),
        (Outcome::NoAnswer, book(&[exact])),
        (Outcome::SlowAnswer, book(&[exact])),
    ];
    assert_eq!(rows.len(), Outcome::ALL.len());
    for (outcome, action) in rows {
        assert_eq!(
            pressed(outcome, money(450, "CNY"), "shop"),
            action,
            "{outcome}"
        );
    }
}

#[test]
fn wrong_is_wrong_at_the_edges_too() {
    let least = money(1, "CNY");
    let most = money(protocol::money::MINOR_MAX, "CNY");
    assert_eq!(pressed(Outcome::Under, least, "shop"), Action::Decline);
    assert_eq!(pressed(Outcome::Over, most, "shop"), Action::Decline);
    assert_eq!(
        pressed(Outcome::WrongPayee, least, "somebody-else"),
        book(&[(1, "CNY", "nobody")])
    );
    assert_eq!(
        pressed(Outcome::WrongCurrency, money(1, "EUR"), "shop"),
        book(&[(1, "USD", "shop")])
    );
}

#[test]
fn only_queries_of_booked_orders_stay_without_answer_and_only_so_long() {
    let now = Action::Answer {
        after: Duration::ZERO,
    };
    let rows = [
        (Silence::Forever, Some(1_000_000), 9, Action::StaySilent),
        (Silence::Forever, None, 1, now.clone()),
        (Silence::Queries(2), Some(0), 2, Action::StaySilent),
        (Silence::Queries(2), Some(0), 3, now.clone()),
        (
            Silence::Lasting(Duration::from_secs(5)),
            Some(4),
            9,
            Action::StaySilent,
        ),
        (
            Silence::Lasting(Duration::from_secs(5)),
            Some(5),
            1,
            now.clone(),
        ),
    ];
    let payee = "shop".parse().unwrap();
    for (silence, booked_for, n, action) in rows {
        let case = Case {
            outcome: Outcome::NoAnswer,
            amount: money(450, "CNY"),
            payee: &payee,
            booked_for: booked_for.map(Duration::from_secs),
        };
        let decide = |step| scenario(silence).decide(step, case, n);
        assert_eq!(decide(Step::Query), action, "{silence:?} {n}");
        for step in [Step::Create, Step::Close, Step::Refund] {
            assert_eq!(decide(step), now);
        }
    }
}

#[test]
fn slow_answers_are_slow_for_every_step() {
    let payee = "shop".parse().unwrap();
    let case = Case {
        outcome: Outcome::SlowAnswer,
        amount: money(450, "CNY"),
        payee: &payee,
        booked_for: None,
    };
    let late = Action::Answer {
        after: Duration::from_secs(2),
    };
    for step in [Step::Create, Step::Query, Step::Close, Step::Refund] {
        assert_eq!(scenario(Silence::Forever).decide(step, case, 1), late);
    }
}

#[test]
fn a_description_names_the_outcome_else_the_default_holds() {
    let scenario = scenario(Silence::Forever);
    assert_eq!(
        scenario.outcome_of("Short stay outcome=late"),
        Outcome::Late
    );
    assert_eq!(scenario.outcome_of("Short stay"), Outcome::Paid);
    assert_eq!(scenario.outcome_of("outcome=nonsense"), Outcome::Paid);
}

#[test]
fn every_outcome_survives_its_text_form() {
    for outcome in Outcome::ALL {
        assert_eq!(outcome.to_string().parse(), Ok(*outcome));
    }
    let error = "wrong".parse::<Outcome>().unwrap_err().to_string();
    assert_eq!(
        error,
        "'wrong' is no outcome: use one of paid, declined, never, late, twice, under, over, \
         wrong-payee, wrong-currency, no-answer, slow-answer"
    );
}
