//! `verify-receipt` and `keys publish` as a person calls them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let vectors = vectors();
        folder.write("keys.json", &vectors["keys"].to_string());
        folder.write("good.json", &vectors["good"].to_string());
        folder.write("good.jws", vectors["good"]["signed"].as_str().unwrap());
        folder.write("previous.json", &vectors["previous"].to_string());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn call(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_paylatch-platform"))
            .args(words)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    fn verify(&self, file: &str) -> (i32, String, String) {
        told(&self.call(&["verify-receipt", file, "--keys", "keys.json"]))
    }
}

fn vectors() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/vectors/receipts.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_good_receipt_is_told_line_by_line() {
    let folder = Folder::new();
    let words = [
        "verify-receipt",
        "good.json",
        "--keys",
        "keys.json",
        "--previous",
        "previous.json",
    ];
    let (code, out, err) = told(&folder.call(&words));
    let vectors = vectors();
    let proof: Vec<&str> = vectors["proof"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), proof);
    assert_eq!((code, err.as_str()), (0, ""));
    let (code, bare, _) = folder.verify("good.jws");
    assert_eq!(code, 0);
    assert!(bare.contains("which was not shown"), "{bare}");
}

#[test]
fn a_forgery_is_one_line_and_exit_code_1() {
    let folder = Folder::new();
    for forgery in vectors()["forgeries"].as_array().unwrap() {
        folder.write("forged.json", &forgery["file"].to_string());
        let line = forgery["line"].as_str().unwrap();
        let expected = format!("error: forged.json: {line}\n");
        assert_eq!(folder.verify("forged.json"), (1, String::new(), expected));
    }
    folder.write(
        "cut.jws",
        &vectors()["good"]["signed"].as_str().unwrap()[..900],
    );
    let (code, out, err) = folder.verify("cut.jws");
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1));
    folder.write("other.json", "{\"a\":1}");
    let line = "error: other.json: neither a signed receipt nor a receipt file\n";
    assert_eq!(
        folder.verify("other.json"),
        (1, String::new(), line.to_owned())
    );
}

#[test]
fn what_is_missing_or_no_keys_has_its_own_exit_code() {
    let folder = Folder::new();
    let (code, _, err) = folder.verify("nowhere.json");
    assert_eq!(code, 64);
    assert!(err.starts_with("error: nowhere.json: "), "{err}");
    for (name, text) in [("keys.json", "{}"), ("keys.json", "")] {
        folder.write(name, text);
        let (code, out, err) = folder.verify("good.json");
        assert_eq!((code, out.as_str(), err.lines().count()), (78, "", 1));
        assert!(err.contains("write it with `keys publish`"), "{err}");
    }
    let (code, _, err) =
        told(&folder.call(&["--config", "none.toml", "verify-receipt", "good.json"]));
    assert_eq!((code, err.lines().count()), (78, 1), "{err}");
}

#[test]
fn published_keys_are_those_of_the_configuration() {
    let folder = Folder::new();
    let vectors = vectors();
    let terminal = vectors["keys"]["keys"][2]["x"].as_str().unwrap();
    let retired = vectors["keys"]["keys"][3]["x"].as_str().unwrap();
    let retired_id = vectors["keys"]["keys"][3]["kid"].as_str().unwrap();
    folder.write(
        "platform.toml",
        &format!(
            "platform = \"main\"\nsites = \"site.toml\"\n\
             [keys]\nrevoked_key_ids = [\"{retired_id}\"]\n\
             [[gateways]]\nid = \"mock\"\npublic_keys = [\"{terminal}\"]\n\
             [public]\nurl = \"https://pay.example\"\n"
        ),
    );
    folder.write(
        "site.toml",
        &format!(
            "id = \"north\"\ncurrency = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\ngateway = \"mock\"\n\
             [merchant]\nname = \"North\"\nabout = {{ en = \"Parking\" }}\nhelp = \"Call 1\"\n\
             [payee]\nid = \"shop\"\nname = \"Shop\"\n\
             [[items]]\nid = \"stay\"\nname = {{ en = \"Stay\" }}\nprice = \"4.50\"\n\
             [[terminals]]\nid = \"gate-1\"\nplace = {{ id = \"gate\", name = \"Gate\" }}\n\
             devices = [\"gate\"]\npublic_key = \"{terminal}\"\nretired_public_keys = [\"{retired}\"]\n"
        ),
    );
    let config = ["--config", "platform.toml", "keys"];
    let (code, own, err) = told(&folder.call(&[&config[..], &["init"]].concat()));
    assert_eq!(code, 0, "{err}");
    let (code, out, err) = told(&folder.call(&[&config[..], &["publish"]].concat()));
    assert_eq!(code, 0, "{err}");
    let keys: Value = serde_json::from_str(&out).unwrap();
    let told: Vec<(&str, &str, &str)> = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| {
            (
                key["owner"].as_str().unwrap(),
                key["x"].as_str().unwrap(),
                key["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("platform:main", own.trim(), "trusted"),
        ("terminal:north/gate-1", terminal, "trusted"),
        ("terminal:north/gate-1", retired, "revoked"),
    ];
    assert_eq!(told, expected);
    folder.write("keys.json", &out);
    let (code, _, err) = folder.verify("good.json");
    assert_eq!(code, 1);
    assert!(
        err.contains("signed by a key that is not this author's"),
        "{err}"
    );
}
