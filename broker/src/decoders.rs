//! Doors for fuzzers and property tests, in no other build: bytes in, whether they were accepted
//! out. A door panics if its decoder broke a promise.

#![allow(clippy::unwrap_used, reason = "a broken promise panics")]

use bytes::{BufMut, BytesMut};
use protocol::topic::{Topic, Up};

use crate::Identity;
use crate::authorization::{Action, is_authorized};
use crate::message::Qos;
use crate::packet::{Connect, Incoming, Violation, decode};
use crate::syntax;

/// The default of `limits.packet_bytes_max`.
const PACKET_BYTES_MAX: usize = 16 * 1024;

/// What a client says on its connection: the same packets however the network cuts it, each of
/// them the same when it is written and read again.
pub fn packet(bytes: &[u8]) -> bool {
    let (packets, violation, rest) = decoded([bytes]);
    let (pieces, violation_of_pieces, _) = decoded(bytes.chunks(1));
    assert_eq!((&pieces, violation_of_pieces), (&packets, violation));
    for packet in &packets {
        let mut written = BytesMut::new();
        write(packet, &mut written);
        assert_eq!(
            decode(&mut written, PACKET_BYTES_MAX),
            Ok(Some(packet.clone()))
        );
        assert!(written.is_empty());
    }
    !packets.is_empty() && violation.is_none() && rest == 0
}

/// A topic or filter that the door lets through: nobody speaks for another, and the router gets
/// no name that it can't bear.
pub fn door(bytes: &[u8]) -> bool {
    let identities = [
        Identity::Terminal("north/gate-1".parse().unwrap()),
        Identity::Terminal("north/gate-2".parse().unwrap()),
        Identity::Platform("main".parse().unwrap()),
        Identity::Gateway("mock".parse().unwrap()),
        Identity::Monitor,
    ];
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(syntax::check_topic(bytes).is_err());
        return false;
    };
    let may = |action| {
        let may = |identity: &&Identity| is_authorized(identity, action, text);
        identities.iter().filter(may).count()
    };
    let publishers = may(Action::Publish);
    assert!(publishers <= 1, "two may publish to one topic");
    assert!(may(Action::Will) <= 1);
    if publishers == 1 {
        assert_eq!(syntax::check_topic(bytes), Ok(text));
        let topic: Topic = text.parse().unwrap();
        assert!(!matches!(topic, Topic::Up(_, Up::Presence)));
    }
    // The door asks in this order: no right goes with a filter that the router can't bear.
    let readers = if syntax::is_filter(text) {
        may(Action::Subscribe)
    } else {
        0
    };
    for (identity, name) in identities.iter().zip(["north/gate-1", "north/gate-2"]) {
        if readers > 0 && is_authorized(identity, Action::Subscribe, text) {
            assert!(text.starts_with(&format!("paylatch/v1/{name}/down/")));
        }
    }
    publishers + readers > 0
}

type Decoded = (Vec<Incoming>, Option<Violation>, usize);

fn decoded<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Decoded {
    let (mut input, mut packets) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            let before = input.len();
            match decode(&mut input, PACKET_BYTES_MAX) {
                Ok(Some(packet)) => {
                    assert!(input.len() + 2 <= before, "a packet of nothing");
                    packets.push(packet);
                }
                Ok(None) => break,
                Err(violation) => return (packets, Some(violation), input.len()),
            }
        }
        // A length that was only announced takes no more room than the largest packet.
        assert!(input.capacity() <= 2 * (PACKET_BYTES_MAX + bytes_max(piece)));
    }
    (packets, None, input.len())
}

fn bytes_max(piece: &[u8]) -> usize {
    piece.len().max(64)
}

/// A packet as a client writes it.
fn write(packet: &Incoming, output: &mut BytesMut) {
    let mut rest = BytesMut::new();
    let first = match packet {
        Incoming::Connect(connect) => {
            write_connect(connect, &mut rest);
            0x10
        }
        Incoming::Publish {
            packet_id,
            topic,
            payload,
            qos,
            retain,
        } => {
            write_field(topic, &mut rest);
            if *qos == Qos::AtLeastOnce {
                rest.put_u16(*packet_id);
            }
            rest.put_slice(payload);
            0x30 | (*qos as u8) << 1 | u8::from(*retain)
        }
        Incoming::Puback { packet_id } => {
            rest.put_u16(*packet_id);
            0x40
        }
        Incoming::Subscribe { packet_id, filters } => {
            rest.put_u16(*packet_id);
            for (filter, qos) in filters {
                write_field(filter.as_bytes(), &mut rest);
                rest.put_u8(*qos as u8);
            }
            0x82
        }
        Incoming::Unsubscribe { packet_id, filters } => {
            rest.put_u16(*packet_id);
            for filter in filters {
                write_field(filter.as_bytes(), &mut rest);
            }
            0xa2
        }
        Incoming::Pingreq => 0xc0,
        Incoming::Disconnect => 0xe0,
    };
    output.put_u8(first);
    write_length(rest.len(), output);
    output.put_slice(&rest);
}

fn write_connect(connect: &Connect, rest: &mut BytesMut) {
    let has_password = !connect.password.is_empty();
    let has_user = has_password || !connect.user.is_empty();
    let will_flags = connect
        .will
        .as_ref()
        .map_or(0, |will| 4 | (will.qos as u8) << 3);
    write_field(b"MQTT", rest);
    rest.put_u8(4);
    rest.put_u8(
        u8::from(has_user) << 7
            | u8::from(has_password) << 6
            | will_flags
            | u8::from(connect.clean_session) << 1,
    );
    rest.put_u16(connect.keep_alive_s);
    write_field(connect.client_id.as_bytes(), rest);
    if let Some(will) = &connect.will {
        write_field(&will.topic, rest);
        write_field(&will.payload, rest);
    }
    if has_user {
        write_field(connect.user.as_bytes(), rest);
    }
    if has_password {
        write_field(connect.password.as_bytes(), rest);
    }
}

fn write_field(bytes: &[u8], output: &mut BytesMut) {
    output.put_u16(u16::try_from(bytes.len()).unwrap());
    output.put_slice(bytes);
}

/// MQTT 3.1.1, section 2.2.3.
fn write_length(mut length: usize, output: &mut BytesMut) {
    while length > 0x7f {
        output.put_u8(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    output.put_u8(u8::try_from(length).unwrap());
}

#[cfg(test)]
mod tests {
    use corpus::check;

    #[test]
    fn packets() {
        check("packet", super::packet);
    }

    #[test]
    fn topics_and_filters_at_the_door() {
        check("door", super::door);
    }
}
