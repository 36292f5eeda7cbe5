//! Every screen once, with the content of a real sale. With `PAYLATCH_GALLERY=FOLDER` the test
//! writes them there as files, for people to look at.

use protocol::id::{Nonce, SessionId, TransactionId};
use protocol::message::{
    BillLine, Digest, Ground, Item, LinkageOutcome, Merchant, OffReason, Payee, Place, Quote,
    Receipt, ReceiptPayment, Standing, Text, UncertainReason,
};
use protocol::money::Money;
use protocol::signed::{Audience, SigningKey, sign};
use protocol::time::Utc;

use super::layout::{Frame, Screen, document};
use super::{landing, screen};
use crate::desk::{
    Landing, LandingState, NotConfirmedReason, ReturnSecret, SessionToken, Shop, StoredReceipt,
    View,
};

pub(super) fn token() -> SessionToken {
    SessionToken::from_random([0xA5; 16])
}

pub(super) fn return_secret() -> ReturnSecret {
    ReturnSecret::from_random([0xC3; 16])
}

pub(super) fn link() -> String {
    "https://pay.example/r/0123456789abcdef0123456789abcdef".to_owned()
}

pub(super) fn transaction() -> TransactionId {
    TransactionId::from_random([0x4F; 16])
}

fn money(minor: i64) -> Money {
    Money::new(minor, "CNY".parse().unwrap()).unwrap()
}

fn item(id: &str, name: &str, minor: i64, quantity_max: u16) -> Item {
    Item {
        id: id.parse().unwrap(),
        name: Text::english(name),
        price: money(minor),
        quantity_max,
    }
}

pub(super) fn items() -> Vec<Item> {
    vec![
        item("short", "Short stay, up to 1 hour", 450, 1),
        item("day", "Day ticket", 2_400, 1),
        item("wash", "Car wash token", 1_500, 9),
    ]
}

fn payee() -> Payee {
    Payee {
        id: "north-parking".parse().unwrap(),
        name: "North Parking Co., Ltd.".to_owned(),
    }
}

fn place() -> Place {
    Place {
        id: "gate-1".parse().unwrap(),
        name: "North gate, exit 1".to_owned(),
    }
}

pub(super) fn shop() -> Shop {
    Shop {
        merchant: Merchant {
            name: "North Parking".to_owned(),
            about: Text::english("Pay for your stay here, then the gate opens."),
            help: "+86 10 5555 0100".to_owned(),
        },
        payee: payee(),
        place: place(),
        time_zone: "Asia/Shanghai".to_owned(),
        items: items(),
    }
}

fn lines() -> Vec<BillLine> {
    vec![
        BillLine {
            text: Text::english("Short stay, up to 1 hour"),
            quantity: 1,
            amount: money(450),
        },
        BillLine {
            text: Text::english("Car wash token"),
            quantity: 2,
            amount: money(3_000),
        },
    ]
}

pub(super) fn quote() -> Box<Quote> {
    Box::new(Quote {
        aud: Audience::terminal("north/gate-1".parse().unwrap()),
        transaction: transaction(),
        session: SessionId::from_random([1; 16]),
        nonce: Nonce::from_random([2; 16]),
        lines: lines(),
        amount: money(3_450),
        payee: payee(),
        place: place(),
        gateway: "mock".parse().unwrap(),
        pay_url: "https://pay.example/order/1?from=phone".to_owned(),
        tariff_version: Digest::of(b"tariff"),
        order_lifetime_ms: 120_000,
        expires_at: Utc::EPOCH,
        issued_at: Utc::EPOCH,
        status_url: Some("https://pay.example/r/".to_owned()),
    })
}

fn free_quote() -> Box<Quote> {
    Box::new(Quote {
        lines: vec![BillLine {
            amount: money(0),
            ..lines().remove(0)
        }],
        amount: money(0),
        pay_url: String::new(),
        ..*quote()
    })
}

