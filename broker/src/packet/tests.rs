use proptest::prelude::*;

use super::*;
use crate::message::Message;

const MAX: usize = 1_024;

fn decode_all(bytes: &[u8]) -> Result<Option<Incoming>, Violation> {
    decode(&mut BytesMut::from(bytes), MAX)
}

fn encoded(packet: &Outgoing) -> Vec<u8> {
    let mut output = BytesMut::new();
    encode(packet, &mut output);
    output.to_vec()
}

const CONNECT: &[u8] = &[
    0x10, 16, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x02, 0, 60, 0, 4, b'g', b'a', b't', b'e',
];

#[test]
fn packets_are_decoded_whole() {
    let connect = Connect {
        client_id: "gate".to_owned(),
        clean_session: true,
        keep_alive_s: 60,
        user: String::new(),
        password: String::new(),
        will: None,
    };
    let publish = |packet_id, qos, retain| Incoming::Publish {
        packet_id,
        topic: Bytes::from_static(b"a"),
        payload: Bytes::from_static(b"xy"),
        qos,
        retain,
    };
    let filters = vec![
        ("a".to_owned(), Qos::AtMostOnce),
        ("b".to_owned(), Qos::AtLeastOnce),
    ];
    for (bytes, packet) in [
        (CONNECT, Incoming::Connect(Box::new(connect))),
        (
            &[0x30, 5, 0, 1, b'a', b'x', b'y'],
            publish(0, Qos::AtMostOnce, false),
        ),
        (
            &[0x31, 5, 0, 1, b'a', b'x', b'y'],
            publish(0, Qos::AtMostOnce, true),
        ),
        (
            &[0x3a, 7, 0, 1, b'a', 1, 2, b'x', b'y'],
            publish(258, Qos::AtLeastOnce, false),
        ),
        (&[0x40, 2, 0, 7], Incoming::Puback { packet_id: 7 }),
        (
            &[0x82, 10, 0, 7, 0, 1, b'a', 0, 0, 1, b'b', 2],
            Incoming::Subscribe {
                packet_id: 7,
                filters,
            },
        ),
        (
            &[0xa2, 5, 0, 7, 0, 1, b'a'],
            Incoming::Unsubscribe {
                packet_id: 7,
                filters: vec!["a".to_owned()],
            },
        ),
        (&[0xc0, 0], Incoming::Pingreq),
        (&[0xe0, 0], Incoming::Disconnect),
    ] {
        assert_eq!(decode_all(bytes), Ok(Some(packet)), "{bytes:02x?}");
        for end in 0..bytes.len() {
            assert_eq!(
                decode_all(&bytes[..end]),
                Ok(None),
                "{:02x?}",
                &bytes[..end]
            );
        }
    }
}

#[test]
fn what_no_client_may_send_is_refused_at_its_first_byte() {
    for first in [0x00, 0x2f, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0, 0xf0] {
        let refusal = Err(Violation::PacketType(first >> 4));
        assert_eq!(decode_all(&[first]), refusal);
    }
    assert_eq!(decode_all(&[0x34]), Err(Violation::ExactlyOnce));
    for first in [0x11, 0x36, 0x38, 0x41, 0x80, 0x83, 0xa0, 0xc1, 0xe8] {
        assert_eq!(
            decode_all(&[first]),
            Err(Violation::Malformed),
            "{first:02x}"
        );
    }
}

#[test]
fn lengths_are_refused_before_the_bytes_come() {
    assert_eq!(decode_all(&[0x30, 0xff, 0x07]), Ok(None));
    assert_eq!(decode_all(&[0x30, 0x81, 0x08]), Err(Violation::TooLarge));
    assert_eq!(
        decode_all(&[0x30, 0xff, 0xff, 0xff, 0xff]),
        Err(Violation::Malformed)
    );
    for bytes in [
        [0xc0, 1],
        [0xe0, 1],
        [0x40, 3],
        [0x40, 0],
        [0x30, 0],
        [0x82, 0],
    ] {
        assert_eq!(
            decode_all(&bytes),
            Err(Violation::Malformed),
            "{bytes:02x?}"
        );
    }
}

