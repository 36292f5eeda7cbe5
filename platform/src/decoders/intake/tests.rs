//! Every signed message that acts, forged in every way, is refused by the name of its fault.

use protocol::signed::{Refusal, sign};
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;

/// Claims of any type, signed as a quote: something that the author may sign, but nothing that is
/// asked for here.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct AsQuote(Value, #[serde(skip)] Option<Audience>);

impl Claims for AsQuote {
    const TYP: &'static str = "paylatch.quote.v1";

    fn audience(&self) -> &Audience {
        self.1.as_ref().unwrap()
    }
}

struct Case {
    name: &'static str,
    claims: &'static str,
    author: [u8; 32],
    topic: &'static str,
    /// Around the compact form, in the body of the message.
    kind: Option<&'static str>,
}

macro_rules! case {
    ($name:literal, $author:expr, $topic:literal, $kind:expr) => {
        Case {
            name: $name,
            claims: include_str!(concat!("../../../../fuzz/corpus/claims/", $name)),
            author: $author,
            topic: concat!("paylatch/v1/", $topic),
            kind: $kind,
        }
    };
}

const CASES: [Case; 6] = [
    case!(
        "order_request",
        TERMINAL_SEED,
        "north/gate-1/up/payment",
        Some("order_request")
    ),
    case!(
        "permit_request",
        TERMINAL_SEED,
        "north/gate-1/up/payment",
        Some("permit_request")
    ),
    case!(
        "linkage_result",
        TERMINAL_SEED,
        "north/gate-1/up/linkage",
        Some("result")
    ),
    case!(
        "journal_answer",
        TERMINAL_SEED,
        "north/gate-1/up/linkage",
        Some("answer")
    ),
    case!(
        "gateway_answer",
        GATEWAY_SEED,
        "gateway/mock/response/main",
        None
    ),
    case!(
        "gateway_event",
        GATEWAY_SEED,
        "gateway/mock/event/main",
        None
    ),
];

impl Case {
    fn claims(&self) -> Value {
        serde_json::from_str(self.claims).unwrap()
    }

    fn signed(&self, seed: [u8; 32], claims: &Value) -> String {
        let bytes = claims.to_string().into_bytes();
        let compact = match self.name {
            "order_request" => by::<OrderRequest>(seed, &bytes).map(String::from),
            "permit_request" => by::<PermitRequest>(seed, &bytes).map(String::from),
            "linkage_result" => by::<LinkageResult>(seed, &bytes).map(String::from),
            "journal_answer" => by::<JournalAnswer>(seed, &bytes).map(String::from),
            "gateway_answer" => by::<GatewayAnswer>(seed, &bytes).map(String::from),
            "gateway_event" => by::<GatewayEvent>(seed, &bytes).map(String::from),
            other => panic!("{other}"),
        };
        compact.unwrap()
    }

    fn good(&self) -> String {
        self.signed(self.author, &self.claims())
    }

    /// Why the intake refuses `compact`.
    fn refusal(&self, compact: &str) -> Option<(&'static str, &'static str)> {
        let body = match self.kind {
            Some(kind) => json!({ "kind": kind, "content": compact }),
            None => compact.into(),
        };
        let intake = Intake {
            platform: &GROUND.platform,
            registry: &GROUND.registry,
            gateways: &GROUND.gateways,
        };
        let topic = self.topic.parse().unwrap();
        let taken = intake.take(&topic, &enveloped(body).unwrap(), false);
        assert_eq!(
            taken.refused.is_some(),
            matches!(taken.intent, Intent::Nothing)
        );
        taken.refused
    }

    fn assert_refused(&self, compact: &str, refusal: Refusal) {
        assert_eq!(
            self.refusal(compact),
            Some((self.name, refusal.as_str())),
            "{compact}"
        );
    }
}

#[test]
fn what_its_author_signed_is_taken() {
    for case in &CASES {
        assert_eq!(case.refusal(&case.good()), None, "{}", case.name);
    }
}

#[test]
fn what_nobody_signed_is_refused() {
    for case in &CASES {
        let good = case.good();
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        case.assert_refused(&format!("{unsigned}."), Refusal::Signature);
        case.assert_refused(unsigned, Refusal::Framing);
        let (_, claims) = unsigned.split_once('.').unwrap();
        // {"alg":"none"}
        case.assert_refused(&format!("eyJhbGciOiJub25lIn0.{claims}."), Refusal::Header);
    }
}

#[test]
fn what_somebody_else_signed_is_refused() {
    for case in &CASES {
        let other_party = if case.author == TERMINAL_SEED {
            GATEWAY_SEED
        } else {
            TERMINAL_SEED
        };
        for seed in [[9; 32], other_party] {
            case.assert_refused(&case.signed(seed, &case.claims()), Refusal::UnknownKey);
        }
    }
}

#[test]
fn what_was_signed_for_somebody_else_is_refused() {
    for case in &CASES {
        for audience in ["platform:other", "terminal:north/gate-1", "gateway:mock"] {
            let mut claims = case.claims();
            claims["aud"] = audience.into();
            case.assert_refused(&case.signed(case.author, &claims), Refusal::Audience);
        }
    }
}

#[test]
fn what_was_signed_as_something_else_is_refused() {
    for case in &CASES {
        let key = SigningKey::from_seed(case.author);
        let quote = sign(&key, &AsQuote(case.claims(), None)).unwrap();
        case.assert_refused(quote.as_str(), Refusal::Type);
        for other in CASES.iter().filter(|other| other.name != case.name) {
            let compact = other.signed(case.author, &other.claims());
            case.assert_refused(&compact, Refusal::Type);
        }
    }
}

#[test]
fn what_names_another_than_its_topic_is_refused() {
    for case in &CASES {
        let (member, name, word) = match case.name {
            // An event is a hint: whom it names is not even looked at (R1).
            "gateway_event" => continue,
            "gateway_answer" => ("gateway", "other", "other_gateway"),
            _ => ("terminal", "north/gate-2", "other_terminal"),
        };
        let mut claims = case.claims();
        claims[member] = name.into();
        let found = case.refusal(&case.signed(case.author, &claims));
        assert_eq!(found, Some((case.name, word)));
    }
}
