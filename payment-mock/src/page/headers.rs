//! What every page tells the browser to refuse.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::view::STYLE;
use crate::ledger::ReturnUrl;

/// The one style sheet by its hash (CSP 3, section 2.3.1), so that no other style is applied.
static STYLE_SOURCE: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE))));

const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

pub(super) async fn always(mut response: Response) -> Response {
    for (name, value) in ALWAYS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Chromium applies `form-action` to the redirect after a form too, so the merchant's origin has to
/// be in it.
pub(super) fn with_policy(mut response: Response, returns_to: Option<&ReturnUrl>) -> Response {
    let form_action = returns_to.map_or("", ReturnUrl::origin);
    let policy = format!(
        "default-src 'none'; style-src {}; img-src data:; form-action 'self' {form_action}; \
         base-uri 'none'; frame-ancestors 'none'",
        *STYLE_SOURCE
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}
