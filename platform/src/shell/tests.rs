//! The whole process, in one: real ports, a real store, a terminal behind the embedded broker.

mod hand;

use std::future::Future;
use std::time::Duration;

use broker::{Identity, User};
use process::entropy::SystemEntropy;
use process::exit::{code_of, one_line};
use protocol::codec::{Envelope, decode, encode};
use protocol::id::{BootId, JournalId, MessageId};
use protocol::message::{Hello, SiteConfig};
use protocol::signed::{Audience, Jws, Keyring, verify};
use protocol::time::Utc;
use protocol::topic::{Down, Filter, TerminalName, Topic, Up};
use protocol_client::{Client, Event, Incoming};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::config::{Broker, Config, Embedded, Gateway};
use crate::site::{self, Described, Site};

/// No test waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(20);

fn gate() -> TerminalName {
    "north/gate-1".parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn north() -> Site {
    Site {
        id: "north".parse().unwrap(),
        merchant: protocol::message::Merchant {
            name: "North".to_owned(),
            about: protocol::message::Text::english("Parking"),
            help: "Call 1".to_owned(),
        },
        payee: protocol::message::Payee {
            id: "north".parse().unwrap(),
            name: "North Ltd".to_owned(),
        },
        currency: "CNY".parse().unwrap(),
        time_zone: "Asia/Shanghai".to_owned(),
        gateway: "mock".parse().unwrap(),
        order_lifetime_ms: 120_000,
        identity: protocol::message::IdentityPolicy::Off,
        entry: protocol::message::EntryPolicy::None,
        items: vec![site::Item {
            id: "stay".parse().unwrap(),
            name: protocol::message::Text::english("Stay"),
            price: "4.50".to_owned(),
            quantity_max: 1,
        }],
        visit: None,
        terminals: vec![site::Terminal {
            id: "gate-1".parse().unwrap(),
            place: protocol::message::Place {
                id: "entry".parse().unwrap(),
                name: "Entry".to_owned(),
            },
            devices: vec!["gate".parse().unwrap()],
            public_key: key(1).public(),
            retired_public_keys: vec![],
        }],
    }
}

fn config(folder: &TempDir) -> Config {
    let users = vec![User::new("gate-1", "secret", Identity::Terminal(gate()))];
    let broker = Broker::Embedded(Embedded::loopback(users));
    Config {
        sites: vec![Described::from(north())],
        gateways: vec![Gateway {
            id: "mock".parse().unwrap(),
            keyring: Keyring::of(key(2).public()),
            capabilities: crate::config::Capabilities::default(),
        }],
        ..Config::new("main".parse().unwrap(), folder.path().join("data"), broker)
    }
}

fn keys() -> Keys {
    Keys { signing: key(3) }
}

/// A platform that runs until it is dropped or told to end.
struct Running {
    api: SocketAddr,
    broker: SocketAddr,
    token: String,
    end: CancellationToken,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn start(config: Config) -> Self {
        let platform = build(config, keys()).await.unwrap();
        let end = CancellationToken::new();
        Self {
            api: platform.api_address(),
            broker: platform.broker_address().unwrap(),
            token: platform.api_token().to_owned(),
            task: tokio::spawn(platform.run(end.clone())),
            end,
        }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
            self.token
        );
        let mut stream = TcpStream::connect(self.api).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        in_time(stream.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    async fn ready(&self) {
        let ready = async {
            while self.get("/readyz").await.0 != 200 {
                tokio::task::yield_now().await;
            }
        };
        in_time(ready).await;
    }

    async fn terminals(&self) -> Value {
        serde_json::from_str(&self.get("/api/v1/terminals").await.1).unwrap()
    }

    async fn end(self) {
        self.end.cancel();
        in_time(self.task).await.unwrap().unwrap();
    }

    fn terminal(&self) -> (Client, Incoming) {
        let options = Options::new("agent", self.broker.into(), "gate-1", "gate-1", "secret");
        let options = options.subscribe(Filter::down(&gate()));
        protocol_client::start(options, SystemEntropy::new(), self.end.child_token())
    }
}

async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wanted)
        .await
        .expect("in time")
}

fn hello() -> Vec<u8> {
    let body = Hello {
        boot: BootId::from_random([4; 16]),
        journal: JournalId::from_random([5; 16]),
        open: vec![],
        agent_version: "0.1.0".to_owned(),
        public_key: key(1).public(),
        config_version: None,
        store_epoch: None,
    };
    encode(&Envelope::new(
        MessageId::from_random([6; 16]),
        Utc::EPOCH,
        body,
    ))
    .unwrap()
}

