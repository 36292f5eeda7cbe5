//! Signatures: JWS compact serialization (RFC 7515) with `EdDSA` over Ed25519 (RFC 8037).
//!
//! The framing is stricter than the RFC: the header holds exactly `alg`, `kid` and `typ`, base64url
//! is canonical, and a verifier accepts exactly one `typ`, one author and one audience. What
//! [`verify`] returns is the only way to a [`Verified`] value, and machines that act on a message
//! take nothing else.
//!
//! ```
//! use protocol::id::{Nonce, TransactionId};
//! use protocol::message::{Inquiry, Off, OffReason};
//! use protocol::signed::{Audience, Keyring, Refusal, SigningKey, sign, verify};
//! use protocol::time::Utc;
//!
//! let key = SigningKey::from_seed([1; 32]);
//! let ours = Audience::terminal("north/gate-1".parse().unwrap());
//! let off = Off {
//!     aud: ours.clone(),
//!     transaction: TransactionId::from_random([2; 16]),
//!     nonce: Nonce::from_random([3; 16]),
//!     devices: vec![],
//!     reason: OffReason::Declined,
//!     issued_at: Utc::EPOCH,
//! };
//! let jws = sign(&key, &off).unwrap();
//! let keyring = Keyring::of(key.public());
//! assert_eq!(*verify(&jws, &keyring, &ours).unwrap(), off);
//!
//! let other = Audience::terminal("north/gate-2".parse().unwrap());
//! assert_eq!(verify(&jws, &keyring, &other).unwrap_err(), Refusal::Audience);
//! let stranger = Keyring::of(SigningKey::from_seed([9; 32]).public());
//! assert_eq!(verify(&jws, &stranger, &ours).unwrap_err(), Refusal::UnknownKey);
//! let inquiry = jws.as_str().parse::<protocol::signed::Jws<Inquiry>>().unwrap();
//! assert_eq!(verify(&inquiry, &keyring, &ours).unwrap_err(), Refusal::Type); // another `typ`
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::id::{GatewayId, PlatformId};
use crate::topic::TerminalName;

/// Longest compact form: it must fit a payload of [`crate::codec::PAYLOAD_SIZE_MAX`] with its
/// envelope around it.
pub const JWS_LENGTH_MAX: usize = 7 * 1024;

/// A header is three short members; a longer one is not ours.
const HEADER_LENGTH_MAX: usize = 256;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a public key is 32 bytes of Ed25519 in base64url, 43 characters")]
pub struct KeyError;

/// Why a text names no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is its JWK thumbprint in base64url, 43 characters")]
pub struct KeyIdError;

/// Why a value could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("the claims of {typ} have no JSON form")]
    Encode {
        typ: &'static str,
        source: serde_json::Error,
    },
    #[error("a signed {typ} of {length} bytes is over the limit of {JWS_LENGTH_MAX}")]
    TooLong { typ: &'static str, length: usize },
}

/// Why a signed message is not believed. Refusals are counted by name, never a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Refusal {
    #[error("not three canonical base64url parts within the length limit")]
    Framing,
    #[error("the header is not exactly alg EdDSA, kid and typ")]
    Header,
    #[error("signed as another type of message")]
    Type,
    #[error("signed by a key that is not this author's")]
    UnknownKey,
    #[error("signed by a revoked key")]
    RevokedKey,
    #[error("the signature does not fit")]
    Signature,
    #[error("the claims are not those of this type")]
    Claims,
    #[error("meant for somebody else")]
    Audience,
}

impl Refusal {
    /// The name under which it is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Framing => "framing",
            Self::Header => "header",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::RevokedKey => "revoked_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Audience => "audience",
        }
    }
}

/// What can be signed: one type of message with one `typ`.
pub trait Claims: Serialize + DeserializeOwned {
    /// The `typ` of the header, `paylatch.NAME.v1`.
    const TYP: &'static str;

    /// For whom it is.
    fn audience(&self) -> &Audience;
}

