//! The API: what operators and their programs may see and do, behind a bearer token.
//!
//! | path | answers |
//! |---|---|
//! | `GET /api/v1/transactions?state=&terminal=&limit=&before=` | a page, newest first |
//! | `GET /api/v1/transactions/{id}` | one transaction with its whole timeline and its money |
//! | `GET /api/v1/tasks?open=&limit=` | the work list: what waits for a person, oldest first |
//! | `GET /api/v1/terminals` | every terminal: presence, last hello, journal, open sales |
//! | `GET /api/v1/acts?limit=&before=` | what people did by hand, newest first |
//! | `GET /api/v1/holds` | where no new orders are taken |
//! | `POST /api/v1/holds` | takes no new orders in `scope`; open ones drain |
//! | `POST /api/v1/holds/release` | ends the hold of exactly `scope` |
//! | `POST /api/v1/transactions/{id}/refund` | gives back whatever is left of its payments |
//! | `POST /api/v1/transactions/{id}/open` | one ON, while its request lives |
//! | `POST /api/v1/terminals/{site}/{terminal}/open` | the same for the payer who stands there |
//! | `GET /api/v1/epoch` | the store epoch, and which journals it still waits for |
//! | `POST /api/v1/terminals/{site}/{terminal}/vouch` | counts a journal as read, and its epoch as known |
//! | `POST /api/v1/transactions/{id}/resolve` | ends a review; `resolution` is `refund`, `earned`, `loss` or `returned` |
//! | `POST /api/v1/tasks/{id}/resolve` | closes a task; `reason` says how it was seen to |
//! | `POST /api/v1/reconcile` | compares every payment server's statement now |
//! | `POST /api/v1/keys/{id}/revoke` | believes nothing more under that key |
//!
//! Every POST has a JSON body with `id` (32 hexadecimal digits made by the caller: the same id
//! twice is one act), `name` and `reason`, and answers once the act is committed. Errors are
//! `{"error": "one line"}`.

mod acts;
mod body;
mod epoch;
mod tasks;
mod terminals;
mod token;
mod transactions;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

pub(crate) use token::TokenError;
pub(crate) use token::{FILE as TOKEN_FILE, Token};

use crate::engine::ActSender;
use crate::metrics;
use crate::registry::Registry;
use crate::store::StoreError;
use crate::store::reader::Reader;

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    reader: Arc<Mutex<dyn Reader>>,
    acts: ActSender,
    registry: Arc<Registry>,
    token: Token,
}

/// Why a request was not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    line: String,
}

impl Api {
    pub(crate) fn new(
        reader: impl Reader,
        acts: ActSender,
        registry: Arc<Registry>,
        token: Token,
    ) -> Self {
        Self {
            reader: Arc::new(Mutex::new(reader)),
            acts,
            registry,
            token,
        }
    }

    /// Everything under `/api`; the health routes may be merged into it.
    pub(crate) fn router(self) -> Router {
        let routes = Router::new()
            .route("/transactions", get(transactions::list))
            .route("/transactions/{transaction}", get(transactions::one))
            .route("/terminals", get(terminals::list))
            .route("/tasks", get(tasks::list))
            .route("/acts", get(acts::list))
            .route("/holds", get(acts::holds).post(acts::hold))
            .route("/holds/release", post(acts::release))
            .route("/transactions/{transaction}/refund", post(acts::refund))
            .route("/transactions/{transaction}/resolve", post(acts::resolve))
            .route("/transactions/{transaction}/open", post(acts::open))
            .route("/terminals/{site}/{terminal}/open", post(acts::open_at))
            .route("/terminals/{site}/{terminal}/vouch", post(acts::vouch))
            .route("/tasks/{task}/resolve", post(acts::resolve_task))
            .route("/reconcile", post(acts::reconcile))
            .route("/keys/{key}/revoke", post(acts::revoke_key))
            .route("/epoch", get(epoch::show))
            .fallback(async || not_found("there is no such path"))
            .method_not_allowed_fallback(async || {
                Refusal::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "this path takes no such method: use GET to read and POST to act",
                )
            })
            .layer(DefaultBodyLimit::max(body::BODY_SIZE_MAX))
            .layer(middleware::from_fn_with_state(self.clone(), authorize))
            .with_state(self);
        Router::new()
            .nest("/api/v1", routes)
            .fallback(async || not_found("there is no such path: begin with /api/v1/transactions"))
    }

    /// Runs a query on a thread that may block, on the connection that can only read.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let reader = Arc::clone(&self.reader);
        let found = tokio::task::spawn_blocking(move || {
            // A query that panicked has changed nothing: the connection is as good as before.
            query(&*reader.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match found.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(broken(&error)),
            Err(error) => Err(broken(&error)),
        }
    }
}

impl Refusal {
    fn new(status: StatusCode, line: impl Into<String>) -> Self {
        Self {
            status,
            line: line.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        metrics::api_refused(self.status.as_u16());
        (self.status, axum::Json(json!({ "error": self.line }))).into_response()
    }
}

async fn authorize(State(api): State<Api>, request: Request, next: Next) -> Response {
    let shown = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    if shown.is_some_and(|shown| api.token.is(shown)) {
        let mut response = next.run(request).await;
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        return response;
    }
    let line = "send 'Authorization: Bearer TOKEN'; the token is in the file api-token of the \
         platform's data folder";
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, line).into_response();
    let scheme = HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    response
}

fn not_found(line: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, line)
}

fn bad_request(line: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, line)
}

/// What went wrong inside is for the log, not for the caller.
fn broken(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(
        error = process::exit::one_line(error),
        "the API can't read the store"
    );
    Refusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the store can't be read; see the log",
    )
}

#[cfg(test)]
mod tests;
