//! Receipts as third parties check them. `vectors/receipts.json` holds a receipt, the keys, and
//! what a checker must say of it and of its forgeries; other implementations check themselves
//! against it. `PAYLATCH_WRITE_VECTORS=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use proptest::prelude::*;
use protocol::evidence::{
    Misfit, PublishedKey, PublishedKeys, ReceiptFile, Standing, check, file_name,
};
use protocol::id::{JournalId, Nonce, PaymentId, SessionId, TransactionId, VisitId};
use protocol::message::{
    BillLine, DeviceOutcome, DeviceResult, Digest, Feedback, Ground, LinkageOutcome, LinkageResult,
    Payee, Place, Receipt, ReceiptPayment, Text, UncertainReason,
};
use protocol::money::Money;
use protocol::signed::{Audience, Jws, Refusal, SigningKey, sign};
use protocol::time::Utc;
use serde_json::{Value, json};

fn platform_key() -> SigningKey {
    SigningKey::from_seed([0x11; 32])
}

fn terminal_key() -> SigningKey {
    SigningKey::from_seed([0x22; 32])
}

fn gate() -> Audience {
    Audience::terminal("north/gate-1".parse().unwrap())
}

fn main_platform() -> Audience {
    Audience::platform(&"main".parse().unwrap())
}

fn keys() -> PublishedKeys {
    let key = |owner, key: SigningKey, standing| PublishedKey::new(owner, key.public(), standing);
    let other = Audience::terminal("north/gate-2".parse().unwrap());
    PublishedKeys {
        platform: "main".parse().unwrap(),
        keys: vec![
            key(main_platform(), platform_key(), Standing::Trusted),
            key(
                main_platform(),
                SigningKey::from_seed([0x12; 32]),
                Standing::Revoked,
            ),
            key(gate(), terminal_key(), Standing::Trusted),
            key(other, SigningKey::from_seed([0x23; 32]), Standing::Trusted),
        ],
    }
}

fn at(millis: i64) -> Utc {
    Utc::from_millis(1_795_424_400_000 + millis).unwrap()
}

