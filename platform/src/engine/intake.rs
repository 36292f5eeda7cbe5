//! From bytes to something believed: decode by topic, verify by the author's keys, or refuse by
//! name. Nothing in here knows a sale.

use protocol::codec::{CodecError, Envelope, Record, decode};
use protocol::id::{GatewayId, PlatformId, Pseudonym, SessionId, TransactionId};
use protocol::message::{
    EndReason, Finding, GatewayAnswer, GatewayEvent, Hello, JournalAnswer, LinkageMessage,
    LinkageResult, OrderRequest, PaymentMessage, PermitRequest, Presence, SessionMessage,
};
use protocol::signed::{Audience, Claims, Jws, Keyring, Refusal, Verified, verify};
use protocol::topic::{Gateway as GatewayKind, TerminalName, Topic, Up};
use serde::de::DeserializeOwned;

use super::gateway::Gateways;
use crate::registry::Registry;

/// A message that is believed.
#[derive(Debug)]
pub(crate) enum Intent {
    Order {
        request: Box<Verified<OrderRequest>>,
        traceparent: Option<String>,
    },
    /// Something that a terminal says about a transaction of its own.
    Terminal {
        terminal: TerminalName,
        transaction: TransactionId,
        step: TerminalStep,
    },
    Answer(Box<Verified<GatewayAnswer>>),
    /// The payment server named this order.
    Event {
        gateway: GatewayId,
        transaction: TransactionId,
    },
    Hello {
        terminal: TerminalName,
        hello: Box<Hello>,
    },
    Presence {
        terminal: TerminalName,
        online: bool,
        /// Replayed to us because we have just connected.
        is_replayed: bool,
    },
    Identity {
        pseudonym: Pseudonym,
        identity: String,
        consent: String,
        at: protocol::time::Utc,
    },
    /// Nothing to do but to acknowledge it.
    Nothing,
}

#[derive(Debug)]
pub(crate) enum TerminalStep {
    Notice(SessionId),
    Ended(SessionId, EndReason),
    PermitRequest(Box<Verified<PermitRequest>>),
    Result(Box<Verified<LinkageResult>>),
    /// With the result that a decided finding holds.
    Answer(
        Box<Verified<JournalAnswer>>,
        Option<Box<Verified<LinkageResult>>>,
    ),
}

/// What an envelope says beside its message.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) intent: Intent,
    /// To be acknowledged to the terminal once it is committed, believed or not.
    pub(crate) record: Option<(TerminalName, Record)>,
    /// Why the message was not believed: what, and by which name.
    pub(crate) refused: Option<(&'static str, &'static str)>,
}

/// Who we are, and whose keys we know.
#[derive(Debug)]
pub(crate) struct Intake<'a> {
    pub(crate) platform: &'a PlatformId,
    pub(crate) registry: &'a Registry,
    pub(crate) gateways: &'a Gateways,
}

type Refused = (&'static str, &'static str);

impl Intake<'_> {
    pub(crate) fn take(&self, topic: &Topic, payload: &[u8], is_retained: bool) -> Taken {
        let mut record = None;
        let intent = match topic {
            Topic::Up(_, kind) if is_retained && *kind != Up::Presence => {
                Err((kind.as_str(), "retained"))
            }
            Topic::Up(name, kind) => self.take_up(name, *kind, payload, is_retained, &mut record),
            Topic::Gateway(gateway, kind, platform) if platform == self.platform => {
                self.take_gateway(gateway, *kind, payload)
            }
            Topic::Gateway(..) | Topic::Down(..) => Err(("topic", "not_ours")),
        };
        let (intent, refused) = match intent {
            Ok(intent) => (intent, None),
            Err(refused) => (Intent::Nothing, Some(refused)),
        };
        Taken {
            intent,
            record,
            refused,
        }
    }

    fn take_up(
        &self,
        name: &TerminalName,
        kind: Up,
        payload: &[u8],
        is_retained: bool,
        record: &mut Option<(TerminalName, Record)>,
    ) -> Result<Intent, Refused> {
        let word = kind.as_str();
        let Some(terminal) = self.registry.terminal(name) else {
            return Err((word, "unknown_terminal"));
        };
        let signer = Signer {
            name,
            keyring: &terminal.keyring,
            audience: Audience::platform(self.platform),
        };
        match kind {
            Up::Hello => {
                let hello: Envelope<Hello> = read(word, payload)?;
                Ok(Intent::Hello {
                    terminal: name.clone(),
                    hello: Box::new(hello.body),
                })
            }
            Up::Presence => {
                let presence: Envelope<Presence> = read(word, payload)?;
                Ok(Intent::Presence {
                    terminal: name.clone(),
                    online: presence.body.online,
                    is_replayed: is_retained,
                })
            }
            Up::Payment => {
                let message: Envelope<PaymentMessage> = read(word, payload)?;
                *record = message.record.map(|record| (name.clone(), record));
                signer.payment(message.body, message.traceparent)
            }
            Up::Linkage => {
                let message: Envelope<LinkageMessage> = read(word, payload)?;
                *record = message.record.map(|record| (name.clone(), record));
                signer.linkage(message.body)
            }
            Up::Session => {
                let message: Envelope<SessionMessage> = read(word, payload)?;
                *record = message.record.map(|record| (name.clone(), record));
                Ok(session(message.body))
            }
            Up::Health | Up::Metrics | Up::Config => Ok(Intent::Nothing),
        }
    }

    fn take_gateway(
        &self,
        id: &GatewayId,
        kind: GatewayKind,
        payload: &[u8],
    ) -> Result<Intent, Refused> {
        let Some(gateway) = self.gateways.get(id) else {
            return Err(("gateway", "unknown_gateway"));
        };
        let audience = Audience::platform(self.platform);
        match kind {
            GatewayKind::Response => {
                let jws: Envelope<Jws<GatewayAnswer>> = read("gateway_answer", payload)?;
                let answer = verify(&jws.body, &gateway.keyring, &audience)
                    .map_err(|refusal| ("gateway_answer", refusal.as_str()))?;
                if answer.gateway != *id {
                    return Err(("gateway_answer", "other_gateway"));
                }
                Ok(Intent::Answer(Box::new(answer)))
            }
            GatewayKind::Event => {
                let jws: Envelope<Jws<GatewayEvent>> = read("gateway_event", payload)?;
                let event = verify(&jws.body, &gateway.keyring, &audience)
                    .map_err(|refusal| ("gateway_event", refusal.as_str()))?;
                Ok(Intent::Event {
                    gateway: id.clone(),
                    transaction: event.order,
                })
            }
            GatewayKind::Request => Err(("gateway_request", "not_ours")),
        }
    }
}

