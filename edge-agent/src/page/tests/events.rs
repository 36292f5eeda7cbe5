//! The stream that tells a page of changes.

use super::*;
use crate::page::events::STREAMS_MAX;

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
    for _ in 0..STREAMS_MAX {
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
