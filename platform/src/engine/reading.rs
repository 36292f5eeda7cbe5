//! What must be learned of terminals before a restored store may mend anything by itself.
//!
//! A restored store has forgotten what came after its backup: an ON among it. So refunds that rest
//! on the store alone wait until every terminal's journal was read in the new epoch: it was heard,
//! and every sale of before that was open at it has a definite answer. A terminal that names an
//! epoch unknown here has worked for a later store than this one: it takes no new orders.
//!
//! Connections outlive the platform's process, so a terminal that is online is asked for its hello.
//! Until it has said it, it gets no config: that would teach it the epoch that it is asked about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::id::{Entropy, JournalId, Nonce, StoreEpoch, TransactionId};
use protocol::message::{Finding, Inquiry, JournalAnswer};
use protocol::signed::Audience;
use protocol::time::{Now, Tick};
use protocol::topic::TerminalName;

use super::core::Core;
use super::speak;
use crate::metrics;
use crate::sale::Sale;
use crate::store::TerminalNote;
use crate::store::reader::{EpochRow, Known};

/// From one question to a terminal's journal to the same again: what a sale's own inquiry waits.
const ASK_INTERVAL: Duration = Duration::from_secs(5);

/// From one request for a hello to the same again: as rarely as a terminal reports its health, for
/// thousands may be asked at once.
const HELLO_INTERVAL: Duration = Duration::from_secs(60);

/// What is known of every terminal's journal in this epoch.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// Epochs that this store has been in, or that a person has accepted.
    epochs: BTreeSet<StoreEpoch>,
    unread: BTreeMap<TerminalName, Unread>,
    /// Terminals that are connected, as far as this process was told.
    online: BTreeSet<TerminalName>,
}

/// What one terminal is asked for, each under a nonce, in the journal that its sale began in.
type Open = BTreeMap<TransactionId, (Nonce, JournalId)>;

/// Why a terminal still holds mending back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unread {
    Unheard {
        /// When to ask for a hello; `None` while it is not online.
        hello_at: Option<Tick>,
    },
    Asked {
        open: Open,
        ask_at: Tick,
    },
    /// It names an epoch that is unknown here.
    Strange(StoreEpoch),
}

impl Reading {
    /// Of a store that has never been another one.
    pub(super) fn new(epoch: StoreEpoch) -> Self {
        Self {
            epochs: std::iter::once(epoch).collect(),
            unread: BTreeMap::new(),
            online: BTreeSet::new(),
        }
    }

    /// As the store knows it; who is online is asked from now on.
    pub(super) fn restored(
        row: &EpochRow,
        registered: impl Iterator<Item = TerminalName>,
        online: BTreeSet<TerminalName>,
        now: Tick,
    ) -> Self {
        let is_unread = |terminal: &TerminalName, known: &Known| match known {
            Known::Unread => Some(Unread::Unheard {
                hello_at: online.contains(terminal).then_some(now),
            }),
            Known::Strange(epoch) => Some(Unread::Strange(*epoch)),
            Known::Read | Known::Vouched | Known::NotNeeded => None,
        };
        let standings = row.standings(registered);
        let unread = standings
            .into_iter()
            .filter_map(|(terminal, known)| {
                let unread = is_unread(&terminal, &known)?;
                Some((terminal, unread))
            })
            .collect();
        Self {
            epochs: row.epochs.iter().copied().collect(),
            unread,
            online,
        }
    }

    /// Whether refunds that rest on the store alone may go out by themselves.
    pub(super) fn is_mending(&self) -> bool {
        self.unread.is_empty()
    }

    pub(super) fn is_strange(&self, terminal: &TerminalName) -> bool {
        matches!(self.unread.get(terminal), Some(Unread::Strange(_)))
    }

    /// A person answers for the terminal; whether there was anything to answer for.
    pub(super) fn vouch(&mut self, terminal: &TerminalName) -> bool {
        match self.unread.remove(terminal) {
            Some(Unread::Strange(epoch)) => {
                self.epochs.insert(epoch);
                true
            }
            Some(Unread::Unheard { .. } | Unread::Asked { .. }) => true,
            None => false,
        }
    }

