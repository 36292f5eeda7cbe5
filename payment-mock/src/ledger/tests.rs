mod machine;
mod outside;
mod property;
mod refund;

use std::time::Duration;

use protocol::id::{PaymentId, PlatformId, RefundId, TransactionId};
use protocol::message::{CreateOrder, RefundOrder};
use protocol::money::Money;
use protocol::time::{Now, Tick, Utc};

use super::{
    Booking, Capabilities, CheckoutToken, FormSeed, Ledger, Opening, Output, RefundCourse, Rules,
};
use crate::scenario::Outcome;

const LIFETIME_MS: u64 = 120_000;
const LATE_MS: u64 = 500;
const WINDOW_MS: u64 = 1_000_000;

fn at(millis: u64) -> Now {
    Now {
        utc: Utc::EPOCH.saturating_add(Duration::from_millis(millis)),
        tick: Tick::from_millis(millis),
    }
}

fn ledger() -> Ledger {
    ledger_closing_from(0)
}

fn ledger_closing_from(close_minimum_age_ms: u64) -> Ledger {
    Ledger::new(Rules {
        payees: ["shop", "other"].map(|name| name.parse().unwrap()).into(),
        capabilities: Capabilities {
            close_minimum_age: Duration::from_millis(close_minimum_age_ms),
            refund_window: Some(Duration::from_millis(WINDOW_MS)),
            ..Capabilities::default()
        },
        late_booking: Duration::from_millis(LATE_MS),
    })
}

fn platform() -> PlatformId {
    "north".parse().unwrap()
}

fn order(byte: u8) -> TransactionId {
    TransactionId::from_random([byte; 16])
}

fn money(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn create(byte: u8) -> CreateOrder {
    CreateOrder {
        order: order(byte),
        amount: money(450),
        payee: "shop".parse().unwrap(),
        payee_name: "Shop".to_owned(),
        place_name: "Gate 1".to_owned(),
        description: "Short stay".to_owned(),
        return_url: "http://127.0.0.1:8080/s".to_owned(),
        lifetime_ms: LIFETIME_MS,
    }
}

fn opening(byte: u8) -> Opening {
    Opening {
        checkout: CheckoutToken::from_random([byte; 16]),
        form_seed: FormSeed::from_random([byte; 16]),
        outcome: Outcome::Paid,
        hidden: false,
    }
}

fn booking(byte: u8) -> Booking {
    Booking {
        payment: PaymentId::from_random([byte; 16]),
        amount: money(450),
        payee: "shop".parse().unwrap(),
    }
}

fn refund(byte: u8, of: u8, minor: i64) -> RefundOrder {
    RefundOrder {
        refund: RefundId::from_random([byte; 16]),
        order: order(of),
        payment: PaymentId::from_random([of; 16]),
        amount: money(minor),
        reason: "late".to_owned(),
    }
}

fn outputs(ledger: &mut Ledger) -> Vec<Output> {
    std::iter::from_fn(|| ledger.poll_output()).collect()
}

/// An order that exists since 0, with nothing left to tell.
fn created(ledger: &mut Ledger, byte: u8) {
    ledger
        .handle_create(&platform(), create(byte), opening(byte), false, at(0))
        .unwrap();
    outputs(ledger);
}

/// An order of which one payment was booked at 0.
fn paid(ledger: &mut Ledger, byte: u8) {
    created(ledger, byte);
    ledger.handle_payment(order(byte), booking(byte), at(0));
    outputs(ledger);
}
