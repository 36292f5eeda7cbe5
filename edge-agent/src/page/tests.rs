//! The pages over real HTTP, with a desk that the test answers.

mod receipt;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::message::ItemLine;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::gallery;
use crate::desk::{Call, Desk, DeskError, Landing, LandingState, View};

/// What the desk answers, and what it was asked.
struct Script {
    state: LandingState,
    view: Result<View, DeskError>,
    choice: Result<(), DeskError>,
    cancel: Result<(), DeskError>,
    pay: Result<String, DeskError>,
    asked: Vec<String>,
}

struct Terminal {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    changes: watch::Sender<u64>,
    shutdown: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

const PAY_URL: &str = "https://pay.example/order/1?from=phone";

impl Terminal {
    async fn start(view: View) -> Self {
        let script = Arc::new(Mutex::new(Script {
            state: LandingState::Free,
            view: Ok(view),
            choice: Ok(()),
            cancel: Ok(()),
            pay: Ok(PAY_URL.to_owned()),
            asked: Vec::new(),
        }));
        let (calls, inbox) = mpsc::channel(crate::desk::CALLS_MAX);
        let (changes, watched) = watch::channel(7);
        tokio::spawn(answer_calls(inbox, Arc::clone(&script)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let desk = Desk::new(calls, watched);
        let served = tokio::spawn(super::serve(listener, desk, shutdown.clone()));
        Self {
            address,
            script,
            changes,
            shutdown,
            served,
        }
    }

    fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    /// What the desk was asked since the last look.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.script.lock().unwrap().asked)
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    async fn post(&self, path: &str, form: &str) -> Answer {
        let length = form.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
        ))
        .await
    }