/// For whom a message is: `terminal:site/terminal`, `platform:name` or `gateway:name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Audience(String);

impl Audience {
    #[must_use]
    pub fn terminal(name: TerminalName) -> Self {
        Self(format!("terminal:{}", String::from(name)))
    }

    #[must_use]
    pub fn platform(id: &PlatformId) -> Self {
        Self(format!("platform:{id}"))
    }

    #[must_use]
    pub fn gateway(id: &GatewayId) -> Self {
        Self(format!("gateway:{id}"))
    }
}

impl TryFrom<String> for Audience {
    type Error = crate::topic::TopicError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once(':') {
            Some(("terminal", name)) => Ok(Self::terminal(name.parse()?)),
            Some(("platform", name)) => Ok(Self::platform(&name.parse()?)),
            Some(("gateway", name)) => Ok(Self::gateway(&name.parse()?)),
            _ => Err(crate::topic::TopicError::Shape),
        }
    }
}

impl From<Audience> for String {
    fn from(audience: Audience) -> Self {
        audience.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a key: its JWK thumbprint (RFC 7638) in base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As people write it: whether there is such a key is another question.
impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyIdError)?;
        let is_thumbprint = bytes.len() == 32;
        is_thumbprint
            .then(|| Self(text.to_owned()))
            .ok_or(KeyIdError)
    }
}

/// An Ed25519 public key; text form base64url of its 32 bytes (the `x` of RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The JWK thumbprint of RFC 7638 over the members that RFC 8037 section 2 requires.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{self}"}}"#);
        KeyId(URL_SAFE_NO_PAD.encode(Sha256::digest(jwk)))
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError)?;
        bytes.try_into().map(Self).map_err(|_| KeyError)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// An Ed25519 private key. It has no text form: whoever stores the seed made it.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
    id: KeyId,
}

impl SigningKey {
    /// The key of a 32-byte seed (RFC 8032 section 5.1.5).
    ///
    /// # Panics
    /// Never: a seed of 32 bytes is always a key.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "the type fixes the length, the only thing ring checks"
    )]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are a seed");
        let mut bytes = [0; 32];
        bytes.copy_from_slice(pair.public_key().as_ref());
        let public = PublicKey(bytes);
        Self {
            pair,
            public,
            id: public.id(),
        }
    }

    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.id.0)
    }
}

/// The keys of one author: several during a rotation, some of them revoked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keyring {
    keys: BTreeMap<KeyId, (PublicKey, Standing)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Trusted,
    Revoked,
}

impl Keyring {
    #[must_use]
    pub fn of(key: PublicKey) -> Self {
        std::iter::once(key).collect()
    }

    /// Revokes by id; whether it is one of these. A revoked key stays known, so that its use is
    /// counted by its own name.
    pub fn revoke(&mut self, id: &KeyId) -> bool {
        let found = self.keys.get_mut(id);
        let is_known = found.is_some();
        if let Some((_, standing)) = found {
            *standing = Standing::Revoked;
        }
        is_known
    }

    fn find(&self, id: &KeyId) -> Result<PublicKey, Refusal> {
        match self.keys.get(id) {
            Some((key, Standing::Trusted)) => Ok(*key),
            Some((_, Standing::Revoked)) => Err(Refusal::RevokedKey),
            None => Err(Refusal::UnknownKey),
        }
    }
}

impl FromIterator<PublicKey> for Keyring {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let entry = |key: PublicKey| (key.id(), (key, Standing::Trusted));
        Self {
            keys: keys.into_iter().map(entry).collect(),
        }
    }
}

/// A signed `T` that nobody has verified yet. JSON form: the compact serialization.
#[derive(Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound = "")]
pub struct Jws<T> {
    compact: String,
    claims: PhantomData<fn() -> T>,
}

impl<T> Jws<T> {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.compact
    }

    /// SHA-256 of the compact form, for chains and records.
    #[must_use]
    pub fn digest(&self) -> crate::message::Digest {
        crate::message::Digest::of(self.compact.as_bytes())
    }
}

