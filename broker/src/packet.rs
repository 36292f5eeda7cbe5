//! MQTT 3.1.1 packets: what a client may send is checked before it is decoded.
//!
//! rumqttd's codec reads the fields; this module refuses what that codec would let pass: packets
//! of a server, wrong flags and lengths, packet id 0, QoS 2, reserved bits, trailing bytes.

use bytes::{Bytes, BytesMut};
use rumqttd::protocol::v4::V4;
use rumqttd::protocol::{self, Protocol};

use crate::message::Qos;

mod encode;

pub(crate) use encode::{ConnectCode, Outgoing, encode};

/// Most filters in one SUBSCRIBE or UNSUBSCRIBE: twice what a session may hold by default.
const FILTERS_PER_PACKET_MAX: usize = 32;

/// Why a connection is closed over what it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Violation {
    #[error("a packet of type {0} is not for clients to send")]
    PacketType(u8),
    #[error("the packet is larger than the limit")]
    TooLarge,
    #[error("quality of service 2 is not offered")]
    ExactlyOnce,
    #[error("the protocol is not MQTT 3.1.1")]
    ProtocolLevel,
    #[error("the packet is malformed")]
    Malformed,
    #[error("CONNECT comes first and once")]
    Order,
    #[error("the topic holds a wildcard or nothing")]
    Topic,
}

/// A packet from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incoming {
    Connect(Box<Connect>),
    Publish {
        packet_id: u16,
        topic: Bytes,
        payload: Bytes,
        qos: Qos,
        retain: bool,
    },
    Puback {
        packet_id: u16,
    },
    Subscribe {
        packet_id: u16,
        filters: Vec<(String, Qos)>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
    Pingreq,
    Disconnect,
}

/// What a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    pub(crate) clean_session: bool,
    pub(crate) keep_alive_s: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) will: Option<Will>,
}

/// What the broker shall say when a client vanishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) topic: Bytes,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
}

/// The kinds a client may send; the numbers are those of MQTT 3.1.1, table 2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Connect,
    Publish,
    Puback,
    Subscribe,
    Unsubscribe,
    Pingreq,
    Disconnect,
}

/// Takes one whole packet off `input`; `None` if more bytes are needed.
pub(crate) fn decode(
    input: &mut BytesMut,
    packet_bytes_max: usize,
) -> Result<Option<Incoming>, Violation> {
    let Some(&first) = input.first() else {
        return Ok(None);
    };
    let kind = check_first(first)?;
    let Some((header_length, rest_length)) = frame(input)? else {
        return Ok(None);
    };
    check_length(kind, rest_length, packet_bytes_max)?;
    if input.len() < header_length + rest_length {
        input.reserve(header_length + rest_length - input.len());
        return Ok(None);
    }
    let mut packet = input.split_to(header_length + rest_length);
    let ends = Ends::of(&packet, header_length);
    let decoded = V4
        .read_mut(&mut packet, packet_bytes_max)
        .map_err(|error| violation_of(&error))?;
    strict(decoded, &ends).map(Some)
}

fn violation_of(error: &protocol::Error) -> Violation {
    match error {
        protocol::Error::InvalidProtocol | protocol::Error::InvalidProtocolLevel(_) => {
            Violation::ProtocolLevel
        }
        _ => Violation::Malformed,
    }
}

fn check_first(first: u8) -> Result<Kind, Violation> {
    let kind = match first >> 4 {
        1 => Kind::Connect,
        3 => Kind::Publish,
        4 => Kind::Puback,
        8 => Kind::Subscribe,
        10 => Kind::Unsubscribe,
        12 => Kind::Pingreq,
        14 => Kind::Disconnect,
        other => return Err(Violation::PacketType(other)),
    };
    let flags = first & 0x0f;
    let flags_wanted = match kind {
        Kind::Publish => return check_publish_flags(flags).map(|()| kind),
        Kind::Subscribe | Kind::Unsubscribe => 2,
        Kind::Connect | Kind::Puback | Kind::Pingreq | Kind::Disconnect => 0,
    };
    if flags == flags_wanted {
        Ok(kind)
    } else {
        Err(Violation::Malformed)
    }
}

fn check_publish_flags(flags: u8) -> Result<(), Violation> {
    let is_duplicate = flags & 0b1000 != 0;
    match (flags >> 1) & 0b11 {
        0 if is_duplicate => Err(Violation::Malformed),
        0 | 1 => Ok(()),
        2 => Err(Violation::ExactlyOnce),
        _ => Err(Violation::Malformed),
    }
}

/// Lengths of the fixed header and of what follows it (MQTT 3.1.1, section 2.2.3).
fn frame(input: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    let mut length = 0;
    for (index, byte) in input.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
    }
    if input.len() < 5 {
        Ok(None)
    } else {
        Err(Violation::Malformed)
    }
}

fn check_length(kind: Kind, length: usize, max: usize) -> Result<(), Violation> {
    let is_right = match kind {
        Kind::Pingreq | Kind::Disconnect => length == 0,
        Kind::Puback => length == 2,
        Kind::Connect | Kind::Publish | Kind::Subscribe | Kind::Unsubscribe => length > 0,
    };
    if length > max {
        Err(Violation::TooLarge)
    } else if is_right {
        Ok(())
    } else {
        Err(Violation::Malformed)
    }
}

/// Bytes of a packet that rumqttd's codec reads and does not show, or does not read at all.
struct Ends {
    first: u8,
    /// Of CONNECT: protocol name, level, flags, keepalive are the first ten.
    connect_flags: u8,
    rest_length: usize,
    publish_packet_id: u16,
    /// Of SUBSCRIBE: one of the six bits beside a filter's QoS is set.
    has_reserved_options: bool,
}

