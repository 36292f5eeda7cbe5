//! What terminal and payment server say in these tests.

use super::*;

pub(super) fn order_request(minor: i64) -> OrderRequest {
    OrderRequest {
        aud: ours(),
        terminal: terminal(),
        transaction: transaction(),
        session: session(),
        boot: BootId::from_random([5; 16]),
        journal: journal(),
        nonce: nonce(),
        nonce_lifetime_ms: NONCE_LIFETIME_MS,
        charge: Charge::Items(vec![ItemLine {
            item: "stay".parse().unwrap(),
            quantity: 1,
        }]),
        amount: money(minor),
        tariff_version: tariff().version(),
        payer: None,
        return_url: "http://gate-1/return".to_owned(),
        requested_at: Utc::EPOCH,
        clock_error_ms: 0,
        status_token_sha256: Some(Digest::of(b"token")),
    }
}

pub(super) fn site_facts() -> SiteFacts {
    SiteFacts {
        merchant: "North".to_owned(),
        payee: Payee {
            id: "shop".parse().unwrap(),
            name: "Shop".to_owned(),
        },
        place: Place {
            id: "north-gate".parse().unwrap(),
            name: "North gate".to_owned(),
        },
        devices: vec!["gate".parse().unwrap()],
        gateway: "mock".parse().unwrap(),
        order_lifetime_ms: LIFETIME_MS,
        store_epoch: epoch(),
        traceparent: None,
        time_zone: "Asia/Shanghai".to_owned(),
        status_url: Some("https://pay.example/r/".to_owned()),
    }
}

pub(super) fn view(status: OrderStatus, payments: &[PaymentView]) -> OrderView {
    OrderView {
        order: transaction(),
        status,
        amount: money(450),
        payee: "shop".parse().unwrap(),
        pay_url: "http://pay/1".to_owned(),
        payments: payments.to_vec(),
        refunds: Vec::new(),
        declines: 0,
    }
}

pub(super) fn open() -> GatewayResult {
    GatewayResult::Order(view(OrderStatus::Open, &[]))
}

pub(super) fn closed() -> GatewayResult {
    GatewayResult::Order(view(OrderStatus::Closed, &[]))
}

pub(super) fn paid(payments: &[PaymentView]) -> GatewayResult {
    GatewayResult::Order(view(OrderStatus::Paid, payments))
}

pub(super) fn declined(times: u32) -> GatewayResult {
    GatewayResult::Order(OrderView {
        declines: times,
        ..view(OrderStatus::Open, &[])
    })
}

pub(super) fn refused(refusal: GatewayRefusal) -> GatewayResult {
    GatewayResult::Refused(refusal)
}

pub(super) fn exact(number: u8) -> PaymentView {
    payment(number, money(450))
}

pub(super) fn payment(number: u8, amount: Money) -> PaymentView {
    PaymentView {
        payment: PaymentId::from_random([number; 16]),
        amount,
        payee: "shop".parse().unwrap(),
        refunded: Money::zero(amount.currency()),
        disputed: false,
        paid_at: Utc::from_millis(i64::from(number)).unwrap(),
    }
}

pub(super) fn linkage_result(outcome: LinkageOutcome, feedback: Feedback) -> LinkageResult {
    LinkageResult {
        aud: ours(),
        terminal: terminal(),
        transaction: transaction(),
        session: session(),
        nonce: nonce(),
        journal: journal(),
        outcome,
        devices: vec![DeviceResult {
            device: "gate".parse().unwrap(),
            outcome: DeviceOutcome::Done,
            feedback,
        }],
        decided_at: Utc::EPOCH,
        clock_error_ms: 0,
        previous: None,
    }
}
