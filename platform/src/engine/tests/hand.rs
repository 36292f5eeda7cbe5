//! What a person does, in the engine's round.

use protocol::id::ActId;
use protocol::message::OrderRefusal;
use serde_json::json;

use super::*;
use crate::act::{Act, ActRefusal, Deed, Done};
use crate::sale::OperatorRefusal;
use crate::store::reader::Reader as _;
use crate::store::sqlite::SqliteReader;

impl Desk {
    /// One act, committed.
    pub(super) fn act(&mut self, number: u8, deed: Deed) -> Result<Done, ActRefusal> {
        let act = act(number, deed);
        let known = self.store.act(act.id).unwrap();
        let known = known.map(|row| (row.id, row)).into_iter().collect();
        if let Some(transaction) = self.core.wanted_by(&act) {
            self.load(transaction);
        }
        let result = self.core.apply_act(act, &known, self.now);
        self.finish();
        result
    }
}

fn act(number: u8, deed: Deed) -> Act {
    Act {
        id: ActId::from_random([number; 16]),
        name: "Ada".to_owned().try_into().unwrap(),
        reason: "bent arm".to_owned().try_into().unwrap(),
        deed,
    }
}

fn hold(scope: &str) -> Deed {
    Deed::Hold {
        scope: scope.parse().unwrap(),
    }
}

fn release(scope: &str) -> Deed {
    Deed::Release {
        scope: scope.parse().unwrap(),
    }
}

/// The reason of the only answer.
pub(super) fn refusal(said: &[Parcel]) -> OrderRefusal {
    let [parcel] = said else {
        panic!("not one answer: {said:?}")
    };
    let reply: Envelope<PaymentReply> = decode(&parcel.payload).unwrap();
    let PaymentReply::Refused(refused) = reply.body else {
        panic!("{reply:?}")
    };
    refused.reason
}

#[test]
fn a_hold_refuses_new_orders_and_lets_open_ones_drain() {
    for scope in ["*", "north", "north/gate-1", "gateway/mock"] {
        let mut desk = Desk::new();
        let create = desk.say(order(), None);
        desk.answer(&create[0], GatewayResult::Order(view(&[])));
        assert!(!desk.act(1, hold(scope)).unwrap().again, "{scope}");
        let mut second = order_request();
        second.transaction = TransactionId::from_random([8; 16]);
        second.session = SessionId::from_random([9; 16]);
        let said = desk.say(signed_order(&terminal_key(), &second), None);
        assert_eq!(refusal(&said), OrderRefusal::Held, "{scope}");
        assert_eq!(desk.store.sale(second.transaction).unwrap(), None);
        // The order of before goes its way.
        let query = desk.say(notice(session()), None);
        let permit = desk.answer(&query[0], GatewayResult::Order(view(&[exact()])));
        assert_eq!(topics(&permit), [down(Down::Linkage)], "{scope}");
    }
}

#[test]
fn a_hold_outlives_the_process_and_ends_with_its_release() {
    let mut desk = Desk::new();
    desk.act(1, hold("north")).unwrap();
    let mut desk = desk.killed();
    assert_eq!(refusal(&desk.say(order(), None)), OrderRefusal::Held);
    desk.act(2, release("north")).unwrap();
    let said = desk.say(order(), None);
    assert_eq!(topics(&said), [gateway_topic(GatewayKind::Request)]);
    let mut desk = desk.killed();
    let refused = desk.act(3, release("north"));
    assert_eq!(refused, Err(ActRefusal::NotHeld("north".parse().unwrap())));
}

#[test]
fn the_same_id_twice_is_one_act() {
    let mut desk = Desk::new();
    let first = desk.act(1, hold("north")).unwrap();
    let again = desk.act(1, hold("north")).unwrap();
    assert_eq!((first.again, again.again), (false, true));
    assert_eq!(first.act, again.act);
    let mut desk = desk.killed();
    assert!(desk.act(1, hold("north")).unwrap().again);
    let other = desk.act(1, release("north"));
    assert_eq!(other, Err(ActRefusal::IdTaken(first.act.id)));
    let reader = SqliteReader::open(desk.folder.path()).unwrap();
    assert_eq!(reader.acts(None, 9).unwrap().acts, [first.act]);
}