    async fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .unwrap()
            .unwrap();
        Answer::parse(&String::from_utf8(bytes).unwrap())
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        Self {
            status,
            headers: lines.map(pair).collect(),
            body: body.to_owned(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    fn redirect(&self) -> (u16, Option<&str>) {
        (self.status, self.header("location"))
    }

    fn shows(&self, state: &str) -> bool {
        self.body.contains(&format!("data-state=\"{state}\""))
    }
}

async fn answer_calls(mut inbox: mpsc::Receiver<Call>, script: Arc<Mutex<Script>>) {
    while let Some(call) = inbox.recv().await {
        let mut script = script.lock().unwrap();
        let asked = answer_call(call, &script);
        // Every page asks for the shop; that is no news.
        if asked != "landing" {
            script.asked.push(asked);
        }
    }
}

/// Answers as scripted, for whom the gallery's token names; nobody else has a session.
fn answer_call(call: Call, script: &Script) -> String {
    let known = |token| match token == gallery::token() {
        true => Ok(()),
        false => Err(DeskError::NotFound),
    };
    let (asked, taken) = match call {
        Call::Landing(reply) => {
            let landing = Landing {
                shop: Some(gallery::shop()),
                state: script.state.clone(),
            };
            ("landing".to_owned(), reply.send(landing).is_ok())
        }
        Call::Accept(reply) => {
            let token = match script.state {
                LandingState::Free => Ok(gallery::token()),
                LandingState::Busy | LandingState::Unavailable { .. } => Err(DeskError::Busy),
            };
            ("accept".to_owned(), reply.send(token).is_ok())
        }
        Call::View(token, reply) => {
            let view = known(token).and_then(|()| script.view.clone());
            ("view".to_owned(), reply.send(view).is_ok())
        }
        Call::StatusLink(token, reply) => {
            let link = known(token).is_ok().then(gallery::link);
            // Every page of a session asks for it, as for the shop.
            ("landing".to_owned(), reply.send(link).is_ok())
        }
        Call::Keep(token, reply) => ("keep".to_owned(), reply.send(known(token)).is_ok()),
        Call::Choose(token, lines, reply) => {
            let result = known(token).and_then(|()| script.choice.clone());
            (
                format!("choose {}", told(&lines)),
                reply.send(result).is_ok(),
            )
        }
        Call::Cancel(token, reply) => {
            let result = known(token).and_then(|()| script.cancel.clone());
            ("cancel".to_owned(), reply.send(result).is_ok())
        }
        Call::GoPaying(token, reply) => {
            let result = known(token).and_then(|()| script.pay.clone());
            ("pay".to_owned(), reply.send(result).is_ok())
        }
        Call::Returned(names, reply) => {
            let ours = names == (gallery::transaction(), gallery::return_secret());
            let result = ours.then(gallery::token).ok_or(DeskError::NotFound);
            ("returned".to_owned(), reply.send(result).is_ok())
        }
    };
    assert!(taken, "the page did not wait for {asked}");
    asked
}

fn told(lines: &[ItemLine]) -> String {
    let line = |line: &ItemLine| format!("{}x{}", line.quantity, line.item);
    lines.iter().map(line).collect::<Vec<_>>().join(" ")
}

fn return_path(secret: &str) -> String {
    format!("/return/{}/{secret}", gallery::transaction())
}

fn choosing() -> View {
    View::Choose {
        items: gallery::items(),
        seconds_left: 100,
    }
}

fn billed() -> View {
    View::Bill {
        quote: gallery::quote(),
        seconds_left: 100,
    }
}

fn session() -> String {
    format!("/s/{}", gallery::token())
}

#[tokio::test]
async fn looking_takes_nothing_and_continuing_takes_the_lease() {
    let terminal = Terminal::start(choosing()).await;
    let landing = terminal.get("/").await;
    assert_eq!(landing.status, 200);
    assert!(landing.shows("free"));
    let form = "<form method=\"post\" action=\"/accept\"><button>Continue</button></form>";
    assert!(landing.body.contains(form));
    assert_eq!(terminal.get("/accept").await.status, 405);
    assert_eq!(terminal.asked(), Vec::<String>::new());

    let accepted = terminal.post("/accept", "").await;
    assert_eq!(accepted.redirect(), (303, Some(session().as_str())));
    assert!(terminal.get(&session()).await.shows("choose"));
    assert_eq!(terminal.asked(), ["accept", "view"]);
}

#[tokio::test]
async fn a_second_phone_is_told_to_wait() {
    let terminal = Terminal::start(choosing()).await;
    terminal.set(|script| script.state = LandingState::Busy);
    assert_eq!(
        terminal.post("/accept", "").await.redirect(),
        (303, Some("/"))
    );
    let landing = terminal.get("/").await;
    assert!(landing.shows("busy"));
    assert!(!landing.body.contains("action=\"/accept\""));
    assert!(
        landing
            .body
            .contains("<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript>")
    );
}

#[tokio::test]
async fn every_answer_carries_the_same_strict_headers() {
    let terminal = Terminal::start(billed()).await;
    let always = [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        (
            "permissions-policy",
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
    ];
    let paths = [
        "/",
        &session(),
        "/nowhere",
        "/return/1/2",
        &format!("{}/receipt.json", session()),
    ];
    for path in paths {
        let answer = terminal.get(path).await;
        for (name, value) in always {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("set-cookie"), None, "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
    }
    let landing = terminal.get("/").await;
    let mut names: Vec<_> = landing
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    let expected = [
        "cache-control",
        "connection",
        "content-length",
        "content-security-policy",
        "content-type",
        "date",
        "permissions-policy",
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        landing.header("content-type"),
        Some("text/html; charset=utf-8")
    );

    let accepted = terminal.post("/accept", "").await;
    let strictest = "default-src 'none'; frame-ancestors 'none'";
    assert_eq!(accepted.header("content-security-policy"), Some(strictest));
}

#[tokio::test]
async fn a_policy_allows_our_script_and_the_payment_page_alone() {
    let terminal = Terminal::start(billed()).await;
    let landing = terminal.get("/").await;
    let policy = landing
        .header("content-security-policy")
        .unwrap()
        .to_owned();
    let words: Vec<_> = policy
        .split("; ")
        .map(|part| part.split(' ').next().unwrap())
        .collect();
    let expected = [
        "default-src",
        "script-src",
        "style-src",
        "img-src",
        "connect-src",
        "base-uri",
        "frame-ancestors",
        "form-action",
    ];
    assert_eq!(words, expected);
    assert!(!policy.contains("unsafe"));
    assert!(policy.ends_with("form-action 'self'"));
    let bill = terminal.get(&session()).await;
    let with_target = format!("{policy} https://pay.example");
    assert_eq!(
        bill.header("content-security-policy"),
        Some(with_target.as_str())
    );
}

#[tokio::test]
async fn what_the_payer_does_reaches_the_desk_and_leads_on() {
    let terminal = Terminal::start(choosing()).await;
    let here = session();
    let chosen = terminal
        .post(
            &format!("{here}/choose"),
            "quantity.short=1&quantity.day=0&quantity.wash=2",
        )
        .await;
    assert_eq!(chosen.redirect(), (303, Some(here.as_str())));
    let paying = terminal.post(&format!("{here}/pay"), "").await;
    assert_eq!(paying.redirect(), (303, Some(PAY_URL)));
    let back = terminal
        .get(&return_path(&gallery::return_secret().to_string()))
        .await;
    assert_eq!(back.redirect(), (303, Some(here.as_str())));
    let cancelled = terminal.post(&format!("{here}/cancel"), "").await;
    assert_eq!(cancelled.redirect(), (303, Some(here.as_str())));
    assert_eq!(
        terminal.asked(),
        ["choose 1xshort 2xwash", "pay", "returned", "cancel"]
    );
}

#[tokio::test]
async fn what_is_not_possible_any_more_shows_the_session() {
    let terminal = Terminal::start(choosing()).await;
    terminal.set(|script| {
        script.cancel = Err(DeskError::Conflict);
        script.pay = Ok(String::new());
    });
    for action in ["cancel", "pay"] {
        let answer = terminal.post(&format!("{}/{action}", session()), "").await;
        assert_eq!(
            answer.redirect(),
            (303, Some(session().as_str())),
            "{action}"
        );
    }
}

#[tokio::test]
async fn bad_forms_get_one_clear_line_and_reach_nobody() {
    let terminal = Terminal::start(choosing()).await;
    let path = format!("{}/choose", session());
    let large = format!("quantity.a={}", "1".repeat(5_000));
    for (form, status, line) in [
        (
            "amount=1",
            400,
            "there is no field &#39;amount&#39;; go back and choose again",
        ),
        (
            "quantity.a=x",
            400,
            "quantity.a is &#39;x&#39;; write a whole number from 0 to 65535",
        ),
        (
            large.as_str(),
            413,
            "the form has more than 4096 bytes; go back and choose again",
        ),
    ] {
        let answer = terminal.post(&path, form).await;
        assert_eq!(answer.status, status, "{form:.20}");
        let expected = line.replace("&#39;", "'");
        assert!(
            answer.body.contains(&expected),
            "{form:.20}: {}",
            answer.body
        );
        assert!(answer.shows("wrong"));
    }
    assert_eq!(terminal.asked(), Vec::<String>::new());

    let refused = DeskError::Choice {
        reason: "choose at least one item".to_owned(),
    };
    terminal.set(|script| script.choice = Err(refused));
    let answer = terminal.post(&path, "").await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("<p>choose at least one item</p>"));
}

#[tokio::test]
async fn a_stranger_finds_no_session() {
    let terminal = Terminal::start(choosing()).await;
    let other = "00000000000000000000000000000000";
    for path in [
        format!("/s/{other}"),
        "/s/1".to_owned(),
        return_path(other),
        format!("/return/{other}/{}", gallery::return_secret()),
    ] {
        let answer = terminal.get(&path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.shows("gone"), "{path}");
    }
    for action in ["choose", "cancel", "pay"] {
        let answer = terminal.post(&format!("/s/{other}/{action}"), "").await;
        assert_eq!(answer.status, 404, "{action}");
    }
    assert_eq!(
        terminal.get(&format!("/s/{other}/events")).await.status,
        404
    );
}

#[tokio::test]
async fn a_terminal_out_of_service_says_why() {
    let terminal = Terminal::start(choosing()).await;
    let reason = "The gate does not answer. <b>".to_owned();
    terminal.set(|script| script.view = Err(DeskError::Unavailable { reason }));
    let answer = terminal.get(&session()).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .body
            .contains("<p>The gate does not answer. &lt;b&gt;</p>")
    );
}

/// An open event stream.
struct Listener {
    stream: TcpStream,
    read: String,
}

impl Listener {
    async fn open(terminal: &Terminal, after: u64) -> Self {
        let mut stream = TcpStream::connect(terminal.address).await.unwrap();
        let path = format!("{}/events?after={after}", session());
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = String::new();
        let mut listener = Self { stream, read };
        listener.reads("\r\n\r\n").await;
        listener
    }

    /// Reads until `text` has come, and forgets everything up to it.
    async fn reads(&mut self, text: &str) -> String {
        let wanted = async {
            loop {
                if let Some(at) = self.read.find(text) {
                    let rest = self.read.split_off(at + text.len());
                    return std::mem::replace(&mut self.read, rest);
                }
                let mut bytes = [0; 1_024];
                let count = self.stream.read(&mut bytes).await.unwrap();
                assert!(count > 0, "the stream ended before {text:?}");
                self.read
                    .push_str(std::str::from_utf8(&bytes[..count]).unwrap());
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(10), wanted).await;
        waited.unwrap_or_else(|_| panic!("{text:?} did not come"))
    }
}

#[tokio::test]
async fn a_page_is_told_of_each_change_and_of_the_one_it_missed() {
    let terminal = Terminal::start(billed()).await;
    assert!(
        terminal
            .get(&session())
            .await
            .body
            .contains(" data-events=\"7\"")
    );
    let mut listener = Listener::open(&terminal, 7).await;
    listener.reads("retry: 2000\n").await;
    terminal.changes.send(8).unwrap();
    let event = listener.reads("data: changed\n").await;
    assert_eq!(event.matches("id: ").count(), 1);
    assert!(event.contains("id: 8\n"));

    let mut late = Listener::open(&terminal, 7).await;
    assert!(late.reads("data: changed\n").await.contains("id: 8\n"));
}

#[tokio::test]
async fn streams_are_bounded_and_give_their_place_back() {
    let terminal = Terminal::start(billed()).await;
    let mut listeners = Vec::new();
    for _ in 0..super::events::STREAMS_MAX {
        listeners.push(Listener::open(&terminal, 7).await);
    }
    let path = format!("{}/events?after=7", session());
    assert_eq!(terminal.get(&path).await.status, 503);
    drop(listeners);
    let free = async {
        while terminal.get_head(&path).await != 200 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_listeners() {
    let terminal = Terminal::start(billed()).await;
    let mut listener = Listener::open(&terminal, 7).await;
    listener.reads("retry: 2000\n").await;
    terminal.shutdown.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(2), terminal.served).await;
    ended.unwrap().unwrap().unwrap();
}

impl Terminal {
    /// The status alone, of an answer that may never end.
    async fn get_head(&self, path: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
    }
}
