//! A disk that is full when a file is made, and one that fills in mid-payment.

use std::time::Duration;

use process::clock::Clock;
use tests::faults::books::End;
use tests::faults::disk::SmallDisk;
use tests::faults::lane::Lane;
use tests::stand::{Bus, Plan, Role};

/// Room for keys and passwords, and for no journal of 4 MiB.
const TOO_SMALL_KIB: u32 = 1_024;

/// Room for everything of a test.
const ROOMY_KIB: u32 = 32 * 1_024;

/// How long a disk is full: every program wants to write within it.
const FULL_FOR: Duration = Duration::from_secs(3);

/// A shop in which one program keeps its data on a small disk.
async fn shop(role: Role, kib: u32) -> Option<(Lane, SmallDisk)> {
    let mut disk = None;
    let lane = Lane::prepare(|plan| {
        disk = SmallDisk::mount(&plan.data(role), kib).unwrap();
        Plan {
            bus: Bus::Alone,
            ..plan
        }
    });
    let lane = lane.await.unwrap()?;
    Some((lane, disk?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_without_room_for_its_journal_sells_nothing_until_there_is() {
    let Some((mut lane, disk)) = shop(Role::Terminal, TOO_SMALL_KIB).await else {
        return;
    };
    let error = lane.start().await.unwrap_err().to_string();
    assert!(error.contains("journal"), "{error}");
    disk.resize(ROOMY_KIB).unwrap();
    lane.start().await.unwrap();
    assert_eq!(lane.pay(None).await.unwrap().end, End::Served);
    let folder = lane.stop().await.unwrap();
    drop(disk);
    folder.close().unwrap();
}

/// At several moments of a payment, which takes about 150 ms. A terminal has taken its room before
/// (R14) and goes on; stores that want more of the disk wait, or end and are started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_in_mid_payment_costs_nobody_money() {
    for role in [Role::Platform, Role::Mock, Role::Terminal] {
        let Some((mut lane, disk)) = shop(role, ROOMY_KIB).await else {
            return;
        };
        lane.start().await.unwrap();
        let clock = Clock::system();
        for millis in [0, 60, 120] {
            let hurt = async {
                let start = clock.now().tick;
                clock
                    .until(Some(start + Duration::from_millis(millis)))
                    .await;
                disk.fill(0)?;
                clock.until(Some(start + FULL_FOR)).await;
                disk.empty()
            };
            let case = lane.pay_while(Some(role), hurt).await;
            let case = case.unwrap_or_else(|error| panic!("{role:?}: {error:#}\n{}", lane.logs()));
            println!("{role:?} full after {millis} ms: {case:?}");
        }
        assert_eq!(lane.pay(None).await.unwrap().end, End::Served, "{role:?}");
        let folder = lane.stop().await.unwrap();
        drop(disk);
        folder.close().unwrap();
    }
}
