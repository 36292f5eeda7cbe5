//! Drives one connection of one client, terminal or service alike.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use protocol::time::Tick;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout};

use crate::client::Client;
use crate::door::Door;
use crate::message::Message;
use crate::metrics::{self, Close};
use crate::packet::{self, Outgoing};
use crate::session::{Arrival, CloseReason, Output};
use crate::stream::Stream;

/// Above this the client gets nothing new and nothing of it is read until it has taken some.
const OUTPUT_BYTES_HIGH: usize = 32 * 1024;

/// Room for each read: most packets of the contract fit, and 10,000 idle clients cost 20 MB.
const READ_BYTES: usize = 2 * 1024;

/// How long a closing connection may take for its last bytes.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long what a refused client still sends is read away: a socket closed with unread bytes is
/// reset, and the reset would eat the CONNACK that says why.
const LINGER_TIMEOUT: Duration = Duration::from_millis(250);

/// A connection past its CONNECT.
#[derive(Debug)]
pub(crate) struct Attachment {
    pub(crate) stream: Stream,
    /// Bytes that came behind the CONNECT.
    pub(crate) input: BytesMut,
    pub(crate) arrival: Arrival,
    pub(crate) will: Option<Message>,
    pub(crate) peer: SocketAddr,
    /// Counts this connection until it is dropped.
    pub(crate) permit: ConnectionPermit,
}

/// One of the connections that the broker may hold.
#[derive(Debug)]
pub(crate) struct ConnectionPermit(OwnedSemaphorePermit);

impl ConnectionPermit {
    pub(crate) fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics::connection_opened();
        Self(permit)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        metrics::connection_gone();
        tracing::trace!(permits = self.0.num_permits(), "connection permit returned");
    }
}

/// How a connection ended, and the one that takes its place if it was taken over.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) close: Close,
    pub(crate) next: Option<Box<Attachment>>,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self { close, next: None }
    }
}

struct Connection<'a> {
    door: &'a Door,
    client: &'a mut Client,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    input: BytesMut,
    output: BytesMut,
    /// TLS may hold bytes that a write has accepted.
    is_unflushed: bool,
    /// When the client last took something; counts only while something waits for it.
    taken_at: Tick,
}

/// What woke the connection.
enum Event {
    Read(io::Result<usize>),
    Written(io::Result<()>),
    Message(Option<Message>),
    Time,
    TakenOver(Option<Attachment>),
    Stopping,
}

/// Serves one connection until it ends, and says goodbye. The permit goes with the connection.
pub(crate) async fn drive(
    door: &Door,
    client: &mut Client,
    attachment: Attachment,
    mailbox: &mut mpsc::Receiver<Attachment>,
) -> End {
    let now = door.clock.now().tick;
    let (reader, writer) = tokio::io::split(attachment.stream);
    client.begin(attachment.arrival, now);
    let mut connection = Connection {
        door,
        client,
        reader,
        writer,
        input: attachment.input,
        output: BytesMut::new(),
        is_unflushed: false,
        taken_at: now,
    };
    let end = connection.serve(mailbox).await;
    // In the background: whoever takes over does not wait for a client that may be long gone.
    let farewell = connection.farewell(end.close, attachment.permit);
    door.tasks.spawn(farewell);
    end
}

