//! The payer's pages over HTTP: rendered here, live by server-sent events, and whole without
//! JavaScript. The page holds no state and decides nothing; whoever holds a session's token in the
//! address is its payer (docs/decisions/0010).
//!
//! | path | what it does |
//! |---|---|
//! | `GET /` | who sells what; nothing is connected before the payer continues |
//! | `POST /accept` | takes the lease |
//! | `GET /s/{token}` | the session as it is now |
//! | `POST /s/{token}/choose`, `/cancel`, `/pay` | what the payer does |
//! | `GET /s/{token}/events` | one event per change |
//! | `GET /s/{token}/receipt.json` | the signed receipt, to keep |
//! | `GET /return/{transaction}/{secret}` | where the payment server sends the payer back to |

mod events;
mod form;
mod headers;
mod landing;
mod layout;
mod order;
mod outcome;
mod problem;
mod routes;
mod screen;
mod texts;

#[cfg(test)]
mod gallery;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{get, post};
use process::http::{Limits, serve_with};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

#[cfg(any(test, fuzzing))]
pub(crate) use self::form::{field_of, read_choice};
use self::headers::Policy;
use crate::desk::Desk;

/// One payer with six connections, his neighbours who look, and the streams of those before him.
const CONNECTIONS_MAX: usize = 128;

/// A header is one packet; a browser keeps an idle connection for longer, but opens another.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Our slowest answer waits five seconds for the desk.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What every handler needs.
#[derive(Debug, Clone)]
struct Page {
    desk: Desk,
    policy: Arc<Policy>,
    streams: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// Serves the pages until `shutdown`; streams end at once, open requests within five seconds.
pub(crate) async fn serve(
    listener: TcpListener,
    desk: Desk,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let limits = Limits {
        connections_max: CONNECTIONS_MAX,
        header_timeout: HEADER_TIMEOUT,
        drain_timeout: DRAIN_TIMEOUT,
    };
    let router = router(desk, shutdown.clone());
    serve_with(listener, router, limits, shutdown).await
}

/// The pages without a listener.
pub(crate) fn router(desk: Desk, shutdown: CancellationToken) -> Router {
    let page = Page {
        desk,
        policy: Arc::new(Policy::new()),
        streams: Arc::new(Semaphore::new(events::STREAMS_MAX)),
        shutdown,
    };
    Router::new()
        .route("/", get(routes::landing))
        .route("/accept", post(routes::accept))
        .route("/s/{token}", get(routes::session))
        .route("/s/{token}/choose", post(routes::choose))
        .route("/s/{token}/cancel", post(routes::cancel))
        .route("/s/{token}/pay", post(routes::pay))
        .route("/s/{token}/events", get(routes::events))
        .route("/s/{token}/receipt.json", get(routes::receipt))
        .route("/return/{transaction}/{secret}", get(routes::returned))
        .fallback(routes::no_page)
        .method_not_allowed_fallback(routes::wrong_method)
        .layer(map_response(async |response| headers::set(response)))
        .with_state(page)
}
