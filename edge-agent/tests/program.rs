//! The program itself: its words, its exit codes, and what operators read from it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own trouble ends it"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use process::clock::Clock;

const PROGRAM: &str = env!("CARGO_BIN_EXE_paylatch-agent");

/// A program that is killed with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            eprintln!("the program did not end: {error}");
        }
    }
}

/// A folder with a configuration whose broker is not there.
fn folder(page: u16, health: u16) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "terminal = \"north/gate-1\"\ndata_folder = \"{path}/data\"\n\
         [page]\nlisten = \"127.0.0.1:{page}\"\n\
         [broker]\naddress = \"127.0.0.1:9\"\nuser = \"gate-1\"\npassword_file = \"{path}/password\"\n\
         [platform]\nid = \"main\"\npublic_keys = [\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"]\n\
         [[devices]]\nid = \"gate\"\ndriver.simulated = {{}}\naction.pulse = {{ ms = 500 }}\n\
         [health]\nlisten = \"127.0.0.1:{health}\"\n",
        path = folder.path().display(),
    );
    fs::write(folder.path().join("agent.toml"), text).unwrap();
    folder
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .arg("--config")
        .arg(folder.join("agent.toml"))
        .args(words);
    command
}

fn run(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(folder, words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Looks again until the page answers.
fn wait_for(port: u16, path: &str) -> String {
    let clock = Clock::system();
    let deadline = clock.now().tick + Duration::from_secs(20);
    while clock.now().tick < deadline {
        if let Some(answer) = get(port, path) {
            return answer;
        }
        std::thread::yield_now();
    }
    panic!("{path} did not answer within 20 s");
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn a_key_is_made_once_and_its_public_half_is_printed() {
    let folder = folder(0, 0);
    let (code, first, _) = run(folder.path(), &["keys", "init"]);
    assert_eq!((code, first.trim().len()), (Some(0), 43));
    let (code, _, error) = run(folder.path(), &["keys", "init"]);
    assert_eq!(code, Some(78));
    assert!(error.contains("there is a key already"), "{error}");
    let (code, shown, _) = run(folder.path(), &["keys", "show"]);
    assert_eq!((code, shown), (Some(0), first));
}

#[test]
fn a_config_error_is_one_line_and_exit_78() {
    let folder = folder(0, 0);
    let (code, out, _) = run(folder.path(), &["check-config"]);
    assert_eq!(code, Some(0));
    assert!(
        out.ends_with("agent.toml: ok, terminal north/gate-1\n"),
        "{out}"
    );
    let path = folder.path().join("agent.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("[platform]", "[platfrom]")).unwrap();
    let (code, out, error) = run(folder.path(), &["check-config"]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("platfrom"), "{error}");
}

#[test]
fn running_without_a_key_says_how_to_make_one() {
    let folder = folder(0, 0);
    let (code, _, error) = run(folder.path(), &["run"]);
    assert_eq!(code, Some(78));
    assert!(error.contains("keys init"), "{error}");
}

#[test]
fn without_its_broker_it_lives_serves_a_page_and_is_not_ready() {
    let (page, health) = (free_port(), free_port());
    let folder = folder(page, health);
    assert_eq!(run(folder.path(), &["keys", "init"]).0, Some(0));
    let child = command(folder.path(), &["run"])
        .stderr(Stdio::null())
        .spawn();
    let running = Running(child.unwrap());
    assert!(wait_for(health, "/livez").starts_with("HTTP/1.1 200"));
    let ready = wait_for(health, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.contains("uplink"), "{ready}");
    let landing = wait_for(page, "/");
    assert!(landing.starts_with("HTTP/1.1 200"), "{landing}");
    let metrics = wait_for(health, "/metrics");
    assert!(
        metrics.contains("# HELP paylatch_agent_serving "),
        "{metrics}"
    );

    let second = run(folder.path(), &["run"]);
    assert_eq!(second.0, Some(70), "the journal is locked: {}", second.2);
    assert!(second.2.contains("journal"), "{}", second.2);
    drop(running);
}
