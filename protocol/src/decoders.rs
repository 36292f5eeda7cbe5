//! Doors for fuzzers and property tests, in no other build: bytes in, whether they were accepted
//! out. A door panics if its decoder broke a promise.

#![allow(clippy::unwrap_used, reason = "a broken promise panics")]

mod evidence;

use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::Ed25519KeyPair;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::codec::{self, CodecError, PAYLOAD_SIZE_MAX};
use crate::id::{
    BootId, DeviceId, GatewayId, ItemId, JournalId, MessageId, NAME_LENGTH_MAX, Nonce, PayeeId,
    PaymentId, PlaceId, PlatformId, Pseudonym, RefundId, SessionId, SiteId, StoreEpoch, TerminalId,
    TransactionId, VisitId,
};
use crate::message::{
    Ack, ConfigReport, Digest, GatewayAnswer, GatewayEvent, GatewayRequest, Health, Hello, Inquiry,
    JournalAnswer, LinkageCommand, LinkageMessage, LinkageResult, Message, Off, OrderRequest,
    PaymentMessage, PaymentReply, Permit, PermitRequest, Presence, Quote, Receipt, SessionMessage,
    SiteConfig, Visits,
};
use crate::money::{Currency, MINOR_MAX, Money};
use crate::signed::{
    Audience, Claims, JWS_LENGTH_MAX, Jws, Keyring, PublicKey, SigningKey, verify,
};
use crate::time::Utc;
use crate::topic::{Filter, TOPIC_LENGTH_MAX, TerminalName, Topic};

pub use evidence::{published_keys, receipt, receipt_file};

/// The platform of the published vectors.
const PLATFORM_SEED: [u8; 32] = [0x11; 32];

/// Topics are written as they were read, are short, and fall under the filters of their direction
/// alone.
pub fn topic(bytes: &[u8]) -> bool {
    let Some(topic) = same_text::<Topic>(bytes) else {
        return false;
    };
    let text = topic.to_string();
    assert!(text.len() <= TOPIC_LENGTH_MAX && text.is_ascii());
    let (is_up, is_down) = match &topic {
        Topic::Up(..) => (true, false),
        Topic::Down(name, _) => {
            assert!(Filter::down(name).matches(&text));
            (false, true)
        }
        Topic::Gateway(gateway, _, platform) => {
            let filters = [
                Filter::gateway_requests(gateway),
                Filter::gateway_responses(platform),
                Filter::gateway_events(platform),
            ];
            assert_eq!(filters.iter().filter(|it| it.matches(&text)).count(), 1);
            (false, false)
        }
    };
    assert_eq!(Filter::all_up().matches(&text), is_up);
    assert_eq!(Filter::all_down().matches(&text), is_down);
    true
}

/// Identifiers, digests, keys, currencies and audiences are written as they were read.
pub fn name(bytes: &[u8]) -> bool {
    let names = [
        same_name::<SiteId>(bytes),
        same_name::<TerminalId>(bytes),
        same_name::<GatewayId>(bytes),
        same_name::<PlatformId>(bytes),
        same_name::<ItemId>(bytes),
        same_name::<DeviceId>(bytes),
        same_name::<PayeeId>(bytes),
        same_name::<PlaceId>(bytes),
    ];
    let random = [
        is_same_text::<TransactionId>(bytes),
        is_same_text::<SessionId>(bytes),
        is_same_text::<MessageId>(bytes),
        is_same_text::<Nonce>(bytes),
        is_same_text::<JournalId>(bytes),
        is_same_text::<BootId>(bytes),
        is_same_text::<StoreEpoch>(bytes),
        is_same_text::<RefundId>(bytes),
        is_same_text::<PaymentId>(bytes),
        is_same_text::<VisitId>(bytes),
        is_same_text::<Pseudonym>(bytes),
    ];
    // One alphabet for all of a kind; only a site has a name that it can't have.
    assert!(names[1..].iter().all(|accepted| *accepted == names[1]));
    assert!(names[0] == names[1] || bytes == b"gateway");
    assert!(random.iter().all(|accepted| *accepted == random[0]));
    let others = [
        is_same_text::<TerminalName>(bytes),
        is_same_text::<Digest>(bytes),
        is_same_text::<PublicKey>(bytes),
        is_same_text::<Currency>(bytes),
        is_same_audience(bytes),
    ];
    names[1] || random[0] || others.contains(&true)
}

