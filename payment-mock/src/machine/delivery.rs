//! How answers and events leave: at once, late, twice, cut, overtaken, forged, or not at all.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::codec::{Envelope, encode};
use protocol::id::{Entropy, MessageId, Nonce, PaymentId, PlatformId, TransactionId};
use protocol::message::{
    GatewayAnswer, GatewayEvent, GatewayResult, OrderStatus, OrderView, PaymentView, RefundStatus,
};
use protocol::money::Money;
use protocol::signed::{Claims, Jws, SigningKey, sign};
use protocol::time::{Now, Utc};
use protocol::topic::{Gateway, Topic};

use super::{DELAYED_MAX, Machine, Note, Output, Publication};
use crate::scenario::{Action, Forgery};

/// From it comes a key that no platform was ever told of.
const FORGER_SEED: [u8; 32] = *b"paylatch, the key of nobody ever";

/// A message that can be signed, and forged.
pub(super) trait Message: Claims + Clone {
    const KIND: Gateway;

    /// About another order, which nobody made.
    fn about(&mut self, order: TransactionId);

    /// To another question.
    fn answering(&mut self, nonce: Nonce);

    /// What a thief would want it to say.
    fn lie(&mut self, payment: PaymentId, now: Utc);
}

impl Message for GatewayAnswer {
    const KIND: Gateway = Gateway::Response;

    fn about(&mut self, order: TransactionId) {
        self.order = Some(order);
        if let GatewayResult::Order(view) = &mut self.result {
            view.order = order;
        }
    }

    fn answering(&mut self, nonce: Nonce) {
        self.nonce = nonce;
    }

    fn lie(&mut self, payment: PaymentId, now: Utc) {
        match &mut self.result {
            GatewayResult::Order(view) => pay(view, payment, now),
            GatewayResult::Refund(view) => view.status = RefundStatus::Succeeded,
            GatewayResult::Statement(_) | GatewayResult::Refused(_) => {}
        }
    }
}

/// An event says nothing but which order to ask about.
impl Message for GatewayEvent {
    const KIND: Gateway = Gateway::Event;

    fn about(&mut self, order: TransactionId) {
        self.order = order;
    }

    fn answering(&mut self, nonce: Nonce) {
        self.event = MessageId::from_random(*nonce.as_bytes());
    }

    fn lie(&mut self, _payment: PaymentId, _now: Utc) {}
}

fn pay(view: &mut OrderView, payment: PaymentId, now: Utc) {
    view.status = OrderStatus::Paid;
    if view.payments.is_empty() {
        view.payments.push(PaymentView {
            payment,
            amount: view.amount,
            payee: view.payee.clone(),
            refunded: Money::zero(view.amount.currency()),
            disputed: false,
            paid_at: now,
        });
    }
}

/// What a message travels in.
#[derive(Debug, Clone)]
pub(super) struct Wrapping<'a> {
    pub(super) platform: &'a PlatformId,
    pub(super) id: MessageId,
    pub(super) traceparent: Option<String>,
    pub(super) now: Now,
}

impl Machine {
    /// Forged messages first, if the action says so, then the honest one; false if that one could
    /// not be sent or is not to be.
    pub(super) fn deliver<T: Message>(
        &mut self,
        message: &T,
        jws: Jws<T>,
        wrapping: &Wrapping<'_>,
        action: Option<&Action>,
        entropy: &mut dyn Entropy,
    ) -> bool {
        if let Some(Action::Forge { forgeries, honest }) = action {
            for forgery in forgeries {
                self.forge(message, *forgery, wrapping, entropy);
            }
            if !honest {
                return false;
            }
        }
        match payload(jws, wrapping) {
            Ok(payload) => {
                let topic = self.topic(T::KIND, wrapping.platform);
                self.dispatch(Publication { topic, payload }, action, wrapping.now)
            }
            Err(reason) => {
                self.note(Note::Unsendable { reason });
                false
            }
        }
    }

