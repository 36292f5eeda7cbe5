//! Bodies of POST: bounded, JSON, each field refused by its own name.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::{Refusal, bad_request};

/// Longest body: an act is three texts of bounded length and a few numbers.
pub(super) const BODY_SIZE_MAX: usize = 4 * 1024;

/// The body as `T`, or one line with the field and what it wants.
pub(super) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {BODY_SIZE_MAX} bytes"),
        ),
        _ => bad_request("the body can't be read"),
    })?;
    let mut json = serde_json::Deserializer::from_slice(&body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        (path, error.into_inner().to_string())
    });
    read.map_err(|(path, error)| {
        // Where it stands in the text helps nobody who reads field names.
        let reason = error.split(" at line ").next().unwrap_or_default();
        bad_request(if path == "." || path == "?" {
            format!("{reason}: send a JSON object with id, name and reason")
        } else {
            format!("{path}: {reason}")
        })
    })
}
