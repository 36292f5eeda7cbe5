//! Every page once, with the content of a real sale. With `PAYLATCH_GALLERY=FOLDER` the test
//! writes them there as files, for people to look at.

use super::layout::{Page, document};
use super::status::{self, Surroundings};
use super::texts::ENGLISH;
use crate::sale::tests::samples::samples;

fn pages() -> Vec<(&'static str, String)> {
    let of_sale = |(name, sale): (&'static str, crate::sale::Sale)| {
        let around = Surroundings {
            texts: &ENGLISH,
            help: Some("+86 10 5555 0100"),
            path: "/r/0123456789abcdef0123456789abcdef",
            code: sale.transaction().short(),
            order: sale.transaction().to_string(),
        };
        (name, status::page(&sale.payer_view(), &around))
    };
    let bare = [
        ("unknown", ENGLISH.unknown),
        ("too_often", ENGLISH.too_often),
        ("broken", ENGLISH.broken),
        ("no_page", ENGLISH.no_page),
    ];
    let bare = bare.map(|(name, words)| (name, Page::bare(name, words)));
    let text = |(name, page)| (name, document(&page, &ENGLISH).into_string());
    samples()
        .into_iter()
        .map(of_sale)
        .chain(bare)
        .map(text)
        .collect()
}

#[test]
fn every_page_is_whole_small_and_loads_nothing() {
    let folder = std::env::var_os("PAYLATCH_GALLERY").map(std::path::PathBuf::from);
    for (name, text) in pages() {
        assert!(
            text.starts_with("<!DOCTYPE html><html lang=\"en\">"),
            "{name}"
        );
        assert_eq!(text.matches("<h1").count(), 1, "{name}");
        for absent in ["<script", " src=", "<form", "http://", "https://"] {
            assert!(!text.contains(absent), "{name} has {absent}");
        }
        assert!(text.len() < 12 * 1024, "{name} has {} bytes", text.len());
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("status-{name}.html")), text).unwrap();
        }
    }
}

#[test]
fn every_stage_says_in_words_where_the_money_is() {
    let paid = "<dd>4.50 CNY</dd>";
    let reference = "<dd class=\"id\">01010101010101010101010101010101</dd>";
    let rows: [(&str, &[&str]); 13] = [
        ("unpaid", &["Not paid yet", "Nothing was charged."]),
        ("checking", &["Checking your payment", "do not pay again"]),
        ("serving", &["<h1>Paid</h1>", paid, reference]),
        (
            "served",
            &["Paid and served", paid, reference, "/receipt.json\""],
        ),
        (
            "served-free",
            &["<h1>Served</h1>", "nothing to pay", "/receipt.json\""],
        ),
        (
            "served-twice-paid",
            &["Paid and served", "Another payment", "paid already"],
        ),
        ("closing", &["The order is being closed", "no payment"]),
        ("nothing", &["Nothing was charged", "sent back by itself"]),
        (
            "returning",
            &[
                "Your money is on its way back",
                "could not serve you",
                "Refund, on its way",
                "2026-11-23 09:00:37 UTC</time>",
                reference,
            ],
        ),
        (
            "returned",
            &[
                "Your money was returned",
                "Refund, returned",
                "2026-11-23 09:01:35",
                ">17:01:35 Asia/Shanghai",
                paid,
                reference,
            ],
        ),
        ("stuck", &["Under review", "has not returned it yet"]),
        (
            "review",
            &["Under review", "The operator of North", "Until"],
        ),
        ("elsewhere", &["Under review", "went to somebody else"]),
    ];
    let pages = pages();
    for (name, wanted) in rows {
        let (_, text) = pages.iter().find(|(found, _)| *found == name).unwrap();
        for words in wanted {
            assert!(text.contains(words), "{name} lacks {words}: {text}");
        }
        assert!(text.contains("North gate"), "{name}");
        assert!(text.contains("+86 10 5555 0100"), "{name}");
    }
}
