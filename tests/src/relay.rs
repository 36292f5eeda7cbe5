//! A relay board as a Modbus TCP server with sixteen coils, for systems whose terminal may be
//! killed: it stands outside and remembers every coil that changed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// As many as one register of outputs.
const COILS: usize = 16;

/// Bytes before a request's function code: transaction, protocol, length, unit (Modbus Messaging
/// on TCP/IP, section 3.1.3).
const HEADER_BYTES: usize = 7;

const READ_COILS: u8 = 1;
const WRITE_SINGLE_COIL: u8 = 5;

/// Function code, address and value: both requests that this board knows.
const REQUEST_BYTES: usize = 5;

/// How the protocol writes ON (Modbus Application Protocol, section 6.5).
const ON: u16 = 0xff00;

/// A coil that became another than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    pub coil: u16,
    pub on: bool,
}

/// A running board. It ends with its last owner.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    board: Arc<Mutex<Board>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Board {
    coils: [bool; COILS],
    changes: Vec<Change>,
}

impl Relay {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let board = Arc::new(Mutex::new(Board::default()));
        let task = tokio::spawn(serve(listener, Arc::clone(&board)));
        Ok(Self {
            address,
            board,
            task,
        })
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every change since the start, in order.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        board.changes.clone()
    }

    /// How often a coil was switched on.
    #[must_use]
    pub fn on_count(&self) -> usize {
        self.changes().iter().filter(|change| change.on).count()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, board: Arc<Mutex<Board>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let board = Arc::clone(&board);
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &board).await {
                tracing::debug!(%error, "a terminal has gone");
            }
        });
    }
}

async fn answer(mut stream: TcpStream, board: &Mutex<Board>) -> anyhow::Result<()> {
    loop {
        let mut request = [0; HEADER_BYTES + REQUEST_BYTES];
        stream.read_exact(&mut request).await?;
        let (header, asked) = request.split_at(HEADER_BYTES);
        let reply = {
            let mut board = board.lock().unwrap_or_else(PoisonError::into_inner);
            board
                .reply(asked)
                .context("this board knows two requests")?
        };
        let length = u16::try_from(reply.len() + 1)?.to_be_bytes();
        let frame = [&header[..4], &length, &header[6..], &reply].concat();
        stream.write_all(&frame).await?;
    }
}

impl Board {
    fn reply(&mut self, asked: &[u8]) -> Option<Vec<u8>> {
        let &[function, address_high, address_low, value_high, value_low] = asked else {
            return None;
        };
        let coil = u16::from_be_bytes([address_high, address_low]);
        let state = self.coils.get_mut(usize::from(coil))?;
        match function {
            READ_COILS => Some(vec![READ_COILS, 1, u8::from(*state)]),
            WRITE_SINGLE_COIL => {
                let on = u16::from_be_bytes([value_high, value_low]) == ON;
                if *state != on {
                    *state = on;
                    self.changes.push(Change { coil, on });
                }
                Some(asked.to_vec())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_remembered() {
        let mut board = Board::default();
        let (on, off) = ([5, 0, 2, 0xff, 0], [5, 0, 2, 0, 0]);
        for write in [off, on, on, off] {
            assert_eq!(board.reply(&write), Some(write.to_vec()));
        }
        let change = |on| Change { coil: 2, on };
        assert_eq!(board.changes, [change(true), change(false)]);
        assert_eq!(board.reply(&[1, 0, 2, 0, 1]), Some(vec![1, 1, 0]));
        assert_eq!(
            board.reply(&[1, 0, 16, 0, 1]),
            None,
            "there is no such coil"
        );
    }
}
