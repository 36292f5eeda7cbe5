//! Packets to a client. rumqttd's codec can't write a PUBLISH whose packet id is ours.

use bytes::{BufMut, BytesMut};

use crate::message::{Message, Qos};

/// A packet to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    Connack {
        session_present: bool,
        code: ConnectCode,
    },
    Publish {
        packet_id: u16,
        message: Message,
        duplicate: bool,
    },
    Puback {
        packet_id: u16,
    },
    Suback {
        packet_id: u16,
        granted: Vec<Option<Qos>>,
    },
    Unsuback {
        packet_id: u16,
    },
    Pingresp,
}

/// MQTT 3.1.1, table 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectCode {
    Accepted = 0,
    ProtocolLevel = 1,
    ClientId = 2,
    Unavailable = 3,
    Credentials = 4,
    NotAuthorized = 5,
}

/// Appends a packet to `output`.
pub(crate) fn encode(packet: &Outgoing, output: &mut BytesMut) {
    match packet {
        Outgoing::Connack {
            session_present,
            code,
        } => output.put_slice(&[0x20, 2, u8::from(*session_present), *code as u8]),
        Outgoing::Publish {
            packet_id,
            message,
            duplicate,
        } => encode_publish(*packet_id, message, *duplicate, output),
        Outgoing::Puback { packet_id } => put_short(0x40, *packet_id, output),
        Outgoing::Suback { packet_id, granted } => {
            output.put_u8(0x90);
            put_length(2 + granted.len(), output);
            output.put_u16(*packet_id);
            output.extend(granted.iter().map(|qos| qos.map_or(0x80, |qos| qos as u8)));
        }
        Outgoing::Unsuback { packet_id } => put_short(0xb0, *packet_id, output),
        Outgoing::Pingresp => output.put_slice(&[0xd0, 0]),
    }
}

fn put_short(first: u8, packet_id: u16, output: &mut BytesMut) {
    output.put_slice(&[first, 2]);
    output.put_u16(packet_id);
}

fn encode_publish(packet_id: u16, message: &Message, duplicate: bool, output: &mut BytesMut) {
    let has_id = message.qos == Qos::AtLeastOnce;
    let flags = u8::from(duplicate) << 3 | (message.qos as u8) << 1 | u8::from(message.retain);
    let length = 2 + message.topic.len() + message.payload.len() + if has_id { 2 } else { 0 };
    output.reserve(5 + length);
    output.put_u8(0x30 | flags);
    put_length(length, output);
    // Topics were checked against a length far below this when they came in.
    output.put_u16(u16::try_from(message.topic.len()).unwrap_or(u16::MAX));
    output.put_slice(&message.topic);
    if has_id {
        output.put_u16(packet_id);
    }
    output.put_slice(&message.payload);
}

fn put_length(mut length: usize, output: &mut BytesMut) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0x7f);
        length >>= 7;
        if length == 0 {
            return output.put_u8(low);
        }
        output.put_u8(low | 0x80);
    }
}
