//! Serving a router with bounds on everything: connections, header time, drain time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// Pause after `accept` failed, for example because no descriptor is free: such errors stay for a
/// while and would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait in the listener's backlog. Default 512: half of the
    /// 1,024 descriptors that a process has without asking.
    pub connections_max: usize,
    /// Time for the header of each request, idle time before it included. Default 30 s: above the
    /// pause between two clicks, so that a browser keeps its connection.
    pub header_timeout: Duration,
    /// How long open requests may go on after the shutdown. Default 5 s: below the 10 s that
    /// service managers commonly grant.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            header_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Serves until `shutdown`, then lets open requests end within the drain deadline. Handlers may
/// extract `axum::extract::ConnectInfo<std::net::SocketAddr>`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    serve_with(listener, router, Limits::default(), shutdown).await
}

/// [`serve`] with other bounds.
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let connections = TaskTracker::new();
    tokio::select! {
        () = accept(&listener, &router, limits, &connections, &shutdown) => {}
        () = crate::metrics::upkeep(&shutdown) => {}
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(%address, open = connections.len(), "connections cut at the drain deadline");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    router: &Router,
    limits: Limits,
    connections: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections_max));
    while !shutdown.is_cancelled() {
        let accepted = tokio::select! {
            accepted = accept_one(listener, &room) => accepted,
            () = shutdown.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let (router, shutdown) = (router.clone(), shutdown.clone());
                connections.spawn(async move {
                    converse(stream, peer, router, limits, shutdown).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept_one(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(limits.drain_timeout, connection).await {
                Ok(served) => served,
                Err(_) => return, // serve_with says how many were cut
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::mpsc;
    use tokio::task::JoinHandle;

    use super::*;

    /// No test waits longer for anything.
    const PATIENCE: Duration = Duration::from_secs(10);

    const LIMITS: Limits = Limits {
        connections_max: 2,
        header_timeout: Duration::from_millis(200),
        drain_timeout: Duration::from_millis(500),
    };

    struct Server {
        address: SocketAddr,
        shutdown: CancellationToken,
        task: JoinHandle<io::Result<()>>,
    }

    impl Server {
        async fn start(router: Router) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let shutdown = CancellationToken::new();
            let task = tokio::spawn(serve_with(listener, router, LIMITS, shutdown.clone()));
            Self {
                address,
                shutdown,
                task,
            }
        }

        async fn connect(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        /// One request on a connection of its own, and all that comes back.
        async fn get(&self, path: &str) -> String {
            let mut stream = self.connect().await;
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            rest(stream).await
        }

        async fn end(self) {
            self.shutdown.cancel();
            let ended = tokio::time::timeout(PATIENCE, self.task).await;
            ended.unwrap().unwrap().unwrap();
        }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text));
        read.await.unwrap().unwrap();
        text
    }

    #[tokio::test]
    async fn handlers_see_the_peer() {
        let peer =
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() });
        let server = Server::start(Router::new().route("/", peer)).await;
        let answer = server.get("/").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n127.0.0.1"), "{answer}");
        server.end().await;
    }

    #[tokio::test]
    async fn a_silent_connection_is_closed_and_makes_room() {
        let server = Server::start(Router::new().route("/", get(|| async { "ok" }))).await;
        let idle = [server.connect().await, server.connect().await];
        // Both places are taken, so this waits in the backlog until a header times out.
        assert!(server.get("/").await.ends_with("ok"));
        for stream in idle {
            rest(stream).await;
        }
        server.end().await;
    }

    #[tokio::test]
    async fn an_open_request_ends_within_the_drain() {
        let (entered, mut entries) = mpsc::channel(1);
        let (leave, exit) = tokio::sync::watch::channel(false);
        let slow = get(move || {
            let (entered, mut exit) = (entered.clone(), exit.clone());
            async move {
                entered.send(()).await.unwrap();
                exit.wait_for(|go| *go).await.unwrap();
                "done"
            }
        });
        let server = Server::start(Router::new().route("/", slow)).await;
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        entries.recv().await.unwrap();
        server.shutdown.cancel();
        leave.send(true).unwrap();
        assert!(rest(stream).await.ends_with("done"));
        server.end().await;
    }

    #[tokio::test]
    async fn a_request_without_end_is_cut_at_the_drain_deadline() {
        let (entered, mut entries) = mpsc::channel(1);
        let stuck = get(move || {
            let entered = entered.clone();
            async move {
                entered.send(()).await.unwrap();
                std::future::pending::<&str>().await
            }
        });
        let server = Server::start(Router::new().route("/", stuck)).await;
        let mut stream = server.connect().await;
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        entries.recv().await.unwrap();
        server.end().await;
        assert_eq!(rest(stream).await, "");
    }
}
