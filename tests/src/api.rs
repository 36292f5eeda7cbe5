//! The platform's read API, as an operator's script uses it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// More than the largest page of the API.
const ANSWER_SIZE_MAX: usize = 1024 * 1024;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches `path` with a bearer token and reads the JSON of a 200.
pub async fn fetch(api: SocketAddr, token: &str, path: &str) -> anyhow::Result<Value> {
    let request = Request::builder()
        .uri(format!("http://{api}{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<Bytes>::new())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = tokio::time::timeout(REQUEST_TIMEOUT, client.request(request))
        .await
        .with_context(|| format!("{path} did not answer"))??;
    let status = response.status();
    let read = Limited::new(response.into_body(), ANSWER_SIZE_MAX)
        .collect()
        .await;
    let body = read
        .map_err(|error| anyhow::anyhow!("{path}: {error}"))?
        .to_bytes();
    ensure!(
        status == 200,
        "{path} answered {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(serde_json::from_slice(&body)?)
}
