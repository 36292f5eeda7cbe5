//! What a browser may do with our pages: almost nothing.

use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::message::Digest;

use super::layout::{SCRIPT, STYLE};

/// On every response. Session tokens stand in addresses, so nothing is cached and no address is
/// told to anybody.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=()",
    ),
];

/// Content Security Policy (W3C CSP Level 3) of our pages, made once.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    /// Everything up to the places where forms may lead.
    fixed: String,
}

impl Policy {
    pub(super) fn new() -> Self {
        let hash = |text: &str| STANDARD.encode(Digest::of(text.as_bytes()).as_bytes());
        let (script, style) = (hash(SCRIPT), hash(STYLE));
        Self {
            fixed: format!(
                "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; \
                 img-src data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
                 form-action 'self'"
            ),
        }
    }

    /// The policy of a page whose forms lead to `target` too: browsers check it along redirects.
    pub(super) fn value(&self, target: Option<&str>) -> HeaderValue {
        let with_target = target
            .and_then(origin_of)
            .and_then(|origin| format!("{} {origin}", self.fixed).parse().ok());
        with_target.unwrap_or_else(|| self.plain())
    }

    fn plain(&self) -> HeaderValue {
        // Base64 and fixed words are always a header; without a policy nothing would run at all.
        HeaderValue::from_str(&self.fixed).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    }
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

/// Scheme, host and port of an http or https address, if it has no characters that a policy could
/// misread.
pub(super) fn origin_of(url: &str) -> Option<&str> {
    let after_scheme = ["https://", "http://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme).map(|_| scheme.len()))?;
    let length = url[after_scheme..]
        .find(['/', '?', '#'])
        .unwrap_or(url.len() - after_scheme);
    let authority = &url[after_scheme..after_scheme + length];
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let usable = !authority.is_empty() && authority.bytes().all(clean);
    usable.then(|| &url[..after_scheme + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_origin_enters_the_policy() {
        for (url, origin) in [
            ("https://pay.example/o/1?x=2", Some("https://pay.example")),
            ("http://127.0.0.1:8082/pay/1", Some("http://127.0.0.1:8082")),
            ("http://[::1]:80", Some("http://[::1]:80")),
            ("javascript:alert(1)", None),
            ("https://a; script-src *", None),
            ("https://user@evil.example/", None),
            ("https:///path", None),
            ("", None),
        ] {
            assert_eq!(origin_of(url), origin, "{url}");
        }
    }
}
