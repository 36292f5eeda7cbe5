//! Doors for fuzzers and property tests, in no other build: bytes in, whether they were accepted
//! out. A door panics if its decoder broke a promise.

#![allow(clippy::unwrap_used, reason = "a broken promise panics")]

mod request;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Form, FromRequest as _, Request};
use axum::http::{HeaderValue, header};
use protocol::time::Tick;

use crate::Settings;
use crate::config::Capabilities;
use crate::ledger::{CheckoutToken, Entry, Ledger, ReturnUrl, Rules};
use crate::machine::Press;
use crate::page::PressForm;

pub use request::request;

/// The form of a pressed button.
pub fn press(bytes: &[u8]) -> bool {
    let request = Request::post("/")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(bytes.to_vec().into())
        .unwrap();
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().build().unwrap();
    }
    let form =
        RUNTIME.with(|runtime| runtime.block_on(Form::<PressForm>::from_request(request, &())));
    let Ok(Form(form)) = form else {
        return false;
    };
    // Three characters become one at most, so nothing grows.
    assert!(form.form.len() + form.press.len() <= 3 * bytes.len());
    Press::parse(&form.press).is_some()
}

/// What stands in the address of a checkout page.
pub fn token(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let Ok(token) = text.parse::<CheckoutToken>() else {
        return false;
    };
    assert_eq!(token.to_string(), text);
    assert!(!format!("{token:?}").contains(text), "a token in a log");
    true
}

/// Where the payer goes afterwards: a header's value as it stands, and an origin that ends no
/// directive of a content security policy.
pub fn return_url(bytes: &[u8]) -> bool {
    let Some(url) = std::str::from_utf8(bytes).ok().and_then(ReturnUrl::parse) else {
        return false;
    };
    assert_eq!(url.as_str().as_bytes(), bytes);
    assert!(HeaderValue::from_str(url.as_str()).is_ok());
    assert!(url.as_str().starts_with(url.origin()));
    assert!(
        !url.origin()
            .contains([';', ',', ' ', '\'', '@', '\\', '?', '#'])
    );
    assert_eq!(url.origin().matches('/').count(), 2);
    let rest = &url.as_str()[url.origin().len()..];
    assert!(rest.is_empty() || rest.starts_with(['/', '?', '#']));
    true
}

/// Entries of the ledger, one in a line, in any order and however contradictory.
pub fn entries(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    let entries: Result<Vec<Entry>, _> = lines.map(serde_json::from_slice).collect();
    let Ok(entries) = entries else {
        return false;
    };
    let mut ledger = Ledger::new(Rules {
        payees: BTreeSet::new(),
        capabilities: Capabilities::default(),
        late_booking: Duration::ZERO,
    });
    for entry in &entries {
        let written = serde_json::to_vec(entry).unwrap();
        assert_eq!(serde_json::from_slice::<Entry>(&written).unwrap(), *entry);
        ledger.restore(entry, Tick::from_millis(1));
    }
    for order in ledger.orders() {
        for payment in &order.payments {
            let view = payment.view();
            assert!(
                view.refunded.minor() <= view.amount.minor(),
                "more back than came"
            );
        }
    }
    true
}

/// The configuration file: read whole, or refused in one line.
pub fn config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match process::config::parse::<Settings>("mock.toml", text) {
        Ok(_) => true,
        Err(error) => {
            let line = error.to_string();
            assert!(
                line.starts_with("mock.toml: ") && !line.contains('\n'),
                "{line:?}"
            );
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use corpus::check;

    #[test]
    fn presses() {
        check("press", super::press);
    }

    #[test]
    fn checkout_tokens() {
        check("checkout_token", super::token);
    }

    #[test]
    fn return_urls() {
        check("return_url", super::return_url);
    }

    #[test]
    fn ledger_entries() {
        check("entries", super::entries);
    }

    #[test]
    fn requests_of_a_platform() {
        check("request", super::request);
    }

    #[test]
    fn mock_configurations() {
        check("mock_config", super::config);
    }
}
