//! What a browser may do with the public pages: show them, and nothing else.

use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::message::Digest;

/// On every response. Tokens stand in addresses, so nothing is kept and no address is told.
const ALWAYS: [(HeaderName, &str); 7] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("x-robots-tag"),
        "noindex, nofollow, noarchive",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    ),
];

/// The Content Security Policy (W3C CSP Level 3) of a page with these and no other scripts and
/// styles. It loads nothing, sends nothing and leads no form anywhere.
pub(super) fn policy(scripts: &[&str], styles: &[&str]) -> HeaderValue {
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hashes(scripts),
        hashes(styles)
    );
    // Base64 and fixed words are always a header.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Sets what every response carries, and the strictest policy where none was chosen.
pub(super) fn set(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(
            "default-src 'none'; frame-ancestors 'none'",
        ));
    response
}

fn hashes(texts: &[&str]) -> String {
    if texts.is_empty() {
        return "'none'".to_owned();
    }
    let hash = |text: &&str| {
        let digest = STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
        format!("'sha256-{digest}'")
    };
    texts.iter().map(hash).collect::<Vec<_>>().join(" ")
}
