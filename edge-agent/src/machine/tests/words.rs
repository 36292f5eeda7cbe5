//! Outputs in a few words, so that tests can say all of them and nothing else.

use super::*;
use crate::journal::Durability;

/// An output in a few words; identifiers are left to the tests that care.
pub(super) fn word(output: &Output) -> String {
    match output {
        Output::Journal {
            records,
            durability,
            ..
        } => {
            let kinds: Vec<_> = records.iter().map(kind).collect();
            let verb = match durability {
                Durability::Written => "write",
                Durability::Synced => "sync",
                Durability::Sealed => "seal",
            };
            format!("{verb} {}", kinds.join(" "))
        }
        Output::Compact { .. } => "compact".to_owned(),
        Output::StoreConfig { .. } => "store config".to_owned(),
        Output::Send(message) => format!("send {}", body_kind(&message.body)),
        Output::Acknowledge(_) => "ack".to_owned(),
        Output::Switch { devices, .. } => format!("switch {}", list(devices)),
        Output::SwitchOff { devices } => format!("off {}", list(devices)),
        Output::Probe => "probe".to_owned(),
        Output::Answer {
            result: Ok(url), ..
        } => format!("answer {url}"),
        Output::Answer {
            result: Err(error), ..
        } => format!("answer {error:?}"),
        Output::Note(event) => {
            let text = format!("{event:?}");
            let short = text.split("TransactionId(").collect::<Vec<_>>();
            let without_id = match short.as_slice() {
                [before, after] => format!("{before}{}", &after[33..]),
                _ => text.clone(),
            };
            let clean: String = without_id
                .chars()
                .filter(|char| !"{},".contains(*char))
                .collect();
            let clean = clean.replace("transaction: ", "");
            format!(
                "note {}",
                clean.split_whitespace().collect::<Vec<_>>().join(" ")
            )
        }
    }
}

fn list(devices: &[DeviceId]) -> String {
    let names: Vec<_> = devices.iter().map(DeviceId::as_str).collect();
    names.join(" ")
}

fn kind(record: &Record) -> &'static str {
    match record {
        Record::Order(_) => "order",
        Record::Paying { .. } => "paying",
        Record::Nonce { .. } => "nonce",
        Record::Intent(_) => "intent",
        Record::Done { .. } => "done",
        Record::Tombstone { .. } => "tombstone",
        Record::Receipt { .. } => "receipt",
        Record::Posted(posted) => match &posted.body {
            Post::Session(_) => "session",
            Post::Payment(message) => payment_kind(message),
            Post::Linkage(_) => "result",
        },
        Record::Taken { .. } => "taken",
        Record::Acknowledged { .. } => "acknowledged",
        Record::Ended { .. } => "over",
        Record::Settled { .. } => "settled",
        Record::Mark(_) => "mark",
    }
}

fn payment_kind(message: &PaymentMessage) -> &'static str {
    match message {
        PaymentMessage::OrderRequest(_) => "order_request",
        PaymentMessage::Notice(_) => "notice",
        PaymentMessage::Ended(_) => "ended",
        PaymentMessage::PermitRequest(_) => "permit_request",
    }
}

fn body_kind(body: &Body) -> &'static str {
    match body {
        Body::Hello(_) => "hello",
        Body::Session(_) => "session",
        Body::Payment(message) => payment_kind(message),
        Body::Linkage(LinkageMessage::Result(_)) => "result",
        Body::Linkage(LinkageMessage::Answer(_)) => "answer",
        Body::Health(_) => "health",
        Body::Config(_) => "config",
    }
}
