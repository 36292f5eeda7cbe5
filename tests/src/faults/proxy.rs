//! A wire between two programs that can be cut, stall, or lose its other end unnoticed.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One read: more than any message of ours.
const CHUNK_BYTES: usize = 16 * 1024;

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    Whole,
    /// Every connection is closed, and new ones are closed at once.
    Cut,
    /// Connections stay, and nothing arrives on either side until the wire is whole again.
    Stalled,
    /// What the server says arrives; what the client says does not, until the wire is whole again.
    StalledUp,
    /// What the client says arrives; what the server says does not, until the wire is whole again.
    StalledDown,
    /// The server's side is closed and the client is not told, for the rest of that connection.
    HalfOpen,
}

/// A listening proxy. It ends with its owner.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
    target: watch::Sender<Option<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port; leads nowhere yet.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (wire, state) = watch::channel(Wire::Whole);
        let (target, to) = watch::channel(None);
        let task = tokio::spawn(accept(listener, state, to));
        Ok(Self {
            address,
            wire,
            target,
            task,
        })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections lead.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    wire: watch::Receiver<Wire>,
    target: watch::Receiver<Option<SocketAddr>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let (wire, target) = (wire.clone(), *target.borrow());
        tokio::spawn(async move {
            if let Err(error) = serve(client, wire, target).await {
                tracing::debug!(%error, "a wire has ended");
            }
        });
    }
}

async fn serve(
    mut client: TcpStream,
    wire: watch::Receiver<Wire>,
    target: Option<SocketAddr>,
) -> anyhow::Result<()> {
    let now = *wire.borrow();
    match now {
        Wire::Cut => return Ok(()),
        Wire::HalfOpen => return swallow(client).await,
        Wire::Whole | Wire::Stalled | Wire::StalledUp | Wire::StalledDown => {}
    }
    let mut server = TcpStream::connect(target.context("it leads nowhere")?).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let is_half_open = {
        let (client_in, client_out) = client.split();
        let (server_in, server_out) = server.split();
        let up = [Wire::Whole, Wire::StalledDown];
        let down = [Wire::Whole, Wire::StalledUp];
        tokio::select! {
            result = copy(client_in, server_out, wire.clone(), up) => result.map(|()| false)?,
            result = copy(server_in, client_out, wire.clone(), down) => result.map(|()| false)?,
            () = until(wire.clone(), &[Wire::Cut]) => false,
            () = until(wire.clone(), &[Wire::HalfOpen]) => true,
        }
    };
    drop(server);
    if is_half_open {
        swallow(client).await?;
    }
    Ok(())
}

/// Ends with the reader's end.
async fn copy(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    wire: watch::Receiver<Wire>,
    passing: [Wire; 2],
) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        until(wire.clone(), &passing).await;
        if read == 0 {
            return Ok(());
        }
        to.write_all(
            chunk
                .get(..read)
                .context("a read is no longer than its room")?,
        )
        .await?;
    }
}

async fn until(mut wire: watch::Receiver<Wire>, wanted: &[Wire]) {
    if wire.wait_for(|wire| wanted.contains(wire)).await.is_err() {
        // The proxy has ended: so does this wire, with its task.
        std::future::pending::<()>().await;
    }
}

/// Takes whatever the client says until it gives up.
async fn swallow(mut client: TcpStream) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    while client.read(&mut chunk).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Long enough for a loopback answer, short enough for a test.
    const SILENCE: Duration = Duration::from_millis(150);

    /// A server that says everything twice, behind a proxy.
    async fn echo() -> (Proxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start().await.unwrap();
        proxy.lead_to(listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).await.is_ok() {
                        stream.write_all(&[byte[0]; 2]).await.unwrap();
                    }
                });
            }
        });
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, client)
    }

    async fn heard(client: &mut TcpStream) -> Vec<u8> {
        let mut answer = [0; 2];
        let read = tokio::time::timeout(PATIENCE, client.read_exact(&mut answer)).await;
        read.unwrap().unwrap();
        answer.to_vec()
    }

    async fn is_silent(client: &mut TcpStream) -> bool {
        tokio::time::timeout(SILENCE, client.read(&mut [0]))
            .await
            .is_err()
    }

    #[tokio::test]
    async fn a_stalled_wire_delivers_when_it_is_whole_again() {
        for stalled in [Wire::Stalled, Wire::StalledUp, Wire::StalledDown] {
            let (proxy, mut client) = echo().await;
            client.write_all(&[1]).await.unwrap();
            assert_eq!(heard(&mut client).await, [1, 1]);
            proxy.set(stalled);
            client.write_all(&[2]).await.unwrap();
            assert!(is_silent(&mut client).await, "{stalled:?}");
            proxy.set(Wire::Whole);
            assert_eq!(heard(&mut client).await, [2, 2]);
        }
    }

    #[tokio::test]
    async fn a_cut_wire_ends_connections_and_takes_no_new_ones() {
        let (proxy, mut client) = echo().await;
        client.write_all(&[1]).await.unwrap();
        assert_eq!(heard(&mut client).await, [1, 1]);
        proxy.set(Wire::Cut);
        assert_eq!(client.read(&mut [0]).await.unwrap_or(0), 0);
        let mut second = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn a_half_open_wire_looks_alive_and_stays_silent_for_ever() {
        let (proxy, mut client) = echo().await;
        client.write_all(&[1]).await.unwrap();
        assert_eq!(heard(&mut client).await, [1, 1]);
        proxy.set(Wire::HalfOpen);
        assert!(is_silent(&mut client).await);
        proxy.set(Wire::Whole);
        client.write_all(&[2]).await.unwrap();
        assert!(is_silent(&mut client).await);
    }
}
