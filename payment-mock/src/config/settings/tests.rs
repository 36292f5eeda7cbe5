use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Settings;
use crate::config::{Delays, Forgotten, KeyRetention};
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
fn rules_and_capabilities_come_from_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(
        folder.path(),
        "[ledger]",
        "[ledger]\nkey_retention_ms = 5\nforgotten_key = \"refused\"\norder_after_scan = true",
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let named = text.replacen("[scenario]", "[scenario]\nscenario_file = \"s.toml\"", 1);
    let admin = named.replacen("[admin]", "[admin]\nlisten = \"[::1]:0\"", 1);
    std::fs::write(&path, admin).unwrap();
    let rules = "[[rules]]\nname = \"lag\"\naction = \"stale\"\n";
    std::fs::write(folder.path().join("s.toml"), rules).unwrap();
    let config = Settings::load(&path).unwrap().resolve().unwrap();
    let retention = KeyRetention {
        lasts: Duration::from_millis(5),
        afterwards: Forgotten::Refused,
    };
    assert_eq!(config.capabilities.key_retention, Some(retention));
    assert!(config.capabilities.order_after_scan);
    assert_eq!(config.admin, Some("[::1]:0".parse().unwrap()));
    let names: Vec<_> = config.rules.texts().map(|rule| &rule.name).collect();
    assert_eq!(names, ["lag"]);
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
        (
            "[admin]",
            "[admin]\nlisten = \"0.0.0.0:8091\"",
            "admin.listen: 0.0.0.0:8091 can be reached by others; use 127.0.0.1",
        ),
        ("[admin]", "[admin]\nport = 1", "admin"),
        (
            "[scenario]",
            "[scenario]\nscenario_file = \"missing.toml\"",
            "scenario.scenario_file: ",
        ),
        (
            "[scenario]",
            "[scenario]\nscenario_file = \"payment-mock.toml\"",
            "unknown field `admin`, expected `seed` or `rules`",
        ),
        (
            "[ledger]",
            "[ledger]\nforgotten_key = \"maybe\"",
            "ledger.forgotten_key",
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
