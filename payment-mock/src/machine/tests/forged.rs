//! A request that its platform did not sign, for us, as a request, changes nothing and gets no
//! answer.

use protocol::message::Quote;
use protocol::signed::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

/// A request's claims, signed as a quote.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct AsQuote(Value, #[serde(skip)] Option<Audience>);

impl protocol::signed::Claims for AsQuote {
    const TYP: &'static str = <Quote as protocol::signed::Claims>::TYP;

    fn audience(&self) -> &Audience {
        self.1.as_ref().unwrap()
    }
}

fn operations() -> [Operation; 5] {
    let refund = json!({
        "refund": "01".repeat(16), "order": order(1), "payment": "02".repeat(16),
        "amount": money(1), "reason": "late",
    });
    [
        Operation::Create(create(1)),
        Operation::Query { order: order(1) },
        Operation::Close { order: order(1) },
        Operation::Refund(serde_json::from_value(refund).unwrap()),
        Operation::Statement { after: 0, limit: 1 },
    ]
}

fn compact(seed: [u8; 32], request: &GatewayRequest) -> String {
    sign(&SigningKey::from_seed(seed), request).unwrap().into()
}

fn assert_refused(compact: &str, reason: &'static str) {
    let mut bench = Bench::new(Outcome::Paid);
    let id = MessageId::from_random([5; 16]);
    let payload = encode(&Envelope::new(id, Utc::EPOCH, compact)).unwrap();
    let outputs = bench.deliver(&request_topic(), &payload, at(0));
    let refused = Output::Noted(Note::RequestRefused { reason });
    assert_eq!(outputs, [refused], "{compact}");
}

#[test]
fn what_nobody_signed_is_refused() {
    for operation in operations() {
        let good = compact(PLATFORM_SEED, &request(operation));
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        assert_refused(&format!("{unsigned}."), Refusal::Signature.as_str());
        assert_refused(unsigned, Refusal::Framing.as_str());
        let (_, claims) = unsigned.split_once('.').unwrap();
        // {"alg":"none"}
        let without = format!("eyJhbGciOiJub25lIn0.{claims}.");
        assert_refused(&without, Refusal::Header.as_str());
    }
}

#[test]
fn what_somebody_else_signed_is_refused() {
    for operation in operations() {
        // A stranger, and the payment server itself.
        for seed in [[9; 32], GATEWAY_SEED] {
            let forged = compact(seed, &request(operation.clone()));
            assert_refused(&forged, Refusal::UnknownKey.as_str());
        }
    }
}

#[test]
fn what_was_signed_for_somebody_else_or_as_something_else_is_refused() {
    for operation in operations() {
        for audience in ["gateway:other", "platform:north", "terminal:north/gate-1"] {
            let aud = Audience::try_from(audience.to_owned()).unwrap();
            let request = GatewayRequest {
                aud,
                ..request(operation.clone())
            };
            let forged = compact(PLATFORM_SEED, &request);
            assert_refused(&forged, Refusal::Audience.as_str());
        }
        let quote = AsQuote(json!(request(operation.clone())), None);
        let forged = sign(&SigningKey::from_seed(PLATFORM_SEED), &quote).unwrap();
        assert_refused(forged.as_str(), Refusal::Type.as_str());
        let named = GatewayRequest {
            platform: "south".parse().unwrap(),
            ..request(operation)
        };
        assert_refused(&compact(PLATFORM_SEED, &named), "platform");
    }
}
