//! `down/config`: what is sold here, and whether it can be.

use std::sync::Arc;

use protocol::id::{DeviceId, Entropy};
use protocol::message::{ConfigReport, DEVICES_MAX, DeviceState, Digest, ITEMS_MAX, SiteConfig};
use protocol::signed::{Jws, Verified, verify};
use protocol::time::{Now, Tick};

use super::{After, DeliveryId, Output, Terminal};
use crate::machine::event::Event;
use crate::machine::message::Body;

/// A config that is verified and not yet kept.
#[derive(Debug, Clone, Hash)]
pub(super) struct PendingConfig {
    delivery: DeliveryId,
    config: Verified<SiteConfig>,
}

impl Terminal {
    pub(super) fn handle_config(
        &mut self,
        delivery: DeliveryId,
        jws: &Jws<SiteConfig>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let config = match verify(jws, &self.setup.keyring, &self.audience) {
            Ok(config) => config,
            Err(refusal) => return self.refuse(delivery, "config", refusal.as_str()),
        };
        if let Err(reason) = self.check_config(&config) {
            self.refuse(delivery, "config", "content");
            return self.report_config(Some(reason), now, entropy);
        }
        if self.applied() == Some(config.jws().digest()) {
            self.once_written(After::Acknowledge(delivery));
            return self.report_config(None, now, entropy);
        }
        let pending = PendingConfig { delivery, config };
        if self.storing.is_none() {
            return self.store_config(pending);
        }
        if let Some(replaced) = self.next_config.replace(pending) {
            self.once_written(After::Acknowledge(replaced.delivery));
        }
    }

    /// The config is kept for the next start: from now on it is in force.
    pub(crate) fn handle_config_stored(&mut self, now: Now, entropy: &mut dyn Entropy) {
        let Some(PendingConfig { delivery, config }) = self.storing.take() else {
            return;
        };
        self.note(Event::ConfigApplied {
            serial: config.serial,
        });
        self.config = Some(Arc::new(config));
        self.changes += 1;
        self.report_config(None, now, entropy);
        self.report_health(now, entropy);
        self.once_written(After::Acknowledge(delivery));
        if let Some(next) = self.next_config.take() {
            let jws = next.config.jws().clone();
            self.handle_config(next.delivery, &jws, now, entropy);
        }
        self.pump(now);
    }

    /// A config from the disk is judged like one from the network.
    pub(super) fn restore_config(&mut self, jws: &Jws<SiteConfig>) {
        let verified = verify(jws, &self.setup.keyring, &self.audience).ok();
        let verified = verified.filter(|config| self.check_config(config).is_ok());
        self.config = verified.map(Arc::new);
    }

    pub(super) fn applied(&self) -> Option<Digest> {
        self.config.as_ref().map(|config| config.jws().digest())
    }

    /// Seen lately, and none of them unreachable.
    pub(super) fn are_devices_ready(&self, devices: &[DeviceId], now: Tick) -> bool {
        if devices.is_empty() {
            return true;
        }
        let Some((at, health)) = &self.probed else {
            return false;
        };
        let answers = |device: &DeviceId| {
            health
                .iter()
                .any(|health| health.device == *device && health.state != DeviceState::Unreachable)
        };
        let age_max = self.setup.limits.probe_age_max;
        now.since(*at) <= age_max && devices.iter().all(answers)
    }

    fn store_config(&mut self, pending: PendingConfig) {
        let config = pending.config.jws().clone();
        self.storing = Some(pending);
        self.outputs.push_back(Output::StoreConfig { config });
    }

    fn check_config(&self, config: &Verified<SiteConfig>) -> Result<(), String> {
        if let Some(current) = &self.config
            && current.store_epoch == config.store_epoch
            && config.serial < current.serial
        {
            return Err(format!(
                "serial {} is older than {}",
                config.serial, current.serial
            ));
        }
        if let Some(device) = config
            .devices
            .iter()
            .find(|device| !self.attached.contains(device))
        {
            return Err(format!("device '{device}' is not attached here"));
        }
        if config.devices.len() > DEVICES_MAX || config.tariff.items.len() > ITEMS_MAX {
            return Err("too many devices or items".to_owned());
        }
        if config.tariff.version() != config.tariff_version {
            return Err("the tariff is not of the version it claims".to_owned());
        }
        Ok(())
    }

    fn report_config(&mut self, refused: Option<String>, now: Now, entropy: &mut dyn Entropy) {
        let report = ConfigReport {
            applied: self.applied(),
            refused,
        };
        self.send(Body::Config(report), now, entropy);
    }
}
