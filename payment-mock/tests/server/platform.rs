//! A platform that asks the payment server over the broker and believes only signed answers.

use std::net::SocketAddr;
use std::time::Duration;

use process::entropy::SystemEntropy;
use protocol::codec::{Envelope, decode, encode};
use protocol::id::{Entropy as _, MessageId, Nonce, PlatformId, TransactionId};
use protocol::message::{
    CreateOrder, GatewayAnswer, GatewayEvent, GatewayRequest, GatewayResult, Operation, OrderView,
};
use protocol::money::Money;
use protocol::signed::{Audience, Jws, Keyring, PublicKey, SigningKey, sign, verify};
use protocol::time::Utc;
use protocol::topic::{Filter, Gateway, Topic};
use protocol_client::{Client, Event, Incoming, Options};
use tokio_util::sync::CancellationToken;

use crate::server::PLATFORM_SEED;

const TIMEOUT: Duration = Duration::from_secs(10);

/// Signed by the payment server, for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Answer(Nonce, GatewayResult),
    Event(TransactionId),
}

pub(crate) struct Platform {
    client: Client,
    incoming: Incoming,
    keyring: Keyring,
    _end: tokio_util::sync::DropGuard,
}

pub(crate) fn name() -> PlatformId {
    "north".parse().unwrap()
}

pub(crate) fn order(byte: u8) -> TransactionId {
    TransactionId::from_random([byte; 16])
}

pub(crate) fn create(byte: u8) -> CreateOrder {
    CreateOrder {
        order: order(byte),
        amount: Money::new(450, "CNY".parse().unwrap()).unwrap(),
        payee: "north-parking".parse().unwrap(),
        payee_name: "North Parking <Ltd>".to_owned(),
        place_name: "North Street 7".to_owned(),
        description: "Short stay, up to 2 hours".to_owned(),
        return_url: "http://127.0.0.1:9/s/abc?x=1".to_owned(),
        lifetime_ms: 120_000,
    }
}

impl Platform {
    pub(crate) async fn connect(broker: SocketAddr, payment_server: PublicKey) -> Self {
        let shutdown = CancellationToken::new();
        let options = Options::new("platform", broker.into(), "platform", "platform", "secret")
            .subscribe(Filter::gateway_responses(&name()))
            .subscribe(Filter::gateway_events(&name()));
        let (client, mut incoming) =
            protocol_client::start(options, SystemEntropy::new(), shutdown.clone());
        let connected =
            async { while !matches!(incoming.next().await.unwrap(), Event::Connected) {} };
        tokio::time::timeout(TIMEOUT, connected).await.unwrap();
        Self {
            client,
            incoming,
            keyring: Keyring::of(payment_server),
            _end: shutdown.drop_guard(),
        }
    }

    /// Sends a request and gives its nonce.
    pub(crate) async fn send(&self, operation: Operation) -> Nonce {
        let gateway = "mock".parse().unwrap();
        let mut entropy = SystemEntropy::new();
        let request = GatewayRequest {
            aud: Audience::gateway(&gateway),
            platform: name(),
            nonce: Nonce::from_random(entropy.bytes()),
            operation,
            asked_at: Utc::EPOCH,
        };
        let jws = sign(&SigningKey::from_seed(PLATFORM_SEED), &request).unwrap();
        let id = MessageId::from_random(entropy.bytes());
        let payload = encode(&Envelope::new(id, Utc::EPOCH, jws)).unwrap();
        let topic = Topic::Gateway(gateway, Gateway::Request, name());
        self.client.publish(topic, payload).await.unwrap();
        request.nonce
    }

    /// Asks and waits for the answer to this nonce; events before it are passed over.
    pub(crate) async fn ask(&mut self, operation: Operation) -> GatewayResult {
        let nonce = self.send(operation).await;
        loop {
            if let Heard::Answer(answered, result) = self.hear().await
                && answered == nonce
            {
                return result;
            }
        }
    }

    pub(crate) async fn order(&mut self, operation: Operation) -> OrderView {
        match self.ask(operation).await {
            GatewayResult::Order(view) => view,
            other => panic!("not an order: {other:?}"),
        }
    }

    /// Creates an order and gives the path of its page.
    pub(crate) async fn page_of(&mut self, create: CreateOrder) -> String {
        let view = self.order(Operation::Create(create)).await;
        let (_, token) = view.pay_url.rsplit_once("/pay/").unwrap();
        format!("/pay/{token}")
    }

    /// The next signed word of the payment server.
    pub(crate) async fn hear(&mut self) -> Heard {
        let delivery = loop {
            let event = tokio::time::timeout(TIMEOUT, self.incoming.next()).await;
            if let Event::Delivery(delivery) = event.unwrap().unwrap() {
                break delivery;
            }
        };
        let heard = match &delivery.topic {
            Topic::Gateway(_, Gateway::Response, _) => {
                let answer: GatewayAnswer = self.believe(&delivery.payload);
                Heard::Answer(answer.nonce, answer.result)
            }
            Topic::Gateway(_, Gateway::Event, _) => {
                Heard::Event(self.believe::<GatewayEvent>(&delivery.payload).order)
            }
            topic => panic!("heard on {topic}"),
        };
        delivery.ack();
        heard
    }

    fn believe<T: protocol::signed::Claims>(&self, payload: &[u8]) -> T {
        let envelope: Envelope<Jws<T>> = decode(payload).unwrap();
        let audience = Audience::platform(&name());
        verify(&envelope.body, &self.keyring, &audience)
            .unwrap()
            .into_claims()
    }
}
