//! The pages over real HTTP, with a desk that the test answers.

mod acts;
mod events;
mod headers;
mod receipt;
mod refusals;

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