    fn forge<T: Message>(
        &mut self,
        message: &T,
        forgery: Forgery,
        wrapping: &Wrapping<'_>,
        entropy: &mut dyn Entropy,
    ) {
        let mut forged = message.clone();
        forged.lie(PaymentId::from_random(entropy.bytes()), wrapping.now.utc);
        let signed = |claims: &T, key: &SigningKey| sign(key, claims).map_err(|e| e.to_string());
        let own = &self.identity.key;
        let jws = match forgery {
            Forgery::Key => signed(&forged, &SigningKey::from_seed(FORGER_SEED)),
            Forgery::Nonce => {
                forged.answering(Nonce::from_random(entropy.bytes()));
                signed(&forged, own)
            }
            Forgery::Order => {
                forged.about(TransactionId::from_random(entropy.bytes()));
                signed(&forged, own)
            }
            Forgery::Unsigned => unsigned(&forged),
        };
        let wrapping = Wrapping {
            id: MessageId::from_random(entropy.bytes()),
            ..wrapping.clone()
        };
        match jws.and_then(|jws| payload(jws, &wrapping)) {
            Ok(payload) => {
                let topic = self.topic(T::KIND, wrapping.platform);
                self.publish(Publication { topic, payload });
            }
            Err(reason) => self.note(Note::Unsendable { reason }),
        }
    }

    /// False if too many messages wait already.
    fn dispatch(
        &mut self,
        mut publication: Publication,
        action: Option<&Action>,
        now: Now,
    ) -> bool {
        match action {
            Some(Action::Delay(after)) => self.send_after(publication, *after, now),
            Some(Action::Truncate) => {
                publication.payload.truncate(publication.payload.len() / 2);
                self.send_after(publication, Duration::ZERO, now)
            }
            Some(Action::Double { copies, apart }) => {
                let mut sent = true;
                for copy in 0..u32::from(*copies) {
                    sent &= self.send_after(publication.clone(), *apart * copy, now);
                }
                sent
            }
            Some(Action::Reorder { within }) => self.hold(publication, *within, now),
            _ => self.send_after(publication, Duration::ZERO, now),
        }
    }

    fn send_after(&mut self, publication: Publication, after: Duration, now: Now) -> bool {
        if after.is_zero() {
            self.publish(publication);
            return true;
        }
        let room = self.delayed.len() < DELAYED_MAX;
        if room {
            self.delayed_count += 1;
            let due = (now.tick + after, self.delayed_count);
            self.delayed.insert(due, publication);
        }
        room
    }

    fn hold(&mut self, publication: Publication, within: Duration, now: Now) -> bool {
        let room = self.held.len() < DELAYED_MAX;
        if room {
            self.delayed_count += 1;
            let due = (now.tick + within, self.delayed_count);
            self.held.insert(due, publication);
        }
        room
    }

    /// Sends it, and then what it was to overtake.
    fn publish(&mut self, publication: Publication) {
        let overtaken: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| same_platform(&held.topic, &publication.topic))
            .map(|(due, _)| *due)
            .collect();
        self.outputs.push_back(Output::Publish(publication));
        for due in overtaken {
            let held = self.held.remove(&due);
            self.outputs.extend(held.map(Output::Publish));
        }
    }

    /// Sends delayed messages whose time has come, and held ones that nothing overtook in time.
    pub(super) fn send_due(&mut self, now: Now) {
        while let Some(first) = self.delayed.first_entry() {
            if first.key().0 > now.tick {
                break;
            }
            let publication = first.remove();
            self.publish(publication);
        }
        while let Some(first) = self.held.first_entry() {
            if first.key().0 > now.tick {
                break;
            }
            self.outputs.push_back(Output::Publish(first.remove()));
        }
    }
}

fn same_platform(one: &Topic, other: &Topic) -> bool {
    matches!(
        (one, other),
        (Topic::Gateway(_, _, one), Topic::Gateway(_, _, other)) if one == other
    )
}

fn payload<T: Claims>(jws: Jws<T>, wrapping: &Wrapping<'_>) -> Result<Vec<u8>, String> {
    let envelope = Envelope::new(wrapping.id, wrapping.now.utc, jws);
    encode(&envelope.with_traceparent(wrapping.traceparent.clone()))
        .map_err(|error| error.to_string())
}

/// The `none` of RFC 7518, section 3.6, which no verifier may take.
fn unsigned<T: Claims>(claims: &T) -> Result<Jws<T>, String> {
    let header = format!(r#"{{"alg":"none","kid":"","typ":"{}"}}"#, T::TYP);
    let claims = serde_json::to_vec(claims).map_err(|error| error.to_string())?;
    let compact = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    compact
        .parse()
        .map_err(|_| "an unsigned message is too long".to_owned())
}
