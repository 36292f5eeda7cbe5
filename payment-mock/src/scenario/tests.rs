use std::time::Duration;

use protocol::id::{PayeeId, TransactionId};
use protocol::money::Money;

use super::*;
use crate::scenario::outcome::{Payment, Transfer};

fn money(minor: i64, currency: &str) -> Money {
    Money::new(minor, currency.parse().unwrap()).unwrap()
}

fn pressed(outcome: Outcome, amount: Money, payee: &str) -> Payment {
    outcome.payment(amount, &payee.parse::<PayeeId>().unwrap())
}

fn book(transfers: &[(i64, &str, &str)]) -> Payment {
    let transfer = |(minor, currency, payee): &(i64, &str, &str)| Transfer {
        amount: money(*minor, currency),
        payee: payee.parse().unwrap(),
    };
    Payment::Book(transfers.iter().map(transfer).collect())
}

fn create() -> CreateOrder {
    CreateOrder {
        order: TransactionId::from_random([1; 16]),
        amount: money(450, "CNY"),
        payee: "shop".parse().unwrap(),
        payee_name: "Shop".to_owned(),
        place_name: "North, gate 1".to_owned(),
        description: "Short stay".to_owned(),
        return_url: String::new(),
        lifetime_ms: 120_000,
    }
}

/// A first query of an order, with nothing special about it.
fn call<'a>(platform: &'a PlatformId, create: &'a CreateOrder) -> Call<'a> {
    Call {
        step: Step::Query,
        platform,
        order: Some(create.order),
        create: Some(create),
        n: 1,
        request: 1,
        age: Duration::ZERO,
        outcome: Some(Outcome::Paid),
        booked_for: None,
        n_since_booking: 0,
    }
}

fn rules(texts: &[serde_json::Value]) -> Ruleset {
    let texts = texts
        .iter()
        .map(|text| serde_json::from_value(text.clone()).unwrap());
    Ruleset::new(7, texts).unwrap()
}

fn rule(mut text: serde_json::Value) -> Ruleset {
    text["name"] = "it".into();
    text["action"] = "drop-before".into();
    rules(&[text])
}

#[test]
fn wrong_is_wrong_at_the_edges_too() {
    let least = money(1, "CNY");
    let most = money(protocol::money::MINOR_MAX, "CNY");
    assert_eq!(pressed(Outcome::Under, least, "shop"), Payment::Decline);
    assert_eq!(pressed(Outcome::Over, most, "shop"), Payment::Decline);
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
    let (platform, create) = ("main".parse().unwrap(), create());
    let rows = [
        (Silence::Forever, Some(1_000_000), 9, true),
        (Silence::Forever, None, 1, false),
        (Silence::Queries(2), Some(0), 2, true),
        (Silence::Queries(2), Some(0), 3, false),
        (Silence::Lasting(Duration::from_secs(5)), Some(4), 9, true),
        (Silence::Lasting(Duration::from_secs(5)), Some(5), 1, false),
    ];
    for (silence, booked_for, n_since_booking, silent) in rows {
        let delays = Delays {
            silence,
            ..Delays::default()
        };
        let scenario = Scenario::new(Outcome::NoAnswer, Ruleset::default(), &delays);
        for step in [Step::Create, Step::Query, Step::Close, Step::Refund] {
            let call = Call {
                step,
                outcome: Some(Outcome::NoAnswer),
                booked_for: booked_for.map(Duration::from_secs),
                n_since_booking,
                ..call(&platform, &create)
            };
            let expected = (silent && step == Step::Query).then_some(Action::DropAnswer);
            let decided = scenario.decide(Aspect::Answer, &call);
            assert_eq!(decided.map(|decision| decision.action), expected);
        }
    }
}

#[test]
fn a_description_names_the_outcome_else_a_rule_else_the_default_holds() {
    let platform = "main".parse().unwrap();
    let by_rule = rules(&[serde_json::json!({
        "name": "small", "action": "outcome", "outcome": "under", "minor_to": 100
    })]);
    let scenario = Scenario::new(Outcome::Twice, by_rule, &Delays::default());
    let rows = [
        ("Short stay outcome=late", 100, Outcome::Late),
        ("Short stay", 100, Outcome::Under),
        ("Short stay", 101, Outcome::Twice),
        ("outcome=nonsense", 101, Outcome::Twice),
    ];
    for (description, minor, expected) in rows {
        let mut create = create();
        create.description = description.to_owned();
        create.amount = money(minor, "CNY");
        let call = Call {
            step: Step::Create,
            ..call(&platform, &create)
        };
        assert_eq!(
            scenario.outcome_of(&call),
            expected,
            "{description} {minor}"
        );
    }
}