#[test]
fn what_the_codec_would_let_pass_is_refused() {
    for bytes in [
        &[0x32, 5, 0, 1, b'a', 0, 0][..],   // packet id 0
        &[0x40, 2, 0, 0],                   // the same
        &[0x82, 6, 0, 0, 0, 1, b'a', 0],    // the same
        &[0xa2, 5, 0, 0, 0, 1, b'a'],       // the same
        &[0x82, 6, 0, 7, 0, 1, b'a', 0x04], // reserved option bits
        &[0x82, 10, 0, 7, 0, 1, b'a', 0, 0, 1, b'b', 0x81],
        &[0x82, 6, 0, 7, 0, 1, b'a', 3], // QoS 3
        &[0x82, 2, 0, 7],                // no filter
        &[0xa2, 2, 0, 7],                // no filter
        &[0xa2, 3, 0, 7, 0],             // half a length
        &[0x30, 3, 0, 9, b'a'],          // a topic longer than its packet
    ] {
        assert_eq!(decode_all(bytes), Err(Violation::Malformed), "{bytes:02x?}");
    }
    let mut trailing = CONNECT.to_vec();
    trailing[1] += 1;
    trailing.push(0);
    assert_eq!(decode_all(&trailing), Err(Violation::Malformed));
    for (index, value) in [(7, b'x'), (8, 5), (8, 3)] {
        let mut other = CONNECT.to_vec();
        other[index] = value;
        assert_eq!(decode_all(&other), Err(Violation::ProtocolLevel));
    }
}

#[test]
fn too_many_filters_in_one_packet_are_refused() {
    let mut filters = vec![0, 7];
    for _ in 0..=FILTERS_PER_PACKET_MAX {
        filters.extend([0, 1, b'a']);
    }
    let mut bytes = vec![0xa2, u8::try_from(filters.len()).unwrap()];
    bytes.extend(filters);
    assert_eq!(decode_all(&bytes), Err(Violation::TooLarge));
}

#[test]
fn answers_are_encoded_as_the_standard_says() {
    let granted = vec![Some(Qos::AtMostOnce), Some(Qos::AtLeastOnce), None];
    let code = ConnectCode::Credentials;
    for (packet, bytes) in [
        (
            Outgoing::Connack {
                session_present: false,
                code,
            },
            &[0x20, 2, 0, 4][..],
        ),
        (Outgoing::Puback { packet_id: 258 }, &[0x40, 2, 1, 2]),
        (
            Outgoing::Suback {
                packet_id: 7,
                granted,
            },
            &[0x90, 5, 0, 7, 0, 1, 0x80],
        ),
        (Outgoing::Unsuback { packet_id: 7 }, &[0xb0, 2, 0, 7]),
        (Outgoing::Pingresp, &[0xd0, 0]),
    ] {
        assert_eq!(encoded(&packet), bytes);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_whole_or_not_at_all(mut bytes: Vec<u8>, kind in 0..16_u8) {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x0f | kind << 4;
        }
        let mut input = BytesMut::from(&bytes[..]);
        match decode(&mut input, MAX) {
            Ok(Some(_)) => prop_assert!(input.len() < bytes.len() && bytes.ends_with(&input)),
            Ok(None) => prop_assert_eq!(&input[..], &bytes[..]),
            Err(_) => {}
        }
    }

    #[test]
    fn a_changed_connect_is_another_one_or_none(at in 0..18_usize, value: u8) {
        let mut bytes = CONNECT.to_vec();
        bytes[at] = value;
        prop_assert_eq!(decode_all(&bytes) == decode_all(CONNECT), value == CONNECT[at]);
    }

    #[test]
    fn a_publish_comes_out_as_it_went_in(
        topic in "[a-z/]{1,60}",
        payload in proptest::collection::vec(any::<u8>(), 0..900),
        packet_id in 1..=u16::MAX,
        is_once: bool,
    ) {
        let qos = if is_once { Qos::AtLeastOnce } else { Qos::AtMostOnce };
        let message = Message::copied(topic.as_bytes(), &payload, qos);
        let bytes = encoded(&Outgoing::Publish { packet_id, message: message.clone(), duplicate: false });
        let packet_id = if is_once { packet_id } else { 0 };
        let Message { topic, payload, .. } = message;
        let expected = Incoming::Publish { packet_id, topic, payload, qos, retain: false };
        prop_assert_eq!(decode_all(&bytes), Ok(Some(expected)));
    }
}
