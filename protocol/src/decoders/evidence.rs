//! What a payer keeps, read by whoever doubts it.

use std::sync::LazyLock;

use serde_json::Value;

use super::PLATFORM_SEED;
use crate::evidence::{FILE_LENGTH_MAX, PublishedKey, PublishedKeys, ReceiptFile, Standing, check};
use crate::message::{Ground, LinkageResult, Receipt};
use crate::signed::{Audience, SigningKey, sign};

/// The terminal of the published vectors.
const TERMINAL_SEED: [u8; 32] = [0x22; 32];

static KEYS: LazyLock<PublishedKeys> = LazyLock::new(|| {
    let key = |owner: &str, seed| {
        let owner = Audience::try_from(owner.to_owned()).unwrap();
        PublishedKey::new(
            owner,
            SigningKey::from_seed(seed).public(),
            Standing::Trusted,
        )
    };
    PublishedKeys {
        platform: "main".parse().unwrap(),
        keys: vec![
            key("platform:main", PLATFORM_SEED),
            key("terminal:north/gate-1", TERMINAL_SEED),
        ],
    }
});

/// A receipt's file as somebody hands it over. Accepted if both signatures and all that it says
/// fit.
pub fn receipt_file(bytes: &[u8]) -> bool {
    let Ok(file) = ReceiptFile::parse(bytes) else {
        return false;
    };
    assert!(bytes.len() <= FILE_LENGTH_MAX);
    let written = serde_json::to_vec(&file).unwrap();
    if written.len() <= FILE_LENGTH_MAX {
        assert_eq!(ReceiptFile::parse(&written).unwrap(), file);
    }
    is_proved(&file)
}

/// What stands behind two right signatures: the terminal's result in the first line, the
/// platform's receipt in the rest, without the result in it.
pub fn receipt(bytes: &[u8]) -> bool {
    written(bytes).is_some_and(|file| is_proved(&file))
}

/// A file of published keys: each under its own thumbprint, none twice.
pub fn published_keys(bytes: &[u8]) -> bool {
    let Ok(keys) = PublishedKeys::parse(bytes) else {
        return false;
    };
    for key in &keys.keys {
        assert_eq!(key.x.id(), key.kid);
        let same = keys
            .keys
            .iter()
            .filter(|other| (&other.owner, &other.kid) == (&key.owner, &key.kid));
        assert_eq!(same.count(), 1);
    }
    let written = serde_json::to_vec(&keys).unwrap();
    assert_eq!(PublishedKeys::parse(&written).unwrap(), keys);
    true
}

fn written(bytes: &[u8]) -> Option<ReceiptFile> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let result: LinkageResult = serde_json::from_slice(&bytes[..end]).ok()?;
    let result = sign(&SigningKey::from_seed(TERMINAL_SEED), &result).ok()?;
    let mut receipt: Value = serde_json::from_slice(&bytes[end + 1..]).ok()?;
    let members = receipt.as_object_mut()?;
    members.insert("result".to_owned(), String::from(result).into());
    let receipt: Receipt = serde_json::from_value(receipt).ok()?;
    let receipt = sign(&SigningKey::from_seed(PLATFORM_SEED), &receipt).ok()?;
    Some(ReceiptFile::of(receipt))
}

fn is_proved(file: &ReceiptFile) -> bool {
    let Ok(proof) = check(file, &KEYS, None) else {
        return false;
    };
    super::assert_framing(file.signed.as_str(), "paylatch.receipt.v1");
    let (receipt, result) = (proof.receipt(), proof.result());
    assert_eq!(receipt.transaction, result.transaction);
    assert_eq!(receipt.terminal, result.terminal);
    let sum = receipt
        .lines
        .iter()
        .map(|line| i128::from(line.amount.minor()));
    assert_eq!(sum.sum::<i128>(), i128::from(receipt.amount.minor()));
    if let Ground::Paid { amount, payee, .. } = &receipt.ground {
        assert_eq!((amount, payee), (&receipt.amount, &receipt.payee.id));
        assert!(receipt.payment.is_some());
    }
    if let Ground::ZeroBill { .. } = &receipt.ground {
        assert!(receipt.amount.is_zero());
    }
    // Whoever wrote the texts adds no line of their own to what is proved.
    let facts = proof.to_string();
    let own = facts
        .lines()
        .filter(|line| line.starts_with("platform's signature"));
    assert_eq!(own.count(), 1);
    assert!(!facts.contains(|c: char| c.is_control() && c != '\n'));
    true
}