#[test]
fn a_refused_act_leaves_no_trace_and_its_id_may_be_used_again() {
    let mut desk = Desk::new();
    for scope in ["south", "north/gate-9", "gateway/other"] {
        let refused = desk.act(1, hold(scope));
        let expected = ActRefusal::UnknownScope(scope.parse().unwrap());
        assert_eq!(refused, Err(expected));
    }
    desk.act(1, hold("north")).unwrap();
    let twice = desk.act(2, hold("north"));
    assert_eq!(
        twice,
        Err(ActRefusal::AlreadyHeld("north".parse().unwrap()))
    );
    let reader = SqliteReader::open(desk.folder.path()).unwrap();
    assert_eq!(reader.acts(None, 9).unwrap().acts.len(), 1);
    assert!(reader.audit(Utc::EPOCH).unwrap().chain_intact);
}

#[test]
fn a_refund_by_hand_goes_to_the_payment_server_and_is_kept_with_its_author() {
    let mut desk = Desk::new();
    let refund = || Deed::Refund {
        transaction: transaction(),
    };
    let unknown = desk.act(1, refund());
    assert_eq!(unknown, Err(ActRefusal::UnknownTransaction(transaction())));
    desk.permitted();
    let early = desk.act(1, refund());
    assert_eq!(early, Err(ActRefusal::Sale(OperatorRefusal::PermitOut)));
    assert_eq!(desk.state(), "commanded");
}

#[test]
fn an_open_by_hand_is_one_permit_for_whoever_stands_there() {
    let mut desk = Desk::new();
    let open = || Deed::OpenAt { terminal: gate() };
    let nobody = desk.act(1, open());
    assert_eq!(nobody, Err(ActRefusal::NobodyThere(gate())));
    let create = desk.say(order(), None);
    let early = desk.act(1, open());
    assert_eq!(early, Err(ActRefusal::NoBillYet(transaction())));
    desk.answer(&create[0], GatewayResult::Order(view(&[])));
    let done = desk.act(1, open()).unwrap();
    assert_eq!(done.act.outcome["transaction"], json!(transaction()));
    assert_eq!(desk.state(), "commanded");
    let outbox = desk.store.outbox(Some(transaction())).unwrap();
    let permits = outbox.iter().filter(|row| row.topic == down(Down::Linkage));
    let said: Vec<LinkageCommand> = permits
        .map(|row| decode::<LinkageCommand>(&row.payload).unwrap().body)
        .collect();
    let [LinkageCommand::Permit(jws)] = &said[..] else {
        panic!("{said:?}")
    };
    let keyring = Keyring::of(SigningKey::from_seed([3; 32]).public());
    let audience = Audience::terminal(gate());
    let permit = protocol::signed::verify(jws, &keyring, &audience).unwrap();
    let ground = protocol::message::Ground::Operator {
        name: "Ada".to_owned(),
        reason: "bent arm".to_owned(),
    };
    assert_eq!(permit.ground, ground);
    // The same act again, and another one: no second ON.
    assert!(desk.act(1, open()).unwrap().again);
    let twice = desk.act(
        2,
        Deed::Open {
            transaction: transaction(),
        },
    );
    assert_eq!(
        twice,
        Err(ActRefusal::Sale(OperatorRefusal::PermittedBefore))
    );
}

#[test]
fn a_message_under_a_revoked_key_is_refused_by_name() {
    let mut desk = Desk::new();
    let revoke = |key: &SigningKey| Deed::RevokeKey {
        key: key.public().id(),
    };
    let stranger = SigningKey::from_seed([9; 32]);
    let unknown = desk.act(1, revoke(&stranger));
    assert_eq!(unknown, Err(ActRefusal::UnknownKey(stranger.public().id())));
    let own = SigningKey::from_seed([3; 32]);
    assert_eq!(
        desk.act(1, revoke(&own)),
        Err(ActRefusal::OwnKey(own.public().id()))
    );
    let done = desk.act(1, revoke(&terminal_key())).unwrap();
    assert_eq!(done.act.outcome, json!({"whose": "north/gate-1"}));
    let done = desk.act(2, revoke(&gateway_key())).unwrap();
    assert_eq!(done.act.outcome, json!({"whose": "gateway/mock"}));
    for _start in 0..2 {
        let (topic, payload) = up(order(), None);
        let refused = desk.core.believe(&topic, &payload, false).refused;
        assert_eq!(refused, Some(("order_request", "revoked_key")));
        desk = desk.killed();
    }
}
