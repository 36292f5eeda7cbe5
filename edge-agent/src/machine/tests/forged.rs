//! Every signed message that a terminal may get, forged in every way: refused by the name of its
//! fault, acknowledged, and nothing else happens.

use protocol::signed::Refusal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

/// Claims of any type, signed as a gateway request: something that the platform signs too, but
/// never for a terminal.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct AsRequest(Value, #[serde(skip)] Option<Audience>);

impl Claims for AsRequest {
    const TYP: &'static str = "paylatch.gateway_request.v1";

    fn audience(&self) -> &Audience {
        self.1.as_ref().unwrap()
    }
}

/// What is signed, how it is counted, where it comes and in which wrapping.
const CASES: [(&str, &str, Down, Option<&str>); 6] = [
    ("quote", "quote", Down::Payment, Some("quote")),
    ("receipt", "receipt", Down::Payment, Some("receipt")),
    ("permit", "permit", Down::Linkage, Some("permit")),
    ("off", "off", Down::Linkage, Some("off")),
    ("site_config", "config", Down::Config, None),
    ("inquiry", "inquiry", Down::Inquiry, None),
];

/// A terminal with an open order, and claims about it that a platform would sign.
struct Forge {
    world: World,
    request: OrderRequest,
}

impl Forge {
    fn new() -> Self {
        let mut world = World::ready();
        let request = world.paying().request;
        Self { world, request }
    }

    fn claims(&self, typ: &str) -> Value {
        let request = &self.request;
        match typ {
            "quote" => json!(quote(request)),
            "permit" => json!(permit(request)),
            "site_config" => json!(site_config(2)),
            "receipt" => json!({
                "aud": ours(), "terminal": name(), "transaction": request.transaction,
                "session": request.session, "merchant": "North", "payee": quote(request).payee,
                "place": quote(request).place, "lines": [], "amount": request.amount,
                "ground": permit(request).ground, "result": "a.b.c", "issued_at": Utc::EPOCH,
            }),
            "off" => json!({
                "aud": ours(), "transaction": request.transaction, "nonce": request.nonce,
                "devices": [gate()], "reason": "declined", "issued_at": Utc::EPOCH,
            }),
            "inquiry" => json!({
                "aud": ours(), "transaction": request.transaction,
                "nonce": Nonce::from_random([4; 16]), "journal": self.world.journal_id,
                "asked_at": Utc::EPOCH,
            }),
            other => panic!("{other}"),
        }
    }

    fn assert_refused(&mut self, case: usize, compact: &str, refusal: Refusal) {
        let (typ, counted, down, wrapping) = CASES[case];
        let body = match wrapping {
            Some(kind) => json!({ "kind": kind, "content": compact }),
            None => compact.into(),
        };
        let id = MessageId::from_random([9; 16]);
        let payload = encode(&Envelope::new(id, Utc::EPOCH, body)).unwrap();
        let told = self.world.deliver_bytes(down, &payload, false);
        let reason = refusal.as_str();
        let note = format!("note MessageRefused kind: {counted:?} reason: {reason:?}");
        assert_eq!(told, [note, "ack".to_owned()], "{typ}");
        assert_eq!(self.world.switched, []);
    }
}

fn by(seed: [u8; 32], typ: &str, claims: &Value) -> String {
    fn signed<T: Claims>(seed: [u8; 32], claims: &Value) -> String {
        let claims: T = serde_json::from_value(claims.clone()).unwrap();
        sign(&SigningKey::from_seed(seed), &claims).unwrap().into()
    }
    match typ {
        "quote" => signed::<Quote>(seed, claims),
        "receipt" => signed::<Receipt>(seed, claims),
        "permit" => signed::<Permit>(seed, claims),
        "off" => signed::<Off>(seed, claims),
        "site_config" => signed::<SiteConfig>(seed, claims),
        "inquiry" => signed::<Inquiry>(seed, claims),
        other => panic!("{other}"),
    }
}

#[test]
fn what_nobody_signed_is_refused() {
    let mut forge = Forge::new();
    for (case, (typ, ..)) in CASES.iter().enumerate() {
        let good = by(PLATFORM_SEED, typ, &forge.claims(typ));
        let (unsigned, _) = good.rsplit_once('.').unwrap();
        forge.assert_refused(case, &format!("{unsigned}."), Refusal::Signature);
        forge.assert_refused(case, unsigned, Refusal::Framing);
        let (_, claims) = unsigned.split_once('.').unwrap();
        // {"alg":"none"}
        let without = format!("eyJhbGciOiJub25lIn0.{claims}.");
        forge.assert_refused(case, &without, Refusal::Header);
    }
}

#[test]
fn what_somebody_else_signed_is_refused() {
    let mut forge = Forge::new();
    for (case, (typ, ..)) in CASES.iter().enumerate() {
        // A stranger, and the terminal itself.
        for seed in [[9; 32], TERMINAL_SEED] {
            let forged = by(seed, typ, &forge.claims(typ));
            forge.assert_refused(case, &forged, Refusal::UnknownKey);
        }
    }
}

#[test]
fn what_was_signed_for_somebody_else_is_refused() {
    let mut forge = Forge::new();
    for (case, (typ, ..)) in CASES.iter().enumerate() {
        for audience in ["terminal:north/gate-2", "platform:main"] {
            let mut claims = forge.claims(typ);
            claims["aud"] = audience.into();
            let forged = by(PLATFORM_SEED, typ, &claims);
            forge.assert_refused(case, &forged, Refusal::Audience);
        }
    }
}

#[test]
fn what_was_signed_as_something_else_is_refused() {
    let mut forge = Forge::new();
    for (case, (typ, ..)) in CASES.iter().enumerate() {
        let claims = AsRequest(forge.claims(typ), None);
        let forged = sign(&SigningKey::from_seed(PLATFORM_SEED), &claims).unwrap();
        forge.assert_refused(case, forged.as_str(), Refusal::Type);
        for (other, ..) in CASES.iter().filter(|(other, ..)| other != typ) {
            let forged = by(PLATFORM_SEED, other, &forge.claims(other));
            forge.assert_refused(case, &forged, Refusal::Type);
        }
    }
}
