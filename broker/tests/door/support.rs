//! A broker in this process, and an MQTT client that sends whatever bytes a test wants.

use std::net::SocketAddr;
use std::time::Duration;

use broker::{Config, Identity, User};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything: far above what a loaded machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const PLATFORM: &str = "platform";
pub(crate) const GATEWAY: &str = "mock";
pub(crate) const MONITOR: &str = "monitor";
pub(crate) const GATE_1: &str = "gate-1";
pub(crate) const GATE_2: &str = "gate-2";
pub(crate) const PASSWORD: &str = "open sesame";

pub(crate) const ALL_UP: &str = "paylatch/v1/+/+/up/+";
pub(crate) const ALL_PAYMENTS: &str = "paylatch/v1/+/+/up/payment";
pub(crate) const UP_1: &str = "paylatch/v1/north/gate-1/up/payment";
pub(crate) const UP_2: &str = "paylatch/v1/north/gate-2/up/payment";
pub(crate) const PRESENCE_1: &str = "paylatch/v1/north/gate-1/up/presence";
pub(crate) const PRESENCE_2: &str = "paylatch/v1/north/gate-2/up/presence";
pub(crate) const DOWN_1: &str = "paylatch/v1/north/gate-1/down/payment";
pub(crate) const DOWN_2: &str = "paylatch/v1/north/gate-2/down/payment";
pub(crate) const ALL_DOWN_1: &str = "paylatch/v1/north/gate-1/down/+";
pub(crate) const ALL_DOWN_2: &str = "paylatch/v1/north/gate-2/down/+";

pub(crate) fn users() -> Vec<User> {
    let terminal = |name: &str| Identity::Terminal(name.parse().unwrap());
    vec![
        User::new(GATE_1, PASSWORD, terminal("north/gate-1")),
        User::new(GATE_2, PASSWORD, terminal("north/gate-2")),
        User::new(
            PLATFORM,
            PASSWORD,
            Identity::Platform("main".parse().unwrap()),
        ),
        User::new(
            GATEWAY,
            PASSWORD,
            Identity::Gateway("mock".parse().unwrap()),
        ),
        User::new(MONITOR, PASSWORD, Identity::Monitor),
    ]
}

pub(crate) fn config() -> Config {
    Config::loopback(users())
}

/// A broker that serves until it is stopped or dropped.
pub(crate) struct Running {
    pub(crate) addresses: Vec<SocketAddr>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

pub(crate) async fn start(config: Config) -> Running {
    let broker = broker::build(config).await.unwrap();
    let addresses = broker.addresses().to_vec();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(broker.run(shutdown.clone()));
    Running {
        addresses,
        shutdown,
        task,
    }
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Stops it, within the deadline.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }

    pub(crate) async fn open(&self) -> Raw {
        Raw::open(self.address()).await
    }

    /// A client past its CONNACK, whose client id is its user's name.
    pub(crate) async fn client(&self, user: &str) -> Raw {
        self.connect(Connect::of(user)).await
    }

    /// The same with everything chosen; the CONNACK must accept without a session.
    pub(crate) async fn connect(&self, connect: Connect) -> Raw {
        let mut client = self.open().await;
        client.send(&connect.bytes()).await;
        client.expect(&connack(false, 0)).await;
        client
    }

    /// The same, asked again while the broker has no place: one is freed a moment after the
    /// connection that held it has closed.
    pub(crate) async fn connect_at_last(&self, connect: Connect) -> Raw {
        let trying = async {
            loop {
                let mut client = self.open().await;
                client.send(&connect.bytes()).await;
                match client.receive().await {
                    Some(answer) if answer == connack(false, 0) => return client,
                    answer => assert_eq!(answer, Some(connack(false, 3))),
                }
            }
        };
        timeout(DEADLINE, trying).await.unwrap()
    }

