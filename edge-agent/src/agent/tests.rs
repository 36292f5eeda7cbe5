//! A start as its effects are seen from outside: by the device, on the disk, and by the broker.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::{JournalId, Nonce, SessionId, TransactionId};
use protocol::message::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::*;
use crate::journal::{DiskFile, Durability, JOURNAL_SIZE_MIN, Journal};
use crate::machine::record::{IntentRecord, Record};

type Effects = Arc<watch::Sender<Vec<String>>>;

fn note(effects: &Effects, effect: &str) {
    effects.send_modify(|effects| effects.push(effect.to_owned()));
}

/// A Modbus server of one coil: notes what is written to it (function 5), and reads as off.
async fn device(effects: Effects) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let effects = Arc::clone(&effects);
            tokio::spawn(async move {
                let mut request = [0; 12];
                while stream.read_exact(&mut request).await.is_ok() {
                    let answer = if request[7] == 5 {
                        note(
                            &effects,
                            if request[10] == 0 {
                                "gate off"
                            } else {
                                "gate on"
                            },
                        );
                        request.to_vec()
                    } else {
                        [&request[..5], &[4, request[6], request[7], 1, 0]].concat()
                    };
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    address
}

/// A broker for one client (MQTT 3.1.1), that notes what it is told, and whether the journal then
/// has a result.
async fn broker(listener: TcpListener, effects: Effects, journal: PathBuf) {
    let (mut stream, _) = listener.accept().await.unwrap();
    note(&effects, "connection");
    while let Some((kind, body)) = packet(&mut stream).await {
        let answer = match kind >> 4 {
            1 => vec![0x20, 2, 0, 0],
            8 => vec![0x90, 3, body[0], body[1], 1],
            12 => vec![0xd0, 0],
            3 => {
                let length = usize::from(body[1]);
                let topic = String::from_utf8_lossy(&body[2..2 + length]);
                let word = topic.rsplit('/').next().unwrap().to_owned();
                let settled = std::fs::read(&journal).unwrap();
                let settled = settled
                    .windows(13)
                    .any(|window| window == b"\"kind\":\"done\"");
                note(&effects, &format!("{word}, result on disk: {settled}"));
                vec![0x40, 2, body[2 + length], body[3 + length]]
            }
            _ => continue,
        };
        stream.write_all(&answer).await.unwrap();
    }
}

async fn packet(stream: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await.ok()?;
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.ok()?;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((kind, body))
}

fn config(folder: &Path, broker: SocketAddr, device: SocketAddr) -> Config {
    let key = SigningKey::from_seed([7; 32]).public();
    let password = folder.join("password");
    std::fs::write(&password, "secret\n").unwrap();
    std::fs::set_permissions(&password, Permissions::from_mode(0o600)).unwrap();
    let json = format!(
        r#"{{"terminal":"north/gate-1","data_folder":"{}","page":{{"listen":"127.0.0.1:0"}},
        "broker":{{"address":"{broker}","user":"gate-1","password_file":"{}"}},
        "platform":{{"id":"main","public_keys":["{key}"]}},"journal":{{"size_bytes":524288}},
        "devices":[{{"id":"gate","driver":{{"modbus_tcp":{{"address":"{device}","coil":0}}}},
        "action":{{"pulse":{{"ms":50}}}}}}]}}"#,
        folder.display(),
        password.display()
    );
    serde_json::from_str(&json).unwrap()
}

/// The power was lost while the gate moved.
fn leave_an_intent(config: &Config) {
    let id = JournalId::from_random([7; 16]);
    let file = DiskFile::open(&config.journal_path()).unwrap();
    let (mut journal, _) = Journal::open(file, JOURNAL_SIZE_MIN, id).unwrap();
    let intent = Record::Intent(IntentRecord {
        transaction: TransactionId::from_random([1; 16]),
        session: SessionId::from_random([2; 16]),
        nonce: Nonce::from_random([3; 16]),
        devices: vec!["gate".parse().unwrap()],
        permit: Digest::of(b"permit"),
    });
    journal
        .append(&[intent.encode()], Durability::Sealed)
        .unwrap();
}

/// Generation of the newest half: every rewrite adds one.
fn generation(config: &Config) -> u64 {
    let bytes = std::fs::read(config.journal_path()).unwrap();
    let of = |start: usize| u64::from_le_bytes(bytes[start + 8..start + 16].try_into().unwrap());
    of(0).max(of(bytes.len() / 2))
}

#[tokio::test]
async fn devices_rest_and_the_journal_is_settled_before_the_broker_hears_a_word() {
    let effects: Effects = Arc::new(watch::channel(Vec::new()).0);
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = device(Arc::clone(&effects)).await;
    let config = config(folder.path(), listener.local_addr().unwrap(), gate);
    leave_an_intent(&config);
    let before = generation(&config);
    let keys = Keys {
        signing: SigningKey::from_seed([8; 32]),
    };
    let agent = build(config.clone(), keys).await.unwrap();
    assert_eq!(*effects.borrow(), ["gate off"], "before any network");
    assert_eq!(
        generation(&config),
        before + 1,
        "read, rewritten and synced"
    );
    let journal = config.journal_path();
    tokio::spawn(broker(listener, Arc::clone(&effects), journal));
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(agent.run(shutdown.clone()));
    let mut seen = effects.subscribe();
    let is_told = |effects: &Vec<String>| effects.iter().any(|word| word.starts_with("linkage"));
    tokio::time::timeout(Duration::from_secs(30), seen.wait_for(is_told))
        .await
        .unwrap()
        .unwrap();
    let expected = [
        "gate off",
        "connection",
        "hello, result on disk: true",
        "health, result on disk: true",
        "linkage, result on disk: true",
    ];
    assert_eq!(effects.borrow()[..5], expected);
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
