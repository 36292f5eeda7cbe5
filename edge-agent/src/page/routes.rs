//! From a request to the desk, and from its answer to a page or a redirect.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use protocol::evidence::{ReceiptFile, file_name};
use serde::Deserialize;

use super::layout::{Frame, Screen, document};
use super::problem::{self, Problem};
use super::{Page, events, form, landing, screen};
use crate::desk::{DeskError, SessionToken, StoredReceipt, View};

pub(super) async fn landing(State(page): State<Page>) -> Response {
    let landing = page.desk.landing().await;
    let frame = Frame {
        shop: landing.shop.as_ref(),
        session: None,
        status_link: None,
    };
    let screen = landing::screen(&landing);
    page.html(StatusCode::OK, frame, &screen)
}

/// Whoever is not served sees on the landing page why.
pub(super) async fn accept(State(page): State<Page>) -> Response {
    match page.desk.accept().await {
        Ok(token) => see_session(&token),
        Err(error) => {
            tracing::debug!(%error, "a phone was not accepted");
            see_other("/")
        }
    }
}

pub(super) async fn session(State(page): State<Page>, Path(token): Path<String>) -> Response {
    let Ok(token) = token.parse::<SessionToken>() else {
        return page.problem(problem::gone()).await;
    };
    // Read before the view: a change in between is shown twice rather than never.
    let version = *page.desk.watch(&token).borrow();
    match page.desk.view(&token).await {
        Ok(view) => {
            let landing = page.desk.landing().await;
            let link = page.desk.status_link(&token).await;
            let frame = Frame {
                shop: landing.shop.as_ref(),
                session: Some((token, version)),
                status_link: link.as_deref(),
            };
            page.html(StatusCode::OK, frame, &screen::of(&token, &view))
        }
        Err(error) => page.refused(&token, error).await,
    }
}

pub(super) async fn choose(
    State(page): State<Page>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let Ok(token) = token.parse::<SessionToken>() else {
        return page.problem(problem::gone()).await;
    };
    let lines = match form::read_choice(request).await {
        Ok(lines) => lines,
        Err(error) => return page.problem(problem::wrong_form(&token, &error)).await,
    };
    let result = page.desk.choose(&token, lines).await;
    page.then_session(&token, result).await
}

pub(super) async fn cancel(State(page): State<Page>, Path(token): Path<String>) -> Response {
    let Ok(token) = token.parse::<SessionToken>() else {
        return page.problem(problem::gone()).await;
    };
    let result = page.desk.cancel(&token).await;
    page.then_session(&token, result).await
}

pub(super) async fn pay(State(page): State<Page>, Path(token): Path<String>) -> Response {
    let Ok(token) = token.parse::<SessionToken>() else {
        return page.problem(problem::gone()).await;
    };
    match page.desk.go_paying(&token).await {
        // Nothing is to be paid.
        Ok(url) if url.is_empty() => see_session(&token),
        Ok(url) => see_other(&url),
        Err(error) => page.refused(&token, error).await,
    }
}

pub(super) async fn returned(
    State(page): State<Page>,
    Path((transaction, secret)): Path<(String, String)>,
) -> Response {
    let (Ok(transaction), Ok(secret)) = (transaction.parse(), secret.parse()) else {
        return page.problem(problem::gone()).await;
    };
    match page.desk.returned(transaction, secret).await {
        Ok(token) => see_session(&token),
        Err(DeskError::Unavailable { reason }) => page.problem(problem::unavailable(&reason)).await,
        Err(_) => page.problem(problem::gone()).await,
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct After {
    /// The version of the changes that the page shows.
    after: Option<u64>,
}

pub(super) async fn events(
    State(page): State<Page>,
    Path(token): Path<String>,
    query: Result<Query<After>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(token) = token.parse::<SessionToken>() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(error) = page.desk.keep(&token).await {
        return match error {
            DeskError::NotFound => StatusCode::NOT_FOUND.into_response(),
            _ => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        };
    }
    let Ok(place) = Arc::clone(&page.streams).try_acquire_owned() else {
        // The page then looks again by itself every few seconds.
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let shown = last_event(&headers).or(query.ok().and_then(|Query(query)| query.after));
    let shutdown = page.shutdown.clone();
    events::stream(page.desk, token, shown.unwrap_or(0), shutdown, place).into_response()
}

/// Sent by a browser whose stream broke.
fn last_event(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

pub(super) async fn receipt(State(page): State<Page>, Path(token): Path<String>) -> Response {
    let Ok(token) = token.parse::<SessionToken>() else {
        return page.problem(problem::gone()).await;
    };
    match page.desk.view(&token).await {
        Ok(View::Done {
            receipt: Some(receipt),
            ..
        }) => receipt_file(&receipt),
        Ok(_) => page.problem(problem::no_page(StatusCode::NOT_FOUND)).await,
        Err(error) => page.refused(&token, error).await,
    }
}

fn receipt_file(stored: &StoredReceipt) -> Response {
    // It was verified when it came, so it parses.
    let Ok(signed) = stored.signed.parse() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let name = file_name(stored.receipt.transaction);
    let disposition = format!("attachment; filename=\"{name}\"");
    let mut response = axum::Json(ReceiptFile::of(signed)).into_response();
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

pub(super) async fn no_page(State(page): State<Page>) -> Response {
    page.problem(problem::no_page(StatusCode::NOT_FOUND)).await
}

pub(super) async fn wrong_method(State(page): State<Page>) -> Response {
    page.problem(problem::no_page(StatusCode::METHOD_NOT_ALLOWED))
        .await
}

impl Page {
    fn html(&self, status: StatusCode, frame: Frame<'_>, screen: &Screen) -> Response {
        let policy = self.policy.value(screen.form_target.as_deref());
        let mut response = (status, document(frame, screen)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy);
        response
    }

    async fn problem(&self, (status, screen): Problem) -> Response {
        let landing = self.desk.landing().await;
        let frame = Frame {
            shop: landing.shop.as_ref(),
            session: None,
            status_link: None,
        };
        self.html(status, frame, &screen)
    }

    async fn then_session(&self, token: &SessionToken, result: Result<(), DeskError>) -> Response {
        match result {
            Ok(()) => see_session(token),
            Err(error) => self.refused(token, error).await,
        }
    }

    async fn refused(&self, token: &SessionToken, error: DeskError) -> Response {
        let problem = match error {
            DeskError::Busy => return see_other("/"),
            DeskError::Conflict => return see_session(token),
            DeskError::Unavailable { reason } => problem::unavailable(&reason),
            DeskError::NotFound => problem::gone(),
            DeskError::Choice { reason } => problem::wrong_choice(token, &reason),
        };
        self.problem(problem).await
    }
}

fn see_session(token: &SessionToken) -> Response {
    see_other(&format!("/s/{token}"))
}

/// 303: whatever was posted, the next page is fetched.
fn see_other(location: &str) -> Response {
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}
