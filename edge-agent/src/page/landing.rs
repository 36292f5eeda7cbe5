//! The first page: who sells what, before anything is connected or agreed.

use maud::{Markup, html};

use super::layout::{Screen, Tone};
use super::texts;
use crate::desk::{Landing, LandingState, Shop};

/// How often a phone looks whether it can be served, in seconds: a turn takes half a minute or
/// more, and each look costs the terminal a page.
const WAITING: u32 = 5;

/// How often it looks at a terminal that is out of service, in seconds.
const OUT_OF_SERVICE: u32 = 15;

pub(super) fn screen(landing: &Landing) -> Screen {
    let screen = match (&landing.state, &landing.shop) {
        (LandingState::Free, Some(shop)) => {
            Screen::new("free", shop.merchant.name.as_str(), Tone::Plain).with_body(offer(shop))
        }
        (LandingState::Busy, _) => Screen {
            refresh: Some(WAITING),
            ..Screen::new("busy", texts::BUSY, Tone::Wait)
        }
        .with_body(html! { p { (texts::BUSY_LEAD) } (try_again()) }),
        (LandingState::Unavailable { reason }, _) => unavailable(reason),
        // Nothing can be sold before the platform has said what.
        (LandingState::Free, None) => unavailable(texts::NO_SHOP),
    };
    Screen {
        resume: true,
        forget: false,
        ..screen
    }
}

fn unavailable(reason: &str) -> Screen {
    Screen {
        refresh: Some(OUT_OF_SERVICE),
        ..Screen::new("unavailable", texts::OUT_OF_SERVICE, Tone::Bad)
    }
    .with_body(html! { p { (reason) } (try_again()) })
}

fn offer(shop: &Shop) -> Markup {
    let about = shop.merchant.about.in_language(texts::LANGUAGE);
    html! {
        @if !about.is_empty() { p { (about) } }
        @if !shop.items.is_empty() {
            h2 { (texts::SOLD_HERE) }
            ul class="lines" {
                @for item in &shop.items {
                    li {
                        span { (item.name.in_language(texts::LANGUAGE)) }
                        span { (item.price) }
                    }
                }
            }
        }
        (parties(shop))
        form method="post" action="/accept" {
            button { (texts::CONTINUE) }
        }
        p class="soft" { (texts::AGREEMENT) }
    }
}

fn parties(shop: &Shop) -> Markup {
    html! {
        dl {
            div { dt { (texts::PAYEE) } dd { (shop.payee.name) } }
            div { dt { (texts::PLACE) } dd { (shop.place.name) } }
        }
    }
}

pub(super) fn try_again() -> Markup {
    html! { a class="button plain" href="/" { (texts::TRY_AGAIN) } }
}
