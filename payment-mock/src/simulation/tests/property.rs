//! Whatever the rules are and whatever is asked: the ledger stays right, restarts change nothing,
//! and the same inputs give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::id::RefundId;
use protocol::message::{RefundOrder, RefundStatus};
use serde_json::{Value, json};

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Query(u8),
    Close(u8),
    Refund { order: u8, id: u8, minor: i64 },
    Statement,
    Pay(u8),
    Decline(u8),
    Outside { order: u8, outside: Outside },
    PayOut(i64),
    Outcome { order: u8, outcome: Outcome },
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let order = || 1..4u8;
    let outside = prop_oneof![
        Just(Outside::Dispute),
        Just(Outside::ChargeBack),
        (0..500i64).prop_map(|minor| Outside::Refund { minor: Some(minor) }),
        Just(Outside::Refund { minor: None }),
        (0..500i64).prop_map(|minor| Outside::Fee { minor }),
    ];
    prop_oneof![
        4 => order().prop_map(Step::Create),
        2 => order().prop_map(Step::Query),
        2 => order().prop_map(Step::Close),
        6 => (order(), 1..6u8, 0..460i64)
            .prop_map(|(order, id, minor)| Step::Refund { order, id, minor }),
        1 => Just(Step::Statement),
        6 => order().prop_map(Step::Pay),
        1 => order().prop_map(Step::Decline),
        3 => (order(), outside).prop_map(|(order, outside)| Step::Outside { order, outside }),
        1 => (0..500i64).prop_map(Step::PayOut),
        1 => (order(), prop::sample::select(Outcome::ALL))
            .prop_map(|(order, outcome)| Step::Outcome { order, outcome }),
        4 => prop_oneof![Just(1u64), Just(600), Just(5_000), Just(120_000)].prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

/// Actions with the parameters they need; `operation`, calls and chance are drawn beside.
fn action() -> impl Strategy<Value = Value> {
    let actions = vec![
        json!({"action": "drop-before"}),
        json!({"action": "outage", "before_ms": 700}),
        json!({"action": "refuse", "refusal": "close_too_early"}),
        json!({"action": "outcome", "outcome": "twice"}),
        json!({"action": "outcome", "outcome": "late"}),
        json!({"action": "hide-until-scan"}),
        json!({"action": "forget-key"}),
        json!({"action": "refund-fails"}),
        json!({"action": "refund-pending", "after_ms": 500}),
        json!({"action": "refund-pending-fails", "after_ms": 500}),
        json!({"action": "refund-fails-later", "after_ms": 500}),
        json!({"action": "drop-after"}),
        json!({"action": "delay", "after_ms": 700}),
        json!({"action": "truncate"}),
        json!({"action": "double", "copies": 3, "after_ms": 10}),
        json!({"action": "reorder"}),
        json!({"action": "stale"}),
        json!({"action": "forge"}),
        json!({"action": "dispute", "after_ms": 500}),
        json!({"action": "charge-back", "after_ms": 500}),
        json!({"action": "refund-outside", "permille": 700, "after_ms": 500}),
        json!({"action": "fee", "minor": 3}),
        json!({"action": "line-missing"}),
        json!({"action": "line-unknown"}),
    ];
    prop::sample::select(actions)
}

fn rules() -> impl Strategy<Value = Vec<Value>> {
    let rule = (action(), 0..3u64, 200..=1_000u16).prop_map(|(mut rule, calls, chance)| {
        if calls > 0 {
            rule["to_call"] = calls.into();
        }
        rule["chance_permille"] = chance.into();
        rule
    });
    prop::collection::vec(rule, 0..6).prop_map(|mut rules| {
        for (nth, rule) in rules.iter_mut().enumerate() {
            rule["name"] = format!("rule {nth}").into();
        }
        rules
    })
}

fn forgets(rules: &[Value]) -> bool {
    rules.iter().any(|rule| rule["action"] == "forget-key")
}

struct Run {
    server: Server,
    entropy: Counter,
    now: u64,
    published: Vec<Publication>,
}

impl Run {
    fn new(rules: &[Value]) -> Self {
        let texts = rules
            .iter()
            .map(|rule| serde_json::from_value(rule.clone()).unwrap());
        let mut setup = setup();
        setup.rules = Ruleset::new(3, texts).unwrap();
        Self {
            server: Server::new(setup, at(0)),
            entropy: Counter(0),
            now: 0,
            published: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        let now = at(self.now);
        let (server, entropy) = (&mut self.server, &mut self.entropy);
        match *step {
            Step::Create(byte) => ask(server, create(byte), now, entropy),
            Step::Query(byte) => {
                ask(
                    server,
                    Operation::Query { order: order(byte) },
                    now,
                    entropy,
                );
            }
            Step::Close(byte) => {
                ask(
                    server,
                    Operation::Close { order: order(byte) },
                    now,
                    entropy,
                );
            }
            Step::Refund { order, id, minor } => self.refund(order, id, minor),
            Step::Statement => {
                let read = Operation::Statement { after: 0, limit: 0 };
                ask(server, read, now, entropy);
            }
            Step::Pay(byte) => {
                server.press_pay(order(byte), now, entropy);
            }
            Step::Decline(byte) => {
                server.press_decline(order(byte), now, entropy);
            }
            Step::Outside {
                order: byte,
                outside,
            } => {
                // Whether it can happen is for the ledger to say.
                server
                    .handle_outside(order(byte), None, outside, now, entropy)
                    .ok();
            }
            Step::PayOut(minor) => {
                let amount = Money::new(minor, "CNY".parse().unwrap()).unwrap();
                let payee = "shop".parse().unwrap();
                server
                    .handle_payout(&platform(), &payee, amount, now, entropy)
                    .ok();
            }
            Step::Outcome {
                order: byte,
                outcome,
            } => {
                server.set_order_outcome(order(byte), outcome, now, entropy);
            }
            Step::Wait(millis) => {
                self.now += millis;
                server.handle_timeout(at(self.now), entropy);
            }
            Step::Restart => server.restart(now),
        }
        self.published.extend(outputs(&mut self.server));
    }

    /// Of the order's first payment; the same id always asks for the same.
    fn refund(&mut self, byte: u8, id: u8, minor: i64) {
        let totals = self.server.totals();
        let found = totals.iter().find(|found| found.order == order(byte));
        let Some(payment) = found.and_then(|found| found.payments.first()) else {
            return;
        };
        let amount = Money::new(minor, payment.amount.currency()).unwrap();
        let refund = RefundOrder {
            refund: RefundId::from_random([id; 16]),
            order: order(byte),
            payment: payment.payment,
            amount,
            reason: String::new(),
        };
        let now = at(self.now);
        ask(
            &mut self.server,
            Operation::Refund(refund),
            now,
            &mut self.entropy,
        );
    }

    fn assert_books(&self, may_repeat: bool) {
        let ledger = self.server.machine.ledger();
        for found in self.server.totals() {
            for payment in &found.payments {
                assert!(payment.refunded.minor() <= payment.amount.minor());
                let succeeded = found.refunds.iter().filter(|refund| {
                    refund.payment == payment.payment && refund.status == RefundStatus::Succeeded
                });
                let sum: i64 = succeeded.map(|refund| refund.amount.minor()).sum();
                assert_eq!(sum, payment.refunded.minor());
            }
            let ids: BTreeSet<_> = found.refunds.iter().map(|refund| refund.refund).collect();
            assert!(
                may_repeat || ids.len() == found.refunds.len(),
                "a key counted twice"
            );
            for (currency, back) in &found.charged_back {
                let refunded = found.refunded.get(currency).copied().unwrap_or_default();
                assert!(*back + refunded <= found.received[currency]);
            }
        }
        let mut sums: BTreeMap<_, i64> = BTreeMap::new();
        for (line, sequence) in ledger.statements().lines(&platform()).iter().zip(1..) {
            assert_eq!(line.sequence, sequence);
            *sums.entry((line.payee.clone(), line.currency)).or_default() += line.minor;
        }
        assert_eq!(sums, *ledger.balances(), "lines add up to balances");
    }
}

proptest! {
    // Each case signs and verifies some hundred messages.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_ledger_stays_right_under_every_rule_set(
        rules in rules(),
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let mut run = Run::new(&rules);
        for step in &steps {
            run.take(step);
            run.assert_books(forgets(&rules) || set_forgetful(&steps));
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes(
        rules in rules(),
        steps in prop::collection::vec(step(), 1..50),
    ) {
        let run = || {
            let mut run = Run::new(&rules);
            for step in &steps {
                run.take(step);
            }
            (run.published, run.server.totals(), run.server.poll_timeout())
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn a_crash_behind_any_entry_leaves_books_that_add_up(
        rules in rules(),
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut run = Run::new(&rules);
        for step in &steps {
            run.take(step);
        }
        let totals = run.server.totals();
        let entries = run.server.entries.clone();
        for kept in 0..=entries.len() {
            run.server.entries.truncate(0);
            run.server.entries.extend_from_slice(&entries[..kept]);
            run.server.restart(at(run.now));
            run.assert_books(true);
        }
        prop_assert_eq!(run.server.totals(), totals);
    }
}

/// The outcome `key-forgotten` forgets refund keys too.
fn set_forgetful(steps: &[Step]) -> bool {
    let forgetful = |step: &Step| {
        matches!(
            step,
            Step::Outcome {
                outcome: Outcome::KeyForgotten,
                ..
            }
        )
    };
    steps.iter().any(forgetful)
}
