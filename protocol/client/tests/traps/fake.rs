//! A broker that does exactly what a test says, on the library's own codec.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rumqttc::{
    Codec, ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck,
    SubscribeReasonCode,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::codec::Framed;

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) struct Fake {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            listener,
            tls: None,
        }
    }

    pub(crate) async fn with_tls(config: Arc<rustls::ServerConfig>) -> Self {
        let tls = Some(TlsAcceptor::from(config));
        Self {
            tls,
            ..Self::start().await
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next connection, before its CONNECT.
    pub(crate) async fn accept(&self) -> Peer {
        within(self.try_accept()).await.unwrap()
    }

    pub(crate) async fn try_accept(&self) -> io::Result<Peer> {
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some(tls) => Box::new(tls.accept(stream).await?),
            None => Box::new(stream),
        };
        let codec = Codec {
            max_incoming_size: 1 << 20,
            max_outgoing_size: 1 << 20,
        };
        Ok(Peer {
            framed: Framed::new(stream, codec),
            answers_pings: true,
        })
    }

    /// The next connection, accepted and subscribed, without a session of an earlier one.
    pub(crate) async fn serve(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.connect().await;
        peer.subscribe().await;
        peer
    }
}

pub(crate) struct Peer {
    framed: Framed<Box<dyn Stream>, Codec>,
    pub(crate) answers_pings: bool,
}

impl Peer {
    /// The next packet that is no ping; `None` once the client has closed.
    pub(crate) async fn try_next(&mut self) -> Option<Packet> {
        loop {
            match within(self.framed.next()).await?.ok()? {
                Packet::PingReq if self.answers_pings => self.send(Packet::PingResp).await,
                packet => return Some(packet),
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Packet {
        self.try_next().await.expect("the client closed")
    }

    pub(crate) async fn send(&mut self, packet: Packet) {
        within(self.framed.send(packet)).await.unwrap();
    }

    pub(crate) async fn connect(&mut self) -> Connect {
        let Packet::Connect(connect) = self.next().await else {
            panic!("no CONNECT");
        };
        let answer = ConnAck::new(ConnectReturnCode::Success, false);
        self.send(Packet::ConnAck(answer)).await;
        connect
    }

    /// Grants every filter; gives their names.
    pub(crate) async fn subscribe(&mut self) -> Vec<String> {
        self.answer_subscribe(SubscribeReasonCode::Success(QoS::AtLeastOnce))
            .await
    }

    pub(crate) async fn answer_subscribe(&mut self, code: SubscribeReasonCode) -> Vec<String> {
        let Packet::Subscribe(subscribe) = self.next().await else {
            panic!("no SUBSCRIBE");
        };
        let codes = vec![code; subscribe.filters.len()];
        self.send(Packet::SubAck(SubAck::new(subscribe.pkid, codes)))
            .await;
        let paths = subscribe.filters.into_iter().map(|filter| filter.path);
        paths.collect()
    }

    pub(crate) async fn published(&mut self) -> Publish {
        match self.next().await {
            Packet::Publish(publish) => publish,
            packet => panic!("no PUBLISH but {packet:?}"),
        }
    }

    pub(crate) async fn acknowledge(&mut self, packet_id: u16) {
        self.send(Packet::PubAck(PubAck::new(packet_id))).await;
    }

    pub(crate) async fn deliver(&mut self, topic: &str, payload: Vec<u8>, packet_id: u16) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = packet_id;
        self.send(Packet::Publish(publish)).await;
    }

    pub(crate) async fn acknowledged(&mut self) -> u16 {
        match self.next().await {
            Packet::PubAck(answer) => answer.pkid,
            packet => panic!("no PUBACK but {packet:?}"),
        }
    }

    /// The client closes without another packet.
    pub(crate) async fn closed(mut self) {
        let packet = self.try_next().await;
        assert!(packet.is_none(), "not closed: {packet:?}");
    }
}

/// The outcome, or a failed test.
pub(crate) async fn within<T>(wait: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, wait).await;
    outcome.expect("nothing happened in time")
}
