//! From the router to the terminals: one link for all of them.

use std::sync::{Arc, Mutex};

use protocol::topic::Filter;
use rumqttd::local::{LinkRx, LinkTx};
use rumqttd::protocol as mqtt;
use tokio_util::sync::CancellationToken;

use crate::bus::{self, Bus, Heard, RouterError};
use crate::door::Door;
use crate::gap::GapWatch;

/// Reads what the platform says to all terminals and hands it to their sessions.
pub(crate) struct Dispatcher {
    tx: LinkTx,
    rx: LinkRx,
    gaps: Mutex<GapWatch>,
    filter: String,
}

impl Dispatcher {
    pub(crate) async fn open(bus: &Bus) -> Result<Self, RouterError> {
        let (mut tx, rx) = bus.link("dispatcher").await?;
        let filter = Filter::all_down().as_str().to_owned();
        let mut gaps = GapWatch::default();
        gaps.add(&filter, Some(0));
        let subscribe = mqtt::Subscribe {
            pkid: 0,
            filters: vec![mqtt::Filter {
                path: filter.clone(),
                qos: mqtt::QoS::AtMostOnce,
                nolocal: false,
                preserve_retain: false,
                retain_forward_rule: mqtt::RetainForwardRule::Never,
            }],
        };
        bus::send(&mut tx, mqtt::Packet::Subscribe(subscribe, None)).await?;
        let gaps = Mutex::new(gaps);
        Ok(Self {
            tx,
            rx,
            gaps,
            filter,
        })
    }

    pub(crate) async fn run(mut self, door: Arc<Door>, stop: CancellationToken) {
        loop {
            let heard = tokio::select! {
                heard = bus::hear(&mut self.rx, &self.gaps, "dispatcher") => heard,
                () = stop.cancelled() => return self.leave().await,
            };
            match heard {
                Ok(Heard::Message(message)) => door.registry.deliver(&message),
                Ok(Heard::Nothing) => {}
                Err(error) => return tracing::error!(%error, "dispatcher lost the router"),
            }
        }
    }

    async fn leave(mut self) {
        let filters = vec![self.filter];
        let unsubscribe = mqtt::Unsubscribe { pkid: 0, filters };
        if bus::send(&mut self.tx, mqtt::Packet::Unsubscribe(unsubscribe, None))
            .await
            .is_ok()
        {
            bus::leave(self.tx, self.rx, "dispatcher").await;
        }
    }
}
