//! OFF: withdraws an open request, and cuts nobody else's run (R10).

use protocol::id::{DeviceId, Entropy, SessionId};
use protocol::message::{LinkageOutcome, Off, RefusalReason};
use protocol::signed::{Jws, Verified, verify};
use protocol::time::{Now, Tick};

use super::linkage::Conclusion;
use super::{After, DeliveryId, Output, Terminal};
use crate::machine::book::Absent;
use crate::machine::event::Event;
use crate::machine::view::NotConfirmedReason;
use crate::rules::Rule;

impl Terminal {
    pub(super) fn handle_off(
        &mut self,
        delivery: DeliveryId,
        jws: &Jws<Off>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let off = match verify(jws, &self.setup.keyring, &self.audience) {
            Ok(off) => off,
            Err(refusal) => return self.refuse(delivery, "off", refusal.as_str()),
        };
        let transaction = off.transaction;
        let entry = self.book.entry(transaction);
        let is_over = match entry {
            Some(entry) => {
                (entry.intent.is_some() && self.holds(Rule::IntentOutlastsOff))
                    || entry.done.is_some()
            }
            None => self.absent(transaction) == Absent::Pruned,
        };
        if is_over {
            return self.resend_result(delivery, transaction, now, entropy);
        }
        let open = self.requests.get(&transaction).map(|request| request.nonce);
        // After a reboot there is a fresh nonce, and the platform may not have taken it.
        let ordered = entry
            .and_then(|entry| entry.order.as_ref())
            .map(|order| order.nonce);
        let newest = entry.and_then(|entry| entry.nonce);
        let known = [open, newest, ordered];
        let is_foreign = known.iter().any(Option::is_some) && !known.contains(&Some(off.nonce));
        if is_foreign && self.holds(Rule::OffNamesNonce) {
            return self.refuse(delivery, "off", "nonce");
        }
        self.withdraw(delivery, &off, now, entropy);
    }

    fn withdraw(
        &mut self,
        delivery: DeliveryId,
        off: &Verified<Off>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let transaction = off.transaction;
        let order = self
            .book
            .entry(transaction)
            .and_then(|entry| entry.order.clone());
        let conclusion = Conclusion {
            transaction,
            session: order.map_or(SessionId::from_random([0; 16]), |order| order.session),
            nonce: off.nonce,
            outcome: LinkageOutcome::Refused {
                reason: RefusalReason::Withdrawn,
            },
            devices: Vec::new(),
            decided_at: now.utc,
        };
        let after = vec![After::Acknowledge(delivery)];
        if self.conclude(conclusion, after, now, entropy).is_err() {
            return self.refuse(delivery, "off", "journal");
        }
        self.note(Event::Withdrawn { transaction });
        if let Some(session) = self.session_of(transaction) {
            session.handle_withdrawn(NotConfirmedReason::Off(off.reason));
        }
        self.report_closed(transaction);
        let idle: Vec<_> = off
            .devices
            .iter()
            .filter(|device| self.is_idle(device, now.tick) || !self.holds(Rule::OffNeverCutsARun))
            .cloned()
            .collect();
        if !idle.is_empty() {
            self.outputs.push_back(Output::SwitchOff { devices: idle });
        }
    }

    fn is_idle(&self, device: &DeviceId, now: Tick) -> bool {
        let is_running = self
            .running
            .get(device)
            .is_some_and(|(_, until)| now < *until);
        let is_wanted = self
            .actions
            .values()
            .any(|action| action.devices.contains(device));
        self.attached.contains(device) && !is_running && !is_wanted
    }
}
