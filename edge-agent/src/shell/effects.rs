//! What the machine wants of broker, devices and disk.

use std::sync::Arc;

use protocol::id::{DeviceId, TransactionId};
use protocol::time::Tick;
use protocol::topic::Topic;
use tokio::sync::mpsc;

use super::{Done, Run};
use crate::machine::message::Message;
use crate::metrics;

impl Run<'_> {
    /// What is not taken now waits in the machine's outbox for its next turn.
    pub(super) fn send(&self, message: &Message) {
        let (kind, payload) = match message.encode() {
            Ok(encoded) => encoded,
            Err(error) => return tracing::error!(%error, "a message has no form"),
        };
        let topic = Topic::Up(self.name().clone(), kind);
        if let Err(error) = self.shell.client.try_publish(topic, payload) {
            tracing::debug!(%error, kind = kind.as_str(), "message not handed over");
        }
    }

    pub(super) fn switch(
        &mut self,
        transaction: TransactionId,
        devices: Vec<DeviceId>,
        not_after: Tick,
    ) {
        let (panel, done) = (Arc::clone(&self.shell.panel), self.done.clone());
        let clock = self.shell.clock.clone();
        self.switching.spawn(async move {
            let start = clock.now().tick;
            let results = panel.switch_on_until(&devices, Some(not_after)).await;
            metrics::switched(clock.now().tick.since(start));
            tell(&done, Done::Switched(transaction, results)).await;
        });
    }

    pub(super) fn probe(&mut self) {
        if std::mem::replace(&mut self.is_probing, true) {
            return;
        }
        let (panel, done) = (Arc::clone(&self.shell.panel), self.done.clone());
        tokio::spawn(async move {
            let health = panel.probe().await;
            tell(&done, Done::Probed(health)).await;
        });
    }

    /// A config that can't be kept is used all the same: it is signed, and the next start asks.
    pub(super) fn store(&self, config: &str) {
        let path = self.shell.identity.config.site_config_path();
        let (done, text) = (self.done.clone(), format!("{config}\n"));
        tokio::spawn(async move {
            let name = path.display().to_string();
            let replace = move || process::file::replace(&path, text.as_bytes());
            match tokio::task::spawn_blocking(replace).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(path = name, %error, "can't keep the site config"),
                Err(error) => tracing::warn!(%error, "can't keep the site config"),
            }
            tell(&done, Done::Stored).await;
        });
    }
}

/// The machine may have gone; the journal then says what is to be said.
async fn tell(done: &mpsc::Sender<Done>, word: Done) {
    if done.send(word).await.is_err() {
        tracing::warn!("a device's word came too late");
    }
}
