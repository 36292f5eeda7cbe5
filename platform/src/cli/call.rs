//! Calls to the platform that runs: it alone writes its store.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use platform::Settings;
use process::exit::{Code, Failure};
use process::secret::SecretFile;
use serde_json::Value;
use tokio::net::TcpStream;

/// From the connection to the whole answer: above the 10 s that the platform gives an act.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest answer that is read: an act and what it came to are far shorter.
const ANSWER_SIZE_MAX: usize = 1024 * 1024;

/// Nothing was sent: no platform listens.
#[derive(Debug, thiserror::Error)]
#[error("no platform answers at {address} ({reason}): start it, or correct api.listen")]
pub(crate) struct NotRunning {
    address: SocketAddr,
    reason: std::io::Error,
}

/// Sends `body` with the API's token, and gives what the platform answered.
pub(crate) async fn post(settings: &Settings, path: &str, body: &Value) -> anyhow::Result<Value> {
    let address = settings.api_address();
    let token = SecretFile::new(settings.token_file()).read()?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1{path}"))
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    let called = tokio::time::timeout(CALL_TIMEOUT, call(address, request)).await;
    let (status, body) = called.map_err(|_| {
        let line = format!("the platform at {address} gave no answer within 15 s");
        Failure::new(Code::Unavailable, line)
    })??;
    judge(status, &body)
}

async fn call(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|reason| NotRunning { address, reason })?;
    let broken = |error: &dyn std::fmt::Display| {
        let line = format!("the platform at {address} broke off: {error}");
        Failure::new(Code::Unavailable, line)
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let exchange = async {
        let response: Response<_> = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_SIZE_MAX)
            .collect()
            .await
            .map_err(|error| broken(&error))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answered = &mut exchange => answered,
        // The last bytes of an answer may end the connection before the exchange is looked at.
        _ended = connection => exchange.await,
    }
}

/// A refusal is the caller's to mend; whatever the platform could not do may be asked again.
fn judge(status: StatusCode, body: &[u8]) -> anyhow::Result<Value> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    if status == StatusCode::OK {
        return Ok(answer);
    }
    let said = answer["error"].as_str().unwrap_or("no reason given");
    let code = if status.is_client_error() {
        Code::Failed
    } else {
        Code::Unavailable
    };
    Err(Failure::new(code, format!("{said} ({})", status.as_u16())).into())
}
