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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit;

    #[tokio::test]
    async fn loopback_needs_no_flag() {
        for address in [
            "127.0.0.1:0",
            "127.9.9.9:0",
            "[::1]:0",
            "[::ffff:127.0.0.1]:0",
        ] {
            let listener = bind(address.parse().unwrap(), false).await;
            // A machine without IPv6 may refuse the address, never the policy.
            assert!(
                !matches!(listener, Err(ListenError::Plaintext { .. })),
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn other_addresses_need_the_flag() {
        let address: SocketAddr = "0.0.0.0:0".parse().unwrap();
        let error = bind(address, false).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "0.0.0.0:0 is reachable by others without encryption: use 127.0.0.1 or pass --allow-plaintext"
        );
        assert_ne!(
            bind(address, true)
                .await
                .unwrap()
                .local_addr()
                .unwrap()
                .port(),
            0
        );
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_that_names_the_address() {
        let first = bind("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let taken = first.local_addr().unwrap();
        let error = bind(taken, false).await.unwrap_err();
        let line = exit::one_line(&error);
        assert_eq!(
            line,
            format!("can't listen on {taken}: Address already in use (os error 98)")
        );
        assert_eq!(exit::code_of(&error), exit::Code::Unavailable);
    }
}