    pub(super) fn is_unheard(&self, terminal: &TerminalName) -> bool {
        matches!(self.unread.get(terminal), Some(Unread::Unheard { .. }))
    }

    /// A new process has been told of nobody yet.
    pub(super) fn forget_presence(&mut self) {
        self.online.clear();
    }

    /// A registered terminal comes, and is asked at the next timeout, which is now; or goes.
    pub(super) fn note_presence(&mut self, terminal: &TerminalName, online: bool, now: Tick) {
        if online {
            self.online.insert(terminal.clone());
        } else {
            self.online.remove(terminal);
        }
        if let Some(Unread::Unheard { hello_at }) = self.unread.get_mut(terminal) {
            *hello_at = online.then_some(now);
        }
    }

    pub(super) fn timeout(&self) -> Option<Tick> {
        let ask_at = |unread: &Unread| match unread {
            Unread::Asked { ask_at, .. } => Some(*ask_at),
            Unread::Unheard { hello_at } => *hello_at,
            Unread::Strange(_) => None,
        };
        self.unread.values().filter_map(ask_at).min()
    }
}

impl Core {
    /// What the store knows of epochs and journals.
    pub(crate) fn adopt_epoch(&mut self, row: &EpochRow, now: Now) {
        let registered = self.ground.registry.terminals();
        let names: Vec<_> = registered.map(|terminal| terminal.name.clone()).collect();
        let online = std::mem::take(&mut self.reading.online);
        self.reading = Reading::restored(row, names.into_iter(), online, now.tick);
        self.mend(now);
    }

    /// A terminal says which epoch it has worked in.
    pub(super) fn judge_epoch(
        &mut self,
        terminal: &TerminalName,
        epoch: Option<StoreEpoch>,
        now: Now,
    ) {
        if let Some(strange) = epoch.filter(|epoch| !self.reading.epochs.contains(epoch)) {
            return self.note_strange(terminal, strange, now);
        }
        if !self.reading.is_unheard(terminal) {
            return;
        }
        let open = self.unanswered(terminal);
        if open.is_empty() {
            return self.note_read(terminal, now);
        }
        let ask_at = now.tick;
        let asked = Unread::Asked { open, ask_at };
        self.reading.unread.insert(terminal.clone(), asked);
        self.ask_due(now);
    }

    /// A journal answers; only a definite answer to our own question counts. `is_taken` if the sale
    /// has taken the result in it. Whether it was asked for.
    pub(super) fn take_reading(
        &mut self,
        terminal: &TerminalName,
        (answer, is_taken): (&JournalAnswer, bool),
        now: Now,
    ) -> bool {
        let Some(Unread::Asked { open, .. }) = self.reading.unread.get_mut(terminal) else {
            return false;
        };
        let asked = open.get(&answer.transaction);
        let is_asked = asked.is_some_and(|(nonce, _)| *nonce == answer.nonce);
        let is_definite = match answer.finding {
            Finding::Acting => false,
            Finding::Tombstone | Finding::Decided(_) | Finding::Uncertain(_) => true,
        };
        if !is_asked || !is_definite {
            return is_asked;
        }
        open.remove(&answer.transaction);
        let is_read = open.is_empty();
        // Before anything mends: what it may have served is not returned by itself.
        let _none_if_gone = match answer.finding {
            Finding::Tombstone => self.step(answer.transaction, now, |sale, _| {
                sale.handle_tombstone();
            }),
            Finding::Decided(_) if is_taken => None,
            Finding::Decided(_) | Finding::Uncertain(_) | Finding::Acting => {
                self.step(answer.transaction, now, Sale::handle_unaccounted)
            }
        };
        if is_read {
            self.note_read(terminal, now);
        }
        true
    }

