//! A sale as its payer reads it after leaving.

use jiff::tz::TimeZone;
use maud::{Markup, html};
use protocol::time::Utc;

use super::layout::{Page, Tone};
use super::texts::{Texts, Words};
use crate::sale::{Journey, Paid, PayerView, Return, Stage};

/// Seconds between two looks while something may happen any moment.
const SOON: u32 = 10;

/// While a refund is under way: minutes to days.
const LATER: u32 = 60;

/// What the page shows beside the sale itself.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) texts: &'static Texts,
    /// Whom to call, as the site says today.
    pub(super) help: Option<&'a str>,
    /// The page's own address without origin.
    pub(super) path: &'a str,
    /// Order code: the first digits of the order's number.
    pub(super) code: String,
    pub(super) order: String,
}

pub(super) fn page(view: &PayerView<'_>, around: &Surroundings<'_>) -> Page {
    let zone = view.time_zone.and_then(|name| TimeZone::get(name).ok());
    let clock = Clock { zone };
    let words = words(view, around.texts);
    Page {
        state: state(view.stage),
        tone: tone(view.stage),
        headline: words.headline,
        body: body(view, around, &clock, words),
        about: Some((view.merchant.to_owned(), view.place.name.clone())),
        help: around.help.map(str::to_owned),
        code: Some(around.code.clone()),
        refresh: refresh(view.stage),
    }
}

fn body(view: &PayerView<'_>, around: &Surroundings<'_>, clock: &Clock, words: Words) -> Markup {
    let texts = around.texts;
    html! {
        p { (words.lead) }
        p class="amount" { (view.amount) }
        @if view.stage == Stage::Review { (review(view, texts, clock)) }
        @for paid in &view.payments { (payment(paid, view.payments.len() == 1, texts, clock)) }
        h2 { (texts.bill) }
        (lines(view))
        dl {
            div { dt { (texts.payee) } dd { (view.payee.name) } }
            div { dt { (texts.place) } dd { (view.place.name) } }
            div { dt { (texts.ordered) } dd { (clock.show(view.created_at)) } }
            @if let Some(at) = view.served_at {
                div { dt { (texts.served_at) } dd { (clock.show(at)) } }
            }
            div class="wide" { dt { (texts.order) } dd class="id" { (around.order) } }
        }
        @if view.receipt.is_some() { (receipt(around)) }
        p class="soft" { (texts.keep) }
    }
}

fn receipt(around: &Surroundings<'_>) -> Markup {
    let texts = around.texts;
    html! {
        h2 { (texts.receipt) }
        a class="button" href={ (around.path) "/receipt.json" } download="" { (texts.save_receipt) }
        p class="soft" { (texts.verify) " " a href="/verify" { (texts.verify_link) } }
    }
}

fn lines(view: &PayerView<'_>) -> Markup {
    html! {
        ul class="lines" {
            @for line in view.lines {
                li {
                    span {
                        @if line.quantity > 1 { (line.quantity) " × " }
                        (line.text.in_language("en"))
                    }
                    span { (line.amount) }
                }
            }
        }
    }
}

fn review(view: &PayerView<'_>, texts: &Texts, clock: &Clock) -> Markup {
    html! {
        dl {
            div { dt { (texts.reviewer) } dd { (texts.operator_of) " " (view.merchant) } }
            @if let Some(at) = view.review_due_at {
                div { dt { (texts.review_due) } dd { (clock.show(at)) } }
            }
        }
    }
}

/// A refund of what the order was for comes first: it is what its payer looks for.
fn payment(paid: &Paid, is_only: bool, texts: &Texts, clock: &Clock) -> Markup {
    let refund = paid.returned.as_ref().map(|it| refund(it, texts, clock));
    let is_main = paid.is_kept || is_only;
    let heading = if is_main {
        texts.payment
    } else {
        texts.another_payment
    };
    html! {
        @if let Some(refund) = refund.as_ref().filter(|_| is_main) { (refund) }
        h2 { (heading) }
        dl {
            div { dt { (texts.amount) } dd { (paid.amount) } }
            div { dt { (texts.paid) } dd { (clock.show(paid.paid_at)) } }
            div class="wide" { dt { (texts.reference) } dd class="id" { (paid.payment) } }
            @if let Some(amount) = paid.outside { div { dt { (texts.outside) } dd { (amount) } } }
        }
        @if !paid.is_ours { p class="note" { (texts.elsewhere) } }
        @if let Some(refund) = refund.as_ref().filter(|_| !is_main) { (refund) }
    }
}

fn refund(returned: &Return, texts: &Texts, clock: &Clock) -> Markup {
    let (heading, label, at) = match returned.journey {
        Journey::OnItsWay { since } => (texts.refund_on_its_way, texts.since, since),
        Journey::Back { at } => (texts.refund_back, texts.back_on, at),
        Journey::Stuck => (texts.refund_stuck, "", None),
    };
    html! {
        h2 { (heading) }
        p { (texts.why(returned.reason)) }
        dl {
            div { dt { (texts.amount) } dd { (returned.amount) } }
            @if let Some(at) = at { div { dt { (label) } dd { (clock.show(at)) } } }
        }
        @if returned.journey == Journey::Stuck { p class="note" { (texts.stuck) } }
    }
}

fn words(view: &PayerView<'_>, texts: &Texts) -> Words {
    let is_back = |paid: &Paid| paid.is_kept && (paid.returned.is_some() || paid.outside.is_some());
    match view.stage {
        Stage::Served if view.amount.is_zero() => texts.served_free,
        Stage::Served if view.payments.iter().any(is_back) => texts.served_and_returned,
        stage => texts.stage(stage),
    }
}

const fn tone(stage: Stage) -> Tone {
    match stage {
        Stage::Served | Stage::Returned => Tone::Good,
        Stage::Unpaid | Stage::Checking | Stage::Serving | Stage::Closing | Stage::Returning => {
            Tone::Wait
        }
        Stage::Nothing => Tone::Plain,
        Stage::Review => Tone::Bad,
    }
}

const fn state(stage: Stage) -> &'static str {
    match stage {
        Stage::Unpaid => "unpaid",
        Stage::Checking => "checking",
        Stage::Serving => "serving",
        Stage::Served => "served",
        Stage::Closing => "closing",
        Stage::Nothing => "nothing",
        Stage::Returning => "returning",
        Stage::Returned => "returned",
        Stage::Review => "review",
    }
}

const fn refresh(stage: Stage) -> Option<u32> {
    match stage {
        Stage::Unpaid | Stage::Checking | Stage::Serving | Stage::Closing => Some(SOON),
        Stage::Returning | Stage::Review => Some(LATER),
        Stage::Served | Stage::Nothing | Stage::Returned => None,
    }
}

/// Instants in UTC, and in the site's zone where this machine knows it.
#[derive(Debug)]
struct Clock {
    zone: Option<TimeZone>,
}

impl Clock {
    fn show(&self, at: Utc) -> Markup {
        let instant = jiff::Timestamp::from(at);
        // The day only where it is another one there.
        let form = |local: &jiff::Zoned| {
            let is_same_day = local.date() == instant.to_zoned(TimeZone::UTC).date();
            if is_same_day {
                "%H:%M:%S %Q"
            } else {
                "%Y-%m-%d %H:%M:%S %Q"
            }
        };
        let local = self
            .zone
            .as_ref()
            .map(|zone| instant.to_zoned(zone.clone()));
        html! {
            time datetime=(at) { (instant.strftime("%Y-%m-%d %H:%M:%S")) " UTC" }
            @if let Some(local) = local {
                span class="zone" { (local.strftime(form(&local))) }
            }
        }
    }
}