pub(super) fn receipt() -> Box<StoredReceipt> {
    let quote = quote();
    let receipt = Receipt {
        aud: quote.aud,
        terminal: "north/gate-1".parse().unwrap(),
        transaction: quote.transaction,
        session: quote.session,
        merchant: "North Parking".to_owned(),
        payee: quote.payee,
        place: quote.place,
        lines: quote.lines,
        amount: quote.amount,
        ground: Ground::ZeroBill {
            tariff_version: quote.tariff_version,
        },
        payment: Some(ReceiptPayment {
            gateway: "mock".parse().unwrap(),
            payment: protocol::id::PaymentId::from_random([9; 16]),
            paid_at: Utc::from_millis(1_795_424_400_000).unwrap(),
        }),
        devices: vec!["gate".parse().unwrap()],
        tariff_version: Some(quote.tariff_version),
        time_zone: Some("Asia/Shanghai".to_owned()),
        result: "a.b.c".parse().unwrap(),
        previous: None,
        issued_at: Utc::from_millis(1_795_424_401_000).unwrap(),
    };
    let signed = sign(&SigningKey::from_seed([3; 32]), &receipt).unwrap();
    Box::new(StoredReceipt {
        receipt,
        signed: signed.as_str().to_owned(),
    })
}

/// Every kind of view, several where the payer reads different things; with its amount, if the
/// payer has to see one.
pub(super) fn views() -> Vec<(&'static str, View, Option<&'static str>)> {
    let mut all = before_paying();
    all.extend(while_paying());
    all.extend(afterwards());
    all
}

fn before_paying() -> Vec<(&'static str, View, Option<&'static str>)> {
    let choose = |items| View::Choose {
        items,
        seconds_left: 118,
    };
    let bill = |quote| View::Bill {
        quote,
        seconds_left: 118,
    };
    vec![
        ("choose", choose(items()), Some("4.50 CNY")),
        (
            "choose-one",
            choose(vec![items().remove(0)]),
            Some("4.50 CNY"),
        ),
        ("quoting", View::Quoting, None),
        ("bill", bill(quote()), Some("Pay 34.50 CNY")),
        ("bill-free", bill(free_quote()), Some("0.00 CNY")),
    ]
}

fn while_paying() -> Vec<(&'static str, View, Option<&'static str>)> {
    let paying = |declined| View::Paying {
        quote: quote(),
        pay_url: quote().pay_url,
        seconds_left: 63,
        declined,
    };
    let verifying = |seconds, declined| View::Verifying {
        quote: quote(),
        pay_url: quote().pay_url,
        seconds,
        declined,
    };
    let amount = Some("34.50 CNY");
    vec![
        ("paying", paying(false), Some("Pay 34.50 CNY")),
        ("paying-declined", paying(true), Some("Pay 34.50 CNY")),
        ("verifying", verifying(2, false), amount),
        ("verifying-long", verifying(20, false), amount),
        (
            "verifying-declined",
            verifying(4, true),
            Some("Pay 34.50 CNY"),
        ),
        ("actuating", View::Actuating, None),
    ]
}

fn afterwards() -> Vec<(&'static str, View, Option<&'static str>)> {
    let done = |receipt| View::Done {
        quote: Some(quote()),
        receipt,
    };
    let not_confirmed = |reason, refund| View::NotConfirmed { reason, refund };
    let failed = |outcome, refund| View::Failed { outcome, refund };
    let off = NotConfirmedReason::Off;
    let uncertain = LinkageOutcome::Uncertain {
        reason: UncertainReason::NoFeedback,
    };
    vec![
        ("done", done(None), Some("34.50 CNY")),
        ("done-receipt", done(Some(receipt())), Some("34.50 CNY")),
        (
            "not-confirmed-declined",
            not_confirmed(off(OffReason::Declined), None),
            None,
        ),
        (
            "not-confirmed-expired",
            not_confirmed(off(OffReason::Expired), None),
            None,
        ),
        (
            "not-confirmed-no-answer",
            not_confirmed(NotConfirmedReason::NoAnswer, None),
            None,
        ),
        (
            "not-confirmed-amount",
            not_confirmed(off(OffReason::WrongAmount), Some(Standing::RefundPending)),
            None,
        ),
        (
            "not-confirmed-payee",
            not_confirmed(off(OffReason::WrongPayee), Some(Standing::Review)),
            None,
        ),
        (
            "failed",
            failed(LinkageOutcome::Failed, Some(Standing::Refunded)),
            None,
        ),
        ("failed-uncertain", failed(uncertain, None), None),
        ("expired", View::Expired, None),
        ("cancelled", View::Cancelled, None),
        (
            "unavailable",
            View::Unavailable {
                reason: "The payment service can't be reached right now.".to_owned(),
            },
            None,
        ),
    ]
}

