use super::*;
use crate::desk::DeskError;
use crate::machine::view::{LandingState, NotConfirmedReason};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Time passes and the devices stay well.
fn wait(world: &mut World, total: u64) -> Vec<String> {
    let mut words = Vec::new();
    for _ in 0..total {
        words.extend(world.pass(seconds(1)));
        words.extend(world.probe(DeviceState::Off));
    }
    words.retain(|word| word != "probe" && word != "send health");
    words
}

#[test]
fn a_second_phone_is_told_busy_until_the_first_has_ended() {
    let mut world = World::ready();
    let token = world.accept();
    let landing = world.terminal.landing(world.now);
    assert_eq!(landing.state, LandingState::Busy);
    assert_eq!(world.try_accept(), Err(DeskError::Busy));
    world.cancel(token).unwrap();
    assert_eq!(world.view(token), View::Cancelled);
    assert_eq!(world.terminal.landing(world.now).state, LandingState::Free);
    assert!(world.try_accept().is_ok());
}

#[test]
fn a_silent_phone_loses_its_lease_and_its_order() {
    let mut world = World::ready();
    let sale = world.quoted("wash");
    wait(&mut world, 44);
    let result = world.terminal.handle_keep(sale.token, world.now);
    assert_eq!(result, Ok(()), "a heartbeat");
    assert_eq!(wait(&mut world, 44), Vec::<String>::new());
    assert_eq!(
        wait(&mut world, 1),
        [
            "write ended",
            "note SessionClosed state: \"expired\"",
            "send ended"
        ]
    );
    let Some(Body::Payment(PaymentMessage::Ended(ended))) = last_payment(&world) else {
        panic!("not ended");
    };
    assert_eq!(ended.reason, EndReason::Idle);
    assert_eq!(world.view(sale.token), View::Expired);
}

fn last_payment(world: &World) -> Option<Body> {
    let is_payment = |body: &&Body| matches!(body, Body::Payment(_));
    world.sent.iter().rev().find(is_payment).cloned()
}

#[test]
fn no_heartbeat_extends_the_hard_cap() {
    let mut world = World::ready();
    let token = world.accept();
    for _ in 0..299 {
        wait(&mut world, 1);
        assert!(matches!(world.view(token), View::Choose { .. }));
    }
    wait(&mut world, 1);
    assert_eq!(world.view(token), View::Expired);
}

#[test]
fn a_quote_that_does_not_come_ends_the_order() {
    let mut world = World::ready();
    let token = world.accept();
    world.choose(token, "wash").unwrap();
    assert_eq!(
        wait(&mut world, 15),
        [
            "send order_request",
            "send order_request",
            "send order_request",
            "write taken ended",
            "note SessionClosed state: \"unavailable\"",
            "send ended",
        ]
    );
    assert!(matches!(world.view(token), View::Unavailable { .. }));
}

#[test]
fn a_bill_expires_and_a_late_permit_is_refused() {
    let mut world = World::ready();
    let sale = world.quoted("wash");
    for _ in 0..120 {
        wait(&mut world, 1);
        let kept = world.terminal.handle_keep(sale.token, world.now);
        assert_eq!(kept, Ok(()));
    }
    assert_eq!(world.view(sale.token), View::Expired);
    assert_eq!(world.go_paying(sale.token), ["answer Conflict"]);
    world.permit(&permit(&sale.request));
    assert_eq!(world.switched, []);
}

#[test]
fn from_paying_on_the_order_holds_the_lease_and_not_the_phone() {
    let mut world = World::ready();
    let sale = world.paying();
    assert_eq!(wait(&mut world, 179), Vec::<String>::new());
    assert_eq!(world.try_accept(), Err(DeskError::Busy));
    assert_eq!(world.cancel(sale.token), Err(DeskError::Conflict));
    assert_eq!(
        wait(&mut world, 1),
        [
            "write ended",
            "note SessionClosed state: \"not_confirmed\"",
            "send ended"
        ]
    );
    assert_eq!(
        world.view(sale.token),
        View::NotConfirmed {
            reason: NotConfirmedReason::NoAnswer,
            refund: None
        }
    );
    assert!(world.try_accept().is_ok());
}

