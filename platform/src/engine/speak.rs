//! From what a sale says to the exact bytes: signed, enveloped, addressed. Done before the commit,
//! so that what is committed is what is sent (R6).

use protocol::codec::{CodecError, Envelope, encode};
use protocol::id::{Entropy, GatewayId, MessageId, PlatformId};
use protocol::message::{
    Ack, DownMessage, GatewayRequest, HelloRequest, Inquiry, LinkageCommand, OrderRefused,
    PaymentReply, Receipt, SiteConfig,
};
use protocol::signed::{Claims, Jws, SignError, SigningKey, sign};
use protocol::time::Utc;
use protocol::topic::{Gateway as GatewayKind, TerminalName, Topic};

use crate::sale::{Facts, Output, Word};

/// Why something can't be said. All of these are defects of ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpeakError {
    #[error("can't sign")]
    Sign(#[from] SignError),
    #[error("can't encode")]
    Encode(#[from] CodecError),
}

/// One publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) topic: Topic,
    pub(crate) payload: Vec<u8>,
}

/// The platform's voice.
#[derive(Debug)]
pub(crate) struct Speaker {
    pub(crate) platform: PlatformId,
    pub(crate) key: SigningKey,
}

impl Speaker {
    /// A word for the outbox; `None` for an output that is no word.
    pub(crate) fn word(
        &self,
        facts: &Facts,
        output: &Output,
        (entropy, at): (&mut dyn Entropy, Utc),
    ) -> Result<Option<(Word, Parcel)>, SpeakError> {
        let mut envelope = Letter {
            to: &facts.terminal,
            traceparent: facts.traceparent.as_ref(),
            id: MessageId::from_random(entropy.bytes()),
            at,
        };
        let (word, parcel) = match output {
            Output::Quote(quote) => {
                let reply = PaymentReply::Quote(self.sign(quote)?);
                (Word::Quote, envelope.seal(reply)?)
            }
            Output::Permit(permit) => {
                let command = LinkageCommand::Permit(self.sign(permit)?);
                (Word::Permit, envelope.seal(command)?)
            }
            Output::Off(off) => {
                let command = LinkageCommand::Off(self.sign(off)?);
                (Word::Off, envelope.seal(command)?)
            }
            Output::Inquiry(inquiry) => (Word::Inquiry, envelope.seal(self.sign(inquiry)?)?),
            Output::ReceiptAgain(receipt) => {
                let reply = PaymentReply::Receipt(receipt.clone());
                (Word::Receipt, envelope.seal(reply)?)
            }
            Output::Settled(settled) => (
                Word::Settled,
                envelope.seal(PaymentReply::Settled(*settled))?,
            ),
            Output::Standing(standing) => (
                Word::Standing,
                envelope.seal(PaymentReply::Standing(*standing))?,
            ),
            Output::Refused(refused) => (
                Word::Refused,
                envelope.seal(PaymentReply::Refused(refused.clone()))?,
            ),
            Output::Receipt(_)
            | Output::Event(_)
            | Output::Entry(_)
            | Output::Payment(_)
            | Output::Refund(_)
            | Output::Gateway { .. }
            | Output::Resend(_)
            | Output::Withdraw(_) => return Ok(None),
        };
        Ok(Some((word, parcel)))
    }

    pub(crate) fn receipt(&self, receipt: &Receipt) -> Result<Jws<Receipt>, SpeakError> {
        self.sign(receipt)
    }

    pub(crate) fn gateway_request(
        &self,
        gateway: &GatewayId,
        request: &GatewayRequest,
        traceparent: Option<&String>,
        entropy: &mut dyn Entropy,
    ) -> Result<Parcel, SpeakError> {
        let id = MessageId::from_random(entropy.bytes());
        let envelope = Envelope::new(id, request.asked_at, self.sign(request)?)
            .with_traceparent(traceparent.cloned());
        let platform = self.platform.clone();
        Ok(Parcel {
            topic: Topic::Gateway(gateway.clone(), GatewayKind::Request, platform),
            payload: encode(&envelope)?,
        })
    }

    pub(crate) fn site_config(
        &self,
        to: &TerminalName,
        config: &SiteConfig,
        entropy: &mut dyn Entropy,
    ) -> Result<Parcel, SpeakError> {
        Letter::to(to, config.issued_at, entropy).seal(self.sign(config)?)
    }

    /// A question to a journal beside those of the sale itself.
    pub(crate) fn inquiry(
        &self,
        to: &TerminalName,
        inquiry: &Inquiry,
        (entropy, at): (&mut dyn Entropy, Utc),
    ) -> Result<Parcel, SpeakError> {
        Letter::to(to, at, entropy).seal(self.sign(inquiry)?)
    }

    fn sign<T: Claims>(&self, claims: &T) -> Result<Jws<T>, SpeakError> {
        Ok(sign(&self.key, claims)?)
    }
}

/// Refused before there is a sale.
pub(crate) fn refused(
    to: &TerminalName,
    refused: OrderRefused,
    (entropy, at): (&mut dyn Entropy, Utc),
) -> Result<Parcel, SpeakError> {
    Letter::to(to, at, entropy).seal(PaymentReply::Refused(refused))
}

pub(crate) fn ack(
    to: &TerminalName,
    ack: Ack,
    (entropy, at): (&mut dyn Entropy, Utc),
) -> Result<Parcel, SpeakError> {
    Letter::to(to, at, entropy).seal(ack)
}

pub(crate) fn hello_request(
    to: &TerminalName,
    (entropy, at): (&mut dyn Entropy, Utc),
) -> Result<Parcel, SpeakError> {
    Letter::to(to, at, entropy).seal(HelloRequest {})
}

/// An envelope to a terminal.
struct Letter<'a> {
    to: &'a TerminalName,
    traceparent: Option<&'a String>,
    id: MessageId,
    at: Utc,
}

impl<'a> Letter<'a> {
    fn to(to: &'a TerminalName, at: Utc, entropy: &mut dyn Entropy) -> Self {
        Self {
            to,
            traceparent: None,
            id: MessageId::from_random(entropy.bytes()),
            at,
        }
    }

    fn seal<M: DownMessage>(&mut self, body: M) -> Result<Parcel, SpeakError> {
        let traceparent = self.traceparent.cloned();
        let envelope = Envelope::new(self.id, self.at, body).with_traceparent(traceparent);
        Ok(Parcel {
            topic: Topic::Down(self.to.clone(), M::KIND),
            payload: encode(&envelope)?,
        })
    }
}