fn yuan(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn result() -> LinkageResult {
    LinkageResult {
        aud: main_platform(),
        terminal: "north/gate-1".parse().unwrap(),
        transaction: TransactionId::from_random([0x4F; 16]),
        session: SessionId::from_random([1; 16]),
        nonce: Nonce::from_random([2; 16]),
        journal: JournalId::from_random([3; 16]),
        outcome: LinkageOutcome::Done,
        devices: vec![DeviceResult {
            device: "gate".parse().unwrap(),
            outcome: DeviceOutcome::Done,
            feedback: Feedback::Sensor,
        }],
        decided_at: at(900),
        clock_error_ms: 50,
        previous: None,
    }
}

fn receipt_of(result: &LinkageResult) -> Receipt {
    let line = |text: &str, quantity, minor| BillLine {
        text: Text::english(text),
        quantity,
        amount: yuan(minor),
    };
    Receipt {
        aud: gate(),
        terminal: "north/gate-1".parse().unwrap(),
        transaction: TransactionId::from_random([0x4F; 16]),
        session: SessionId::from_random([1; 16]),
        merchant: "North Parking".to_owned(),
        payee: Payee {
            id: "north-parking".parse().unwrap(),
            name: "North Parking Co., Ltd.".to_owned(),
        },
        place: Place {
            id: "gate-1".parse().unwrap(),
            name: "North gate, exit 1".to_owned(),
        },
        lines: vec![line("Short stay", 1, 450), line("Car wash token", 2, 3_000)],
        amount: yuan(3_450),
        ground: Ground::Paid {
            gateway: "mock".parse().unwrap(),
            payment: PaymentId::from_random([9; 16]),
            amount: yuan(3_450),
            payee: "north-parking".parse().unwrap(),
        },
        payment: Some(ReceiptPayment {
            gateway: "mock".parse().unwrap(),
            payment: PaymentId::from_random([9; 16]),
            paid_at: at(0),
        }),
        devices: vec!["gate".parse().unwrap()],
        tariff_version: Some(Digest::of(b"tariff")),
        time_zone: Some("Asia/Shanghai".to_owned()),
        result: sign(&terminal_key(), result).unwrap(),
        previous: Some(first().signed.digest()),
        issued_at: at(1_000),
    }
}

/// The receipt before the good one.
fn first() -> ReceiptFile {
    let result = LinkageResult {
        transaction: TransactionId::from_random([0x4E; 16]),
        ..result()
    };
    let receipt = Receipt {
        transaction: TransactionId::from_random([0x4E; 16]),
        result: sign(&terminal_key(), &result).unwrap(),
        previous: None,
        ..unchained()
    };
    ReceiptFile::of(sign(&platform_key(), &receipt).unwrap())
}

/// Like [`receipt_of`], without what would ask for [`first`] again.
fn unchained() -> Receipt {
    serde_json::from_value(json!({
        "aud": "terminal:north/gate-1",
        "terminal": "north/gate-1",
        "transaction": "4e".repeat(16),
        "session": "01".repeat(16),
        "merchant": "North Parking",
        "payee": {"id": "north-parking", "name": "North Parking Co., Ltd."},
        "place": {"id": "gate-1", "name": "North gate, exit 1"},
        "lines": [{"text": {"en": "Free minute"}, "quantity": 1,
                   "amount": {"minor": 0, "currency": "CNY"}}],
        "amount": {"minor": 0, "currency": "CNY"},
        "ground": {"kind": "zero_bill", "tariff_version": Digest::of(b"tariff").to_string()},
        "result": "",
        "issued_at": "2026-11-24T08:00:00Z",
    }))
    .unwrap()
}

fn signed(change: impl FnOnce(&mut Receipt)) -> ReceiptFile {
    let mut receipt = receipt_of(&result());
    change(&mut receipt);
    ReceiptFile::of(sign(&platform_key(), &receipt).unwrap())
}

fn with_result(change: impl FnOnce(&mut LinkageResult)) -> ReceiptFile {
    let mut result = result();
    change(&mut result);
    ReceiptFile::of(sign(&platform_key(), &receipt_of(&result)).unwrap())
}

/// Every forgery with the line that names what does not fit.
#[allow(clippy::too_many_lines, reason = "a table, a row for each forgery")]
fn forgeries() -> Vec<(&'static str, ReceiptFile, String)> {
    let line = |misfit: Misfit| misfit.to_string();
    let ground = |text| line(Misfit::Ground(text));
    let mut readable = signed(|_| ());
    readable.receipt.as_mut().unwrap()["amount"]["minor"] = json!(1);
    let by = |seed| {
        ReceiptFile::of(sign(&SigningKey::from_seed([seed; 32]), &receipt_of(&result())).unwrap())
    };
    let permuted = DeviceResult {
        device: "lamp".parse().unwrap(),
        ..result().devices.remove(0)
    };
    vec![
        ("readable part changed", readable, line(Misfit::Readable)),
        (
            "unknown key",
            by(0x99),
            line(Misfit::Platform(Refusal::UnknownKey)),
        ),
        (
            "revoked key",
            by(0x12),
            line(Misfit::Platform(Refusal::RevokedKey)),
        ),
        (
            "result signed by another terminal",
            signed(|receipt| {
                receipt.result = sign(&SigningKey::from_seed([0x23; 32]), &result()).unwrap();
            }),
            line(Misfit::Terminal(Refusal::UnknownKey)),
        ),
        (
            "result for another platform",
            with_result(|result| result.aud = Audience::platform(&"other".parse().unwrap())),
            line(Misfit::Terminal(Refusal::Audience)),
        ),
        (
            "result of another transaction",
            with_result(|result| result.transaction = TransactionId::from_random([5; 16])),
            format!(
                "the receipt is for transaction {}, the terminal's result for transaction {}",
                "4f".repeat(16),
                "05".repeat(16)
            ),
        ),
        (
            "failed",
            with_result(|result| result.outcome = LinkageOutcome::Failed),
            line(Misfit::NotDone),
        ),
        (
            "another device",
            with_result(|result| result.devices = vec![permuted]),
            "the permit named gate, the terminal's result lamp".to_owned(),
        ),
        (
            "device contradicts",
            with_result(|result| result.devices[0].feedback = Feedback::Contradicts),
            "the deciding device gate did not move".to_owned(),
        ),
        (
            "sum",
            signed(|receipt| receipt.lines[0].amount = yuan(451)),
            "the lines add up to 34.51 CNY, the amount is 34.50 CNY".to_owned(),
        ),
        (
            "payment missing",
            signed(|receipt| receipt.payment = None),
            ground("paid, but no payment is named"),
        ),
        (
            "another payment",
            signed(|receipt| {
                receipt.payment.as_mut().unwrap().payment = PaymentId::from_random([8; 16]);
            }),
            ground("the payment of the permit is not that of the receipt"),
        ),
        (
            "another payee",
            signed(|receipt| receipt.payee.id = "thief".parse().unwrap()),
            ground("the payee of the permit is not that of the receipt"),
        ),
        (
            "given away",
            signed(|receipt| {
                receipt.ground = Ground::ZeroBill {
                    tariff_version: Digest::of(b"tariff"),
                };
                receipt.payment = None;
            }),
            ground("there was something to pay, but nothing was paid"),
        ),
        (
            "entry",
            signed(|receipt| {
                receipt.ground = Ground::EntryVisit {
                    visit: VisitId::from_random([7; 16]),
                };
            }),
            ground("its ground is no sale"),
        ),
    ]
}

fn vectors() -> Value {
    let good = signed(|_| ());
    let proof = check(&good, &keys(), Some(&first())).unwrap().to_string();
    let forgeries: Vec<Value> = forgeries()
        .into_iter()
        .map(|(name, file, line)| json!({"name": name, "file": file, "line": line}))
        .collect();
    json!({
        "keys": keys(),
        "previous": first(),
        "good": good,
        "proof": proof.lines().collect::<Vec<_>>(),
        "forgeries": forgeries,
    })
}

#[test]
fn vectors_hold_what_is_proved_and_refused() {
    let made = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/receipts.json");
    if std::env::var_os("PAYLATCH_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), made);
}

#[test]
fn every_forgery_is_refused_by_its_own_line() {
    for (name, file, line) in forgeries() {
        let misfit = check(&file, &keys(), None).unwrap_err();
        assert_eq!(misfit.to_string(), line, "{name}");
    }
}

#[test]
fn a_sensor_settles_an_uncertain_result_unless_it_is_partial() {
    let uncertain = |reason| {
        with_result(|result| {
            result.outcome = LinkageOutcome::Uncertain { reason };
            result.devices[0].outcome = DeviceOutcome::Uncertain;
        })
    };
    check(
        &uncertain(UncertainReason::IntentWithoutDone),
        &keys(),
        None,
    )
    .unwrap();
    let partial = check(&uncertain(UncertainReason::Partial), &keys(), None);
    assert_eq!(partial.unwrap_err(), Misfit::NotDone);
}

#[test]
fn what_a_person_opened_says_so() {
    let ground = Ground::Operator {
        name: "Ada".to_owned(),
        reason: "arm stuck".to_owned(),
    };
    let opened = signed(|receipt| {
        receipt.ground = ground;
        receipt.payment = None;
    });
    let proof = check(&opened, &keys(), None).unwrap().to_string();
    let by_hand =
        "opened by hand: by \"Ada\", because \"arm stuck\"\nnothing was paid of 34.50 CNY\n";
    assert!(proof.contains(by_hand), "{proof}");
}

#[test]
fn a_chain_is_checked_where_the_receipt_before_is_shown() {
    let (good, before) = (signed(|_| ()), first());
    check(&good, &keys(), Some(&before)).unwrap();
    check(&before, &keys(), None).unwrap();
    for (file, previous, line) in [
        (&good, &good, "another one is named"),
        (&before, &good, "none is named"),
    ] {
        let misfit = check(file, &keys(), Some(previous)).unwrap_err();
        assert_eq!(misfit, Misfit::Previous(line));
    }
    let forged = ReceiptFile::of("a.e30.c".parse().unwrap());
    let misfit = check(&good, &keys(), Some(&forged)).unwrap_err();
    assert_eq!(misfit, Misfit::Previous("its signatures don't fit"));
}

#[test]
fn a_receipt_without_what_later_versions_added_still_fits() {
    let file = signed(|receipt| {
        receipt.devices.clear();
        receipt.tariff_version = None;
        receipt.time_zone = None;
    });
    check(&file, &keys(), None).unwrap();
}

#[test]
fn a_file_is_json_or_the_bare_signed_text() {
    let good = signed(|_| ());
    let text = serde_json::to_string(&good).unwrap();
    assert_eq!(ReceiptFile::parse(text.as_bytes()).unwrap(), good);
    let bare = format!("{}\n", good.signed.as_str());
    let parsed = ReceiptFile::parse(bare.as_bytes()).unwrap();
    assert_eq!((parsed.receipt, &parsed.signed), (None, &good.signed));
    for broken in [&b"{}"[..], b"{\"signed\":1}", b"\xff", &[b'a'; 40_000]] {
        assert!(ReceiptFile::parse(broken).is_err());
    }
    let name = file_name(TransactionId::from_random([0x4F; 16]));
    assert_eq!(name, "receipt-4f4f4f4f.json");
}

#[test]
fn published_keys_have_the_ids_of_their_keys_once_each() {
    let text = serde_json::to_string(&keys()).unwrap();
    assert_eq!(PublishedKeys::parse(text.as_bytes()).unwrap(), keys());
    let mut swapped: Value = serde_json::from_str(&text).unwrap();
    swapped["keys"][0]["kid"] = swapped["keys"][1]["kid"].clone();
    let error = PublishedKeys::parse(swapped.to_string().as_bytes()).unwrap_err();
    assert!(
        error.to_string().contains("the id is not that of the key"),
        "{error}"
    );
    let mut twice = keys();
    twice.keys.push(twice.keys[0].clone());
    let error = PublishedKeys::parse(&serde_json::to_vec(&twice).unwrap()).unwrap_err();
    assert!(error.to_string().contains("stands twice"), "{error}");
    for broken in ["", "[]", "{\"platform\":\"main\"}"] {
        assert!(PublishedKeys::parse(broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn a_key_that_is_revoked_later_takes_its_receipts_with_it() {
    let good = signed(|_| ());
    let ids = [terminal_key().public().id()];
    let misfit = check(&good, &keys().with_revoked(&ids), None).unwrap_err();
    assert_eq!(misfit, Misfit::Terminal(Refusal::RevokedKey));
    check(&good, &keys().with_revoked(&[]), None).unwrap();
}

/// A receipt that says everything once.
fn good_bytes(is_bare: bool) -> Vec<u8> {
    let good = signed(|_| ());
    if is_bare {
        good.signed.as_str().as_bytes().to_vec()
    } else {
        serde_json::to_vec(&good).unwrap()
    }
}

proptest! {
    #[test]
    fn any_changed_byte_is_refused(
        is_bare in any::<bool>(),
        place in any::<prop::sample::Index>(),
        flip in 1_u8..=255,
    ) {
        let mut bytes = good_bytes(is_bare);
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        let is_proved = ReceiptFile::parse(&bytes)
            .is_ok_and(|file| check(&file, &keys(), None).is_ok());
        prop_assert!(!is_proved, "byte {place} by {flip:#04x}");
    }

    #[test]
    fn any_cut_is_refused(is_bare in any::<bool>(), place in any::<prop::sample::Index>()) {
        let bytes = good_bytes(is_bare);
        let cut = &bytes[..place.index(bytes.len())];
        let is_proved = ReceiptFile::parse(cut)
            .is_ok_and(|file| check(&file, &keys(), None).is_ok());
        prop_assert!(!is_proved);
    }

    #[test]
    fn no_text_makes_the_checker_panic(text in ".{0,200}", claims in ".{0,80}") {
        use base64::Engine as _;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        for text in [text, format!("a.{claims}.c")] {
            if let Ok(file) = ReceiptFile::parse(text.as_bytes()) {
                prop_assert!(check(&file, &keys(), None).is_err());
            }
            prop_assert!(PublishedKeys::parse(text.as_bytes()).is_err());
        }
    }
}

#[test]
fn the_part_for_people_is_compared_whatever_its_order_of_members() {
    let good = signed(|_| ());
    let jws: &Jws<Receipt> = &good.signed;
    let receipt = good.receipt.clone().unwrap();
    let text = format!(
        "{{\n  \"signed\": \"{}\",\n  \"receipt\": {}\n}}\n",
        jws.as_str(),
        serde_json::to_string_pretty(&receipt).unwrap()
    );
    check(&ReceiptFile::parse(text.as_bytes()).unwrap(), &keys(), None).unwrap();
}
