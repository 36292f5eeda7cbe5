//! Screens after the decision: done, or why not and where the money is.

use maud::{Markup, html};
use protocol::message::{LinkageOutcome, OffReason, Quote, Receipt, Standing};
use protocol::time::Utc;

use super::layout::{Screen, Tone};
use super::order::{lines, parties};
use super::texts;
use crate::desk::{NotConfirmedReason, SessionToken, StoredReceipt};

/// Seconds between two looks for a receipt or a refund.
const LATER: u32 = 5;

pub(super) fn done(
    token: &SessionToken,
    quote: Option<&Quote>,
    receipt: Option<&StoredReceipt>,
) -> Screen {
    let screen = Screen::new("done", texts::DONE, Tone::Good);
    if let Some(receipt) = receipt {
        return receipt_screen(screen, token, &receipt.receipt);
    }
    let mut screen = screen.live(Some(LATER)).with_body(html! {
        p { (lead(quote.is_some_and(|quote| quote.amount.is_zero()))) }
        @if let Some(quote) = quote {
            p class="amount" { (quote.amount) }
            (lines(&quote.lines))
        }
        p class="soft" { (texts::RECEIPT_COMING) }
    });
    screen.transaction = quote.map(|quote| quote.transaction);
    screen
}

fn receipt_screen(screen: Screen, token: &SessionToken, receipt: &Receipt) -> Screen {
    let body = html! {
        p { (lead(receipt.payment.is_none())) }
        p class="amount" { (receipt.amount) }
        h2 { (texts::RECEIPT) }
        (lines(&receipt.lines))
        (parties(&receipt.payee, &receipt.place))
        dl {
            div { dt { (texts::MERCHANT) } dd { (receipt.merchant) } }
            @if let Some(payment) = &receipt.payment {
                div { dt { (texts::PAID_AT) } dd { (instant(payment.paid_at)) } }
                div class="wide" { dt { (texts::PAYMENT) } dd class="id" { (payment.payment) } }
                div { dt { (texts::PAYMENT_SERVER) } dd { (payment.gateway) } }
            }
            div { dt { (texts::ISSUED_AT) } dd { (instant(receipt.issued_at)) } }
            div class="wide" { dt { (texts::ORDER) } dd class="id" { (receipt.transaction) } }
        }
        p class="soft" { (texts::SIGNED_BY_BOTH) }
        a class="button plain" href={ "/s/" (token) "/receipt.json" } download="" {
            (texts::SAVE_RECEIPT)
        }
        (start_again())
    };
    Screen {
        key: "done-receipt".to_owned(),
        ..screen.with_body(body).about(receipt.transaction)
    }
}

const fn lead(free: bool) -> &'static str {
    if free {
        texts::DONE_FREE_LEAD
    } else {
        texts::DONE_LEAD
    }
}

pub(super) fn not_confirmed(reason: NotConfirmedReason, refund: Option<Standing>) -> Screen {
    let off = |wanted| reason == NotConfirmedReason::Off(wanted);
    let headline = if off(OffReason::Declined) {
        texts::DECLINED
    } else if off(OffReason::Expired) {
        texts::EXPIRED
    } else {
        texts::NOT_CONFIRMED
    };
    let nothing_taken = off(OffReason::Declined) || off(OffReason::Expired);
    let screen = Screen::new("not_confirmed", headline, Tone::Bad);
    let lead = texts::not_confirmed(reason);
    about_money(screen, lead, refund, !nothing_taken)
}

pub(super) fn failed(outcome: LinkageOutcome, refund: Option<Standing>) -> Screen {
    let screen = Screen::new("failed", texts::failed_headline(outcome), Tone::Bad);
    about_money(screen, texts::failed(outcome), refund, true)
}

/// Lives on until the payer knows where the money is.
fn about_money(screen: Screen, lead: &str, refund: Option<Standing>, taken: bool) -> Screen {
    let settled = match refund {
        Some(Standing::Refunded | Standing::Closed | Standing::Declined) => true,
        Some(Standing::RefundPending | Standing::Review) => false,
        None => !taken,
    };
    let money = match refund {
        Some(standing) => Some(texts::standing(standing)),
        None => taken.then_some(texts::REFUND_UNKNOWN),
    };
    let key = format!("{}-{refund:?}", screen.state).to_lowercase();
    let screen = Screen { key, ..screen }.with_body(html! {
        p { (lead) }
        @if let Some(money) = money { p class="note" { (money) } }
        // Whose money is still out is not asked to begin anew.
        @if settled { (start_again()) }
    });
    if settled {
        screen
    } else {
        screen.live(Some(LATER))
    }
}

pub(super) fn expired() -> Screen {
    Screen::new("expired", texts::EXPIRED, Tone::Bad)
        .with_body(html! { p { (texts::EXPIRED_LEAD) } (start_again()) })
}

pub(super) fn cancelled() -> Screen {
    Screen::new("cancelled", texts::CANCELLED, Tone::Plain)
        .with_body(html! { p { (texts::CANCELLED_LEAD) } (start_again()) })
}

pub(super) fn unavailable(reason: &str) -> Screen {
    Screen::new("unavailable", texts::OUT_OF_SERVICE, Tone::Bad)
        .with_body(html! { p { (reason) } (start_again()) })
}

fn start_again() -> Markup {
    html! { a class="button plain" href="/" { (texts::START_AGAIN) } }
}

/// UTC to the second; the script turns it into the phone's own time.
fn instant(at: Utc) -> Markup {
    let machine = at.to_string();
    let people = machine.get(..19).unwrap_or(&machine).replace('T', " ");
    html! { time datetime=(machine) { (people) " UTC" } }
}
