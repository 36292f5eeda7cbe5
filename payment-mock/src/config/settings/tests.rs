use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Settings;
use crate::config::Delays;
use crate::scenario::{Outcome, Silence};

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/payment-mock/payment-mock.toml")
}

/// A copy of the example in a folder of its own, with `from` replaced by `to`.
fn changed(folder: &Path, from: &str, to: &str) -> PathBuf {
    let text = std::fs::read_to_string(example()).unwrap();
    assert!(text.contains(from), "{from}");
    let path = folder.join("payment-mock.toml");
    std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let data = folder.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let password = data.join("broker.password");
    std::fs::write(&password, "secret\n").unwrap();
    std::fs::set_permissions(&password, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

fn refusal(from: &str, to: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), from, to);
    match Settings::load(&path) {
        Err(error) => error
            .to_string()
            .replace(&path.display().to_string(), "FILE"),
        Ok(settings) => settings.resolve().unwrap_err().to_string(),
    }
}

#[test]
fn the_example_is_what_the_defaults_are() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::load(&changed(folder.path(), "", "")).unwrap();
    let key = settings.keys.create().unwrap();
    assert_eq!(settings.keys.load().unwrap().public(), key.public());
    let config = settings.resolve().unwrap();
    assert_eq!(config.gateway.as_str(), "mock");
    assert_eq!(config.listen, "127.0.0.1:8090".parse().unwrap());
    assert_eq!(config.outcome, Outcome::Paid);
    assert_eq!(config.delays, Delays::default());
    assert_eq!(config.broker.password, "secret");
    assert_eq!(config.data_folder, Some(folder.path().join("data")));
}

#[test]
fn what_is_commented_out_in_the_example_is_valid_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), "", "");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.contains(" = ") || setting.starts_with('[') => setting,
        _ => line,
    });
    let all: String = lines.flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&path, all).unwrap();
    let settings = Settings::load(&path).unwrap();
    assert_eq!(settings.scenario.no_answer_ms, Some(200_000));
}

#[test]
fn silence_counts_queries_or_time() {
    let folder = tempfile::tempdir().unwrap();
    let delays = |to| {
        let path = changed(folder.path(), "[scenario]", to);
        let settings = Settings::load(&path).unwrap();
        settings.resolve().unwrap().delays.silence
    };
    assert_eq!(
        delays("[scenario]\nno_answer_queries = 3"),
        Silence::Queries(3)
    );
    let time = Silence::Lasting(Duration::from_millis(7));
    assert_eq!(delays("[scenario]\nno_answer_ms = 7"), time);
}

#[test]
fn each_mistake_is_named_with_its_field() {
    let rows = [
        ("gateway = \"mock\"", "gatewy = \"mock\"", "gatewy"),
        (
            "outcome = \"paid\"",
            "outcome = \"nice\"",
            "scenario.outcome",
        ),
        ("gateway = \"mock\"", "gateway = \"Mock\"", "gateway"),
        (
            "payees = [\"north-parking\"]",
            "payees = []",
            "ledger.payees",
        ),
        (
            "address = \"127.0.0.1:1883\"",
            "address = \"nowhere\"",
            "broker.address",
        ),
        (
            "broker.password",
            "missing.password",
            "broker.password_file",
        ),
        (
            "public_keys = [",
            "public_keys = [\"short\", ",
            "platforms[0].public_keys",
        ),
        ("[http]", "[http]\npublic_url = \"pay\"", "http.public_url"),
        ("[http]", "[http]\nlisten = \"0.0.0.0:8090\"", "http.listen"),
        (
            "address = \"127.0.0.1:1883\"",
            "address = \"mqtt.example:1883\"",
            "broker.address",
        ),
    ];
    for (from, to, field) in rows {
        let line = refusal(from, to);
        assert!(line.contains(field), "{field}: {line}");
        assert!(!line.contains('\n'), "{line}");
    }
}