/// A terminal and the keys it may sign with.
struct Signer<'a> {
    name: &'a TerminalName,
    keyring: &'a Keyring,
    audience: Audience,
}

impl Signer<'_> {
    fn payment(
        &self,
        message: PaymentMessage,
        traceparent: Option<String>,
    ) -> Result<Intent, Refused> {
        match message {
            PaymentMessage::OrderRequest(jws) => {
                let request = self.verified("order_request", &jws)?;
                self.own("order_request", &request.terminal)?;
                Ok(Intent::Order {
                    request: Box::new(request),
                    traceparent,
                })
            }
            PaymentMessage::Notice(notice) => {
                let step = TerminalStep::Notice(notice.session);
                Ok(self.about(notice.transaction, step))
            }
            PaymentMessage::Ended(ended) => {
                let Some(transaction) = ended.transaction else {
                    return Ok(Intent::Nothing);
                };
                let step = TerminalStep::Ended(ended.session, ended.reason);
                Ok(self.about(transaction, step))
            }
            PaymentMessage::PermitRequest(jws) => {
                let request = self.verified("permit_request", &jws)?;
                self.own("permit_request", &request.terminal)?;
                let transaction = request.transaction;
                let step = TerminalStep::PermitRequest(Box::new(request));
                Ok(self.about(transaction, step))
            }
        }
    }

    fn linkage(&self, message: LinkageMessage) -> Result<Intent, Refused> {
        match message {
            LinkageMessage::Result(jws) => {
                let result = self.result(&jws)?;
                let transaction = result.transaction;
                Ok(self.about(transaction, TerminalStep::Result(Box::new(result))))
            }
            LinkageMessage::Answer(jws) => {
                let answer = self.verified("journal_answer", &jws)?;
                self.own("journal_answer", &answer.terminal)?;
                let result = match &answer.finding {
                    Finding::Decided(jws) => Some(Box::new(self.result(jws)?)),
                    Finding::Tombstone | Finding::Acting | Finding::Uncertain(_) => None,
                };
                let transaction = answer.transaction;
                let step = TerminalStep::Answer(Box::new(answer), result);
                Ok(self.about(transaction, step))
            }
        }
    }

    fn result(&self, jws: &Jws<LinkageResult>) -> Result<Verified<LinkageResult>, Refused> {
        let result = self.verified("linkage_result", jws)?;
        self.own("linkage_result", &result.terminal)?;
        Ok(result)
    }

    fn about(&self, transaction: TransactionId, step: TerminalStep) -> Intent {
        Intent::Terminal {
            terminal: self.name.clone(),
            transaction,
            step,
        }
    }

    fn verified<T: Claims>(
        &self,
        what: &'static str,
        jws: &Jws<T>,
    ) -> Result<Verified<T>, Refused> {
        verify(jws, self.keyring, &self.audience)
            .map_err(|refusal: Refusal| (what, refusal.as_str()))
    }

    /// The topic names the terminal, and the broker has checked it: the signature must agree.
    fn own(&self, what: &'static str, signed: &TerminalName) -> Result<(), Refused> {
        if signed == self.name {
            Ok(())
        } else {
            Err((what, "other_terminal"))
        }
    }
}

fn session(message: SessionMessage) -> Intent {
    match message {
        SessionMessage::Identity(registration) => Intent::Identity {
            pseudonym: registration.pseudonym,
            identity: registration.identity,
            consent: registration.consent,
            at: registration.registered_at,
        },
        SessionMessage::Opened(_) | SessionMessage::Ended(_) => Intent::Nothing,
    }
}

fn read<M: DeserializeOwned>(what: &'static str, payload: &[u8]) -> Result<Envelope<M>, Refused> {
    decode(payload).map_err(|error: CodecError| (what, error.as_str()))
}
