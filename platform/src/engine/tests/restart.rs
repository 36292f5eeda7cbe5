//! What a new process may do before it knows of everything that is open.

use super::*;

#[test]
fn no_order_is_made_beside_one_that_is_not_loaded_yet() {
    let mut desk = Desk::new();
    let create = desk.say(order(), None);
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    // Loaded first: sales come in the order of their ids.
    let mut second = order_request();
    second.transaction = TransactionId::from_random([0; 16]);
    second.session = SessionId::from_random([9; 16]);
    desk.say(signed_order(&terminal_key(), &second), None);
    let mut desk = desk.killed();
    let asked: Vec<_> = desk
        .finish()
        .iter()
        .filter(|parcel| matches!(parcel.topic, Topic::Gateway(..)))
        .map(|parcel| asked(parcel).operation.as_str())
        .collect();
    // The first one is asked about; the second one still waits for its end.
    assert_eq!(asked, ["query"]);
}
