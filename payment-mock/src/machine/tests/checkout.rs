use protocol::message::OrderStatus;

use super::*;
use crate::ledger::{ATTEMPTS_MAX, Attempt, CheckoutToken, Phase};
use crate::machine::{CheckoutView, Press, Pressed};

const RETURN_URL: &str = "http://127.0.0.1:8080/s";

/// Minor units, currency and payee of each payment.
type Booked = &'static [(i64, &'static str, &'static str)];

struct Checkout {
    bench: Bench,
    token: CheckoutToken,
}

impl Checkout {
    fn open(outcome: Outcome) -> Self {
        let mut bench = Bench::new(outcome);
        // The first create of `lost-request` does nothing.
        bench.ask(Operation::Create(create(1)), at(0));
        bench.ask(Operation::Create(create(1)), at(0));
        let token = bench
            .machine
            .ledger
            .order(order(1))
            .unwrap()
            .opening
            .checkout;
        Self { bench, token }
    }

    fn page(&mut self, now: Now) -> CheckoutView {
        let token = self.token;
        let call = |machine: &mut Machine, mut entropy: &mut dyn FnMut() -> [u8; 16]| {
            machine.handle_view(token, now, &mut entropy)
        };
        self.bench.call(call).0.unwrap()
    }

    fn press(&mut self, form: &str, press: Press, now: Now) -> (Pressed, Vec<Output>) {
        let token = self.token;
        self.bench.call(|machine, mut entropy| {
            machine.handle_press(token, form, press, now, &mut entropy)
        })
    }

    fn pay(&mut self) -> Pressed {
        let form = self.page(at(1)).form_token;
        self.press(&form, Press::Pay, at(1)).0
    }

    fn back(&self) -> Pressed {
        Pressed::Back {
            pay_url: format!("http://pay/pay/{}", self.token),
        }
    }

    fn payments(&mut self) -> Vec<(i64, String, String)> {
        let totals = self.bench.machine.totals();
        let payments = totals[0].payments.iter().map(|payment| {
            let currency = payment.amount.currency().to_string();
            (payment.amount.minor(), currency, payment.payee.to_string())
        });
        payments.collect()
    }
}

fn to_merchant() -> Pressed {
    Pressed::Paid {
        return_url: RETURN_URL.to_owned(),
    }
}

#[test]
fn one_press_of_each_outcome_books_and_leads_where_it_should() {
    const EXACT: (i64, &str, &str) = (450, "CNY", "shop");
    const LESS: Booked = &[(449, "CNY", "shop")];
    let rows: [(Outcome, bool, Booked); 30] = [
        (Outcome::Paid, true, &[EXACT]),
        (Outcome::Declined, false, &[]),
        (Outcome::Never, false, &[]),
        (Outcome::Late, false, &[]),
        (Outcome::Twice, true, &[EXACT, EXACT]),
        (Outcome::Under, true, LESS),
        (Outcome::Over, true, &[(451, "CNY", "shop")]),
        (Outcome::WrongPayee, true, &[(450, "CNY", "somebody-else")]),
        (Outcome::WrongCurrency, true, &[(450, "EUR", "shop")]),
        (Outcome::NoAnswer, true, &[EXACT]),
        (Outcome::SlowAnswer, true, &[EXACT]),
        (Outcome::RefundFails, true, LESS),
        (Outcome::RefundPending, true, LESS),
        (Outcome::RefundPendingFails, true, LESS),
        (Outcome::RefundFailsLater, true, LESS),
        (Outcome::RefundUnknown, true, LESS),
        (Outcome::KeyForgotten, true, LESS),
        (Outcome::Disputed, true, &[EXACT]),
        (Outcome::ChargedBack, true, &[EXACT]),
        (Outcome::RefundedOutside, true, &[EXACT]),
        (Outcome::PartRefundedOutside, true, &[EXACT]),
        (Outcome::ForgedAnswer, false, &[]),
        (Outcome::DroppedAnswer, true, &[EXACT]),
        (Outcome::LostRequest, true, &[EXACT]),
        (Outcome::TruncatedAnswer, true, &[EXACT]),
        (Outcome::DoubledAnswer, true, &[EXACT]),
        (Outcome::ReorderedAnswer, true, &[EXACT]),
        (Outcome::StaleAnswer, true, &[EXACT]),
        (Outcome::Outage, true, &[EXACT]),
        (Outcome::AfterScan, true, &[EXACT]),
    ];
    let close_too_early = Outcome::ALL.len() - rows.len();
    assert_eq!(close_too_early, 1, "its press is that of 'never'");
    for (outcome, to_the_merchant, booked) in rows {
        let mut checkout = Checkout::open(outcome);
        let expected = if to_the_merchant {
            to_merchant()
        } else {
            checkout.back()
        };
        assert_eq!(checkout.pay(), expected, "{outcome}");
        let owned = |(minor, currency, payee): &(i64, &str, &str)| {
            (*minor, (*currency).to_owned(), (*payee).to_owned())
        };
        let booked: Vec<_> = booked.iter().map(owned).collect();
        assert_eq!(checkout.payments(), booked, "{outcome}");
    }
}

