//! The hosted checkout page over HTTP. No cookie, no script, nothing from elsewhere: the token in
//! the path is the only key, and the form token makes a press count once.

mod headers;
mod view;

use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use serde::Deserialize;

use crate::desk::{Desk, DeskError};
use crate::ledger::{CheckoutToken, ReturnUrl};
use crate::machine::{NoView, Press, Pressed};
use headers::with_policy;

/// A form of ours is two short fields.
const FORM_BYTES_MAX: usize = 1_024;

#[derive(Debug, Deserialize)]
pub(crate) struct PressForm {
    pub(crate) form: String,
    pub(crate) press: String,
}

/// `GET` and `POST /pay/{checkout token}`; everything else is a page that says so.
pub(crate) fn router(desk: Desk) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/pay/{token}", get(show).post(press))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::map_response(headers::always))
        .with_state(desk)
}

async fn home() -> Response {
    page(StatusCode::OK, &view::home(), None)
}

async fn missing() -> Response {
    page(StatusCode::NOT_FOUND, &view::not_found(), None)
}

async fn show(State(desk): State<Desk>, Path(token): Path<String>) -> Response {
    let Ok(token) = token.parse::<CheckoutToken>() else {
        return missing().await;
    };
    match desk.view(token).await {
        Ok(Ok(found)) => {
            let returns_to = found.return_url.as_ref();
            page(StatusCode::OK, &view::checkout(&found), returns_to)
        }
        Ok(Err(NoView::UnknownOrder)) => missing().await,
        Ok(Err(NoView::Unavailable)) => out_of_order(),
        Err(error) => unavailable(error),
    }
}

async fn press(
    State(desk): State<Desk>,
    Path(token): Path<String>,
    form: Result<Form<PressForm>, FormRejection>,
) -> Response {
    let Ok(token) = token.parse::<CheckoutToken>() else {
        return missing().await;
    };
    let Ok(Form(form)) = form else {
        return page(StatusCode::BAD_REQUEST, &view::wrong_form(), None);
    };
    let Some(press) = Press::parse(&form.press) else {
        return page(StatusCode::BAD_REQUEST, &view::wrong_form(), None);
    };
    match desk.press(token, form.form, press).await {
        Ok(Pressed::Paid { return_url }) => see_other(&return_url),
        Ok(Pressed::Back { pay_url }) => see_other(&pay_url),
        Ok(Pressed::UnknownOrder) => missing().await,
        Ok(Pressed::Unavailable) => out_of_order(),
        Ok(Pressed::WrongForm) => page(StatusCode::FORBIDDEN, &view::wrong_form(), None),
        Err(error) => unavailable(error),
    }
}

fn page(status: StatusCode, markup: &maud::Markup, returns_to: Option<&ReturnUrl>) -> Response {
    let html = (
        status,
        [(header::CONTENT_TYPE, "text/html; charset=utf-8")],
        markup.0.clone(),
    );
    with_policy(html.into_response(), returns_to)
}

/// 303: the browser asks the next page by GET, so that a reload presses nothing.
fn see_other(url: &str) -> Response {
    match HeaderValue::from_str(url) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        // Return URLs are printable ASCII by parsing, our own address by configuration.
        Err(_) => page(StatusCode::SERVICE_UNAVAILABLE, &view::unavailable(), None),
    }
}

fn unavailable(error: DeskError) -> Response {
    tracing::warn!(%error, "checkout page not served");
    out_of_order()
}

fn out_of_order() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, &view::unavailable(), None)
}
