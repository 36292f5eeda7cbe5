//! A browser without scripts, cookies or patience: one request, one connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.to_ascii_lowercase().starts_with(&format!("{name}:"));
        let found = self.head.lines().find(|text| line(text))?;
        Some(found[name.len() + 1..].trim())
    }

    /// Value of the hidden field.
    pub(crate) fn form_token(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"form\" value=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Page {
    exchange(
        address,
        format!("GET {path} HTTP/1.1\r\n{}\r\n", host(address)),
    )
    .await
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Page {
    let kind = "application/x-www-form-urlencoded";
    send(address, "POST", path, kind, body).await
}

pub(crate) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    kind: &str,
    body: &str,
) -> Page {
    let head = format!(
        "{method} {path} HTTP/1.1\r\n{}Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        host(address),
        body.len()
    );
    exchange(address, head + body).await
}

/// Presses a button of the page at `path`.
pub(crate) async fn press(address: SocketAddr, path: &str, button: &str) -> Page {
    let token = get(address, path).await.form_token();
    post(address, path, &format!("form={token}&press={button}")).await
}

fn host(address: SocketAddr) -> String {
    format!("Host: {address}\r\nConnection: close\r\n")
}

async fn exchange(address: SocketAddr, request: String) -> Page {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    };
    let response = tokio::time::timeout(TIMEOUT, exchange).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    Page {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}
