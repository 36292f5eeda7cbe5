//! What the machine says upwards, with its envelope.

use std::hash::{Hash, Hasher};

use protocol::codec::{self, CodecError, Envelope};
use protocol::id::MessageId;
use protocol::message::{
    ConfigReport, Health, Hello, LinkageMessage, PaymentMessage, SessionMessage, UpMessage,
};
use protocol::time::Utc;
use protocol::topic::Up;

use super::record::Post;

/// A message and what its envelope says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) at: Utc,
    /// Where it waits for the platform's word; absent where nobody waits.
    pub(crate) record: Option<codec::Record>,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    Hello(Hello),
    Session(SessionMessage),
    Payment(PaymentMessage),
    Linkage(LinkageMessage),
    Health(Health),
    Config(ConfigReport),
}

impl Hash for Message {
    /// The random id stands for the body.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.id, self.record).hash(state);
    }
}

impl From<Post> for Body {
    fn from(post: Post) -> Self {
        match post {
            Post::Session(message) => Self::Session(message),
            Post::Payment(message) => Self::Payment(message),
            Post::Linkage(message) => Self::Linkage(message),
        }
    }
}

impl Message {
    /// The kind of topic and the payload.
    pub(crate) fn encode(&self) -> Result<(Up, Vec<u8>), CodecError> {
        match &self.body {
            Body::Hello(body) => self.enveloped(body),
            Body::Session(body) => self.enveloped(body),
            Body::Payment(body) => self.enveloped(body),
            Body::Linkage(body) => self.enveloped(body),
            Body::Health(body) => self.enveloped(body),
            Body::Config(body) => self.enveloped(body),
        }
    }

    fn enveloped<M: UpMessage>(&self, body: &M) -> Result<(Up, Vec<u8>), CodecError> {
        let mut envelope = Envelope::new(self.id, self.at, body);
        envelope.record = self.record;
        Ok((M::KIND, codec::encode(&envelope)?))
    }
}
