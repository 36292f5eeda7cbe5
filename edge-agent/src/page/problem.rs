//! Screens for what can't be shown, with the status that a program would want to see.

use axum::http::StatusCode;
use maud::html;

use super::form::FormError;
use super::landing::try_again;
use super::layout::{Screen, Tone};
use super::texts;
use crate::desk::SessionToken;

pub(super) type Problem = (StatusCode, Screen);

/// No such session, or not any more.
pub(super) fn gone() -> Problem {
    let screen = Screen::new("gone", texts::GONE, Tone::Plain).with_body(html! {
        p { (texts::GONE_LEAD) }
        a class="button" href="/" { (texts::START_AGAIN) }
    });
    (StatusCode::NOT_FOUND, screen)
}

pub(super) fn no_page(status: StatusCode) -> Problem {
    let screen = Screen::new("no_page", texts::NO_PAGE, Tone::Plain).with_body(html! {
        p { (texts::NO_PAGE_LEAD) }
        a class="button" href="/" { (texts::CONTINUE) }
    });
    (status, kept(screen))
}

pub(super) fn unavailable(reason: &str) -> Problem {
    let screen = Screen::new("unavailable", texts::OUT_OF_SERVICE, Tone::Bad)
        .with_body(html! { p { (reason) } (try_again()) });
    (StatusCode::SERVICE_UNAVAILABLE, kept(screen))
}

pub(super) fn wrong_form(token: &SessionToken, error: &FormError) -> Problem {
    (error.status(), wrong(token, &error.to_string()))
}

/// The choice can't be billed, for a reason in plain words.
pub(super) fn wrong_choice(token: &SessionToken, reason: &str) -> Problem {
    (StatusCode::BAD_REQUEST, wrong(token, reason))
}

fn wrong(token: &SessionToken, reason: &str) -> Screen {
    kept(
        Screen::new("wrong", texts::WRONG_FORM, Tone::Bad).with_body(html! {
            p { (reason) }
            a class="button" href={ "/s/" (token) } { (texts::BACK) }
        }),
    )
}

/// The session goes on behind it, so the phone shall not forget it.
fn kept(screen: Screen) -> Screen {
    Screen {
        forget: false,
        ..screen
    }
}