#[test]
fn a_payer_who_comes_back_gives_notice_and_not_too_often() {
    let mut world = World::ready();
    let sale = world.paying();
    world.pass(seconds(2));
    assert!(
        matches!(world.view(sale.token), View::Paying { .. }),
        "still leaving"
    );
    world.pass(seconds(1));
    assert!(matches!(world.view(sale.token), View::Verifying { .. }));
    for _ in 0..100 {
        world.view(sale.token);
    }
    let notices = |world: &World| {
        let is_notice = |body: &&Body| matches!(body, Body::Payment(PaymentMessage::Notice(_)));
        world.sent.iter().filter(is_notice).count()
    };
    assert_eq!(notices(&world), 1);
    world.stall(seconds(3));
    world.view(sale.token);
    assert_eq!(notices(&world), 2);
}

#[test]
fn a_notice_for_an_unknown_order_is_nobodys() {
    let mut world = World::ready();
    let nobody = "0".repeat(32);
    let result = world.try_returned(&format!("http://10.0.0.1/return/{nobody}/{nobody}"));
    assert_eq!(result, Err(DeskError::NotFound));
    let token = SessionToken::from_random([0; 16]);
    let result = world
        .terminal
        .handle_view(token, world.now, &mut world.entropy);
    assert_eq!(result, Err(DeskError::NotFound));
    assert_eq!(world.drain(), Vec::<String>::new());
}

#[test]
fn whoever_knows_the_transaction_alone_does_not_get_to_the_session() {
    let mut world = World::ready();
    let sale = world.paying();
    let url = &sale.request.return_url;
    let flipped = if url.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{flipped}", &url[..url.len() - 1]);
    assert_eq!(world.try_returned(&forged), Err(DeskError::NotFound));
    assert!(matches!(world.view(sale.token), View::Paying { .. }));
    let mut world = world.reboot(|_| false);
    assert_eq!(world.try_returned(&forged), Err(DeskError::NotFound));
    assert!(world.try_returned(url).is_ok(), "also after a start");
    assert!(matches!(world.view(sale.token), View::Verifying { .. }));
}

#[test]
fn nothing_is_sold_without_prices_uplink_or_device() {
    let mut world = World::new();
    world.drain();
    let unavailable = |world: &mut World| {
        let landing = world.terminal.landing(world.now);
        assert!(matches!(landing.state, LandingState::Unavailable { .. }));
        assert!(matches!(
            world.try_accept(),
            Err(DeskError::Unavailable { .. })
        ));
    };
    unavailable(&mut world);
    world.connect();
    unavailable(&mut world);
    world.deliver(Down::Config, signed(&site_config(1)));
    unavailable(&mut world);
    world.probe(DeviceState::Unreachable);
    unavailable(&mut world);
    world.probe(DeviceState::Off);
    let token = world.accept();
    world.terminal.handle_disconnected();
    let refused = world.choose(token, "wash");
    assert!(matches!(refused, Err(DeskError::Unavailable { .. })));
    world.connect();
    world.stall(seconds(16));
    let refused = world.choose(token, "wash");
    assert!(
        matches!(refused, Err(DeskError::Unavailable { .. })),
        "the last look is old"
    );
    world.probe(DeviceState::On);
    assert!(world.choose(token, "wash").is_ok());
}

#[test]
fn money_is_not_asked_for_when_the_device_has_gone_meanwhile() {
    let mut world = World::ready();
    let sale = world.quoted("wash");
    world.probe(DeviceState::Unreachable);
    let words = world.go_paying(sale.token);
    assert!(words[0].starts_with("answer Unavailable"), "{words:?}");
    assert!(matches!(world.view(sale.token), View::Bill { .. }));
}

#[test]
fn ended_sessions_are_forgotten_oldest_first() {
    let mut world = World::ready();
    let first = world.accept();
    world.cancel(first).unwrap();
    for _ in 0..crate::machine::limits::SESSIONS_MAX - 1 {
        world.stall(seconds(1));
        let token = world.accept();
        world.cancel(token).unwrap();
    }
    assert_eq!(world.view(first), View::Cancelled);
    world.accept();
    let gone = world
        .terminal
        .handle_view(first, world.now, &mut world.entropy);
    assert_eq!(gone, Err(DeskError::NotFound));
}
