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

/// Everything but the standing of the keys: people revoke keys while we run.
#[derive(Debug)]
pub(super) struct Verifier {
    keys: PublishedKeys,
    policy: HeaderValue,
}

impl Verifier {
    pub(super) fn new(keys: PublishedKeys) -> Self {
        let between = |start, end| PAGE.split(start).nth(1)?.split(end).next();
        let script = between("<script>", "</script>").unwrap_or_default();
        let style = between("<style>", "</style>").unwrap_or_default();
        Self {
            policy: headers::policy(&[script], &[style]),
            keys,
        }
    }
}

pub(super) async fn page(State(public): State<Public>) -> Response {
    let keys = match keys_as_they_stand(&public).await {
        Ok(keys) => keys,
        Err(response) => return response,
    };
    // Inside a script element only `<` could end it.
    let inside = PLACE.replace("></", &format!(">{}</", keys.replace('<', "\\u003c")));
    let mut response = Html(PAGE.replace(PLACE, &inside)).into_response();
    let policy = public.verifier.policy.clone();
    response
        .headers_mut()
        .insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

pub(super) async fn keys(State(public): State<Public>) -> Response {
    let json = HeaderValue::from_static("application/jwk-set+json");
    match keys_as_they_stand(&public).await {
        Ok(keys) => ([(header::CONTENT_TYPE, json)], keys).into_response(),
        Err(response) => response,
    }
}

/// Their JSON form. Plain data: it always has one.
async fn keys_as_they_stand(public: &Public) -> Result<String, Response> {
    let revoked = public.read(|reader| reader.revoked_keys()).await?;
    let keys = public.verifier.keys.clone().with_revoked(&revoked);
    Ok(serde_json::to_string(&keys).unwrap_or_default())
}