#[test]
fn pressing_twice_pays_once() {
    let mut checkout = Checkout::open(Outcome::Paid);
    let form = checkout.page(at(1)).form_token;
    assert_eq!(checkout.press(&form, Press::Pay, at(1)).0, to_merchant());
    let (again, outputs) = checkout.press(&form, Press::Pay, at(2));
    assert_eq!(again, to_merchant());
    let result = "paid";
    assert_eq!(
        outputs,
        [Output::Noted(Note::Pressed {
            press: "pay",
            result
        })]
    );
    let (changed_mind, _) = checkout.press(&form, Press::Decline, at(3));
    assert_eq!(changed_mind, to_merchant());
    assert_eq!(checkout.payments().len(), 1);
}

#[test]
fn a_declined_payer_may_try_again_on_the_same_order() {
    let mut checkout = Checkout::open(Outcome::Paid);
    let form = checkout.page(at(1)).form_token;
    assert_eq!(
        checkout.press(&form, Press::Decline, at(1)).0,
        checkout.back()
    );
    let page = checkout.page(at(2));
    assert_eq!(
        (page.phase, page.last_attempt),
        (Phase::Open, Some(Attempt::Declined))
    );
    assert_eq!(checkout.press(&form, Press::Pay, at(3)).0, checkout.back());
    assert_eq!(checkout.payments(), [], "an old page pays nothing");
    assert_eq!(
        checkout.press(&page.form_token, Press::Pay, at(4)).0,
        to_merchant()
    );
    assert_eq!(checkout.payments().len(), 1);
}

#[test]
fn a_form_of_another_page_is_refused() {
    let mut checkout = Checkout::open(Outcome::Paid);
    for form in ["", "0", &"0".repeat(64)] {
        let (pressed, outputs) = checkout.press(form, Press::Pay, at(1));
        assert_eq!(pressed, Pressed::WrongForm);
        let result = "wrong_form";
        assert_eq!(
            outputs,
            [Output::Noted(Note::Pressed {
                press: "pay",
                result
            })]
        );
    }
    checkout.token = CheckoutToken::from_random([99; 16]);
    let form = "0".repeat(64);
    assert_eq!(
        checkout.press(&form, Press::Pay, at(1)).0,
        Pressed::UnknownOrder
    );
}

#[test]
fn nothing_is_booked_after_the_order_has_ended() {
    let mut closed = Checkout::open(Outcome::Paid);
    let form = closed.page(at(1)).form_token;
    closed
        .bench
        .ask(Operation::Close { order: order(1) }, at(2));
    assert_eq!(closed.press(&form, Press::Pay, at(3)).0, closed.back());
    assert_eq!(closed.page(at(4)).phase, Phase::Closed);

    let mut expired = Checkout::open(Outcome::Paid);
    let form = expired.page(at(1)).form_token;
    assert_eq!(
        expired.press(&form, Press::Pay, at(120_000)).0,
        expired.back()
    );
    assert_eq!(expired.page(at(120_000)).phase, Phase::Expired);
    assert_eq!((closed.payments(), expired.payments()), (vec![], vec![]));
}

#[test]
fn late_money_comes_after_the_close_with_an_event() {
    let mut checkout = Checkout::open(Outcome::Late);
    assert_eq!(checkout.pay(), checkout.back());
    assert_eq!(checkout.page(at(2)).phase, Phase::Promised);
    checkout
        .bench
        .ask(Operation::Close { order: order(1) }, at(10));
    assert_eq!(checkout.bench.wait_until(at(509)), []);
    let outputs = checkout.bench.wait_until(at(510));
    assert!(
        told(&outputs).contains(&Told::Event(order(1))),
        "{outputs:?}"
    );
    let totals = checkout.bench.machine.totals();
    assert_eq!(totals[0].status, OrderStatus::Paid);
    assert_eq!(totals[0].received.values().sum::<i64>(), 450);
}

#[test]
fn presses_of_one_order_have_an_end() {
    let mut checkout = Checkout::open(Outcome::Declined);
    for _ in 0..ATTEMPTS_MAX {
        checkout.pay();
    }
    let form = checkout.page(at(1)).form_token;
    let (pressed, outputs) = checkout.press(&form, Press::Pay, at(1));
    assert_eq!(pressed, checkout.back());
    assert_eq!(notes(&outputs).len(), outputs.len(), "nothing is recorded");
}

#[test]
fn an_outcome_can_be_set_for_one_order() {
    let mut checkout = Checkout::open(Outcome::Paid);
    let (known, _) = checkout.bench.call(|machine, mut entropy| {
        machine.handle_outcome(order(1), Outcome::Under, at(1), &mut entropy)
    });
    let (unknown, outputs) = checkout.bench.call(|machine, mut entropy| {
        machine.handle_outcome(order(2), Outcome::Under, at(1), &mut entropy)
    });
    assert_eq!((known, unknown, outputs), (true, false, vec![]));
    checkout.pay();
    assert_eq!(checkout.payments()[0].0, 449);
}