#[test]
fn a_rule_fits_when_all_of_it_fits() {
    let (platform, create) = ("main".parse().unwrap(), create());
    let order = create.order.to_string();
    let fitting = [
        serde_json::json!({}),
        serde_json::json!({"operation": "query"}),
        serde_json::json!({"platform": "main"}),
        serde_json::json!({"order": order}),
        serde_json::json!({"payee": "shop"}),
        serde_json::json!({"place": "gate 1"}),
        serde_json::json!({"description": "Short"}),
        serde_json::json!({"currency": "CNY"}),
        serde_json::json!({"minor_from": 450, "minor_to": 450}),
        serde_json::json!({"from_call": 2, "to_call": 2}),
        serde_json::json!({"from_request": 9, "to_request": 9}),
        serde_json::json!({"from_ms": 1_000, "before_ms": 1_001}),
        serde_json::json!({"chance_permille": 1_000}),
    ];
    let other = [
        serde_json::json!({"operation": "close"}),
        serde_json::json!({"platform": "other"}),
        serde_json::json!({"order": "02".repeat(16)}),
        serde_json::json!({"payee": "other"}),
        serde_json::json!({"place": "gate 2"}),
        serde_json::json!({"description": "Long"}),
        serde_json::json!({"currency": "EUR"}),
        serde_json::json!({"minor_from": 451}),
        serde_json::json!({"minor_to": 449}),
        serde_json::json!({"from_call": 3}),
        serde_json::json!({"to_call": 1}),
        serde_json::json!({"from_request": 10}),
        serde_json::json!({"to_request": 8}),
        serde_json::json!({"from_ms": 1_001}),
        serde_json::json!({"before_ms": 1_000}),
        serde_json::json!({"payee": "shop", "place": "gate 2"}),
    ];
    let call = Call {
        n: 2,
        request: 9,
        age: Duration::from_millis(1_000),
        ..call(&platform, &create)
    };
    let fits = |text: &serde_json::Value| rule(text.clone()).first(Aspect::Before, &call).is_some();
    for text in &fitting {
        assert!(fits(text), "{text}");
    }
    for text in &other {
        assert!(!fits(text), "{text}");
    }
    let unknown = Call {
        create: None,
        ..call
    };
    let about_content = rule(serde_json::json!({"payee": "shop"}));
    assert!(about_content.first(Aspect::Before, &unknown).is_none());
}

#[test]
fn the_first_rule_of_an_aspect_decides_and_of_what_befalls_payments_all() {
    let (platform, create) = ("main".parse().unwrap(), create());
    let rules = rules(&[
        serde_json::json!({"name": "first", "action": "truncate"}),
        serde_json::json!({"name": "second", "action": "drop-after"}),
        serde_json::json!({"name": "third", "action": "drop-before"}),
        serde_json::json!({"name": "fee", "action": "fee", "minor": 2}),
        serde_json::json!({"name": "dispute", "action": "dispute", "after_ms": 5}),
    ]);
    let scenario = Scenario::new(Outcome::Paid, rules, &Delays::default());
    let query = call(&platform, &create);
    let decided = |aspect| scenario.decide(aspect, &query);
    assert_eq!(
        decided(Aspect::Answer),
        Some(Decision {
            action: Action::Truncate,
            rule: Some("first".to_owned())
        })
    );
    assert_eq!(
        decided(Aspect::Before).map(|decision| decision.action),
        Some(Action::Drop)
    );
    let pay = Call {
        step: Step::Pay,
        outcome: Some(Outcome::Disputed),
        ..query
    };
    assert_eq!(
        scenario.aftermath(&pay),
        [
            (Aftermath::Dispute, Duration::ZERO),
            (Aftermath::Fee(action::Share::Minor(2)), Duration::ZERO),
            (Aftermath::Dispute, Duration::from_millis(5)),
        ]
    );
}

#[test]
fn draws_depend_on_seed_rule_order_operation_and_number_alone() {
    let platform = "main".parse().unwrap();
    let chance = serde_json::json!({"chance_permille": 250});
    let drawn = |rules: &Ruleset, step: Step, n: u64, byte: u8| {
        let mut create = create();
        create.order = TransactionId::from_random([byte; 16]);
        let call = Call {
            step,
            n,
            ..call(&platform, &create)
        };
        rules.first(Aspect::Before, &call).is_some()
    };
    let row = |rules: &Ruleset, step| {
        let cells = (1..=40u8).flat_map(|byte| (1..=25).map(move |n| (n, byte)));
        cells
            .map(|(n, byte)| drawn(rules, step, n, byte))
            .collect::<Vec<bool>>()
    };
    let rules = rule(chance.clone());
    let first = row(&rules, Step::Query);
    assert_eq!(first, row(&rules, Step::Query), "the same in every run");
    let hits = first.iter().filter(|hit| **hit).count();
    // A quarter of a thousand, give or take four standard deviations.
    assert!((195..=305).contains(&hits), "{hits}");
    assert_ne!(first, row(&rules, Step::Close));
    let mut named = chance;
    named["name"] = "other".into();
    named["action"] = "drop-before".into();
    let renamed = Ruleset::new(7, [serde_json::from_value(named.clone()).unwrap()]).unwrap();
    assert_ne!(first, row(&renamed, Step::Query));
    let reseeded = Ruleset::new(8, [serde_json::from_value(named).unwrap()]).unwrap();
    assert_ne!(row(&renamed, Step::Query), row(&reseeded, Step::Query));
}

#[test]
fn every_rule_survives_its_json_form() {
    let text = serde_json::json!({
        "name": "all", "operation": "pay", "payee": "shop", "minor_from": 1, "from_call": 1,
        "chance_permille": 5, "action": "refund-outside", "after_ms": 7, "permille": 500
    });
    let rule: RuleText = serde_json::from_value(text.clone()).unwrap();
    assert_eq!(serde_json::to_value(&rule).unwrap(), text);
}

#[test]
fn every_outcome_survives_its_text_form() {
    for outcome in Outcome::ALL {
        assert_eq!(outcome.to_string().parse(), Ok(*outcome));
    }
    let error = "wrong".parse::<Outcome>().unwrap_err().to_string();
    assert!(
        error.starts_with("'wrong' is no outcome: use one of paid, declined, never, late, twice,"),
        "{error}"
    );
    assert!(error.ends_with(", after-scan, close-too-early"), "{error}");
}
