//! Who is connected: sessions by client id, and the terminals among them by name.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use protocol::topic::{TerminalName, Topic};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::bus::lock;
use crate::connection::Attachment;
use crate::message::Message;
use crate::metrics;

/// Second CONNECTs that wait while the session ends its first connection. More are refused: they
/// come from a client that fights with itself.
const TAKEOVERS_MAX: usize = 4;

/// A session's name. Client ids are scoped by user, so nobody can take over a stranger's session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub(crate) user: String,
    pub(crate) client_id: String,
}

/// What became of a connection that asked for a session.
pub(crate) enum Entrance {
    /// The running session goes on with it.
    TakenOver,
    /// There is no such session: start one, which hears of takeovers here.
    Begin(Box<Attachment>, mpsc::Receiver<Attachment>),
    Refused(Box<Attachment>),
}

#[derive(Debug)]
struct TerminalInbox {
    number: u64,
    inbox: mpsc::Sender<Message>,
}

#[derive(Debug, Default)]
struct Tables {
    sessions: HashMap<SessionKey, mpsc::Sender<Attachment>>,
    sessions_by_user: HashMap<String, usize>,
    /// Kept sessions without a connection, the longest absent first.
    absent: VecDeque<(SessionKey, CancellationToken)>,
    terminals: HashMap<TerminalName, Vec<TerminalInbox>>,
    numbers: u64,
}

impl Tables {
    fn evict(&mut self, is_meant: impl Fn(&SessionKey) -> bool) {
        let found = self.absent.iter().position(|(key, _)| is_meant(key));
        if let Some((_, evicted)) = found.and_then(|index| self.absent.remove(index)) {
            evicted.cancel();
        }
    }
}

/// Shared by all connections; every call is short and waits for nothing.
#[derive(Debug)]
pub(crate) struct Registry {
    tables: Mutex<Tables>,
    sessions_per_user_max: usize,
}

impl Registry {
    pub(crate) fn new(sessions_per_user_max: usize) -> Self {
        Self {
            tables: Mutex::default(),
            sessions_per_user_max,
        }
    }

    /// Gives a connection to its session, or the word to begin one.
    pub(crate) fn enter(&self, key: &SessionKey, attachment: Attachment) -> Entrance {
        let mut tables = lock(&self.tables);
        if let Some(mailbox) = tables.sessions.get(key) {
            return match mailbox.try_send(attachment) {
                Ok(()) => Entrance::TakenOver,
                Err(error) => Entrance::Refused(Box::new(error.into_inner())),
            };
        }
        let count = tables.sessions_by_user.entry(key.user.clone()).or_default();
        if *count >= self.sessions_per_user_max {
            tables.evict(|absent| absent.user == key.user);
            return Entrance::Refused(Box::new(attachment));
        }
        *count += 1;
        let (sender, mailbox) = mpsc::channel(TAKEOVERS_MAX);
        tables.sessions.insert(key.clone(), sender);
        Entrance::Begin(Box::new(attachment), mailbox)
    }

    /// Ends a session, unless a connection came for it in this very moment.
    pub(crate) fn leave(
        &self,
        key: &SessionKey,
        mailbox: &mut mpsc::Receiver<Attachment>,
    ) -> Option<Attachment> {
        let mut tables = lock(&self.tables);
        if let Ok(next) = mailbox.try_recv() {
            return Some(next);
        }
        tables.sessions.remove(key);
        if let Some(count) = tables.sessions_by_user.get_mut(&key.user) {
            *count -= 1;
            if *count == 0 {
                tables.sessions_by_user.remove(&key.user);
            }
        }
        None
    }

    /// Notes that a kept session has no connection. The token ends it: those who are here come
    /// before those who are not.
    pub(crate) fn begin_absence(&self, key: &SessionKey) -> CancellationToken {
        let evicted = CancellationToken::new();
        let mut tables = lock(&self.tables);
        tables.absent.push_back((key.clone(), evicted.clone()));
        evicted
    }

    pub(crate) fn end_absence(&self, key: &SessionKey) {
        lock(&self.tables)
            .absent
            .retain(|(absent, _)| absent != key);
    }

    /// Ends the session that is absent for longest, of whatever user: its place comes free in a
    /// moment, so whoever was refused gets it at the next try.
    pub(crate) fn evict_absent(&self) {
        lock(&self.tables).evict(|_| true);
    }

    /// Delivers to a terminal from now on; the number is for [`Registry::remove_terminal`].
    pub(crate) fn add_terminal(&self, name: &TerminalName, inbox: mpsc::Sender<Message>) -> u64 {
        let mut tables = lock(&self.tables);
        tables.numbers += 1;
        let number = tables.numbers;
        let inboxes = tables.terminals.entry(name.clone()).or_default();
        inboxes.push(TerminalInbox { number, inbox });
        number
    }

    pub(crate) fn remove_terminal(&self, name: &TerminalName, number: u64) {
        let mut tables = lock(&self.tables);
        if let Some(inboxes) = tables.terminals.get_mut(name) {
            inboxes.retain(|entry| entry.number != number);
            if inboxes.is_empty() {
                tables.terminals.remove(name);
            }
        }
    }

    /// Puts a message into the queue of every session of its terminal. Nothing waits here: a full
    /// queue costs its own terminal a message, which the platform repeats until it is answered.
    pub(crate) fn deliver(&self, message: &Message) {
        let topic = std::str::from_utf8(&message.topic).map(str::parse);
        let Ok(Ok(Topic::Down(name, _))) = topic else {
            return metrics::dropped(metrics::Drop::NoTerminal);
        };
        let tables = lock(&self.tables);
        let Some(inboxes) = tables.terminals.get(&name) else {
            return metrics::dropped(metrics::Drop::Absent);
        };
        for entry in inboxes {
            if entry.inbox.try_send(message.clone()).is_err() {
                metrics::dropped(metrics::Drop::QueueFull);
            }
        }
    }
}
