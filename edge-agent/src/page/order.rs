//! Screens from choosing to the confirmed payment.

use maud::{Markup, html};
use protocol::message::{BillLine, Item, Payee, Place, Quote};

use super::form::field_of;
use super::layout::{Screen, Tone};
use super::texts;
use crate::desk::SessionToken;

/// Seconds between two looks of a page whose next screen is due any moment.
const SOON: u32 = 1;

/// While the payment server is asked: each look is a payment notice too.
const CHECKING: u32 = 3;

/// While the payer chooses: without JavaScript each look empties the form, but keeps the lease,
/// which wants one every 45 s.
const CHOOSING: u32 = 40;

/// While the payer reads, or pays elsewhere.
const PATIENT: u32 = 10;

/// Seconds of checking after which the payer is told not to pay again: above what a payment
/// service needs on a bad day, below what a person waits before trying something.
const CHECKING_LONG: u64 = 20;

pub(super) fn choose(token: &SessionToken, items: &[Item], seconds_left: u64) -> Screen {
    let single = items.len() == 1;
    let headline = if single {
        texts::CONFIRM_ONE
    } else {
        texts::CHOOSE
    };
    Screen::new("choose", headline, Tone::Plain)
        .live(Some(CHOOSING))
        .with_body(html! {
            form method="post" action={ "/s/" (token) "/choose" } {
                @for item in items { (item_row(item, single)) }
                button { (texts::TO_THE_BILL) }
            }
            (cancel(token))
            (time_left(seconds_left))
        })
}

pub(super) fn quoting(token: &SessionToken) -> Screen {
    Screen::new("quoting", texts::QUOTING, Tone::Wait)
        .live(Some(SOON))
        .with_body(html! { p { (texts::QUOTING_LEAD) } (cancel(token)) })
}

pub(super) fn bill(token: &SessionToken, quote: &Quote, seconds_left: u64) -> Screen {
    let free = quote.amount.is_zero();
    about_quote(Screen::new("bill", texts::BILL, Tone::Plain), quote)
        .live(Some(PATIENT))
        .with_body(html! {
            p class="amount" { (quote.amount) }
            (lines(&quote.lines))
            (parties(&quote.payee, &quote.place))
            (pay(token, quote))
            @if !free { p class="soft" { (texts::PAY_ELSEWHERE) } }
            (cancel(token))
            (time_left(seconds_left))
        })
}

pub(super) fn paying(
    token: &SessionToken,
    quote: &Quote,
    seconds_left: u64,
    declined: bool,
) -> Screen {
    let screen = about_quote(Screen::new("paying", texts::PAYING, Tone::Wait), quote);
    with_decline(screen, declined)
        .live(Some(PATIENT))
        .with_body(html! {
            @if declined { (declined_note()) } @else { p { (texts::PAYING_LEAD) } }
            p class="amount" { (quote.amount) }
            (parties(&quote.payee, &quote.place))
            (pay(token, quote))
            (time_left(seconds_left))
        })
}

pub(super) fn verifying(
    token: &SessionToken,
    quote: &Quote,
    seconds: u64,
    declined: bool,
) -> Screen {
    if declined {
        let screen = about_quote(Screen::new("verifying", texts::DECLINED, Tone::Bad), quote);
        return with_decline(screen, true)
            .live(Some(CHECKING))
            .with_body(html! { (declined_note()) (pay(token, quote)) });
    }
    let long = seconds >= CHECKING_LONG;
    let (headline, lead) = if long {
        (texts::VERIFYING_LONG, texts::VERIFYING_LONG_LEAD)
    } else {
        (texts::VERIFYING, texts::VERIFYING_LEAD)
    };
    let mut screen = about_quote(Screen::new("verifying", headline, Tone::Wait), quote);
    if long {
        screen.key.push_str("-long");
    }
    screen.live(Some(CHECKING)).with_body(html! {
        p { (lead) }
        p class="amount" { (quote.amount) }
        (parties(&quote.payee, &quote.place))
        // Whoever has paid must not be led to paying again.
        @if !long { (form(token, "pay", texts::NOT_PAID_YET, true)) }
    })
}

pub(super) fn actuating() -> Screen {
    Screen::new("actuating", texts::ACTUATING, Tone::Good)
        .live(Some(SOON))
        .with_body(html! { p { (texts::ACTUATING_LEAD) } })
}

/// What was bought, and what it comes to.
pub(super) fn lines(lines: &[BillLine]) -> Markup {
    html! {
        ul class="lines" {
            @for line in lines {
                li {
                    span {
                        @if line.quantity > 1 { (line.quantity) " × " }
                        (line.text.in_language(texts::LANGUAGE))
                    }
                    span { (line.amount) }
                }
            }
        }
    }
}

pub(super) fn parties(payee: &Payee, place: &Place) -> Markup {
    html! {
        dl {
            div { dt { (texts::PAYEE) } dd { (payee.name) } }
            div { dt { (texts::PLACE) } dd { (place.name) } }
        }
    }
}

fn about_quote(screen: Screen, quote: &Quote) -> Screen {
    let key = format!("{}-{}", screen.state, quote.transaction.short());
    Screen {
        key,
        form_target: Some(quote.pay_url.clone()),
        ..screen.about(quote.transaction)
    }
}

fn with_decline(mut screen: Screen, declined: bool) -> Screen {
    if declined {
        screen.key.push_str("-declined");
    }
    screen
}

fn declined_note() -> Markup {
    html! { p class="note" { (texts::DECLINED_NOTE) } }
}

fn pay(token: &SessionToken, quote: &Quote) -> Markup {
    if quote.amount.is_zero() {
        return form(token, "pay", texts::CONTINUE, false);
    }
    form(token, "pay", &texts::pay(&quote.amount), false)
}

fn cancel(token: &SessionToken) -> Markup {
    form(token, "cancel", texts::CANCEL, true)
}

fn form(token: &SessionToken, action: &str, label: &str, plain: bool) -> Markup {
    html! {
        form method="post" action={ "/s/" (token) "/" (action) } {
            button class=[plain.then_some("plain")] { (label) }
        }
    }
}

fn time_left(seconds: u64) -> Markup {
    html! {
        p class="soft" { (texts::TIME_LEFT) " " span data-left=(seconds) { (texts::countdown(seconds)) } }
    }
}

fn item_row(item: &Item, single: bool) -> Markup {
    let name = item.name.in_language(texts::LANGUAGE);
    let field = field_of(&item.id);
    html! {
        div class="item" {
            label class="name" for=(field) {
                (name)
                span class="price" { (item.price) }
            }
            @if item.quantity_max == 1 {
                input type="checkbox" id=(field) name=(field) value="1" checked[single];
            } @else {
                (stepper(item, &field, name, single))
            }
        }
    }
}

fn stepper(item: &Item, field: &str, name: &str, single: bool) -> Markup {
    html! {
        div class="steps" {
            button type="button" data-step="-1" hidden aria-label={ (texts::LESS) " " (name) } { "−" }
            input type="number" id=(field) name=(field) value=(u16::from(single)) min="0"
                max=(item.quantity_max) inputmode="numeric" aria-label=(texts::quantity_of(name));
            button type="button" data-step="1" hidden aria-label={ (texts::MORE) " " (name) } { "+" }
        }
    }
}
