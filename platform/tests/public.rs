//! The public pages of the real program, and what of them its logs and files know.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use process::clock::Clock;

/// The program starts within a second; this machine may be busy.
const START_TIMEOUT: Duration = Duration::from_secs(30);

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn configure(folder: &Path) {
    let key = "f3zNtNnYfgmEKsQyyHtmruOfJFzBi1lyb_D_2J9CDPo";
    let platform = format!(
        "platform = \"main\"\nsites = \"site.toml\"\n\
         [[gateways]]\nid = \"mock\"\npublic_keys = [\"{key}\"]\n\
         [api]\nlisten = \"127.0.0.1:0\"\n\
         [[broker.embedded.listen]]\naddress = \"127.0.0.1:0\"\n\
         [public]\nlisten = \"127.0.0.1:0\"\nurl = \"https://pay.example\"\n\
         [log]\nlevel = \"trace\"\n"
    );
    let site = format!(
        "id = \"north\"\ncurrency = \"CNY\"\ntime_zone = \"Asia/Shanghai\"\ngateway = \"mock\"\n\
         [merchant]\nname = \"North\"\nabout = {{ en = \"Parking\" }}\nhelp = \"Call 1\"\n\
         [payee]\nid = \"shop\"\nname = \"Shop\"\n\
         [[items]]\nid = \"stay\"\nname = {{ en = \"Stay\" }}\nprice = \"4.50\"\n\
         [[terminals]]\nid = \"gate-1\"\nplace = {{ id = \"gate\", name = \"Gate\" }}\n\
         devices = [\"gate\"]\npublic_key = \"{key}\"\n"
    );
    std::fs::write(folder.join("platform.toml"), platform).unwrap();
    std::fs::write(folder.join("site.toml"), site).unwrap();
}

fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paylatch-platform"));
    command
        .args(["--config", "platform.toml"])
        .current_dir(folder);
    command
}

/// Where the pages are, as the log says once the program serves.
fn wait_for_address(log: &Path) -> String {
    let clock = Clock::system();
    let start = clock.now().tick;
    loop {
        let text = std::fs::read_to_string(log).unwrap();
        let plain: String = text
            .replace('\u{1b}', "")
            .replace("[0m", "")
            .replace("[2m", "")
            .replace("[3m", "");
        if let Some(found) = plain.split("public=").nth(1) {
            return found.split_whitespace().next().unwrap().to_owned();
        }
        assert!(clock.now().tick.since(start) < START_TIMEOUT, "{text}");
        std::thread::yield_now();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn no_log_and_no_file_knows_a_token() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path());
    assert!(
        program(folder.path())
            .args(["keys", "init"])
            .output()
            .unwrap()
            .status
            .success()
    );
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let child = program(folder.path())
        .arg("run")
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let running = Running(child);
    let address = wait_for_address(&log);
    for path in [
        format!("/r/{TOKEN}"),
        format!("/r/{TOKEN}/receipt.json"),
        format!("/{TOKEN}"),
    ] {
        let answer = get(&address, &path);
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.contains("referrer-policy: no-referrer"), "{answer}");
    }
    assert!(get(&address, "/verify").contains("Check a receipt"));
    drop(running);
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder.path())
        .unwrap()
        .chain(std::fs::read_dir(folder.path().join("data")).unwrap())
    {
        let path = entry.unwrap().path();
        if path.is_file() {
            looked_at += 1;
            let bytes = std::fs::read(&path).unwrap();
            let known = bytes
                .windows(TOKEN.len())
                .any(|window| window == TOKEN.as_bytes());
            assert!(!known, "{} knows a token", path.display());
        }
    }
    assert!(
        looked_at >= 5,
        "{looked_at} files are too few: the log and the store are among them"
    );
}
