//! `tariff quote` as a person calls it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Exit code, standard output and standard error, in the folder of the example configurations.
fn call(words: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_paylatch-platform"))
        .args(["tariff", "quote"])
        .args(words)
        .current_dir(root().join("deploy/platform"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let code = output.status.code().unwrap();
    (code, text(&output.stdout), text(&output.stderr))
}

/// Of the example car park.
fn quote(entry: &str, exit: &str, more: &[&str]) -> (i32, String, String) {
    let words = [
        "--site",
        "parking.example.toml",
        "--entry",
        entry,
        "--exit",
        exit,
    ];
    call(&[&words[..], more].concat())
}

/// The lines below the tariff's version.
fn table(entry: &str, exit: &str, more: &[&str]) -> Vec<String> {
    let (code, out, err) = quote(entry, exit, more);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.starts_with("south, Europe/Berlin, tariff "), "{out}");
    out.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_bill_is_told_line_by_line() {
    let expected = [
        "entry  2026-03-28 08:00:00 +01:00",
        "exit   2026-03-29 09:00:00 +02:00",
        "  Day          2026-03-28 08:00 to 22:00                           28 x 1.50 per 30 min    42.00",
        "  Night        2026-03-28 22:00 +01:00 to 2026-03-29 06:00 +02:00  1 x 4.00 per 1440 min    4.00",
        "  cap per day  2026-03-28                                          at most 18.00          -28.00",
        "  Day          2026-03-29 06:00 to 09:00                           6 x 1.50 per 30 min      9.00",
        "  to pay                                                                                   27.00 EUR",
    ];
    assert_eq!(table("2026-03-28T08:00", "2026-03-29T09:00", &[]), expected);
}

#[test]
fn a_zero_bill_and_what_was_paid_are_told() {
    let expected = [
        "entry  2026-01-10 10:00:00 +01:00 at south-entry",
        "exit   2026-01-10 10:09:00 +01:00 at south-exit",
        "  free    2026-01-10 10:00 to 10:09  10 min  0.00",
        "  to pay                                     0.00 EUR",
    ];
    let (entry, exit) = (
        "2026-01-10T10:00@south-entry",
        "2026-01-10T10:09@south-exit",
    );
    assert_eq!(table(entry, exit, &[]), expected);
    let expected = [
        "entry  2026-01-10 10:00:00 +01:00",
        "exit   2026-01-10 11:20:00 +01:00",
        "clocks may be 2000 ms off: 2026-01-10 10:00 to 11:19 counts",
        "  Day     2026-01-10 10:00 to 11:19  3 x 1.50 per 30 min   4.50",
        "  paid    2026-01-10 11:00           3.00                 -3.00",
        "  to pay                                                   1.50 EUR",
    ];
    let more = [
        "--paid",
        "3.00@2026-01-10T11:00",
        "--clock-error-ms",
        "2000",
    ];
    assert_eq!(
        table("2026-01-10T10:00", "2026-01-10T11:20", &more),
        expected
    );
}

#[test]
fn json_holds_the_same() {
    let (code, out, err) = quote(
        "2026-01-10T21:40Z@south-entry",
        "2026-01-10T23:10+01:00",
        &["--json"],
    );
    assert_eq!((code, err.as_str()), (0, ""));
    let told: Value = serde_json::from_str(&out).unwrap();
    let money = |minor: i64| json!({"minor": minor, "currency": "EUR"});
    let expected = json!({
        "site": "south",
        "time_zone": "Europe/Berlin",
        "entry": {"at": "2026-01-10T21:40:00Z", "place": "south-entry"},
        "exit": {"at": "2026-01-10T22:10:00Z"},
        "clock_error_ms": 0,
        "tariff_version": told["tariff_version"],
        "from": "2026-01-10T21:40:00Z",
        "to": "2026-01-10T22:10:00Z",
        "lines": [{
            "what": "time",
            "band": {"en": "Night", "de": "Nacht"},
            "from": "2026-01-10T21:40:00Z",
            "to": "2026-01-10T22:10:00Z",
            "minutes": 1440,
            "count": 1,
            "price": money(400),
            "effect": "charge",
            "amount": money(400),
        }],
        "amount": money(400),
    });
    assert_eq!(told, expected);
    assert_eq!(told["tariff_version"].as_str().unwrap().len(), 64);
}

#[test]
fn table_and_json_come_to_the_same() {
    let visits = [
        ("2026-03-28T08:00", "2026-03-29T09:00"),
        ("2026-10-24T23:10", "2026-10-27T09:07"),
        ("2026-01-01T00:00", "2026-01-31T23:59"),
    ];
    for (entry, exit) in visits {
        let (_, out, _) = quote(entry, exit, &["--json"]);
        let told: Value = serde_json::from_str(&out).unwrap();
        let lines = table(entry, exit, &[]);
        let minor = |amount: &str| amount.replace('.', "").parse::<i64>().unwrap();
        let (total, rows) = lines[2..].split_last().unwrap();
        let amount = |row: &String| minor(row.split_whitespace().last().unwrap());
        let sum: i64 = rows.iter().map(amount).sum();
        let total = minor(total.split_whitespace().nth(2).unwrap());
        assert_eq!(
            (sum, told["amount"]["minor"].as_i64()),
            (total, Some(total))
        );
        assert_eq!(rows.len(), told["lines"].as_array().unwrap().len());
    }
}

#[test]
fn words_that_say_nothing_are_one_line_and_exit_code_64() {
    let noon = "2026-01-10T12:00";
    let cases = [
        (
            ["yesterday", noon],
            "'yesterday' is no instant: write 2026-03-01T10:00 as the site's clocks show it, or with \
             an offset, 2026-03-01T10:00+08:00",
        ),
        (
            [noon, "2026-01-10"],
            "'2026-01-10' is no instant: write 2026-03-01T10:00 as the site's clocks show it, or with \
             an offset, 2026-03-01T10:00+08:00",
        ),
        (
            ["2026-03-29T02:30", noon],
            "clocks of Europe/Berlin never show 2026-03-29T02:30: they skip it",
        ),
        (
            ["2026-10-25T02:30", noon],
            "clocks of Europe/Berlin show 2026-10-25T02:30 twice: write 2026-10-25T02:30+02:00 or \
             2026-10-25T02:30+01:00",
        ),
        (
            ["2026-01-10T10:00@east", noon],
            "no terminal of the site stands at 'east': places are south-entry, south-exit",
        ),
        (
            ["2026-01-10T10:00@", noon],
            "'' is no PlaceId: use 1 to 32 of a-z 0-9 - _, starting with a letter or digit",
        ),
    ];
    for ([entry, exit], line) in cases {
        let expected = (64, String::new(), format!("error: {line}\n"));
        assert_eq!(quote(entry, exit, &[]), expected);
    }
    for (paid, reason) in [
        ("4.50", "there is no @"),
        ("4,5@2026-01-10T11:00", "'4,5' is no price"),
    ] {
        let line = format!(
            "error: '{paid}' is no payment ({reason}): write for example 4.50@2026-03-01T10:00\n"
        );
        let expected = (64, String::new(), line);
        assert_eq!(quote("2026-01-10T10:00", noon, &["--paid", paid]), expected);
    }
    let (code, out, _) = call(&["--site", "parking.example.toml", "--entry", noon]);
    assert_eq!((code, out.as_str()), (64, ""));
}

#[test]
fn a_visit_without_a_price_is_one_line_and_exit_code_1() {
    let cases = [
        (
            ["2026-01-10T12:00", "2026-01-10T11:00"],
            "the exit (2026-01-10T10:00:00.000Z) is before the entry (2026-01-10T11:00:00.000Z)",
        ),
        (
            ["2026-01-10T12:00", "2026-02-10T12:01"],
            "the visit is longer than 31 days",
        ),
    ];
    for ([entry, exit], line) in cases {
        let expected = (1, String::new(), format!("error: {line}\n"));
        assert_eq!(quote(entry, exit, &[]), expected);
    }
}

#[test]
fn a_wrong_site_file_is_one_line_and_exit_code_78() {
    let (entry, exit) = ("2026-01-10T12:00", "2026-01-10T13:00");
    let of = |site: &str| call(&["--site", site, "--entry", entry, "--exit", exit]);
    let line = "error: site.example.toml: visit: this site has no price for visits; add [visit]: see \
                deploy/platform/parking.example.toml\n";
    assert_eq!(
        of("site.example.toml"),
        (78, String::new(), line.to_owned())
    );
    let (code, out, err) = of("nowhere.toml");
    assert_eq!(
        (code, out.as_str(), err.lines().count()),
        (78, "", 1),
        "{err}"
    );
    let example = std::fs::read_to_string(root().join("deploy/platform/parking.example.toml"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("south.toml");
    std::fs::write(&file, example.unwrap().replace("\"1.50\"", "1.50")).unwrap();
    let expected = format!(
        "error: {0}: visit.bands[0].price: invalid type: floating point `1.5`, expected a string; \
         correct the value\n",
        file.display()
    );
    assert_eq!(of(file.to_str().unwrap()), (78, String::new(), expected));
}

#[test]
fn where_places_have_prices_they_have_to_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("south.toml");
    let example = std::fs::read_to_string(root().join("deploy/platform/parking.example.toml"));
    let pair = "[[visit.places]]\nfrom = \"south-entry\"\nto = \"south-exit\"\nprice = \"3.00\"\n";
    let text = example.unwrap();
    std::fs::write(
        &file,
        text.replacen("[[terminals]]", &format!("{pair}[[terminals]]"), 1),
    )
    .unwrap();
    let of = |entry: &str, exit: &str| {
        call(&[
            "--site",
            file.to_str().unwrap(),
            "--entry",
            entry,
            "--exit",
            exit,
        ])
    };
    let (entry, exit) = ("2026-01-10T10:00", "2026-01-10T10:30@south-exit");
    let line = "error: places have prices here: write '2026-01-10T10:00@PLACE', one of south-entry, \
                south-exit\n";
    assert_eq!(of(entry, exit), (64, String::new(), line.to_owned()));
    let (code, out, _) = of(&format!("{entry}@south-entry"), exit);
    let rows: Vec<&str> = out.lines().skip(3).collect();
    let expected = [
        "  Day     2026-01-10 10:00 to 10:30  1 x 1.50 per 30 min  1.50",
        "  places  south-entry to south-exit                       3.00",
        "  to pay                                                  4.50 EUR",
    ];
    assert_eq!((code, &rows[..]), (0, &expected[..]));
    let line = "error: a visit from 'south-exit' to 'south-exit' has no price\n";
    let back = of(&format!("{entry}@south-exit"), exit);
    assert_eq!(back, (1, String::new(), line.to_owned()));
}

#[test]
fn the_readme_shows_what_is_printed() {
    let (code, out, _) = quote("2026-03-28T19:10", "2026-03-29T09:00", &[]);
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert_eq!(code, 0);
    assert!(readme.contains(&out), "{out}");
}
