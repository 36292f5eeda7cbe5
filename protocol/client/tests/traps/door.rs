//! The client against our own broker.

use std::net::SocketAddr;

use broker::{Config, Identity, User};
use protocol::topic::{Filter, Topic};
use protocol_client::Options;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Owner;
use crate::fake::within;

const UP: &str = "paylatch/v1/north/gate-1/up/payment";
const DOWN: &str = "paylatch/v1/north/gate-1/down/payment";

struct Door {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Door {
    async fn open(address: Option<SocketAddr>) -> Self {
        let gate = Identity::Terminal("north/gate-1".parse().unwrap());
        let platform = Identity::Platform("main".parse().unwrap());
        let mut config = Config::loopback(vec![
            User::new("gate-1", "secret", gate),
            User::new("platform", "secret", platform),
        ]);
        if let Some(address) = address {
            config.listen[0].address = address;
        }
        let broker = broker::build(config).await.unwrap();
        let (address, stop) = (broker.addresses()[0], CancellationToken::new());
        let task = tokio::spawn(broker.run(stop.clone()));
        Self {
            address,
            stop,
            task,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        within(self.task).await.unwrap();
    }

    fn terminal(&self) -> Options {
        let name = "north/gate-1".parse().unwrap();
        let presence: Topic = "paylatch/v1/north/gate-1/up/presence".parse().unwrap();
        Options::new("test", self.address.into(), "gate-1", "gate-1", "secret")
            .subscribe(Filter::down(&name))
            .with_will(presence, b"{}".to_vec())
    }

    fn platform(&self) -> Options {
        Options::new(
            "test",
            self.address.into(),
            "platform",
            "platform",
            "secret",
        )
        .subscribe(Filter::all_up())
    }
}

impl Owner {
    /// The next delivery of a topic; presence and the like are acknowledged in passing.
    async fn delivered(&mut self, topic: &str) -> Vec<u8> {
        loop {
            let delivery = self.delivery().await;
            let (found, payload) = (delivery.topic.to_string(), delivery.payload.to_vec());
            delivery.ack();
            if found == topic {
                return payload;
            }
        }
    }
}

async fn exchange(gate: &mut Owner, platform: &mut Owner, text: &str) {
    let (up, down): (Topic, Topic) = (UP.parse().unwrap(), DOWN.parse().unwrap());
    gate.client.publish(up, text.into()).await.unwrap();
    assert_eq!(platform.delivered(UP).await, text.as_bytes());
    platform.client.publish(down, text.into()).await.unwrap();
    assert_eq!(gate.delivered(DOWN).await, text.as_bytes());
}

#[tokio::test]
async fn a_round_trip_between_terminal_and_platform() {
    let door = Door::open(None).await;
    let mut platform = Owner::start(door.platform());
    platform.connected().await;
    let mut gate = Owner::start(door.terminal());
    gate.connected().await;
    for round in 0..200 {
        exchange(&mut gate, &mut platform, &format!("round {round}")).await;
    }
    door.close().await;
}

#[tokio::test]
async fn a_restarted_broker_is_found_again() {
    let door = Door::open(None).await;
    let address = door.address;
    let mut platform = Owner::start(door.platform());
    platform.connected().await;
    let mut gate = Owner::start(door.terminal());
    gate.connected().await;
    exchange(&mut gate, &mut platform, "before").await;
    door.close().await;
    gate.disconnected().await;
    while platform.client.is_connected() {
        tokio::task::yield_now().await;
    }
    let door = Door::open(Some(address)).await;
    gate.connected().await;
    platform.reconnected().await;
    exchange(&mut gate, &mut platform, "after").await;
    door.close().await;
}
