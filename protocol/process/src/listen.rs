//! Listeners that are never open to the network by accident.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why a listener was not opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "{address} is reachable by others without encryption: use 127.0.0.1 or pass --allow-plaintext"
    )]
    Plaintext { address: SocketAddr },
    #[error("can't listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
}

/// Binds a plain TCP listener. Anything but loopback needs `allow_plaintext`. Port 0 lets the
/// system choose; ask the listener for its address.
pub async fn bind(address: SocketAddr, allow_plaintext: bool) -> Result<TcpListener, ListenError> {
    if !allow_plaintext && !address.ip().to_canonical().is_loopback() {
        return Err(ListenError::Plaintext { address });
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Bind { address, source })
}