fn landings() -> Vec<(&'static str, Landing)> {
    let landing = |shop, state| Landing { shop, state };
    let closed = |reason: &str| LandingState::Unavailable {
        reason: reason.to_owned(),
    };
    vec![
        ("landing", landing(Some(shop()), LandingState::Free)),
        ("landing-busy", landing(Some(shop()), LandingState::Busy)),
        (
            "landing-unavailable",
            landing(
                Some(shop()),
                closed("The gate does not answer. Please use exit 2."),
            ),
        ),
        (
            "landing-new",
            landing(
                None,
                closed("This terminal is not connected to its platform yet."),
            ),
        ),
    ]
}

/// All documents by name.
fn documents() -> Vec<(&'static str, Screen, String)> {
    let (shop, link) = (shop(), link());
    let session = |(name, view, _): (&'static str, View, _)| {
        let frame = Frame {
            shop: Some(&shop),
            session: Some((token(), 7)),
            status_link: Some(&link),
        };
        let screen = screen::of(&token(), &view);
        let text = document(frame, &screen).into_string();
        (name, screen, text)
    };
    let first = |(name, landing): (&'static str, Landing)| {
        let frame = Frame {
            shop: landing.shop.as_ref(),
            session: None,
            status_link: None,
        };
        let screen = landing::screen(&landing);
        let text = document(frame, &screen).into_string();
        (name, screen, text)
    };
    let all = landings().into_iter().map(first);
    all.chain(views().into_iter().map(session)).collect()
}

#[test]
fn every_screen_is_whole_and_small() {
    let folder = std::env::var_os("PAYLATCH_GALLERY").map(std::path::PathBuf::from);
    for (name, screen, text) in documents() {
        assert_eq!(text.matches("<h1").count(), 1, "{name}");
        assert!(
            text.starts_with("<!DOCTYPE html><html lang=\"en\">"),
            "{name}"
        );
        assert!(
            text.contains(&format!("<title>{}", screen.headline)),
            "{name}"
        );
        assert!(
            text.contains(&format!("data-state=\"{}\"", screen.state)),
            "{name}"
        );
        // Nothing is loaded from anywhere; the style and the script are most of it.
        assert!(!text.contains(" src="), "{name}");
        assert!(text.len() < 18 * 1024, "{name} has {} bytes", text.len());
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.html")), text).unwrap();
        }
    }
}

#[test]
fn only_a_web_address_becomes_a_link_to_keep() {
    let shop = shop();
    let shown = |status_link| {
        let frame = Frame {
            shop: Some(&shop),
            session: Some((token(), 7)),
            status_link,
        };
        document(frame, &screen::of(&token(), &View::Expired)).into_string()
    };
    assert!(shown(Some("https://pay.example/r/1")).contains("class=\"keep\""));
    for link in [None, Some("javascript:alert(1)"), Some("/r/1")] {
        assert!(!shown(link).contains("class=\"keep\""), "{link:?}");
    }
}

#[test]
fn every_view_shows_its_amount_and_whom_to_call() {
    let (shop, link) = (shop(), link());
    for (name, view, amount) in views() {
        let screen = screen::of(&token(), &view);
        let frame = Frame {
            shop: Some(&shop),
            session: Some((token(), 7)),
            status_link: Some(&link),
        };
        let text = document(frame, &screen).into_string();
        if let Some(amount) = amount {
            assert!(text.contains(amount), "{name} lacks {amount}");
        }
        assert!(text.contains("href=\"tel:+861055550100\""), "{name}");
        assert!(text.contains("North gate, exit 1"), "{name}");
    }
}
