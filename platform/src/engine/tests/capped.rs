//! R13 over a restart: what went out by itself still counts.

use super::*;

/// A sale that is paid with too little; what is asked of the payment server then.
fn underpaid(desk: &mut Desk, number: u8) -> Vec<&'static str> {
    let mut request = order_request();
    request.transaction = TransactionId::from_random([number; 16]);
    request.session = SessionId::from_random([number; 16]);
    request.nonce = Nonce::from_random([number; 16]);
    let said = desk.say(signed_order(&terminal_key(), &request), None);
    let create = about(&said, request.transaction);
    let view = |payments: &[PaymentView]| OrderView {
        order: request.transaction,
        ..view(payments)
    };
    desk.answer(&create, GatewayResult::Order(view(&[])));
    let noticed = PaymentMessage::Notice(PaymentNotice {
        transaction: request.transaction,
        session: request.session,
        noticed_at: Utc::EPOCH,
    });
    let said = desk.say(noticed, None);
    let query = about(&said, request.transaction);
    let paid = PaymentView {
        payment: PaymentId::from_random([number + 100; 16]),
        amount: money(449),
        ..exact()
    };
    let said = desk.answer(&query, GatewayResult::Order(view(&[paid])));
    let requests = said
        .iter()
        .filter(|parcel| matches!(parcel.topic, Topic::Gateway(..)));
    requests
        .map(|parcel| asked(parcel).operation.as_str())
        .collect()
}

/// The question about this order: others may be due beside it.
fn about(said: &[Parcel], order: TransactionId) -> Parcel {
    let mut requests = said
        .iter()
        .filter(|parcel| matches!(parcel.topic, Topic::Gateway(..)));
    let found = requests.find(|parcel| asked(parcel).operation.order() == Some(order));
    found.unwrap().clone()
}

#[test]
fn what_was_returned_before_a_restart_counts_after_it() {
    let limits = CapLimits {
        breaker_count: 2,
        ..CapLimits::default()
    };
    let mut desk = Desk::open(tempfile::tempdir().unwrap(), limits);
    assert_eq!(underpaid(&mut desk, 11), ["refund"]);
    let mut desk = desk.killed();
    assert_eq!(underpaid(&mut desk, 12), ["refund"]);
    let mut desk = desk.killed();
    assert_eq!(underpaid(&mut desk, 13), [""; 0]);
    let third = desk.store.sale(TransactionId::from_random([13; 16]));
    assert_eq!(third.unwrap().unwrap().state, "review");
}

#[test]
fn what_has_passed_leaves_the_store() {
    let limits = CapLimits {
        breaker_count: 1,
        ..CapLimits::default()
    };
    let mut desk = Desk::open(tempfile::tempdir().unwrap(), limits);
    assert_eq!(underpaid(&mut desk, 11), ["refund"]);
    let first = desk.store.capped().unwrap();
    desk.now.tick = desk.now.tick + Duration::from_millis(3_600_000);
    assert_eq!(underpaid(&mut desk, 12), ["refund"]);
    let second = desk.store.capped().unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
}
