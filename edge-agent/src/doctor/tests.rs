use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A broker that answers the first packet of every connection with `answer`, or not at all.
async fn broker(answer: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut packet = [0; 256];
                while let Ok(1..) = stream.read(&mut packet).await {
                    // MQTT 3.1.1, section 3.1: CONNECT.
                    if let (0x10, Some(answer)) = (packet[0], answer) {
                        stream.write_all(answer).await.unwrap();
                    }
                }
            });
        }
    });
    address
}

fn config(folder: &Path, broker: SocketAddr, devices: &str) -> Config {
    let key = protocol::signed::SigningKey::from_seed([7; 32]).public();
    let json = format!(
        r#"{{"terminal":"north/gate-1","data_folder":"{}","page":{{"listen":"127.0.0.1:0"}},
        "broker":{{"address":"{broker}","user":"gate-1"}},
        "platform":{{"id":"main","public_keys":["{key}"]}},"devices":{devices}}}"#,
        folder.display()
    );
    serde_json::from_str(&json).unwrap()
}

/// Beside the test program: the folder for temporary files is in memory on some machines.
fn folder() -> tempfile::TempDir {
    let program = std::env::current_exe().unwrap();
    tempfile::tempdir_in(program.parent().unwrap()).unwrap()
}

fn of<'a>(checks: &'a [Check], subject: &str) -> &'a Check {
    checks
        .iter()
        .find(|check| check.subject == subject)
        .unwrap()
}

const GATE: &str = r#"[{"id":"gate","driver":{"simulated":{}},"action":{"pulse":{"ms":50}}}]"#;
const CONNACK_ACCEPTED: &[u8] = &[0x20, 2, 0, 0];
const CONNACK_BAD_PASSWORD: &[u8] = &[0x20, 2, 0, 4];

#[test]
fn a_journal_is_sound_full_or_damaged() {
    use crate::journal::{DiskFile, Durability, JOURNAL_SIZE_MIN, Journal};
    use crate::machine::record::Record;
    let folder = folder();
    let config = config(folder.path(), "127.0.0.1:9".parse().unwrap(), "[]");
    let path = config.journal_path();
    let id = protocol::id::JournalId::from_random([7; 16]);
    let open = || {
        let file = DiskFile::open(&path).unwrap();
        Journal::open(file, JOURNAL_SIZE_MIN, id).unwrap().0
    };
    let mut journal = open();
    let found = place::journal(&config).unwrap();
    let text = format!("{}, 0 of 253952 bytes used", path.display());
    assert_eq!(found, text, "also while its agent runs");
    let record = |number: u8| Record::Receipt {
        transaction: protocol::id::TransactionId::from_random([number; 16]),
        receipt: "x".repeat(7_000).parse().unwrap(),
    };
    for number in 0..31 {
        let records = [record(number).encode()];
        journal.append(&records, Durability::Sealed).unwrap();
    }
    let full = place::journal(&config).unwrap_err();
    assert!(
        full.what
            .ends_with("is full of sales that nobody has settled"),
        "{full:?}"
    );
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    let receipt = bytes.windows(9).position(|window| window == b"\"receipt\"");
    bytes[receipt.unwrap()] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = place::journal(&config).unwrap_err();
    assert!(
        damaged.what.ends_with("is damaged: nothing is sold on it"),
        "{damaged:?}"
    );
}

#[tokio::test]
async fn a_sound_terminal_passes_everything_and_nothing_moves() {
    let folder = folder();
    let key = process::keys::create(&folder.path().join("terminal.key")).unwrap();
    let config = config(folder.path(), broker(Some(CONNACK_ACCEPTED)).await, GATE);
    let checks = examine(&config, None).await;
    let subjects: Vec<_> = checks.iter().map(|check| check.subject.as_str()).collect();
    assert_eq!(
        subjects,
        ["clock", "key", "journal", "page", "uplink", "device gate"]
    );
    for check in &checks {
        assert!(check.passed(), "{check}");
    }
    assert!(
        of(&checks, "key")
            .to_string()
            .ends_with(&key.public().to_string())
    );
    assert_eq!(
        of(&checks, "device gate").to_string(),
        "ok    device gate: answers, is off"
    );
    assert!(!config.journal_path().exists());
}

#[tokio::test]
async fn a_device_moves_where_it_is_named() {
    let folder = folder();
    let config = config(folder.path(), broker(Some(CONNACK_ACCEPTED)).await, GATE);
    let checks = examine(&config, Some(&"gate".parse().unwrap())).await;
    let expected = "ok    switch gate: Done, feedback ReadBack; switched off again";
    assert_eq!(of(&checks, "switch gate").to_string(), expected);
    let checks = examine(&config, Some(&"drone".parse().unwrap())).await;
    let expected = "FAIL  switch drone: there is no such device; fix: name one of: gate";
    assert_eq!(of(&checks, "switch drone").to_string(), expected);
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_fix() {
    let folder = folder();
    let closed: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let devices = r#"[{"id":"gate","driver":{"modbus_tcp":{"address":"127.0.0.1:1","coil":0}},"action":"hold"}]"#;
    let missing = folder.path().join("missing");
    let checks = examine(&config(&missing, closed, devices), None).await;
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| !check.passed())
        .map(|check| check.subject.as_str())
        .collect();
    assert_eq!(failed, ["key", "journal", "uplink", "device gate"]);
    let line = of(&checks, "device gate").to_string();
    assert!(
        line.starts_with("FAIL  device gate: no connection to 127.0.0.1:1: "),
        "{line}"
    );
    assert!(line.contains("; fix: check its power and cable"), "{line}");
}

#[tokio::test]
async fn a_password_that_the_broker_refuses_is_told_apart() {
    let folder = folder();
    let config = config(
        folder.path(),
        broker(Some(CONNACK_BAD_PASSWORD)).await,
        "[]",
    );
    let uplink = uplink::check(&config).await.unwrap_err();
    assert!(
        uplink
            .what
            .ends_with("answers, but does not take 'gate-1' by MQTT"),
        "{uplink:?}"
    );
}
