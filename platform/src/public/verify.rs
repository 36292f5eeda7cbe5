//! The page that checks receipts, served with our keys in it, and the keys alone.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use protocol::evidence::PublishedKeys;

use super::{Public, headers};

/// The same file works offline; then whoever checks brings the keys.
pub(super) const PAGE: &str = include_str!("../../../deploy/verify/index.html");

/// Where served pages carry the keys.
const PLACE: &str = r#"<script type="application/json" id="published-keys"></script>"#;

/// Made once: the keys are those of the configuration.
#[derive(Debug)]
pub(super) struct Verifier {
    page: String,
    keys: String,
    policy: HeaderValue,
}

impl Verifier {
    pub(super) fn new(keys: &PublishedKeys) -> Self {
        // Plain data: it always has a JSON form.
        let keys = serde_json::to_string(keys).unwrap_or_default();
        // Inside a script element only `<` could end it.
        let inside = PLACE.replace("></", &format!(">{}</", keys.replace('<', "\\u003c")));
        let between = |start, end| PAGE.split(start).nth(1)?.split(end).next();
        let script = between("<script>", "</script>").unwrap_or_default();
        let style = between("<style>", "</style>").unwrap_or_default();
        Self {
            page: PAGE.replace(PLACE, &inside),
            policy: headers::policy(&[script], &[style]),
            keys,
        }
    }
}

pub(super) async fn page(State(public): State<Public>) -> Response {
    let mut response = Html(public.verifier.page.clone()).into_response();
    let policy = public.verifier.policy.clone();
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

pub(super) async fn keys(State(public): State<Public>) -> Response {
    let json = HeaderValue::from_static("application/jwk-set+json");
    let keys = public.verifier.keys.clone();
    ([(header::CONTENT_TYPE, json)], keys).into_response()
}
