use std::io::Write as _;

use super::*;

const EXAMPLE: &str = include_str!("../../../deploy/edge-agent/agent.toml");

fn load(text: &str) -> Result<Config, ConfigError> {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    Config::load(Some(file.path()))
}

/// The error of the example with `from` replaced, without the file's name.
fn error(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    let text = EXAMPLE.replacen(from, to, 1);
    let error = load(&text).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1);
    error.split_once(".toml: ").unwrap().1.to_owned()
}

#[test]
fn the_example_is_what_the_defaults_say() {
    let config = load(EXAMPLE).unwrap();
    assert_eq!(config.terminal.to_string(), "north/gate-1");
    assert_eq!(config.timeouts, Timeouts::default());
    assert_eq!(
        config.journal.size_bytes,
        JournalConfig::default().size_bytes
    );
    assert_eq!(config.page.listen, PageConfig::default().listen);
    assert_eq!(config.devices.len(), 1);
}

#[test]
fn relative_paths_count_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, EXAMPLE).unwrap();
    let config = Config::load(Some(&file)).unwrap();
    assert_eq!(config.data_folder, folder.path().join("terminal-data"));
    let password = config.broker.password_file.unwrap();
    assert_eq!(
        password.path(),
        folder.path().join("terminal-data/broker.password")
    );
}

#[test]
fn each_mistake_names_its_field_and_its_fix() {
    let rows = [
        ("\"north/gate-1\"", "\"gate-1\"", "terminal: "),
        (
            "size_bytes = 4194304",
            "size_bytes = 1",
            "journal.size_bytes: 1 is out of range; use 524288",
        ),
        ("\"127.0.0.1:1883\"", "\"broker\"", "broker.address: "),
        (
            "\"127.0.0.1:1883\"",
            "\"broker.example:1883\"",
            "broker.address: broker.example is another machine; set broker.tls_ca_file",
        ),
        (
            "password_file =",
            "# ",
            "broker.password_file: there is no password",
        ),
        (
            "[\"PASTE-WHAT-the-platform-keys-init-printed-A\"]",
            "[]",
            "platform.public_keys: nobody's word would count",
        ),
        (
            "#url = \"http://10.0.0.1:8080\"",
            "url = \"10.0.0.1\"",
            "page.url: '10.0.0.1' is no address of a page",
        ),
        (
            "heartbeat_ms = 45000",
            "heartbeat_ms = 4",
            "timeouts.heartbeat_ms: 4 is out of range; use 1000",
        ),
        ("[log]", "[logs]", "logs: unknown field"),
        (
            "action.pulse = { ms = 500 }",
            "action.pulse = { ms = 5 }",
            "devices: ",
        ),
    ];
    for (from, to, expected) in rows {
        let found = error(from, to);
        assert!(found.starts_with(expected), "{found}");
    }
}

#[test]
fn a_password_in_a_file_is_refused_and_one_in_code_is_not_shown() {
    let found = error(
        "password_file = \"terminal-data",
        "password = \"x\"\npassword_file = \"",
    );
    assert!(found.contains("unknown field"), "{found}");
    assert!(!format!("{:?}", Password("secret".to_owned())).contains("secret"));
}