impl<T> Clone for Jws<T> {
    fn clone(&self) -> Self {
        Self {
            compact: self.compact.clone(),
            claims: PhantomData,
        }
    }
}

impl<T> PartialEq for Jws<T> {
    fn eq(&self, other: &Self) -> bool {
        self.compact == other.compact
    }
}

impl<T> Eq for Jws<T> {}

impl<T> Hash for Jws<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.compact.hash(state);
    }
}

impl<T> fmt::Debug for Jws<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jws({})", self.compact)
    }
}

impl<T> FromStr for Jws<T> {
    type Err = Refusal;

    /// Checks the length and nothing else: [`verify`] does the rest.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() > JWS_LENGTH_MAX {
            return Err(Refusal::Framing);
        }
        Ok(Self {
            compact: text.to_owned(),
            claims: PhantomData,
        })
    }
}

impl<T> TryFrom<String> for Jws<T> {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        text.parse()
    }
}

impl<T> From<Jws<T>> for String {
    fn from(jws: Jws<T>) -> Self {
        jws.compact
    }
}

/// Claims whose signature, `typ`, author and audience were found right, with the text they came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    claims: T,
    jws: Jws<T>,
    key: KeyId,
}

impl<T> Verified<T> {
    #[must_use]
    pub fn jws(&self) -> &Jws<T> {
        &self.jws
    }

    #[must_use]
    pub fn into_claims(self) -> T {
        self.claims
    }

    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> &KeyId {
        &self.key
    }
}

impl<T> Hash for Verified<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.jws.hash(state);
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.claims
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: KeyId,
    typ: String,
}

/// Signs `claims` as `T::TYP`.
pub fn sign<T: Claims>(key: &SigningKey, claims: &T) -> Result<Jws<T>, SignError> {
    let encode = |source| SignError::Encode {
        typ: T::TYP,
        source,
    };
    let header = Header {
        alg: "EdDSA".to_owned(),
        kid: key.id.clone(),
        typ: T::TYP.to_owned(),
    };
    let header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).map_err(encode)?);
    let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).map_err(encode)?);
    let input = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(key.pair.sign(input.as_bytes()));
    let compact = format!("{input}.{signature}");
    let length = compact.len();
    compact.parse().map_err(|_| SignError::TooLong {
        typ: T::TYP,
        length,
    })
}

/// Believes `jws` only if one of the author's `keyring` signed it, as `T::TYP`, for `audience`.
pub fn verify<T: Claims>(
    jws: &Jws<T>,
    keyring: &Keyring,
    audience: &Audience,
) -> Result<Verified<T>, Refusal> {
    let (input, signature) = jws.compact.rsplit_once('.').ok_or(Refusal::Framing)?;
    let (header, claims) = input.split_once('.').ok_or(Refusal::Framing)?;
    let header = decode_header(header)?;
    if header.typ != T::TYP {
        return Err(Refusal::Type);
    }
    let key = keyring.find(&header.kid)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| Refusal::Framing)?;
    if !key.verify(input.as_bytes(), &signature) {
        return Err(Refusal::Signature);
    }
    let claims = URL_SAFE_NO_PAD
        .decode(claims)
        .map_err(|_| Refusal::Framing)?;
    let claims: T = serde_json::from_slice(&claims).map_err(|_| Refusal::Claims)?;
    if claims.audience() != audience {
        return Err(Refusal::Audience);
    }
    Ok(Verified {
        claims,
        jws: jws.clone(),
        key: header.kid,
    })
}

fn decode_header(part: &str) -> Result<Header, Refusal> {
    if part.len() > HEADER_LENGTH_MAX {
        return Err(Refusal::Framing);
    }
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Framing)?;
    // JSON readers of Rust take a list of three texts for the object, others don't.
    if !bytes.starts_with(b"{") {
        return Err(Refusal::Header);
    }
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| Refusal::Header)?;
    if header.alg == "EdDSA" {
        Ok(header)
    } else {
        Err(Refusal::Header)
    }
}