    /// The same, asked again while the broker closes what it has no place for.
    pub(crate) async fn connect_when_open(&self, connect: Connect) -> Raw {
        let trying = async {
            loop {
                let mut client = self.open().await;
                if client.try_send(&connect.bytes()).await
                    && client.receive().await == Some(connack(false, 0))
                {
                    return client;
                }
            }
        };
        timeout(DEADLINE, trying).await.unwrap()
    }

    /// Two terminals and a platform still talk, in both directions.
    pub(crate) async fn assert_serves(&self) {
        let mut platform = self.client(PLATFORM).await;
        platform.subscribe(&[(ALL_PAYMENTS, 1)]).await;
        for (user, down, filter, up) in [
            (GATE_1, DOWN_1, ALL_DOWN_1, UP_1),
            (GATE_2, DOWN_2, ALL_DOWN_2, UP_2),
        ] {
            let mut gate = self.client(user).await;
            gate.subscribe(&[(filter, 1)]).await;
            gate.publish(up, b"question", 1).await;
            let question = platform.delivery().await;
            assert_eq!(
                (question.topic.as_str(), &question.payload[..]),
                (up, &b"question"[..])
            );
            platform.acknowledge(&question).await;
            platform.publish(down, b"answer", 1).await;
            let answer = gate.delivery().await;
            assert_eq!(
                (answer.topic.as_str(), &answer.payload[..]),
                (down, &b"answer"[..])
            );
            gate.acknowledge(&answer).await;
            gate.send(&[0xe0, 0]).await;
            gate.expect_close().await;
        }
        platform.send(&[0xe0, 0]).await;
        platform.expect_close().await;
    }
}

/// A PUBLISH that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) packet_id: u16,
    pub(crate) duplicate: bool,
    pub(crate) retain: bool,
}

pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

/// A client that knows no more of MQTT than where a packet ends.
pub(crate) struct Raw {
    stream: Box<dyn Socket>,
    input: Vec<u8>,
    packet_id: u16,
}

impl Raw {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    pub(crate) fn over(stream: impl Socket + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            input: Vec::new(),
            packet_id: 0,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        timeout(DEADLINE, self.stream.write_all(bytes))
            .await
            .unwrap()
            .unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends what the other side may refuse at any byte.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> bool {
        matches!(
            timeout(DEADLINE, self.stream.write_all(bytes)).await,
            Ok(Ok(()))
        )
    }

    /// The next packet, or `None` at the end of the connection.
    pub(crate) async fn receive(&mut self) -> Option<Vec<u8>> {
        timeout(DEADLINE, self.next_packet())
            .await
            .expect("a packet or the end in time")
    }

    async fn next_packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = packet_length(&self.input) {
                let rest = self.input.split_off(length);
                return Some(std::mem::replace(&mut self.input, rest));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    pub(crate) async fn expect(&mut self, packet: &[u8]) {
        assert_eq!(self.receive().await.as_deref(), Some(packet));
    }

    /// Nothing more comes but the end.
    pub(crate) async fn expect_close(&mut self) {
        assert_eq!(self.receive().await, None);
    }

    /// Everything until the connection ends, or the end itself if nothing comes.
    pub(crate) async fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        while let Some(packet) = self.receive().await {
            packets.push(packet);
        }
        packets
    }

    /// The next packet, which is a PUBLISH.
    pub(crate) async fn delivery(&mut self) -> Delivery {
        let packet = self.receive().await.expect("a PUBLISH, not the end");
        parse_publish(&packet)
    }

    /// Subscribes; everything must be granted as asked.
    pub(crate) async fn subscribe(&mut self, filters: &[(&str, u8)]) {
        let granted: Vec<u8> = filters.iter().map(|(_, qos)| *qos).collect();
        assert_eq!(self.subscribe_for(filters).await, granted);
    }

    /// Subscribes and gives the return codes.
    pub(crate) async fn subscribe_for(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.packet_id += 1;
        self.send(&subscribe(self.packet_id, filters)).await;
        let suback = self.receive().await.expect("a SUBACK, not the end");
        assert_eq!(
            (suback[0], &suback[2..4]),
            (0x90, &self.packet_id.to_be_bytes()[..])
        );
        suback[4..].to_vec()
    }

    /// Publishes, and takes the PUBACK if there is one to come.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &[u8], qos: u8) {
        self.packet_id += 1;
        self.send(&publish(topic, payload, qos, self.packet_id))
            .await;
        if qos > 0 {
            let [high, low] = self.packet_id.to_be_bytes();
            self.expect(&[0x40, 2, high, low]).await;
        }
    }