/// Amounts and instants stay what they are in their JSON form; amounts stay in their range.
pub fn value(bytes: &[u8]) -> bool {
    if let Some(money) = same_json::<Money>(bytes) {
        assert!((0..=MINOR_MAX).contains(&money.minor()));
        let digits = money.decimal().replace('.', "");
        assert_eq!(digits.parse(), Ok(money.minor()));
        return true;
    }
    if let Some(utc) = same_json::<Utc>(bytes) {
        assert_eq!(Utc::from_millis(utc.as_millis()), Some(utc));
        return true;
    }
    false
}

/// A message of any kind comes back from its own encoding as it was read.
pub fn envelope(bytes: &[u8]) -> bool {
    let kinds = [
        same_envelope::<Hello>(bytes),
        same_envelope::<SessionMessage>(bytes),
        same_envelope::<PaymentMessage>(bytes),
        same_envelope::<LinkageMessage>(bytes),
        same_envelope::<Health>(bytes),
        same_envelope::<ConfigReport>(bytes),
        same_envelope::<Presence>(bytes),
        same_envelope::<Ack>(bytes),
        same_envelope::<PaymentReply>(bytes),
        same_envelope::<LinkageCommand>(bytes),
        same_envelope::<Visits>(bytes),
        same_envelope::<Jws<SiteConfig>>(bytes),
    ];
    kinds.contains(&true)
}

/// Claims of any type come back from their own JSON as they were read.
pub fn claims(bytes: &[u8]) -> bool {
    let types = [
        same_json::<Quote>(bytes).is_some(),
        same_json::<Permit>(bytes).is_some(),
        same_json::<Off>(bytes).is_some(),
        same_json::<Inquiry>(bytes).is_some(),
        same_json::<Receipt>(bytes).is_some(),
        same_json::<SiteConfig>(bytes).is_some(),
        same_json::<GatewayRequest>(bytes).is_some(),
        same_json::<OrderRequest>(bytes).is_some(),
        same_json::<PermitRequest>(bytes).is_some(),
        same_json::<LinkageResult>(bytes).is_some(),
        same_json::<JournalAnswer>(bytes).is_some(),
        same_json::<GatewayAnswer>(bytes).is_some(),
        same_json::<GatewayEvent>(bytes).is_some(),
    ];
    types.contains(&true)
}

/// A compact serialization as it comes over the network. Whatever is believed is of one type and
/// has the one framing there is.
pub fn jws(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    static KEYRING: LazyLock<Keyring> =
        LazyLock::new(|| Keyring::of(SigningKey::from_seed(PLATFORM_SEED).public()));
    let keyring = &*KEYRING;
    let believed = [
        is_believed::<Quote>(text, keyring),
        is_believed::<Permit>(text, keyring),
        is_believed::<Off>(text, keyring),
        is_believed::<Inquiry>(text, keyring),
        is_believed::<Receipt>(text, keyring),
        is_believed::<SiteConfig>(text, keyring),
        is_believed::<GatewayRequest>(text, keyring),
        is_believed::<OrderRequest>(text, keyring),
        is_believed::<PermitRequest>(text, keyring),
        is_believed::<LinkageResult>(text, keyring),
        is_believed::<JournalAnswer>(text, keyring),
        is_believed::<GatewayAnswer>(text, keyring),
        is_believed::<GatewayEvent>(text, keyring),
    ];
    let types = believed.iter().filter(|it| **it).count();
    assert!(types <= 1, "one text is believed as two types");
    types == 1
}

