//! Whatever happens in whatever order: the books stay right.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::id::{PayeeId, PaymentId, RefundId};
use protocol::message::GatewayRefusal;
use protocol::money::Currency;

use super::*;
use crate::ledger::{Attempt, CreateRefusal, Phase};

#[derive(Debug, Clone)]
enum Step {
    Create {
        order: u8,
        minor: i64,
    },
    Close {
        order: u8,
    },
    Pay {
        order: u8,
        minor: i64,
        payee: &'static str,
    },
    Promise {
        order: u8,
    },
    Fail {
        order: u8,
    },
    Refund {
        id: u8,
        order: u8,
        nth: usize,
        minor: i64,
    },
    Wait {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let order = || 1..4u8;
    prop_oneof![
        (order(), 1..4i64).prop_map(|(order, minor)| Step::Create { order, minor }),
        order().prop_map(|order| Step::Close { order }),
        (order(), 1..4i64, prop_oneof![Just("shop"), Just("nobody")]).prop_map(
            |(order, minor, payee)| Step::Pay {
                order,
                minor,
                payee
            }
        ),
        order().prop_map(|order| Step::Promise { order }),
        order().prop_map(|order| Step::Fail { order }),
        (1..9u8, order(), 0..3usize, 0..4i64).prop_map(|(id, order, nth, minor)| Step::Refund {
            id,
            order,
            nth,
            minor
        }),
        prop_oneof![Just(LATE_MS), Just(LIFETIME_MS)].prop_map(|millis| Step::Wait { millis }),
    ]
}

struct Run {
    ledger: Ledger,
    now: u64,
    payments: u8,
    /// Content and answer of the first call under each key.
    creates: BTreeMap<u8, i64>,
    refunds: BTreeMap<u8, RefundOrder>,
}

impl Run {
    fn take(&mut self, step: &Step) {
        let now = at(self.now);
        match *step {
            Step::Create { order, minor } => self.create(order, minor),
            Step::Close { order: number } => {
                let paid = self.phase(number) == Some(Phase::Paid);
                let answer = self.ledger.handle_close(&platform(), order(number), now);
                assert_eq!(answer == Err(GatewayRefusal::AlreadyPaid), paid);
            }
            Step::Pay {
                order: number,
                minor,
                payee,
            } => {
                let booking = self.booking(minor, payee);
                self.ledger.handle_payment(order(number), booking, now);
            }
            Step::Promise { order: number } if self.phase(number) == Some(Phase::Open) => {
                let booking = self.booking(450, "shop");
                self.ledger.handle_promise(order(number), booking, now);
            }
            Step::Fail { order: number } => {
                self.ledger
                    .handle_failed_attempt(order(number), Attempt::Declined, now);
            }
            Step::Refund {
                id,
                order,
                nth,
                minor,
            } => self.refund(id, order, nth, minor),
            Step::Wait { millis } => {
                self.now += millis;
                self.ledger.handle_timeout(at(self.now));
            }
            Step::Promise { .. } => {}
        }
    }

    fn create(&mut self, number: u8, minor: i64) {
        let mut content = create(number);
        content.amount = money(minor);
        let answer =
            self.ledger
                .handle_create(&platform(), content, opening(number), false, at(self.now));
        let first = *self.creates.entry(number).or_insert(minor);
        let differs = CreateRefusal::Named(GatewayRefusal::OrderDiffers);
        let expected = if first == minor { Ok(()) } else { Err(differs) };
        assert_eq!(answer, expected);
    }

    fn refund(&mut self, id: u8, number: u8, nth: usize, minor: i64) {
        let Some(found) = self.ledger.order(order(number)) else {
            return;
        };
        let Some(payment) = found.payments.get(nth).map(|payment| payment.payment) else {
            return;
        };
        let asked = RefundOrder {
            refund: RefundId::from_random([id; 16]),
            payment,
            ..refund(id, number, minor)
        };
        let answer = self.ledger.handle_refund(
            &platform(),
            &asked,
            RefundCourse::SUCCEEDS,
            false,
            at(self.now),
        );
        match self.refunds.get(&id) {
            Some(known) if *known == asked => assert!(answer.is_ok()),
            Some(_) => assert_eq!(answer, Err(GatewayRefusal::RefundDiffers)),
            None if answer.is_ok() => {
                self.refunds.insert(id, asked);
            }
            None => {}
        }
    }

    fn booking(&mut self, minor: i64, payee: &str) -> Booking {
        self.payments += 1;
        Booking {
            payment: PaymentId::from_random([self.payments; 16]),
            amount: money(minor),
            payee: payee.parse().unwrap(),
        }
    }

    fn phase(&self, number: u8) -> Option<Phase> {
        self.ledger
            .order(order(number))
            .map(super::super::Order::phase)
    }

    fn assert_invariants(&self) {
        let mut expected: BTreeMap<(PayeeId, Currency), i64> = BTreeMap::new();
        for order in self.ledger.orders() {
            assert!(order.payments.len() <= 8 && order.refunds.len() <= 8);
            for payment in &order.payments {
                let sum: i64 = order
                    .refunds
                    .iter()
                    .filter(|refund| refund.payment == payment.payment)
                    .map(|refund| refund.amount.minor())
                    .sum();
                assert_eq!(sum, payment.refunded.minor());
                assert!((0..=payment.amount.minor()).contains(&sum));
                let account = (payment.payee.clone(), payment.amount.currency());
                *expected.entry(account).or_default() += payment.amount.minor() - sum;
            }
        }
        assert_eq!(*self.ledger.balances(), expected);
        assert_eq!(self.statement_sums(), expected);
    }

    /// Read page by page, as a platform does.
    fn statement_sums(&self) -> BTreeMap<(PayeeId, Currency), i64> {
        let mut sums = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = self.ledger.statements().page(&platform(), after, 3);
            for line in &page.lines {
                assert_eq!(line.sequence, after + 1);
                after = line.sequence;
                *sums.entry((line.payee.clone(), line.currency)).or_default() += line.minor;
            }
            assert_eq!(page.next, after);
            if !page.more {
                return sums;
            }
        }
    }
}

proptest! {
    #[test]
    fn the_books_stay_right_and_keys_stay_idempotent(steps in prop::collection::vec(step(), 1..60)) {
        let mut run = Run {
            ledger: ledger(),
            now: 0,
            payments: 0,
            creates: BTreeMap::new(),
            refunds: BTreeMap::new(),
        };
        let mut restored = ledger();
        for step in &steps {
            run.take(step);
            run.assert_invariants();
            for output in outputs(&mut run.ledger) {
                if let Output::Record(entry) = output {
                    restored.restore(&entry, at(run.now).tick);
                }
            }
        }
        prop_assert_eq!(restored.balances(), run.ledger.balances());
        prop_assert_eq!(restored.poll_timeout(), run.ledger.poll_timeout());
    }
}
