//! From an accepted socket to a session: TLS, CONNECT, identity. Every wait has a deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::authorization::Action;
use crate::client;
use crate::connection::{self, Attachment, ConnectionPermit};
use crate::door::Door;
use crate::identity::Identity;
use crate::message::Message;
use crate::metrics::{self, Refusal};
use crate::packet::{self, Connect, ConnectCode, Incoming, Outgoing, Violation};
use crate::registry::{Entrance, SessionKey};
use crate::session::Arrival;
use crate::stream::Stream;
use crate::syntax;

/// Room for a CONNECT with names, password and a small will.
const CONNECT_BYTES: usize = 512;

/// How long a refused client may take for its CONNACK.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes a socket through to its session, or turns it away.
pub(crate) async fn admit(
    door: Arc<Door>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
) {
    // Both counts are taken before anything is read: who waits for us must not cost us a place.
    let Ok(permit) = door.connections.clone().try_acquire_owned() else {
        return metrics::refused(Refusal::ConnectionsMax, peer);
    };
    let permit = ConnectionPermit::new(permit);
    let Ok(unauthenticated) = door.unauthenticated.clone().try_acquire_owned() else {
        return metrics::refused(Refusal::UnauthenticatedMax, peer);
    };
    let entered = tokio::select! {
        entered = enter(&door, socket, peer, tls, permit) => entered,
        () = door.shutdown.cancelled() => Err(Refusal::Stopping.into()),
    };
    drop(unauthenticated);
    match entered {
        Ok(Some((identity, key, attachment, mailbox))) => {
            client::run(door, identity, key, attachment, mailbox).await;
        }
        Ok(None) => {}
        Err(refused) => {
            // Counted before it is answered: whoever sees the answer finds it in the metrics.
            metrics::refused(refused.refusal, peer);
            if let Some((stream, permit)) = refused.rest {
                turn_away(stream, refused.refusal).await;
                drop(permit);
            }
        }
    }
}

/// A refusal, and what is left to answer it to.
struct Refused {
    refusal: Refusal,
    rest: Option<(Stream, ConnectionPermit)>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let rest = None;
        Self { refusal, rest }
    }
}

type Beginning = (
    Identity,
    SessionKey,
    Attachment,
    tokio::sync::mpsc::Receiver<Attachment>,
);

async fn enter(
    door: &Arc<Door>,
    socket: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    permit: ConnectionPermit,
) -> Result<Option<Beginning>, Refused> {
    let mut stream = secure(door, socket, tls).await?;
    let mut input = BytesMut::with_capacity(CONNECT_BYTES);
    let limit = Duration::from_millis(door.limits.connect_timeout_ms);
    let read = timeout(limit, read_connect(door, &mut stream, &mut input)).await;
    let decided = match read {
        Err(_) => return Err(Refusal::ConnectTimeout.into()),
        Ok(Err(refusal)) => Err(refusal),
        Ok(Ok(connect)) => decide(door, connect),
    };
    let (identity, key, arrival, will) = match decided {
        Ok(decided) => decided,
        Err(refusal) => {
            let rest = Some((stream, permit));
            return Err(Refused { refusal, rest });
        }
    };
    let attachment = Attachment {
        stream,
        input,
        arrival,
        will,
        peer,
        permit,
    };
    match door.registry.enter(&key, attachment) {
        Entrance::TakenOver => Ok(None),
        Entrance::Begin(attachment, mailbox) => Ok(Some((identity, key, *attachment, mailbox))),
        Entrance::Refused(attachment) => Err(Refused {
            refusal: Refusal::SessionsMax,
            rest: Some((attachment.stream, attachment.permit)),
        }),
    }
}