/// What stands behind a right signature: a header in the first line, claims in the rest.
pub fn signed(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return false;
    };
    let header = URL_SAFE_NO_PAD.encode(&bytes[..end]);
    let claims = URL_SAFE_NO_PAD.encode(&bytes[end + 1..]);
    let input = format!("{header}.{claims}");
    let pair = Ed25519KeyPair::from_seed_unchecked(&PLATFORM_SEED).unwrap();
    let signature = URL_SAFE_NO_PAD.encode(pair.sign(input.as_bytes()));
    jws(format!("{input}.{signature}").as_bytes())
}

fn same_text<T: FromStr + Display>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    let read = text.parse::<T>().ok()?;
    assert_eq!(read.to_string(), text);
    Some(read)
}

fn is_same_text<T: FromStr + Display>(bytes: &[u8]) -> bool {
    same_text::<T>(bytes).is_some()
}

fn same_name<T: FromStr + Display>(bytes: &[u8]) -> bool {
    let accepted = is_same_text::<T>(bytes);
    assert!(!accepted || bytes.len() <= NAME_LENGTH_MAX);
    accepted
}

fn is_same_audience(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    let audience = text.map(Audience::try_from);
    match audience {
        Ok(Ok(audience)) => {
            assert_eq!(audience.to_string().as_bytes(), bytes);
            true
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

fn same_json<T>(bytes: &[u8]) -> Option<T>
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), read);
    Some(read)
}

fn same_envelope<M: Message + Debug + PartialEq>(bytes: &[u8]) -> bool {
    let Ok(read) = codec::decode::<M>(bytes) else {
        return false;
    };
    assert!(bytes.len() <= PAYLOAD_SIZE_MAX);
    match codec::encode(&read) {
        Ok(written) => assert_eq!(codec::decode::<M>(&written).unwrap(), read),
        // Ours may be longer than what we read: an instant without seconds, for example.
        Err(error) => assert!(matches!(error, CodecError::TooLarge(_)), "{error}"),
    }
    true
}

fn is_believed<T: Claims>(text: &str, keyring: &Keyring) -> bool {
    let Ok(jws) = text.parse::<Jws<T>>() else {
        assert!(text.len() > JWS_LENGTH_MAX);
        return false;
    };
    let audiences = [
        Audience::terminal("north/gate-1".parse().unwrap()),
        Audience::platform(&"main".parse().unwrap()),
        Audience::gateway(&"mock".parse().unwrap()),
    ];
    let believed = |audience| verify(&jws, keyring, audience).ok();
    let found: Vec<_> = audiences.iter().filter_map(believed).collect();
    assert!(found.len() <= 1, "one text is meant for two");
    for verified in &found {
        assert_eq!(verified.jws().as_str(), text);
        assert_framing(text, T::TYP);
    }
    !found.is_empty()
}

/// Three parts of canonical base64url; the header is an object of exactly three members.
fn assert_framing(text: &str, typ: &str) {
    let parts: Vec<Vec<u8>> = text
        .split('.')
        .map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), part);
            bytes
        })
        .collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[2].len(), 64);
    let header: Value = serde_json::from_slice(&parts[0]).unwrap();
    let kid = SigningKey::from_seed(PLATFORM_SEED).public().id();
    let expected = serde_json::json!({ "alg": "EdDSA", "kid": kid, "typ": typ });
    assert_eq!(header, expected);
}

#[cfg(test)]
mod tests {
    use corpus::check;

    #[test]
    fn topics() {
        check("topic", super::topic);
    }

    #[test]
    fn names() {
        check("name", super::name);
    }

    #[test]
    fn values() {
        check("value", super::value);
    }

    #[test]
    fn envelopes() {
        check("envelope", super::envelope);
    }

    #[test]
    fn claims() {
        check("claims", super::claims);
    }

    #[test]
    fn compact_serializations() {
        check("jws", super::jws);
    }

    #[test]
    fn receipt_files() {
        check("receipt_file", super::receipt_file);
    }

    #[test]
    fn receipts() {
        check("receipt", super::receipt);
    }

    #[test]
    fn published_keys() {
        check("published_keys", super::published_keys);
    }

    #[test]
    fn signed_headers_and_claims() {
        check("signed", super::signed);
    }
}