/// Says hello until a config comes.
async fn fetch_config(running: &Running) -> Jws<SiteConfig> {
    let (client, mut incoming) = running.terminal();
    let wanted = Topic::Down(gate(), Down::Config);
    loop {
        match in_time(incoming.next()).await.unwrap() {
            Event::Connected => {
                let topic = Topic::Up(gate(), Up::Hello);
                client.publish(topic, hello()).await.unwrap();
            }
            Event::Delivery(delivery) if delivery.topic == wanted => {
                let envelope = decode(&delivery.payload).unwrap();
                delivery.ack();
                return envelope.body;
            }
            Event::Delivery(delivery) => delivery.ack(),
            Event::Disconnected => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_says_hello_gets_its_signed_config_and_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(config(&folder)).await;
    running.ready().await;
    assert_eq!(running.terminals().await["terminals"][0].get("known"), None);

    let jws = fetch_config(&running).await;
    let ours = Audience::terminal(gate());
    let verified = verify(&jws, &Keyring::of(key(3).public()), &ours).unwrap();
    assert_eq!(verified.tariff.items[0].price.to_string(), "4.50 CNY");
    assert_eq!(verified.serial, 1);

    let listed = async {
        loop {
            let terminals = running.terminals().await;
            if terminals["terminals"][0]["known"]["hello_at"].is_string() {
                return terminals;
            }
            tokio::task::yield_now().await;
        }
    };
    let listed = in_time(listed).await;
    let journal = JournalId::from_random([5; 16]).to_string();
    assert_eq!(listed["terminals"][0]["known"]["current_journal"], journal);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_store_and_numbers_its_configs_higher() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let running = Running::start(config(&folder)).await;
        let jws = fetch_config(&running).await;
        let ring = Keyring::of(key(3).public());
        let verified = verify(&jws, &ring, &Audience::terminal(gate())).unwrap();
        seen.push((verified.serial, verified.store_epoch, running.token.clone()));
        running.end().await;
    }
    assert_eq!((seen[0].0, seen[1].0), (1, 2));
    assert_eq!((seen[0].1, &seen[0].2), (seen[1].1, &seen[1].2));
    assert!(
        crate::audit::read(folder.path().join("data"))
            .unwrap()
            .is_clean()
    );
}

#[tokio::test]
async fn what_is_taken_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let platform = build(config(&folder), keys()).await.unwrap();
    let same_folder = build(config(&folder), keys()).await.unwrap_err();
    assert!(
        one_line(&same_folder).contains("another platform process"),
        "{same_folder:?}"
    );
    assert_eq!(code_of(&same_folder).as_u8(), 69);

    let other = tempfile::tempdir().unwrap();
    let taken = Config {
        api: platform.api_address(),
        ..config(&other)
    };
    let same_port = build(taken, keys()).await.unwrap_err();
    assert!(
        one_line(&same_port).contains("can't listen on 127.0.0.1"),
        "{same_port:?}"
    );
    assert_eq!(code_of(&same_port).as_u8(), 69);
}

#[tokio::test]
async fn what_others_could_read_is_refused_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let open = Config {
        api: "0.0.0.0:0".parse().unwrap(),
        ..config(&folder)
    };
    let error = build(open, keys()).await.unwrap_err();
    assert!(one_line(&error).contains("--allow-plaintext"), "{error:?}");

    let folder = tempfile::tempdir().unwrap();
    let mut unknown = config(&folder);
    unknown.gateways.clear();
    let error = build(unknown, keys()).await.unwrap_err();
    assert!(
        one_line(&error).contains("site north: gateway"),
        "{error:?}"
    );
    assert_eq!(code_of(&error).as_u8(), 78);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_may_have_a_port_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let apart = Config {
        health: Some("127.0.0.1:0".parse().unwrap()),
        ..config(&folder)
    };
    let platform = build(apart, keys()).await.unwrap();
    assert_ne!(platform.api_address(), platform.health_address());
    let health = platform.health_address();
    let end = CancellationToken::new();
    let running = Running {
        api: health,
        broker: platform.broker_address().unwrap(),
        token: String::new(),
        task: tokio::spawn(platform.run(end.clone())),
        end,
    };
    running.ready().await;
    let (status, text) = running.get("/metrics").await;
    assert_eq!(status, 200);
    for metric in [
        "paylatch_platform_commits_total",
        "paylatch_platform_open_sales 0",
    ] {
        assert!(text.contains(metric), "{metric}");
    }
    running.end().await;
}