async fn secure(
    door: &Door,
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
) -> Result<Stream, Refusal> {
    // Without it a small answer waits 40 ms for the acknowledgement of the one before.
    socket.set_nodelay(true).map_err(|_| Refusal::ClosedEarly)?;
    let Some(acceptor) = tls else {
        return Ok(Stream::Plain(socket));
    };
    let limit = Duration::from_millis(door.limits.handshake_timeout_ms);
    match timeout(limit, acceptor.accept(socket)).await {
        Ok(Ok(session)) => Ok(Stream::Tls(Box::new(session))),
        Ok(Err(_)) | Err(_) => Err(Refusal::Handshake),
    }
}

async fn read_connect(
    door: &Door,
    stream: &mut Stream,
    input: &mut BytesMut,
) -> Result<Connect, Refusal> {
    loop {
        match packet::decode(input, door.limits.packet_bytes_max) {
            Ok(Some(Incoming::Connect(connect))) => return Ok(*connect),
            Ok(Some(_)) => return Err(Refusal::Violation(Violation::Order)),
            Ok(None) => {}
            Err(violation) => return Err(Refusal::Violation(violation)),
        }
        match stream.read_buf(input).await {
            Ok(0) | Err(_) => return Err(Refusal::ClosedEarly),
            Ok(_) => {}
        }
    }
}

type Decided = (Identity, SessionKey, Arrival, Option<Message>);

fn decide(door: &Door, connect: Connect) -> Result<Decided, Refusal> {
    if !syntax::is_client_id(&connect.client_id) {
        return Err(Refusal::ClientId);
    }
    let identity = door
        .directory
        .authenticate(&connect.user, &connect.password)
        .ok_or(Refusal::Credentials)?;
    let arrival = Arrival {
        is_clean: connect.clean_session,
        keep_alive_s: connect.keep_alive_s,
    };
    let will = will_of(door, identity, &connect)?;
    let key = SessionKey {
        user: connect.user,
        client_id: connect.client_id,
    };
    Ok((identity.clone(), key, arrival, will))
}

fn will_of(
    door: &Door,
    identity: &Identity,
    connect: &Connect,
) -> Result<Option<Message>, Refusal> {
    let Some(will) = &connect.will else {
        return Ok(None);
    };
    let topic = syntax::check_topic(&will.topic).map_err(|_| Refusal::Will)?;
    let is_small = will.payload.len() <= protocol::codec::PAYLOAD_SIZE_MAX;
    if !is_small || !door.policy.permits(identity, Action::Will, topic) {
        return Err(Refusal::Will);
    }
    // A terminal's will on its presence is what other brokers need; here the broker says it.
    let is_ours = door.terminal_of(identity).is_some()
        && !door.policy.permits(identity, Action::Publish, topic);
    let message = || Message::copied(&will.topic, &will.payload, will.qos);
    Ok((!is_ours).then(message))
}

async fn turn_away(stream: Stream, refusal: Refusal) {
    match refusal {
        Refusal::ClientId => answer(stream, ConnectCode::ClientId).await,
        Refusal::Credentials => answer(stream, ConnectCode::Credentials).await,
        Refusal::Will => answer(stream, ConnectCode::NotAuthorized).await,
        Refusal::SessionsMax => answer(stream, ConnectCode::Unavailable).await,
        Refusal::Violation(Violation::ProtocolLevel) => {
            answer(stream, ConnectCode::ProtocolLevel).await;
        }
        _ => {
            let (mut reader, mut writer) = tokio::io::split(stream);
            connection::part(&mut reader, &mut writer).await;
        }
    }
}

/// Sends CONNACK with `code` and closes.
pub(crate) async fn answer(stream: Stream, code: ConnectCode) {
    let mut bytes = BytesMut::new();
    let session_present = false;
    packet::encode(
        &Outgoing::Connack {
            session_present,
            code,
        },
        &mut bytes,
    );
    let (mut reader, mut writer) = tokio::io::split(stream);
    let sent = timeout(ANSWER_TIMEOUT, writer.write_all(&bytes)).await;
    if matches!(sent, Ok(Ok(()))) {
        connection::part(&mut reader, &mut writer).await;
    }
}