    pub(crate) async fn acknowledge(&mut self, delivery: &Delivery) {
        if delivery.qos > 0 {
            let [high, low] = delivery.packet_id.to_be_bytes();
            self.send(&[0x40, 2, high, low]).await;
        }
    }

    /// A PINGREQ and its answer: whatever was sent before is handled, and nothing else came.
    pub(crate) async fn ping(&mut self) {
        self.send(&[0xc0, 0]).await;
        self.expect(&[0xd0, 0]).await;
    }
}

/// A CONNECT.
#[derive(Debug, Clone)]
pub(crate) struct Connect {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) client_id: String,
    pub(crate) is_clean: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) will: Option<(String, Vec<u8>, u8)>,
    pub(crate) level: u8,
}

impl Connect {
    pub(crate) fn of(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: PASSWORD.to_owned(),
            client_id: user.to_owned(),
            is_clean: true,
            keep_alive_s: 60,
            will: None,
            level: 4,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut flags = 0xc0 | u8::from(self.is_clean) << 1;
        let mut rest = text(&self.client_id);
        if let Some((topic, payload, qos)) = &self.will {
            flags |= 0x04 | qos << 3;
            rest.extend(text(topic));
            rest.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            rest.extend(payload);
        }
        rest.extend(text(&self.user));
        rest.extend(text(&self.password));
        let mut body = text("MQTT");
        body.extend([self.level, flags]);
        body.extend(self.keep_alive_s.to_be_bytes());
        body.extend(rest);
        packet(0x10, &body)
    }
}

pub(crate) fn connack(session_present: bool, code: u8) -> Vec<u8> {
    vec![0x20, 2, u8::from(session_present), code]
}

pub(crate) fn publish(topic: &str, payload: &[u8], qos: u8, packet_id: u16) -> Vec<u8> {
    let mut body = text(topic);
    if qos > 0 {
        body.extend(packet_id.to_be_bytes());
    }
    body.extend(payload);
    packet(0x30 | qos << 1, &body)
}

pub(crate) fn subscribe(packet_id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    for (filter, qos) in filters {
        body.extend(text(filter));
        body.push(*qos);
    }
    packet(0x82, &body)
}

pub(crate) fn unsubscribe(packet_id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    for filter in filters {
        body.extend(text(filter));
    }
    packet(0xa2, &body)
}

pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).unwrap();
        length /= 128;
        bytes.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = u16::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

fn packet_length(input: &[u8]) -> Option<usize> {
    let mut length = 0;
    for (index, byte) in input.iter().skip(1).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let whole = index + 2 + length;
            return (input.len() >= whole).then_some(whole);
        }
    }
    None
}

fn parse_publish(packet: &[u8]) -> Delivery {
    assert_eq!(packet[0] & 0xf0, 0x30, "not a PUBLISH: {packet:02x?}");
    let header = 1
        + packet[1..]
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .unwrap()
        + 1;
    let topic_length = usize::from(u16::from_be_bytes([packet[header], packet[header + 1]]));
    let (topic, rest) = packet[header + 2..].split_at(topic_length);
    let qos = (packet[0] >> 1) & 3;
    let (packet_id, payload) = match qos {
        0 => (0, rest),
        _ => (u16::from_be_bytes([rest[0], rest[1]]), &rest[2..]),
    };
    Delivery {
        topic: String::from_utf8(topic.to_vec()).unwrap(),
        payload: payload.to_vec(),
        qos,
        packet_id,
        duplicate: packet[0] & 0x08 != 0,
        retain: packet[0] & 0x01 != 0,
    }
}
