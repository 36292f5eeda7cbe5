//! `paylatch-broker` as an operator meets it.

#![expect(clippy::unwrap_used, reason = "a test ends where an expectation fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_paylatch-broker");

fn broker(arguments: &[&str]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

/// A folder with a password and a configuration that serves.
fn folder(extra: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("gate.password");
    std::fs::write(&password, "open sesame\n").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "{extra}\n[[listen]]\naddress = \"127.0.0.1:0\"\n\n[[users]]\nname = \"gate\"\n\
         password_file = \"{}\"\nidentity = {{ terminal = \"north/gate-1\" }}\n",
        password.display()
    );
    std::fs::write(folder.path().join("broker.toml"), text).unwrap();
    folder
}

fn config_of(folder: &Path) -> String {
    folder.join("broker.toml").display().to_string()
}

fn line_of(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_shows_a_newcomer_a_configuration() {
    let output = broker(&["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "run",
        "check-config",
        "[[listen]]",
        "password_file",
        "PAYLATCH__",
    ] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let folder = folder("");
    let output = broker(&["check-config", "--config", &config_of(folder.path())]);
    assert_eq!(line_of(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_bad_configuration_is_one_line_with_file_and_field_and_exit_78() {
    for (extra, words) in [
        ("alow_plaintext = true", "alow_plaintext"),
        ("limits = { connections_max = \"many\" }", "connections_max"),
        ("policy = \"anarchy\"", "policy"),
        (
            "[[users]]\nname = \"x\"\npassword_file = \"/nowhere\"\nidentity = \"monitor\"",
            "/nowhere",
        ),
        ("[[listen]]\naddress = \"0.0.0.0:0\"", "0.0.0.0:0"),
    ] {
        let folder = folder(extra);
        let config = config_of(folder.path());
        for command in ["check-config", "run"] {
            let output = broker(&[command, "--config", &config]);
            let line = line_of(&output);
            assert_eq!(output.status.code(), Some(78), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(
                line.starts_with("error: ") && line.contains(words),
                "{line}"
            );
            assert!(line.contains("broker.toml"), "{line}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_exit_64_and_a_taken_port_69() {
    assert_eq!(broker(&["serve"]).status.code(), Some(64));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = folder(&format!("[[listen]]\naddress = \"{address}\""));
    let output = broker(&["run", "--config", &config_of(folder.path())]);
    let line = line_of(&output);
    assert_eq!(output.status.code(), Some(69), "{line}");
    assert!(line.contains(&address.to_string()), "{line}");
}

struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // TERM and not KILL, which `timeout` can't pass on.
        let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
        let pid = self.child.id().to_string();
        assert!(ended || Command::new("kill").args(["-TERM", &pid]).status().is_ok());
    }
}

/// Under `timeout`, which in the foreground passes a signal on once.
fn run(folder: &Path) -> Running {
    // Whatever goes wrong, reading its lines ends with it.
    let mut child = Command::new("timeout")
        .args([
            "--foreground",
            "60",
            BINARY,
            "run",
            "--config",
            &config_of(folder),
        ])
        .env_remove("PAYLATCH_LOG")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap());
    Running { child, lines }
}

impl Running {
    /// The address in the next line that holds `words`.
    fn address_after(&mut self, words: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "ended before '{words}'"
            );
            if line.contains(words) {
                let (_, address) = line.trim().split_once("address=").unwrap();
                return address.to_owned();
            }
        }
    }
}

fn get(address: &str, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    write!(
        socket,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_running_broker_says_where_it_is_and_ends_on_a_signal() {
    let folder = folder("health = \"127.0.0.1:0\"");
    let mut running = run(folder.path());
    let door = running.address_after("listening");
    let health = running.address_after("health and metrics");
    let mut refused = TcpStream::connect(&door).unwrap();
    refused
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    refused.write_all(&[0xf0, 0]).unwrap();
    assert_eq!(refused.read(&mut [0; 8]).unwrap(), 0);
    assert!(get(&health, "/readyz").starts_with("HTTP/1.1 200"));
    let metrics = get(&health, "/metrics");
    let counted = "paylatch_broker_refusals_total{reason=\"packet_type\"} 1";
    assert!(metrics.contains(counted), "{metrics}");

    let pid = running.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(&door).is_err());
}
