//! The pages as HTML. They work without JavaScript and load nothing.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use protocol::money::Money;

use crate::ledger::{Attempt, Phase};
use crate::machine::CheckoutView;

pub(crate) const STYLE: &str = include_str!("style.css");

/// A state in its colour and sign; the words say the same.
#[derive(Clone, Copy)]
enum Tone {
    Good,
    Wait,
    Bad,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Wait => "wait",
            Self::Bad => "bad",
        }
    }

    /// Path of a 24 by 24 drawing.
    const fn path(self) -> &'static str {
        match self {
            Self::Good => "M4 12.5l5.5 5.5L20 7",
            Self::Wait => "M12 6v6.5l4 2.5",
            Self::Bad => "M6 6l12 12M18 6L6 18",
        }
    }
}

pub(crate) fn checkout(view: &CheckoutView) -> Markup {
    match view.phase {
        Phase::Open => open(view),
        Phase::Promised => promised(view),
        Phase::Paid => paid(view),
        Phase::Closed => ended(
            view,
            "This payment was cancelled",
            "The merchant has closed it. Nothing was charged. To pay, start again at the terminal.",
        ),
        Phase::Expired => ended(
            view,
            "The time to pay has passed",
            "Nothing was charged. To pay, start again at the terminal.",
        ),
    }
}

pub(crate) fn not_found() -> Markup {
    message(
        Tone::Bad,
        "There is no such payment",
        "The address may be incomplete. Scan the code at the terminal again.",
    )
}

pub(crate) fn wrong_form() -> Markup {
    message(
        Tone::Bad,
        "This form can't be used",
        "It does not come from the page of this payment, so nothing was done and nothing was \
         charged. Open the payment page again and press the button there.",
    )
}

pub(crate) fn unavailable() -> Markup {
    message(
        Tone::Wait,
        "The payment server is busy",
        "Nobody knows yet whether your last press was taken. Reload this page in a moment: it \
         shows what is true.",
    )
}

pub(crate) fn home() -> Markup {
    message(
        Tone::Good,
        "The test payment server is running",
        "Payments start at a terminal. Its code leads to the page of one payment.",
    )
}

fn open(view: &CheckoutView) -> Markup {
    layout(
        "Confirm your payment",
        &html! {
            @if let Some(attempt) = view.last_attempt { (attempt_notice(attempt)) }
            p.to { "You pay" }
            h1 { (view.payee_name) }
            (amount(view.amount))
            (details(view))
            form method="post" {
                input type="hidden" name="form" value=(view.form_token);
                button.primary type="submit" name="press" value="pay" { "Pay " (view.amount) }
                button.secondary type="submit" name="press" value="decline" { "Decline" }
            }
            (leave(view, "Return without paying"))
        },
    )
}

fn attempt_notice(attempt: Attempt) -> Markup {
    match attempt {
        Attempt::Declined => notice(
            Tone::Bad,
            "The payment was declined",
            "Nothing was charged. You can try again, or return to the terminal.",
        ),
        Attempt::TryLater => notice(
            Tone::Wait,
            "Your bank can't be reached",
            "Nothing was charged. Please try again later, or return to the terminal.",
        ),
    }
}

fn promised(view: &CheckoutView) -> Markup {
    layout(
        "Payment is being processed",
        &html! {
            (state(Tone::Wait, "Your payment is being processed"))
            p.lead { "The bank has not confirmed it yet. You need not pay again: if the order has \
                      ended by then, the money goes back to you." }
            (amount(view.amount))
            (details(view))
            (return_button(view))
        },
    )
}

fn paid(view: &CheckoutView) -> Markup {
    layout(
        "Paid",
        &html! {
            (state(Tone::Good, "Paid"))
            p.lead { "Thank you. The terminal learns of it by itself; its page shows what happens next." }
            (amount(view.amount))
            @if !view.odd_payments.is_empty() {
                div class="notice wait" {
                    strong { "What this test server booked" }
                    @for (money, payee) in &view.odd_payments {
                        p { (money) " to " span.code { (payee) } }
                    }
                }
            }
            @if view.refunded {
                (notice(Tone::Wait, "Refunded", "Money of this payment was sent back to you."))
            }
            (details(view))
            (return_button(view))
        },
    )
}

fn ended(view: &CheckoutView, title: &str, text: &str) -> Markup {
    layout(
        title,
        &html! {
            (state(Tone::Bad, title))
            p.lead { (text) }
            (details(view))
            (return_button(view))
        },
    )
}

fn message(tone: Tone, title: &str, text: &str) -> Markup {
    layout(
        title,
        &html! {
            (state(tone, title))
            p.lead { (text) }
        },
    )
}

fn amount(money: Money) -> Markup {
    // A number broken over two lines is easily misread.
    let is_long = money.decimal().len() > 8;
    html! { p.amount.long[is_long] { (money.decimal()) " " span { (money.currency()) } } }
}

fn details(view: &CheckoutView) -> Markup {
    html! {
        dl {
            div { dt { "For" } dd { (view.description) } }
            div { dt { "Place" } dd { (view.place_name) } }
            div { dt { "Account" } dd.code { (view.payee) } }
            div { dt { "Order" } dd.code { (view.order) } }
        }
    }
}

fn state(tone: Tone, title: &str) -> Markup {
    html! {
        svg class={ "mark " (tone.class()) } viewBox="0 0 24 24" fill="none" stroke="currentColor"
            stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {
            path d=(tone.path()) {}
        }
        h1.state { (title) }
    }
}

fn notice(tone: Tone, title: &str, text: &str) -> Markup {
    html! {
        div class={ "notice " (tone.class()) } role="status" {
            strong { (title) }
            p { (text) }
        }
    }
}

fn return_button(view: &CheckoutView) -> Markup {
    html! {
        @if let Some(url) = &view.return_url {
            a class="button primary" href=(url.as_str()) { "Return to the terminal" }
            p.address { (url.origin()) }
        }
    }
}

fn leave(view: &CheckoutView, text: &str) -> Markup {
    html! {
        @if let Some(url) = &view.return_url {
            p.leave { a href=(url.as_str()) { (text) } }
        }
    }
}

fn layout(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) " · Paylatch test payment server" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                div.page {
                    header.brand {
                        svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"
                            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {
                            path d="M12 3l7.5 3v5.5c0 4.5-3.2 8-7.5 9.5-4.3-1.5-7.5-5-7.5-9.5V6z" {}
                            path d="M8.5 12l2.5 2.5 4.5-5" {}
                        }
                        div {
                            strong { "Paylatch test payment server" }
                            "No real money moves here."
                        }
                    }
                    main { (content) }
                }
            }
        }
    }
}
