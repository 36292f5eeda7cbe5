//! The frame around every public page: one document with its style, no script, nothing loaded.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::texts::Texts;

pub(super) const STYLE: &str = include_str!("style.css");

/// What a page is about, for the mark above its headline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing to worry about, nothing to be glad of: no mark.
    Plain,
    /// Something is going on; nothing to do.
    Wait,
    Good,
    Bad,
}

/// One page.
#[derive(Debug)]
pub(super) struct Page {
    /// The page's own word for what it shows (`data-state`).
    pub(super) state: &'static str,
    pub(super) tone: Tone,
    pub(super) headline: &'static str,
    pub(super) body: Markup,
    /// Merchant and place.
    pub(super) about: Option<(String, String)>,
    /// Whom to call.
    pub(super) help: Option<String>,
    /// By which people name the sale to each other.
    pub(super) code: Option<String>,
    /// Seconds until the browser looks again by itself.
    pub(super) refresh: Option<u32>,
}

impl Page {
    /// A page that is about no sale.
    pub(super) fn bare(state: &'static str, words: super::texts::Words) -> Self {
        Self {
            state,
            tone: Tone::Bad,
            headline: words.headline,
            body: html! { p { (words.lead) } },
            about: None,
            help: None,
            code: None,
            refresh: None,
        }
    }
}

pub(super) fn document(page: &Page, texts: &Texts) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(texts.language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                @if let Some(seconds) = page.refresh {
                    meta http-equiv="refresh" content=(seconds);
                }
                title { (page.headline) @if let Some((merchant, _)) = &page.about { " · " (merchant) } }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                main data-state=(page.state) {
                    @if let Some((merchant, place)) = &page.about {
                        header { p { (merchant) } p { (place) } }
                    }
                    div class="card" {
                        (mark(page.tone))
                        h1 { (page.headline) }
                        (page.body)
                    }
                    (footer(page, texts))
                }
            }
        }
    }
}

fn footer(page: &Page, texts: &Texts) -> Markup {
    html! {
        footer {
            @if let Some(help) = page.help.as_ref().filter(|help| !help.is_empty()) {
                p { (texts.help) " " (help) }
            }
            @if let Some(code) = &page.code {
                p { (texts.code) " " code { (code) } }
            }
        }
    }
}

fn mark(tone: Tone) -> Markup {
    let (class, path) = match tone {
        Tone::Plain => return html! {},
        Tone::Wait => (
            "mark wait",
            "M12 6.5v5.5l3.5 2M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
        ),
        Tone::Good => (
            "mark good",
            "M7.5 12.5l3 3 6-7M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
        ),
        Tone::Bad => (
            "mark bad",
            "M12 7.5v5.5M12 16.5v.01M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
        ),
    };
    html! { svg class=(class) viewBox="0 0 24 24" aria-hidden="true" { path d=(path) {} } }
}
