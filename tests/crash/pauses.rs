//! Programs that stand still for longer than any nonce lives, and go on as if nothing had been.

use std::time::Duration;

use tests::faults::books::End;
use tests::faults::lane::{Case, Lane, PAUSE};
use tests::faults::point::{Effect, Nth, Point, When};
use tests::stand::{Bus, Role};
use tokio::task::JoinSet;

/// Into the payment, which takes about 150 ms: between the bill and the result.
const MOMENT: Duration = Duration::from_millis(90);

/// Stops in shops side by side: the pause is all that a case consists of.
async fn stop_all(points: Vec<Point>) -> Option<Vec<(Point, Case)>> {
    let mut shops = JoinSet::new();
    for point in points {
        shops.spawn(async move {
            let mut lane = Lane::open(Bus::Alone).await.unwrap()?;
            lane.pay(None).await.unwrap();
            let case = lane.pay(Some(point)).await;
            let case = case.unwrap_or_else(|error| panic!("{point}: {error:#}\n{}", lane.logs()));
            // Whoever stood still serves the next payer.
            assert_eq!(lane.pay(None).await.unwrap().end, End::Served, "{point}");
            lane.close().await.unwrap();
            Some((point, case))
        });
    }
    let cases = shops.join_all().await;
    cases.into_iter().collect()
}

fn stop(role: Role, when: When) -> Point {
    Point {
        role,
        effect: Effect::Stop,
        when,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_program_can_stand_still_for_30_seconds_in_a_payment() {
    let points = Role::ALL.map(|role| stop(role, When::After(MOMENT)));
    let Some(cases) = stop_all(points.to_vec()).await else {
        return;
    };
    for (point, case) in cases {
        println!("{point}: {case:?}");
        assert!(case.was_hit, "{point}");
    }
}

/// The gap that no check can close: the permit was good when the terminal looked, and the device
/// moves a pause later. It is the residual of R6: one ON, and the money is kept for it, or given
/// back and booked as a loss; never a second ON.
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_stands_still_before_the_device_moves_moves_it_once_at_most() {
    let Some(mut lane) = Lane::open(Bus::Alone).await.unwrap() else {
        return;
    };
    lane.pay(None).await.unwrap();
    let write = lane.device_write().await.unwrap();
    lane.close().await.unwrap();
    let at = |count| {
        let nth = Nth { count, ..write };
        stop(Role::Terminal, When::Call(nth))
    };
    // The number of the write varies by a few from payment to payment.
    let points = (write.count - 2..=write.count + 2).map(at).collect();
    for (point, case) in stop_all(points).await.unwrap() {
        println!("{point}: {case:?}");
        assert!(!case.was_hit || case.duration >= PAUSE, "{point}: {case:?}");
    }
}