    /// Asks again where no answer came.
    pub(super) fn ask_due(&mut self, now: Now) {
        let (mut due, mut silent) = (Vec::new(), Vec::new());
        for (terminal, unread) in &mut self.reading.unread {
            match unread {
                Unread::Asked { open, ask_at } if *ask_at <= now.tick => {
                    *ask_at = now.tick + ASK_INTERVAL;
                    let asked = open.iter();
                    due.extend(asked.map(|(id, about)| (terminal.clone(), *id, *about)));
                }
                Unread::Unheard { hello_at: Some(at) } if *at <= now.tick => {
                    *at = now.tick + HELLO_INTERVAL;
                    silent.push(terminal.clone());
                }
                Unread::Asked { .. } | Unread::Unheard { .. } | Unread::Strange(_) => {}
            }
        }
        for (terminal, transaction, about) in due {
            self.ask_journal(&terminal, transaction, about, now);
        }
        for terminal in silent {
            self.ask_hello(&terminal, now);
        }
    }

    /// Refunds go out by themselves again once nothing is unread.
    pub(super) fn mend(&mut self, now: Now) {
        let unread = self.reading.unread.len();
        metrics::unread(unread, self.is_mending);
        if self.is_mending != self.reading.is_mending() {
            self.is_mending = self.reading.is_mending();
            metrics::mending(self.is_mending, unread);
            self.set_self_mending(self.is_mending, now);
            if self.is_mending {
                self.group
                    .notes
                    .push(TerminalNote::AllJournalsRead { at: now.utc });
            }
        }
    }

    fn note_strange(&mut self, terminal: &TerminalName, strange: StoreEpoch, now: Now) {
        let unread = Unread::Strange(strange);
        if self.reading.unread.get(terminal) == Some(&unread) {
            return;
        }
        metrics::strange_epoch(terminal, strange);
        self.reading.unread.insert(terminal.clone(), unread);
        self.group.notes.push(TerminalNote::StrangeEpoch {
            terminal: terminal.clone(),
            epoch: strange,
        });
        self.mend(now);
    }

    fn note_read(&mut self, terminal: &TerminalName, now: Now) {
        self.reading.unread.remove(terminal);
        self.group.notes.push(TerminalNote::JournalRead {
            terminal: terminal.clone(),
            at: now.utc,
        });
        self.mend(now);
    }

    /// Sales of an earlier epoch at this terminal whose end is not known.
    fn unanswered(&mut self, terminal: &TerminalName) -> Open {
        let mut open = BTreeMap::new();
        for transaction in self.of_terminal(terminal) {
            let Some(kept) = self.sales.get(&transaction) else {
                continue;
            };
            let facts = kept.sale.facts();
            if !kept.sale.state().is_final() && facts.store_epoch != self.ground.store_epoch {
                let nonce = Nonce::from_random(self.entropy.bytes());
                open.insert(transaction, (nonce, facts.journal));
            }
        }
        open
    }

    fn ask_hello(&mut self, terminal: &TerminalName, now: Now) {
        match speak::hello_request(terminal, (&mut *self.entropy, now.utc)) {
            Ok(parcel) => self.group.parcels.push(parcel),
            Err(error) => {
                let error = process::exit::one_line(&error);
                tracing::error!(%terminal, error, "a request for a hello can't be said");
            }
        }
    }

    fn ask_journal(
        &mut self,
        terminal: &TerminalName,
        transaction: TransactionId,
        (nonce, journal): (Nonce, JournalId),
        now: Now,
    ) {
        let inquiry = Inquiry {
            aud: Audience::terminal(terminal.clone()),
            transaction,
            nonce,
            journal,
            asked_at: now.utc,
        };
        let source: (&mut dyn Entropy, _) = (&mut *self.entropy, now.utc);
        match self.ground.speaker.inquiry(terminal, &inquiry, source) {
            Ok(parcel) => self.group.parcels.push(parcel),
            Err(error) => {
                let error = process::exit::one_line(&error);
                tracing::error!(%transaction, error, "an inquiry can't be said");
            }
        }
    }
}