impl Connection<'_> {
    async fn serve(&mut self, mailbox: &mut mpsc::Receiver<Attachment>) -> End {
        let first_deadline = self.deadline();
        let sleep = tokio::time::sleep_until(self.instant(first_deadline));
        tokio::pin!(sleep);
        loop {
            if let Err(close) = self.advance().await {
                return close.into();
            }
            // The timer is only ever moved when it fires: deadlines move later with each packet.
            let door = self.door;
            let event = tokio::select! {
                event = self.io() => event,
                () = &mut sleep => Event::Time,
                next = mailbox.recv() => Event::TakenOver(next),
                () = door.shutdown.cancelled() => Event::Stopping,
            };
            if let Err(end) = self.handle(event) {
                return end;
            }
            let deadline = self.instant(self.deadline());
            if sleep.is_elapsed() || deadline < sleep.deadline() {
                sleep.as_mut().reset(deadline);
            }
        }
    }

    /// Everything that can be done without waiting for the client.
    async fn advance(&mut self) -> Result<(), Close> {
        self.perform().await?;
        while self.output.len() < OUTPUT_BYTES_HIGH {
            match packet::decode(&mut self.input, self.door.limits.packet_bytes_max) {
                Ok(Some(packet)) => {
                    let now = self.door.clock.now().tick;
                    self.client.session.handle_packet(packet, now);
                    self.perform().await?;
                }
                Ok(None) => break,
                Err(violation) => {
                    return Err(Close::Session(CloseReason::Violation(violation)));
                }
            }
        }
        self.fill().await
    }

    async fn fill(&mut self) -> Result<(), Close> {
        while self.wants_message() {
            let Some(message) = self.client.next_waiting(self.door).await else {
                break;
            };
            self.pass(message).await?;
        }
        Ok(())
    }

    async fn pass(&mut self, message: Message) -> Result<(), Close> {
        let now = self.door.clock.now().tick;
        if !self.client.session.handle_message(message, now) {
            metrics::dropped(metrics::Drop::NotSubscribed);
        }
        self.perform().await
    }

    fn wants_message(&self) -> bool {
        self.output.len() < OUTPUT_BYTES_HIGH && self.client.session.has_room()
    }

    async fn perform(&mut self) -> Result<(), Close> {
        while let Some(output) = self.client.session.poll_output() {
            match output {
                Output::Send(packet) => self.queue(&packet),
                Output::Close(reason) => return Err(Close::Session(reason)),
                other => self
                    .client
                    .perform(other, self.door)
                    .await
                    .map_err(|_| Close::Router)?,
            }
        }
        Ok(())
    }

    fn queue(&mut self, packet: &Outgoing) {
        if let Outgoing::Publish { duplicate, .. } = packet {
            metrics::published_out(self.client.kind, *duplicate);
        }
        if self.output.is_empty() {
            self.taken_at = self.door.clock.now().tick;
        }
        packet::encode(packet, &mut self.output);
    }

    async fn io(&mut self) -> Event {
        let wants_message = self.wants_message();
        let wants_input = self.output.len() < OUTPUT_BYTES_HIGH;
        let has_output = !self.output.is_empty() || self.is_unflushed;
        self.input.reserve(READ_BYTES);
        tokio::select! {
            read = self.reader.read_buf(&mut self.input), if wants_input => Event::Read(read),
            written = write(&mut self.writer, &mut self.output, &mut self.is_unflushed), if has_output => {
                Event::Written(written)
            }
            message = self.client.inbox.recv(), if wants_message => Event::Message(message),
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), End> {
        let now = self.door.clock.now().tick;
        match event {
            Event::Read(Ok(0) | Err(_)) | Event::Written(Err(_)) => Err(Close::Vanished.into()),
            Event::Read(Ok(_)) => Ok(()),
            Event::Written(Ok(())) => {
                self.taken_at = now;
                Ok(())
            }
            Event::Message(Some(message)) => {
                if !self.client.session.handle_message(message, now) {
                    metrics::dropped(metrics::Drop::NotSubscribed);
                }
                Ok(())
            }
            // The other end lives as long as the broker serves.
            Event::Message(None) => Err(Close::Router.into()),
            Event::Time => self.handle_time(now),
            Event::TakenOver(next) => Err(End {
                close: Close::TakenOver,
                next: next.map(Box::new),
            }),
            Event::Stopping => Err(Close::Stopping.into()),
        }
    }

    fn handle_time(&mut self, now: Tick) -> Result<(), End> {
        if self.write_deadline().is_some_and(|at| now >= at) {
            return Err(Close::WriteStalled.into());
        }
        self.client.session.handle_timeout(now);
        Ok(())
    }

    fn deadline(&self) -> Tick {
        let session = self.client.session.poll_timeout();
        self.write_deadline().map_or(session, |at| at.min(session))
    }

    fn write_deadline(&self) -> Option<Tick> {
        let limit = Duration::from_millis(self.door.limits.write_timeout_ms);
        (!self.output.is_empty() || self.is_unflushed).then(|| self.taken_at + limit)
    }

    fn instant(&self, deadline: Tick) -> Instant {
        Instant::now() + deadline.since(self.door.clock.now().tick)
    }

    /// Sends what is queued, unless that is what failed, and closes in order.
    fn farewell(self, close: Close, permit: ConnectionPermit) -> impl Future<Output = ()> + use<> {
        let (mut reader, mut writer, mut output) = (self.reader, self.writer, self.output);
        async move {
            let is_reachable = !matches!(close, Close::Vanished | Close::WriteStalled);
            let flushed = timeout(FAREWELL_TIMEOUT, writer.write_all_buf(&mut output));
            if is_reachable && matches!(flushed.await, Ok(Ok(()))) {
                part(&mut reader, &mut writer).await;
            }
            drop(permit);
        }
    }
}

/// Ends the sending side and reads away what the client sent before it knew.
pub(crate) async fn part(
    reader: &mut (impl tokio::io::AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) {
    let parting = async {
        writer.shutdown().await?;
        let mut rest = [0; 1024];
        while reader.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    if !matches!(timeout(LINGER_TIMEOUT, parting).await, Ok(Ok(()))) {
        tracing::trace!("closed a connection whose client was still sending");
    }
}

/// One write, or the flush that follows the last. Cancel-safe.
async fn write(
    writer: &mut WriteHalf<Stream>,
    output: &mut BytesMut,
    is_unflushed: &mut bool,
) -> io::Result<()> {
    if output.is_empty() {
        writer.flush().await?;
        *is_unflushed = false;
        return Ok(());
    }
    if writer.write_buf(output).await? == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    *is_unflushed = true;
    if output.is_empty() && output.capacity() > OUTPUT_BYTES_HIGH / 8 {
        // A burst is over; 10,000 clients shall not each keep its buffer.
        *output = BytesMut::new();
    }
    Ok(())
}
