//! The platform's API, as an operator's script uses it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full, Limited};
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
        .body(Full::default())?;
    let (status, body) = send(request, path).await?;
    ensure!(status == 200, "{path} answered {status}: {body}");
    Ok(body)
}

/// Posts JSON with a bearer token, and gives status and JSON of the answer.
///
/// # Errors
/// When nothing answers.
pub async fn post(
    api: SocketAddr,
    token: &str,
    path: &str,
    body: &Value,
) -> anyhow::Result<(u16, Value)> {
    let request = Request::post(format!("http://{api}{path}"))
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::from(body.to_string()))?;
    send(request, path).await
}

async fn send(request: Request<Full<Bytes>>, path: &str) -> anyhow::Result<(u16, Value)> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = tokio::time::timeout(REQUEST_TIMEOUT, client.request(request))
        .await
        .with_context(|| format!("{path} did not answer"))??;
    let status = response.status().as_u16();
    let read = Limited::new(response.into_body(), ANSWER_SIZE_MAX)
        .collect()
        .await;
    let body = read
        .map_err(|error| anyhow::anyhow!("{path}: {error}"))?
        .to_bytes();
    Ok((status, serde_json::from_slice(&body)?))
}
