//! How a request is read, and what it is told.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::desk::DeskError;

pub(super) type Replied = Result<Response, Refused>;

/// One line that says what is wrong and where.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    line: String,
}

impl Refused {
    pub(super) fn missing(line: &(impl ToString + ?Sized)) -> Self {
        Self::new(StatusCode::NOT_FOUND, line)
    }

    pub(super) fn unread(line: &(impl ToString + ?Sized)) -> Self {
        Self::new(StatusCode::BAD_REQUEST, line)
    }

    pub(super) fn impossible(line: &(impl ToString + ?Sized)) -> Self {
        Self::new(StatusCode::CONFLICT, line)
    }

    fn new(status: StatusCode, line: &(impl ToString + ?Sized)) -> Self {
        let line = line.to_string();
        let words: Vec<&str> = line.split_whitespace().collect();
        Self {
            status,
            line: words.join(" "),
        }
    }
}

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, &error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, self.line + "\n").into_response()
    }
}

pub(super) fn found(value: &impl Serialize) -> Replied {
    Ok(axum::Json(value).into_response())
}

pub(super) fn done() -> Replied {
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Only what calls itself JSON: a page of another origin can't send that without asking first, and
/// nobody here answers such a question.
pub(super) fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refused> {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let line = "the content type is not application/json";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, line));
    }
    serde_json::from_slice(body).map_err(|error| Refused::unread(&error))
}

/// A name that leads here through somebody else's DNS is refused: the browser that follows it would
/// read and write for that somebody.
pub(super) async fn this_machine_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_this_machine(host) {
        next.run(request).await
    } else {
        let line = "ask by 127.0.0.1, [::1] or localhost";
        Refused::new(StatusCode::FORBIDDEN, line).into_response()
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    is_loopback || name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::is_this_machine;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "127.0.0.1:8091",
            "127.0.0.1",
            "localhost:8091",
            "[::1]:8091",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "pay.example:8091",
            "127.0.0.1.evil.example",
            "10.0.0.7:8091",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
