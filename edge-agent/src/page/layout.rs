//! The frame around every screen: one document, its style and its script, and nothing loaded.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use protocol::id::TransactionId;

use super::headers::origin_of;
use super::texts;
use crate::desk::{SessionToken, Shop};

pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("live.js");

/// What a screen is about, for the mark above its headline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Something is going on; nothing to do.
    Wait,
    Good,
    Bad,
}

/// One screen. Whoever renders a view fills in what differs from [`Screen::new`].
#[derive(Debug)]
pub(super) struct Screen {
    /// The page's own word for what it shows (`data-state`).
    pub(super) state: &'static str,
    /// A page in a browser replaces itself only when this changes, so that nobody's typing is lost.
    pub(super) key: String,
    pub(super) headline: String,
    pub(super) tone: Tone,
    pub(super) body: Markup,
    /// Seconds until the page looks again by itself, with and without JavaScript.
    pub(super) refresh: Option<u32>,
    /// Whether anything more can happen to this session.
    pub(super) live: bool,
    /// The landing page: a phone that remembers a session goes there.
    pub(super) resume: bool,
    /// The session is over: the phone need not remember it.
    pub(super) forget: bool,
    /// Tells people on the phone which sale it is about.
    pub(super) transaction: Option<TransactionId>,
    /// Where a form may lead beside this terminal: the payment server's page.
    pub(super) form_target: Option<String>,
}

impl Screen {
    pub(super) fn new(state: &'static str, headline: impl Into<String>, tone: Tone) -> Self {
        Self {
            state,
            key: state.to_owned(),
            headline: headline.into(),
            tone,
            body: html! {},
            refresh: None,
            live: false,
            resume: false,
            forget: true,
            transaction: None,
            form_target: None,
        }
    }

    pub(super) fn with_body(self, body: Markup) -> Self {
        Self { body, ..self }
    }

    pub(super) fn live(self, refresh: Option<u32>) -> Self {
        Self {
            live: true,
            forget: false,
            refresh,
            ..self
        }
    }

    pub(super) fn about(self, transaction: TransactionId) -> Self {
        Self {
            transaction: Some(transaction),
            ..self
        }
    }
}

/// Who shows the screen, and to which session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) shop: Option<&'a Shop>,
    /// With the version of the changes that the screen already shows.
    pub(super) session: Option<(SessionToken, u64)>,
    /// Where the payer finds receipt and refund after leaving.
    pub(super) status_link: Option<&'a str>,
}

/// The whole document.
pub(super) fn document(frame: Frame<'_>, screen: &Screen) -> Markup {
    let name = frame
        .shop
        .map_or(texts::NO_SHOP, |shop| shop.merchant.name.as_str());
    html! {
        (DOCTYPE)
        html lang=(texts::LANGUAGE) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if let Some(seconds) = screen.refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
                title { (screen.headline) @if screen.headline != name { " · " (name) } }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                p id="lost" role="alert" hidden { (texts::CONNECTION_LOST) }
                p id="heard" class="heard" role="status" aria-live="polite" {}
                (page(frame, screen))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn page(frame: Frame<'_>, screen: &Screen) -> Markup {
    let events = frame
        .session
        .filter(|_| screen.live)
        .map(|(_, version)| version);
    let target = screen.form_target.as_deref().and_then(origin_of);
    html! {
        main id="page" data-state=(screen.state) data-key=(screen.key) data-refresh=[screen.refresh]
            data-events=[events] data-resume=[screen.resume.then_some(1)]
            data-forget=[screen.forget.then_some(1)] data-target=[target] {
            // The headline of the offer is the merchant's name already.
            @if screen.state != "free" { (header(frame.shop)) }
            div class="card" {
                (mark(screen.tone))
                h1 tabindex="-1" { (screen.headline) }
                (screen.body)
            }
            @if let Some(link) = frame.status_link { (keep_link(link)) }
            (footer(frame.shop, screen.transaction))
        }
    }
}

fn header(shop: Option<&Shop>) -> Markup {
    html! {
        @if let Some(shop) = shop {
            header {
                p { (shop.merchant.name) }
                p { (shop.place.name) }
            }
        }
    }
}

/// Its address as text too: what a sign-in window can't open or keep, a person can copy.
fn keep_link(link: &str) -> Markup {
    html! {
        // Whatever a message says, only a web address becomes a link.
        @if origin_of(link).is_some() {
            p class="keep" {
                (texts::KEEP_LINK) " "
                // In the same window: sign-in windows open no other one.
                a href=(link) rel="noreferrer" { (link) }
            }
        }
    }
}

fn footer(shop: Option<&Shop>, transaction: Option<TransactionId>) -> Markup {
    let help = shop.map(|shop| shop.merchant.help.as_str());
    html! {
        footer {
            @if let Some(help) = help.filter(|help| !help.is_empty()) {
                p {
                    (texts::HELP) " "
                    @match telephone(help) {
                        Some(number) => a href={ "tel:" (number) } { (help) },
                        None => (help),
                    }
                }
            }
            @if let Some(transaction) = transaction {
                p class="code" { (texts::CODE) " " code { (transaction.short()) } }
            }
        }
    }
}

/// The dialable form of a text that is nothing but a telephone number (RFC 3966).
fn telephone(text: &str) -> Option<String> {
    let dialable: String = text
        .chars()
        .filter(|character| !matches!(character, ' ' | '-' | '(' | ')' | '/' | '.'))
        .collect();
    let digits = dialable.strip_prefix('+').unwrap_or(&dialable);
    let number =
        (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    number.then_some(dialable)
}

fn mark(tone: Tone) -> Markup {
    let (class, path) = match tone {
        Tone::Plain => return html! {},
        Tone::Wait => ("mark wait", "M12 3a9 9 0 1 1-9 9"),
        Tone::Good => (
            "mark good",
            "M7.5 12.5l3 3 6-7M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
        ),
        Tone::Bad => (
            "mark bad",
            "M12 7.5v5.5M12 16.5v.01M12 2.5a9.5 9.5 0 1 0 0 19 9.5 9.5 0 0 0 0-19z",
        ),
    };
    html! {
        svg class=(class) viewBox="0 0 24 24" aria-hidden="true" { path class="turn" d=(path) {} }
    }
}

#[cfg(test)]
mod tests {
    use super::telephone;

    #[test]
    fn only_a_number_is_dialled() {
        assert_eq!(
            telephone("+86 (10) 5555-0100").as_deref(),
            Some("+861055550100")
        );
        assert_eq!(telephone("110").as_deref(), Some("110"));
        assert_eq!(telephone("ask at the desk"), None);
        assert_eq!(telephone("help@example.org"), None);
        assert_eq!(telephone(""), None);
    }
}
