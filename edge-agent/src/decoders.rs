//! Doors for fuzzers and property tests, in no other build: bytes in, whether they were accepted
//! out. A door panics if its decoder broke a promise.

#![allow(clippy::unwrap_used, reason = "a broken promise panics")]

mod delivery;
mod journal;
mod recovery;

use axum::extract::Request;
use axum::http::header;
use protocol::message::{ITEMS_MAX, ItemLine};

use crate::Config;
use crate::machine::record::Record;
use crate::machine::token::SessionToken;
use crate::page::{field_of, read_choice};

pub use delivery::delivery;
pub use journal::journal;
pub use recovery::recovery;

/// The form of chosen items: every line names another item and wants some of it, and the same
/// form can be written from the lines.
pub fn choice(bytes: &[u8]) -> bool {
    let Some(lines) = chosen(bytes) else {
        return false;
    };
    assert!(lines.len() <= ITEMS_MAX);
    assert!(lines.iter().all(|line| line.quantity > 0));
    let field = |line: &ItemLine| format!("{}={}", field_of(&line.item), line.quantity);
    let fields: Vec<String> = lines.iter().map(field).collect();
    assert_eq!(chosen(fields.join("&").as_bytes()), Some(lines));
    true
}

/// A session's token in the page's address.
pub fn token(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let Ok(token) = text.parse::<SessionToken>() else {
        return false;
    };
    assert_eq!(token.to_string(), text);
    assert!(!format!("{token:?}").contains(text), "a token in a log");
    true
}

/// A record of the journal is the same when it is written and read again.
pub fn record(bytes: &[u8]) -> bool {
    let Ok(record) = Record::decode(bytes) else {
        return false;
    };
    assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    true
}

/// The agent's configuration file: read and found whole, or refused in one line.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let read = process::config::parse::<Config>("agent.toml", text);
    match read.and_then(|config| config.check("agent.toml")) {
        Ok(()) => true,
        Err(error) => {
            let line = error.to_string();
            assert!(
                line.starts_with("agent.toml: ") && !line.contains('\n'),
                "{line:?}"
            );
            false
        }
    }
}

fn chosen(bytes: &[u8]) -> Option<Vec<ItemLine>> {
    let request = Request::post("/")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(bytes.to_vec().into())
        .unwrap();
    // The body is there already; only the deadline around it wants a runtime.
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(read_choice(request)).ok())
}

#[cfg(test)]
mod tests {
    use corpus::{check, check_cases};

    #[test]
    fn chosen_items() {
        check("choice", super::choice);
    }

    #[test]
    fn session_tokens() {
        check("session_token", super::token);
    }

    #[test]
    fn records() {
        check("record", super::record);
    }

    #[test]
    fn agent_configurations() {
        check("agent_config", super::config);
    }

    /// Each opens a whole journal a few times.
    #[test]
    fn journals() {
        check_cases("journal", super::journal, 32);
    }

    #[test]
    fn deliveries_to_a_terminal() {
        check("delivery", super::delivery);
    }

    #[test]
    fn recovered_indexes() {
        check("recovery", super::recovery);
    }
}
