//! Connections that are cut, stall, or lose their other end unnoticed, between the broker and each
//! of its clients.

use std::time::Duration;

use process::clock::Clock;
use tests::faults::books::End;
use tests::faults::lane::Lane;
use tests::faults::proxy::{Proxy, Wire};
use tests::stand::{Bus, Plan, Role};
use tokio::task::JoinSet;

/// Into the payment, which takes about 150 ms: one moment for each kind of break.
const BREAKS: [(Wire, u64); 8] = [
    (Wire::Cut, 30),
    (Wire::Cut, 90),
    (Wire::Stalled, 60),
    (Wire::StalledUp, 40),
    (Wire::StalledUp, 100),
    (Wire::StalledDown, 40),
    (Wire::StalledDown, 100),
    (Wire::HalfOpen, 70),
];

/// How long a wire is broken. A half-open connection stays so until its client notices.
const BROKEN_FOR: Duration = Duration::from_secs(3);

async fn break_wires_of(role: Role) {
    let proxy = Proxy::start().await.unwrap();
    let change = |plan: Plan| Plan {
        bus: Bus::Alone,
        routes: [(role, proxy.address())].into(),
        ..plan
    };
    let Some(mut lane) = Lane::prepare(change).await.unwrap() else {
        return;
    };
    proxy.lead_to(lane.stand().main_address(Role::Broker));
    lane.start().await.unwrap();
    let clock = Clock::system();
    for (wire, millis) in BREAKS {
        let hurt = async {
            let start = clock.now().tick;
            clock
                .until(Some(start + Duration::from_millis(millis)))
                .await;
            proxy.set(wire);
            clock.until(Some(start + BROKEN_FOR)).await;
            proxy.set(Wire::Whole);
            Ok(())
        };
        let case = lane.pay_while(None, hurt).await;
        let case = case.unwrap_or_else(|error| {
            panic!(
                "{role:?} {wire:?} after {millis} ms: {error:#}\n{}",
                lane.logs()
            )
        });
        println!("{role:?} {wire:?} after {millis} ms: {case:?}");
    }
    assert_eq!(lane.pay(None).await.unwrap().end, End::Served, "{role:?}");
    lane.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_wire_to_the_broker_costs_nobody_money() {
    let mut shops = JoinSet::new();
    for role in [Role::Platform, Role::Mock, Role::Terminal] {
        shops.spawn(break_wires_of(role));
    }
    shops.join_all().await;
}