impl Ends {
    fn of(packet: &[u8], header_length: usize) -> Self {
        let rest = packet.get(header_length..).unwrap_or_default();
        let topic_length = usize::from(u16_at(rest, 0));
        Self {
            first: packet.first().copied().unwrap_or_default(),
            connect_flags: rest.get(7).copied().unwrap_or_default(),
            rest_length: rest.len(),
            publish_packet_id: u16_at(rest, 2 + topic_length),
            has_reserved_options: packet.first() == Some(&0x82) && has_reserved_options(rest),
        }
    }
}

fn has_reserved_options(subscribe: &[u8]) -> bool {
    let mut index = 2;
    while index < subscribe.len() {
        index += 2 + usize::from(u16_at(subscribe, index));
        if subscribe
            .get(index)
            .is_some_and(|options| options & !0b11 != 0)
        {
            return true;
        }
        index += 1;
    }
    false
}

fn u16_at(bytes: &[u8], index: usize) -> u16 {
    match bytes.get(index..index + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}

fn strict(packet: protocol::Packet, ends: &Ends) -> Result<Incoming, Violation> {
    match packet {
        protocol::Packet::Connect(connect, _, will, _, login) => {
            strict_connect(connect, will, login, ends)
        }
        protocol::Packet::Publish(publish, _) => Ok(strict_publish(publish, ends)),
        protocol::Packet::PubAck(puback, _) => Ok(Incoming::Puback {
            packet_id: positive(puback.pkid)?,
        }),
        protocol::Packet::Subscribe(subscribe, _) => strict_subscribe(subscribe, ends),
        protocol::Packet::Unsubscribe(unsubscribe, _) => strict_unsubscribe(unsubscribe),
        protocol::Packet::PingReq(_) => Ok(Incoming::Pingreq),
        protocol::Packet::Disconnect(..) => Ok(Incoming::Disconnect),
        _ => Err(Violation::Malformed),
    }
}

fn strict_connect(
    connect: protocol::Connect,
    will: Option<protocol::LastWill>,
    login: Option<protocol::Login>,
    ends: &Ends,
) -> Result<Incoming, Violation> {
    let flags = ends.connect_flags;
    let (has_user, has_password) = (flags & 0x80 != 0, flags & 0x40 != 0);
    let (user, password) = login.map_or_else(Default::default, |it| (it.username, it.password));
    let field = |is_present: bool, length: usize| if is_present { 2 + length } else { 0 };
    let length = 10
        + field(true, connect.client_id.len())
        + will
            .as_ref()
            .map_or(0, |it| 4 + it.topic.len() + it.message.len())
        + field(has_user, user.len())
        + field(has_password, password.len());
    let is_reserved_set = flags & 1 != 0;
    if is_reserved_set || length != ends.rest_length || (has_password && !has_user) {
        return Err(Violation::Malformed);
    }
    Ok(Incoming::Connect(Box::new(Connect {
        client_id: connect.client_id,
        clean_session: connect.clean_session,
        keep_alive_s: connect.keep_alive,
        user,
        password,
        will: will.map(strict_will).transpose()?,
    })))
}

fn strict_will(will: protocol::LastWill) -> Result<Will, Violation> {
    Ok(Will {
        topic: will.topic,
        payload: will.message,
        qos: qos_of(will.qos).ok_or(Violation::ExactlyOnce)?,
    })
}

fn strict_publish(publish: protocol::Publish, ends: &Ends) -> Incoming {
    let (qos, packet_id) = match ends.first & 0b0110 {
        0 => (Qos::AtMostOnce, 0),
        _ => (Qos::AtLeastOnce, ends.publish_packet_id),
    };
    Incoming::Publish {
        packet_id,
        topic: publish.topic,
        payload: publish.payload,
        qos,
        retain: publish.retain,
    }
}

fn strict_subscribe(subscribe: protocol::Subscribe, ends: &Ends) -> Result<Incoming, Violation> {
    if ends.has_reserved_options {
        return Err(Violation::Malformed);
    }
    if subscribe.filters.len() > FILTERS_PER_PACKET_MAX {
        return Err(Violation::TooLarge);
    }
    let filters = subscribe.filters.into_iter();
    Ok(Incoming::Subscribe {
        packet_id: positive(subscribe.pkid)?,
        // QoS 2 is granted as 1 (MQTT 3.1.1, section 3.8.4, permits less than was asked for).
        filters: filters
            .map(|it| (it.path, qos_of(it.qos).unwrap_or(Qos::AtLeastOnce)))
            .collect(),
    })
}

fn strict_unsubscribe(unsubscribe: protocol::Unsubscribe) -> Result<Incoming, Violation> {
    match unsubscribe.filters.len() {
        0 => Err(Violation::Malformed),
        1..=FILTERS_PER_PACKET_MAX => Ok(Incoming::Unsubscribe {
            packet_id: positive(unsubscribe.pkid)?,
            filters: unsubscribe.filters,
        }),
        _ => Err(Violation::TooLarge),
    }
}

fn positive(packet_id: u16) -> Result<u16, Violation> {
    match packet_id {
        0 => Err(Violation::Malformed),
        packet_id => Ok(packet_id),
    }
}

const fn qos_of(qos: protocol::QoS) -> Option<Qos> {
    match qos {
        protocol::QoS::AtMostOnce => Some(Qos::AtMostOnce),
        protocol::QoS::AtLeastOnce => Some(Qos::AtLeastOnce),
        protocol::QoS::ExactlyOnce => None,
    }
}

#[cfg(test)]
mod tests;
