//! A journal as records: what is on the disk, what a power cut could lose, and what is still to be
//! written.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::id::JournalId;
use protocol::message::SiteConfig;
use protocol::signed::Jws;

use crate::journal::{Durability, frame_size};
use crate::machine::record::Record;
use crate::machine::{Recovered, Ticket};

/// A terminal's journal, as a copy of its disk would hold it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Disk {
    id: JournalId,
    capacity: u64,
    is_damaged: bool,
    synced: Vec<Arc<Record>>,
    /// Written, in this order, and lost from some point on by a power cut.
    unsynced: Vec<Arc<Record>>,
    waiting: VecDeque<Write>,
    /// The next sync fails, and this many unsynced records survive it.
    sync_fails: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Write {
    Append {
        ticket: Ticket,
        records: Vec<Arc<Record>>,
        durability: Durability,
    },
    /// Always synced.
    Replace { records: Vec<Arc<Record>> },
}

/// How a write went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) ticket: Option<Ticket>,
    pub(super) is_done: bool,
}

impl Disk {
    pub(super) const fn empty(id: JournalId, capacity: u64) -> Self {
        Self {
            id,
            capacity,
            is_damaged: false,
            synced: Vec::new(),
            unsynced: Vec::new(),
            waiting: VecDeque::new(),
            sync_fails: None,
        }
    }

    /// The journal's own name.
    #[must_use]
    pub const fn id(&self) -> JournalId {
        self.id
    }

    /// Records on it, synced or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.synced.len() + self.unsynced.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn append(&mut self, ticket: Ticket, records: Vec<Record>, durability: Durability) {
        self.waiting.push_back(Write::Append {
            ticket,
            records: records.into_iter().map(Arc::new).collect(),
            durability,
        });
    }

    pub(super) fn replace(&mut self, records: Vec<Record>) {
        let records = records.into_iter().map(Arc::new).collect();
        self.waiting.push_back(Write::Replace { records });
    }

    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// A write that waits may have reached the disk in part, too.
    pub(super) fn unsynced_count(&self) -> usize {
        self.unsynced.len() + self.appended().count()
    }

    pub(super) const fn fail_next_sync(&mut self, kept_unsynced: usize) {
        self.sync_fails = Some(kept_unsynced);
    }

    pub(super) fn write_one(&mut self) -> Option<Written> {
        Some(match self.waiting.pop_front()? {
            Write::Append {
                ticket,
                records,
                durability,
            } => {
                self.unsynced.extend(records);
                Written {
                    ticket: Some(ticket),
                    is_done: durability == Durability::Written || self.sync(),
                }
            }
            Write::Replace { records } => {
                let is_done = self.sync();
                if is_done {
                    self.synced = records;
                }
                Written {
                    ticket: None,
                    is_done,
                }
            }
        })
    }

    /// Power is lost: of what was not synced the first `kept` records are there afterwards.
    pub(super) fn cut(&mut self, kept: usize) {
        let appended: Vec<_> = self.appended().cloned().collect();
        self.unsynced.extend(appended);
        self.unsynced.truncate(kept);
        self.reopen();
    }

    /// What is left is read, rewritten and synced.
    pub(super) fn reopen(&mut self) {
        self.synced.append(&mut self.unsynced);
        self.waiting.clear();
        self.sync_fails = None;
    }

    pub(super) fn damage(&mut self, readable: usize) {
        self.cut(0);
        self.synced.truncate(readable);
        self.is_damaged = true;
    }

    /// Nothing more is written until the journal is opened anew.
    pub(super) fn stop(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn recovered(&self, config: Option<Jws<SiteConfig>>) -> Recovered {
        let records: Vec<Record> = self
            .synced
            .iter()
            .map(|record| Record::clone(record))
            .collect();
        let size = |record: &Record| frame_size(record.encode().len());
        Recovered {
            journal: self.id,
            used: records.iter().map(size).sum(),
            records,
            is_damaged: self.is_damaged,
            capacity: self.capacity,
            config,
        }
    }

    fn sync(&mut self) -> bool {
        match self.sync_fails.take() {
            None => self.synced.append(&mut self.unsynced),
            Some(kept) => {
                self.unsynced.truncate(kept);
                return false;
            }
        }
        true
    }

    /// Records of the writes that wait, up to the first that replaces everything.
    fn appended(&self) -> impl Iterator<Item = &Arc<Record>> {
        let appends = self.waiting.iter().map_while(|write| match write {
            Write::Append { records, .. } => Some(records),
            Write::Replace { .. } => None,
        });
        appends.flatten()
    }
}
