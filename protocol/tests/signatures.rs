//! Signature vectors: what we sign, and what a verifier must refuse. Other implementations check
//! themselves against `vectors/signatures.json`; `PAYLATCH_WRITE_VECTORS=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::id::{JournalId, Nonce, SessionId, StoreEpoch, TransactionId};
use protocol::message::{
    Digest, Ground, Inquiry, LinkageOutcome, LinkageResult, Off, OffReason, Permit,
};
use protocol::signed::{Audience, Claims, Jws, Keyring, Refusal, SigningKey, sign, verify};
use protocol::time::Utc;
use serde_json::{Value, json};

const PLATFORM_SEED: [u8; 32] = [0x11; 32];
const TERMINAL_SEED: [u8; 32] = [0x22; 32];

#[test]
fn vectors_hold_what_we_sign_and_refuse() {
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/signatures.json");
    if std::env::var_os("PAYLATCH_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made);
}

#[test]
fn the_key_and_signature_of_rfc_8037_appendix_a() {
    let seed = URL_SAFE_NO_PAD
        .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
        .unwrap();
    let key = SigningKey::from_seed(seed.try_into().unwrap());
    assert_eq!(
        key.public().to_string(),
        "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    );
    assert_eq!(
        key.public().id().as_str(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn every_changed_character_is_refused() {
    let (keyring, ours) = (Keyring::of(platform().public()), gate());
    let jws = sign(&platform(), &permit()).unwrap();
    for position in 0..jws.as_str().len() {
        let mut bytes = jws.as_str().as_bytes().to_vec();
        bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
        let forged: Jws<Permit> = String::from_utf8(bytes).unwrap().parse().unwrap();
        assert!(
            verify(&forged, &keyring, &ours).is_err(),
            "position {position}"
        );
    }
}

#[test]
fn a_revoked_key_is_refused_by_name_and_its_successor_accepted() {
    let (old, new) = (platform(), SigningKey::from_seed([0x33; 32]));
    let mut keyring: Keyring = [old.public(), new.public()].into_iter().collect();
    let (by_old, by_new) = (
        sign(&old, &permit()).unwrap(),
        sign(&new, &permit()).unwrap(),
    );
    assert!(
        verify(&by_old, &keyring, &gate()).is_ok(),
        "both count while they overlap"
    );
    keyring.revoke(&old.public().id());
    assert_eq!(
        verify(&by_old, &keyring, &gate()).unwrap_err(),
        Refusal::RevokedKey
    );
    assert!(verify(&by_new, &keyring, &gate()).is_ok());
}

#[test]
fn a_text_over_the_limit_is_refused_before_it_is_read() {
    let long = "a".repeat(protocol::signed::JWS_LENGTH_MAX + 1);
    assert_eq!(long.parse::<Jws<Permit>>().unwrap_err(), Refusal::Framing);
}

#[test]
fn a_text_of_the_limit_and_a_header_of_its_limit_are_still_read() {
    let longest = "a".repeat(protocol::signed::JWS_LENGTH_MAX);
    assert_eq!(longest.parse::<Jws<Permit>>().unwrap().as_str(), longest);
    // 192 bytes are 256 characters of base64url.
    for (length, refusal) in [(192, None), (193, Some(Refusal::Framing))] {
        let jws = with_header_of(length);
        let verified = verify(&jws, &Keyring::of(platform().public()), &gate());
        assert_eq!(verified.err(), refusal, "{length} bytes");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_crashes_the_verifier_or_passes_it(text in "[A-Za-z0-9_.-]{0,300}") {
        let jws: Jws<Permit> = text.parse().unwrap();
        let keyring = Keyring::of(platform().public());
        proptest::prop_assert!(verify(&jws, &keyring, &gate()).is_err());
    }
}

fn platform() -> SigningKey {
    SigningKey::from_seed(PLATFORM_SEED)
}

fn gate() -> Audience {
    Audience::terminal("north/gate-1".parse().unwrap())
}

/// A permit whose header ends in so many spaces that it has `length` bytes.
fn with_header_of(length: usize) -> Jws<Permit> {
    let (kid, typ) = (platform().public().id(), Permit::TYP);
    let header = json!({ "alg": "EdDSA", "kid": kid, "typ": typ }).to_string();
    let header = URL_SAFE_NO_PAD.encode(format!("{header:<length$}"));
    let claims = URL_SAFE_NO_PAD.encode(json!(permit()).to_string());
    let input = format!("{header}.{claims}");
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&PLATFORM_SEED).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes()));
    format!("{input}.{signature}").parse().unwrap()
}

fn permit() -> Permit {
    Permit {
        aud: gate(),
        transaction: TransactionId::from_random([1; 16]),
        session: SessionId::from_random([2; 16]),
        nonce: Nonce::from_random([3; 16]),
        journal: JournalId::from_random([4; 16]),
        devices: vec!["barrier".parse().unwrap()],
        ground: Ground::ZeroBill {
            tariff_version: Digest::of(b"tariff"),
        },
        store_epoch: StoreEpoch::from_random([5; 16]),
        issued_at: Utc::EPOCH,
    }
}

fn off() -> Off {
    let Permit {
        aud,
        transaction,
        nonce,
        devices,
        issued_at,
        ..
    } = permit();
    Off {
        aud,
        transaction,
        nonce,
        devices,
        reason: OffReason::Expired,
        issued_at,
    }
}

fn inquiry() -> Inquiry {
    let Permit {
        aud,
        transaction,
        nonce,
        journal,
        issued_at,
        ..
    } = permit();
    Inquiry {
        aud,
        transaction,
        nonce,
        journal,
        asked_at: issued_at,
    }
}

fn result() -> LinkageResult {
    let Permit {
        transaction,
        session,
        nonce,
        journal,
        issued_at,
        ..
    } = permit();
    LinkageResult {
        aud: Audience::platform(&"main".parse().unwrap()),
        terminal: "north/gate-1".parse().unwrap(),
        transaction,
        session,
        nonce,
        journal,
        outcome: LinkageOutcome::Done,
        devices: vec![],
        decided_at: issued_at,
        clock_error_ms: 50,
        previous: None,
    }
}

fn vectors() -> Value {
    let terminal = SigningKey::from_seed(TERMINAL_SEED);
    json!({
        "keys": [key_vector("platform", PLATFORM_SEED), key_vector("terminal", TERMINAL_SEED)],
        "accepted": [
            accepted("platform", &platform(), &permit()),
            accepted("platform", &platform(), &off()),
            accepted("platform", &platform(), &inquiry()),
            accepted("terminal", &terminal, &result()),
        ],
        "refused_as_permit_by_the_platform_for_gate_1": refused(&terminal),
    })
}

fn key_vector(author: &str, seed: [u8; 32]) -> Value {
    let public = SigningKey::from_seed(seed).public();
    json!({ "author": author, "seed": URL_SAFE_NO_PAD.encode(seed), "public": public, "kid": public.id() })
}

fn accepted<T: Claims>(author: &str, key: &SigningKey, claims: &T) -> Value {
    let jws = sign(key, claims).unwrap();
    let verified = verify(&jws, &Keyring::of(key.public()), claims.audience()).unwrap();
    assert_eq!(
        serde_json::to_value(&*verified).unwrap(),
        serde_json::to_value(claims).unwrap()
    );
    json!({ "author": author, "typ": T::TYP, "audience": claims.audience(), "claims": claims, "compact": jws.as_str() })
}

/// Each refusal by name, with a text that earns it.
fn refused(terminal: &SigningKey) -> Value {
    let good = String::from(sign(&platform(), &permit()).unwrap());
    let (_, rest) = good.split_once('.').unwrap();
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let aud = Audience::terminal("north/gate-2".parse().unwrap());
    let for_another = Permit { aud, ..permit() };
    let mut cases = vec![
        (Refusal::Framing, "empty", String::new()),
        (Refusal::Framing, "two parts", rest.to_owned()),
        (
            Refusal::Framing,
            "padded header",
            good.replacen('.', "=.", 1),
        ),
        (Refusal::Signature, "one byte more", format!("{good}A")),
        (Refusal::Signature, "no signature", format!("{unsigned}.")),
        (
            Refusal::Type,
            "an OFF",
            String::from(sign(&platform(), &off()).unwrap()),
        ),
        (
            Refusal::UnknownKey,
            "by the terminal",
            String::from(sign(terminal, &permit()).unwrap()),
        ),
        (
            Refusal::Audience,
            "for gate-2",
            String::from(sign(&platform(), &for_another).unwrap()),
        ),
    ];
    for (name, header) in refused_headers() {
        let compact = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
        cases.push((Refusal::Header, name, compact));
    }
    cases.into_iter().map(check_refused).collect()
}

fn refused_headers() -> [(&'static str, Value); 6] {
    let (kid, typ) = (platform().public().id(), Permit::TYP);
    [
        ("alg none", json!({"alg": "none", "kid": kid, "typ": typ})),
        ("alg HS256", json!({"alg": "HS256", "kid": kid, "typ": typ})),
        ("no typ", json!({"alg": "EdDSA", "kid": kid})),
        ("no kid", json!({"alg": "EdDSA", "typ": typ})),
        (
            "fourth member",
            json!({"alg": "EdDSA", "kid": kid, "typ": typ, "crit": ["exp"]}),
        ),
        ("a list", json!(["EdDSA", kid, typ])),
    ]
}

fn check_refused((refusal, name, compact): (Refusal, &str, String)) -> Value {
    let jws: Jws<Permit> = compact.parse().unwrap();
    let found = verify(&jws, &Keyring::of(platform().public()), &gate()).unwrap_err();
    assert_eq!(found, refusal, "{name}");
    json!({ "name": name, "refusal": refusal.as_str(), "compact": compact })
}
