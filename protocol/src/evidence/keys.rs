//! Keys as their owners publish them: a JWK Set (RFC 7517 section 5) of Ed25519 keys (RFC 8037),
//! with whose key each one is.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::id::PlatformId;
use crate::signed::{Audience, KeyId, Keyring, PublicKey};

/// Most keys of one file: the terminals of the largest platform that we serve, twice over for
/// rotations.
pub const KEYS_MAX: usize = 20_000;

/// Why a text is no set of published keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("not a file of published keys")]
    Form(#[source] serde_json::Error),
    #[error("more than {KEYS_MAX} keys")]
    TooMany,
    #[error("key {kid} of {owner}: the id is not that of the key, which is {is}")]
    Id {
        owner: Audience,
        kid: String,
        is: String,
    },
    #[error("key {kid} of {owner} stands twice in the file")]
    Twice { owner: Audience, kid: String },
}

/// Everything that receipts of one platform are checked with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKeys {
    /// Terminals sign their results for this platform.
    pub platform: PlatformId,
    pub keys: Vec<PublishedKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// `platform:name` or `terminal:site/terminal`.
    pub owner: Audience,
    pub status: Standing,
    pub kid: KeyId,
    pub x: PublicKey,
    pub kty: KeyType,
    pub crv: Curve,
    pub alg: Algorithm,
    #[serde(rename = "use")]
    pub purpose: Purpose,
}

/// Whether what a key signed is still believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In use, or retired in good order: what it signed holds.
    Trusted,
    /// Lost or stolen: nothing that it signed is believed, whatever date it bears.
    Revoked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyType {
    #[serde(rename = "OKP")]
    OctetKeyPair,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "EdDSA")]
    EdDsa,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    #[serde(rename = "sig")]
    Signature,
}

impl PublishedKeys {
    /// Reads the JSON form and refuses a key whose id is not its thumbprint.
    pub fn parse(text: &[u8]) -> Result<Self, KeysError> {
        let keys: Self = serde_json::from_slice(text).map_err(KeysError::Form)?;
        if keys.keys.len() > KEYS_MAX {
            return Err(KeysError::TooMany);
        }
        let mut seen = BTreeSet::new();
        for key in &keys.keys {
            key.check_id()?;
            if !seen.insert((&key.owner, &key.kid)) {
                return Err(KeysError::Twice {
                    owner: key.owner.clone(),
                    kid: key.kid.as_str().to_owned(),
                });
            }
        }
        Ok(keys)
    }

    /// The same keys, with those of these ids revoked.
    #[must_use]
    pub fn with_revoked(mut self, ids: &[KeyId]) -> Self {
        for key in self.keys.iter_mut().filter(|key| ids.contains(&key.kid)) {
            key.status = Standing::Revoked;
        }
        self
    }

    /// The keys of one owner.
    pub(super) fn of(&self, owner: &Audience) -> Keyring {
        let own = || self.keys.iter().filter(|key| key.owner == *owner);
        let mut keyring: Keyring = own().map(|key| key.x).collect();
        for key in own().filter(|key| key.status == Standing::Revoked) {
            keyring.revoke(&key.kid);
        }
        keyring
    }
}

impl PublishedKey {
    #[must_use]
    pub fn new(owner: Audience, key: PublicKey, status: Standing) -> Self {
        Self {
            owner,
            status,
            kid: key.id(),
            x: key,
            kty: KeyType::OctetKeyPair,
            crv: Curve::Ed25519,
            alg: Algorithm::EdDsa,
            purpose: Purpose::Signature,
        }
    }

    fn check_id(&self) -> Result<(), KeysError> {
        let is = self.x.id();
        if is == self.kid {
            return Ok(());
        }
        Err(KeysError::Id {
            owner: self.owner.clone(),
            kid: self.kid.as_str().to_owned(),
            is: is.as_str().to_owned(),
        })
    }
}
