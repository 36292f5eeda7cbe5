//! The contract as a table: which message travels where, and what no reader may trip over.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use protocol::codec::{CodecError, Envelope, PAYLOAD_SIZE_MAX, Record, decode, encode};
use protocol::id::{JournalId, MessageId, SiteId, TransactionId};
use protocol::message::{
    Ack, ConfigReport, DownMessage, GatewayAnswer, GatewayEvent, GatewayMessage, GatewayRequest,
    Health, Hello, HelloRequest, Inquiry, LinkageCommand, LinkageMessage, Message, PaymentMessage,
    PaymentReply, Presence, QualityOfService, SessionMessage, SiteConfig, UpMessage, Visits,
};
use protocol::money::{Currency, MINOR_MAX, Money};
use protocol::signed::Jws;
use protocol::time::Utc;
use protocol::topic::{Down, Filter, Gateway, Topic, Up};

#[test]
fn each_message_has_its_topic_and_none_is_retained() {
    fn carried<M: Message>() {
        assert_eq!((M::QOS, M::RETAIN), (QualityOfService::AtLeastOnce, false));
    }
    fn up<M: UpMessage>(kind: Up) {
        carried::<M>();
        assert_eq!(M::KIND, kind);
    }
    fn down<M: DownMessage>(kind: Down) {
        carried::<M>();
        assert_eq!(M::KIND, kind);
    }
    fn gateway<M: GatewayMessage>(kind: Gateway) {
        carried::<M>();
        assert_eq!(M::KIND, kind);
    }
    up::<Hello>(Up::Hello);
    up::<SessionMessage>(Up::Session);
    up::<PaymentMessage>(Up::Payment);
    up::<LinkageMessage>(Up::Linkage);
    up::<Health>(Up::Health);
    up::<ConfigReport>(Up::Config);
    up::<Presence>(Up::Presence);
    down::<Ack>(Down::Ack);
    down::<PaymentReply>(Down::Payment);
    down::<LinkageCommand>(Down::Linkage);
    down::<Visits>(Down::Visits);
    down::<Jws<SiteConfig>>(Down::Config);
    down::<Jws<Inquiry>>(Down::Inquiry);
    down::<HelloRequest>(Down::Hello);
    gateway::<Jws<GatewayRequest>>(Gateway::Request);
    gateway::<Jws<GatewayAnswer>>(Gateway::Response);
    gateway::<Jws<GatewayEvent>>(Gateway::Event);
}

#[test]
fn a_member_that_a_newer_author_added_is_ignored() {
    let text = r#"{"version":1,"id":"01010101010101010101010101010101","at":"1970-01-01T00:00:00Z",
        "newer":{"a":1},"body":{"online":true,"since":"yesterday"}}"#;
    let read = decode::<Presence>(text.as_bytes()).unwrap();
    let expected = Envelope::new(
        MessageId::from_random([1; 16]),
        Utc::EPOCH,
        Presence { online: true },
    );
    assert_eq!(read, expected);
}

#[test]
fn a_kind_that_nobody_knows_is_malformed_and_not_guessed() {
    let text = r#"{"version":1,"id":"01010101010101010101010101010101","at":"1970-01-01T00:00:00Z",
        "body":{"kind":"open_the_gate","content":{}}}"#;
    assert!(matches!(
        decode::<LinkageCommand>(text.as_bytes()),
        Err(CodecError::Malformed(_))
    ));
}

#[test]
fn a_message_over_the_limit_is_not_sent() {
    let report = ConfigReport {
        applied: None,
        refused: Some("x".repeat(PAYLOAD_SIZE_MAX)),
    };
    let envelope = Envelope::new(MessageId::from_random([1; 16]), Utc::EPOCH, report);
    assert!(
        matches!(encode(&envelope), Err(CodecError::TooLarge(size)) if size > PAYLOAD_SIZE_MAX)
    );
}

#[test]
fn an_instant_is_written_in_utc_with_milliseconds() {
    let instant = Utc::from_millis(1_767_225_600_250).unwrap();
    assert_eq!(instant.to_string(), "2026-01-01T00:00:00.250Z");
    let read: Utc = serde_json::from_str("\"2026-01-01T08:00:00.250+08:00\"").unwrap();
    assert_eq!(read, instant);
}

fn name() -> impl Strategy<Value = String> {
    "[a-z0-9][a-z0-9_-]{0,31}".prop_filter("reserved", |name| name != "gateway")
}

proptest! {
    #[test]
    fn every_topic_is_read_back_and_falls_under_its_filters(
        site in name(), terminal in name(), up in 0..Up::ALL.len(), down in 0..Down::ALL.len(),
    ) {
        let terminal = protocol::topic::TerminalName {
            site: site.parse().unwrap(),
            terminal: terminal.parse().unwrap(),
        };
        let up = Topic::Up(terminal.clone(), Up::ALL[up]);
        prop_assert_eq!(&up.to_string().parse::<Topic>().unwrap(), &up);
        prop_assert!(Filter::all_up().matches(&up.to_string()));
        prop_assert!(!Filter::all_down().matches(&up.to_string()));
        prop_assert!(!Filter::down(&terminal).matches(&up.to_string()));
        let down = Topic::Down(terminal.clone(), Down::ALL[down]);
        prop_assert_eq!(&down.to_string().parse::<Topic>().unwrap(), &down);
        prop_assert!(Filter::all_down().matches(&down.to_string()));
        prop_assert!(Filter::down(&terminal).matches(&down.to_string()));
    }

    #[test]
    fn a_text_that_is_a_topic_is_written_the_same_way(text in "(paylatch/v1/)?[a-z+#$/]{0,60}") {
        if let Ok(topic) = text.parse::<Topic>() {
            prop_assert_eq!(topic.to_string(), text);
        }
    }

    #[test]
    fn no_bytes_crash_a_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode::<PaymentMessage>(&bytes).is_err());
        prop_assert!(decode::<LinkageCommand>(&bytes).is_err());
        prop_assert!(decode::<Hello>(&bytes).is_err());
    }

    #[test]
    fn ids_and_money_survive_their_json_form(bytes in any::<[u8; 16]>(), minor in 0..=MINOR_MAX, sequence in any::<u64>()) {
        let id = TransactionId::from_random(bytes);
        prop_assert_eq!(serde_json::from_str::<TransactionId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        let money = Money::new(minor, "KWD".parse::<Currency>().unwrap()).unwrap();
        prop_assert_eq!(serde_json::from_str::<Money>(&serde_json::to_string(&money).unwrap()).unwrap(), money);
        let record = Record { journal: JournalId::from_random(bytes), sequence };
        let envelope = Envelope::new(MessageId::from_random(bytes), Utc::EPOCH, Presence { online: false })
            .with_record(record);
        prop_assert_eq!(decode::<Presence>(&encode(&envelope).unwrap()).unwrap(), envelope);
    }

    #[test]
    fn no_text_is_a_name_unless_it_is_of_the_alphabet(text in "\\PC{0,40}") {
        let alphabet = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let expected = (1..=32).contains(&text.len())
            && text.bytes().all(alphabet)
            && !text.starts_with(['-', '_'])
            && text != "gateway";
        prop_assert_eq!(text.parse::<SiteId>().is_ok(), expected);
    }
}
