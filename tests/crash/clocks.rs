//! Wall clocks that jump by a day in mid-payment. Nothing of money hangs on them (R16).

use std::time::Duration;

use process::clock::Clock;
use tests::faults::books::End;
use tests::faults::lane::Lane;
use tests::faults::wall_clock::WallClock;
use tests::stand::{Bus, Plan, Role};

const DAY_S: i64 = 24 * 60 * 60;

/// Into the payment, which takes about 150 ms.
const MOMENT: Duration = Duration::from_millis(70);

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_clock_that_is_stepped_by_a_day_changes_no_payment() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut lane) = Lane::prepare(|plan| Plan {
        bus: Bus::Alone,
        ..plan
    })
    .await
    .unwrap() else {
        return;
    };
    let mut walls = Vec::new();
    for role in Role::ALL {
        let own = folder.path().join(role.program());
        std::fs::create_dir(&own).unwrap();
        let Some(wall) = WallClock::new(&own).unwrap() else {
            return;
        };
        lane.set_launch(role, wall.launch());
        walls.push((role, wall));
    }
    lane.start().await.unwrap();
    let clock = Clock::system();
    for (role, wall) in &walls {
        for offset_s in [DAY_S, -DAY_S, 0] {
            let step = async {
                clock.until(Some(clock.now().tick + MOMENT)).await;
                wall.set(offset_s)
            };
            let case = lane.pay_while(None, step).await;
            let case = case.unwrap_or_else(|error| panic!("{role:?}: {error:#}\n{}", lane.logs()));
            assert_eq!(case.end, End::Served, "{role:?} stepped to {offset_s} s");
        }
    }
    assert_dates_differ(&mut lane, &walls).await;
    lane.close().await.unwrap();
}

/// The clock that was stepped is the one that the programs read: the terminal's log of a payment
/// a day ahead is dated so.
async fn assert_dates_differ(lane: &mut Lane, walls: &[(Role, WallClock)]) {
    let dates = |lane: &mut Lane| {
        let log = std::fs::read_to_string(lane.stand().log(Role::Terminal)).unwrap();
        let dates = log.lines().filter_map(|line| line.get(..10));
        dates
            .map(ToOwned::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    for (_, wall) in walls {
        wall.set(10 * DAY_S).unwrap();
    }
    let before = dates(lane);
    assert_eq!(lane.pay(None).await.unwrap().end, End::Served);
    let new: Vec<_> = dates(lane).difference(&before).cloned().collect();
    assert!(
        !new.is_empty(),
        "no program read the stepped clock: {before:?}"
    );
}
