//! What must survive a power cut: one preallocated file of two halves.
//!
//! Records are appended to one half. When it is full its live records are written to the other,
//! under a higher generation, and the first is given up. Padding and preallocation mean that an
//! append changes no metadata, so a sync is one write of the disk's.
//!
//! A sync that failed once is never trusted again (R14): the kernel may have dropped the pages it
//! could not write, and say so only once. [`Journal`] refuses everything from then on; who opens
//! the file anew gets what can be read, rewritten and synced.

mod file;
mod frame;

use std::io;

use protocol::id::JournalId;

pub(crate) use file::{DiskFile, File};
use file::{read_all, write_all};
use frame::{Header, RECORDS_OFFSET, SEAL_OFFSET};
pub(crate) use frame::{RECORD_SIZE_MAX, frame_size};

/// Smallest journal: room for four sales in each half.
pub(crate) const JOURNAL_SIZE_MIN: u64 = 512 * 1024;

/// Largest journal: it is read into memory in whole at each start, and small terminals have 64 MiB.
pub(crate) const JOURNAL_SIZE_MAX: u64 = 32 * 1024 * 1024;

/// What a write has survived when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Durability {
    /// The end of the process.
    Written,
    /// A power cut.
    Synced,
    /// And later damage to it will be told from a write that a power cut tore. A second sync: for
    /// what a device moves on.
    Sealed,
}

/// Why a journal took nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    #[error("can't read the journal")]
    Read(#[source] io::Error),
    #[error("can't write the journal")]
    Write(#[source] io::Error),
    #[error("can't sync the journal")]
    Sync(#[source] io::Error),
    #[error("a journal has {JOURNAL_SIZE_MIN} to {JOURNAL_SIZE_MAX} bytes, not {0}")]
    Size(u64),
    #[error("a record has 1 to {RECORD_SIZE_MAX} bytes, not {0}")]
    Record(usize),
    #[error("the journal is full")]
    Full,
    #[error("an earlier write or sync failed; open the journal anew")]
    Failed,
    #[error("the journal is damaged")]
    Damaged,
}

/// What an opened journal holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) id: JournalId,
    /// Payloads in the order in which they were appended.
    pub(crate) records: Vec<Vec<u8>>,
    /// Something that was on the disk can't be read any more: these records are not all.
    pub(crate) damaged: bool,
    /// Bytes that one half holds.
    pub(crate) capacity: u64,
    /// Bytes of it that are taken.
    pub(crate) used: u64,
}

#[derive(Debug)]
pub(crate) struct Journal<F> {
    file: F,
    header: Header,
    half: Half,
    half_size: u64,
    /// Next free byte of the half.
    end: u64,
    /// Everything below it is on the disk.
    synced: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Half {
    First,
    Second,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Healthy,
    Failed,
    Damaged,
}

impl<F: File> Journal<F> {
    /// Opens a journal, or makes one of `size` bytes under `fresh_id` in an empty file. What was
    /// read is written to the other half and synced before this returns; a damaged journal is left
    /// as it is and takes nothing more.
    pub(crate) fn open(
        file: F,
        size: u64,
        fresh_id: JournalId,
    ) -> Result<(Self, Opened), JournalError> {
        let length = file.len().map_err(JournalError::Read)?;
        if length == 0 {
            return Self::create(file, size, fresh_id);
        }
        let half_size = length / 16 * 8;
        if length > JOURNAL_SIZE_MAX {
            // Not even read: whatever it is, it is none of ours.
            return Ok(Self::unreadable(file, half_size, fresh_id));
        }
        match newest_header(&file, half_size)? {
            Some((half, header)) => Self::resume(file, half, header, half_size),
            None if is_unfinished(&file, length)? => Self::create(file, size, fresh_id),
            None => Ok(Self::unreadable(file, half_size, fresh_id)),
        }
    }

    /// What a journal holds, without writing to it: its agent may be running.
    pub(crate) fn inspect(file: F) -> Result<Opened, JournalError> {
        let length = file.len().map_err(JournalError::Read)?;
        let half_size = length / 16 * 8;
        let is_ours = length <= JOURNAL_SIZE_MAX;
        if is_ours && let Some((half, header)) = newest_header(&file, half_size)? {
            let (journal, records) = Self::read(file, half, header, half_size)?;
            return Ok(journal.opened(records));
        }
        let is_unfinished = is_ours && is_unfinished(&file, length)?;
        let nobody = JournalId::from_random([0; 16]);
        let (_, opened) = Self::unreadable(file, half_size, nobody);
        let damaged = !is_unfinished;
        Ok(Opened { damaged, ..opened })
    }

    /// Appends `records`, as durable as asked when this returns.
    pub(crate) fn append(
        &mut self,
        records: &[Vec<u8>],
        durability: Durability,
    ) -> Result<(), JournalError> {
        self.check()?;
        let result = self.write(records).and_then(|()| self.harden(durability));
        self.final_if_failed(result)
    }

    /// Replaces everything by `records`, on the disk when this returns.
    pub(crate) fn rewrite(&mut self, records: &[Vec<u8>]) -> Result<(), JournalError> {
        self.check()?;
        let result = self.write_other_half(records);
        self.final_if_failed(result)
    }

    /// Bytes that are left in this half; see [`frame_size`].
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn room(&self) -> u64 {
        self.half_size.saturating_sub(self.end)
    }

    /// The same journal on another file that holds the same.
    #[cfg(test)]
    pub(crate) fn fork(&self, file: F) -> Self {
        Self { file, ..*self }
    }

    fn create(mut file: F, size: u64, id: JournalId) -> Result<(Self, Opened), JournalError> {
        let half_size = half_size(size)?;
        // Zeros are written, not only reserved: an append must never want a block of a full disk.
        let zeros = vec![0; 64 * 1024];
        let mut offset = 0;
        while offset < half_size * 2 {
            let rest = usize::try_from(half_size * 2 - offset).unwrap_or(usize::MAX);
            let chunk = zeros.get(..rest.min(zeros.len())).unwrap_or(&zeros);
            write_all(&mut file, chunk, offset).map_err(JournalError::Write)?;
            offset += chunk.len() as u64;
        }
        file.sync().map_err(JournalError::Sync)?;
        let mut journal = Self {
            file,
            header: Header {
                generation: 0,
                id,
                half_size,
            },
            half: Half::Second,
            half_size,
            end: RECORDS_OFFSET,
            synced: RECORDS_OFFSET,
            state: State::Healthy,
        };
        journal.rewrite(&[])?;
        let opened = journal.opened(Vec::new());
        Ok((journal, opened))
    }

    fn resume(
        file: F,
        half: Half,
        header: Header,
        half_size: u64,
    ) -> Result<(Self, Opened), JournalError> {
        let (mut journal, records) = Self::read(file, half, header, half_size)?;
        if journal.state == State::Healthy {
            journal.rewrite(&records)?;
        }
        let opened = journal.opened(records);
        Ok((journal, opened))
    }

    fn read(
        file: F,
        half: Half,
        header: Header,
        half_size: u64,
    ) -> Result<(Self, Vec<Vec<u8>>), JournalError> {
        let size = usize::try_from(half_size).map_err(|_| JournalError::Size(half_size))?;
        let bytes = read_all(&file, half.offset(half_size), size).map_err(JournalError::Read)?;
        let mut journal = Self {
            file,
            header,
            half,
            half_size,
            end: RECORDS_OFFSET,
            synced: RECORDS_OFFSET,
            state: State::Healthy,
        };
        let (records, damaged) = journal.scan(&bytes);
        let damaged = damaged
            || header.half_size != half_size
            || half_size < JOURNAL_SIZE_MIN / 2
            || header.generation == u64::MAX;
        if damaged {
            journal.state = State::Damaged;
        }
        Ok((journal, records))
    }

    /// Every record up to the first that is not whole, and whether that one is damage.
    fn scan(&mut self, half: &[u8]) -> (Vec<Vec<u8>>, bool) {
        let mut records = Vec::new();
        let mut offset = usize::try_from(RECORDS_OFFSET).unwrap_or(usize::MAX);
        let mut synced = 0;
        while let Some(found) = frame::find(half, self.header.generation, offset) {
            records.push(found.payload.to_vec());
            synced = synced.max(found.synced);
            offset = found.end;
        }
        self.end = offset as u64;
        let sealed = frame::sealed(half, self.header.generation).unwrap_or(0);
        let damaged = u64::from(synced.max(sealed)) > self.end
            || frame::is_missed_behind(half, self.header.generation, offset);
        (records, damaged)
    }

    fn unreadable(file: F, half_size: u64, id: JournalId) -> (Self, Opened) {
        let journal = Self {
            file,
            header: Header {
                generation: 0,
                id,
                half_size,
            },
            half: Half::First,
            half_size,
            end: RECORDS_OFFSET,
            synced: RECORDS_OFFSET,
            state: State::Damaged,
        };
        let opened = journal.opened(Vec::new());
        (journal, opened)
    }

    fn opened(&self, records: Vec<Vec<u8>>) -> Opened {
        Opened {
            id: self.header.id,
            records,
            damaged: self.state == State::Damaged,
            capacity: self.half_size.saturating_sub(RECORDS_OFFSET),
            used: self.end.saturating_sub(RECORDS_OFFSET),
        }
    }

    fn check(&self) -> Result<(), JournalError> {
        match self.state {
            State::Healthy => Ok(()),
            State::Failed => Err(JournalError::Failed),
            State::Damaged => Err(JournalError::Damaged),
        }
    }

    fn final_if_failed(&mut self, result: Result<(), JournalError>) -> Result<(), JournalError> {
        if matches!(result, Err(JournalError::Write(_) | JournalError::Sync(_))) {
            self.state = State::Failed;
        }
        result
    }

    fn write(&mut self, records: &[Vec<u8>]) -> Result<(), JournalError> {
        let bytes = self.frames(records, self.header.generation, self.end)?;
        let offset = self.half.offset(self.half_size) + self.end;
        write_all(&mut self.file, &bytes, offset).map_err(JournalError::Write)?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn frames(
        &self,
        records: &[Vec<u8>],
        generation: u64,
        start: u64,
    ) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        // What lies in the other half is on the disk only once its header is.
        let synced = if generation == self.header.generation {
            self.synced
        } else {
            RECORDS_OFFSET
        };
        for record in records {
            if !(1..=RECORD_SIZE_MAX).contains(&record.len()) {
                return Err(JournalError::Record(record.len()));
            }
            let offset = start + bytes.len() as u64;
            if offset + frame_size(record.len()) > self.half_size {
                return Err(JournalError::Full);
            }
            let (offset, synced) = (number(offset)?, number(synced)?);
            bytes.extend(frame::encode(generation, offset, synced, record));
        }
        Ok(bytes)
    }

    fn harden(&mut self, durability: Durability) -> Result<(), JournalError> {
        if durability >= Durability::Synced {
            self.file.sync().map_err(JournalError::Sync)?;
            self.synced = self.end;
            // The next sync takes it along.
            let seal = frame::encode_seal(self.header.generation, number(self.synced)?);
            let offset = self.half.offset(self.half_size) + SEAL_OFFSET;
            write_all(&mut self.file, &seal, offset).map_err(JournalError::Write)?;
        }
        if durability >= Durability::Sealed {
            self.file.sync().map_err(JournalError::Sync)?;
        }
        Ok(())
    }

    /// The other half becomes the journal with its header's sync; only then is this half's header
    /// erased, so that damage to the new one can't bring back an older state.
    fn write_other_half(&mut self, records: &[Vec<u8>]) -> Result<(), JournalError> {
        let next = self.header.generation.checked_add(1);
        let header = Header {
            generation: next.ok_or(JournalError::Damaged)?,
            ..self.header
        };
        let other = self.half.other();
        let offset = other.offset(self.half_size);
        let bytes = self.frames(records, header.generation, RECORDS_OFFSET)?;
        let end = RECORDS_OFFSET + bytes.len() as u64;
        let seal = frame::encode_seal(header.generation, number(end)?);
        write_all(&mut self.file, &bytes, offset + RECORDS_OFFSET).map_err(JournalError::Write)?;
        write_all(&mut self.file, &seal, offset + SEAL_OFFSET).map_err(JournalError::Write)?;
        self.file.sync().map_err(JournalError::Sync)?;
        write_all(&mut self.file, &header.encode(), offset).map_err(JournalError::Write)?;
        self.file.sync().map_err(JournalError::Sync)?;
        let old = self.half.offset(self.half_size);
        write_all(&mut self.file, &[0; 64], old).map_err(JournalError::Write)?;
        self.file.sync().map_err(JournalError::Sync)?;
        self.half = other;
        self.header = header;
        self.end = end;
        self.synced = self.end;
        Ok(())
    }
}

impl Half {
    const fn offset(self, half_size: u64) -> u64 {
        match self {
            Self::First => 0,
            Self::Second => half_size,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

fn half_size(size: u64) -> Result<u64, JournalError> {
    if (JOURNAL_SIZE_MIN..=JOURNAL_SIZE_MAX).contains(&size) {
        Ok(size / 16 * 8)
    } else {
        Err(JournalError::Size(size))
    }
}

fn newest_header(file: &impl File, half_size: u64) -> Result<Option<(Half, Header)>, JournalError> {
    let mut headers = Vec::with_capacity(2);
    for half in [Half::First, Half::Second] {
        let bytes = read_all(file, half.offset(half_size), 64).map_err(JournalError::Read)?;
        headers.extend(Header::decode(&bytes).map(|header| (half, header)));
    }
    Ok(headers
        .into_iter()
        .max_by_key(|(_, header)| header.generation))
}

/// Whether a power cut ended the very first start: then there is nothing but zeros.
fn is_unfinished(file: &impl File, length: u64) -> Result<bool, JournalError> {
    let size = usize::try_from(length).map_err(|_| JournalError::Size(length))?;
    let bytes = read_all(file, 0, size).map_err(JournalError::Read)?;
    Ok(bytes.iter().all(|byte| *byte == 0))
}

fn number(offset: u64) -> Result<u32, JournalError> {
    u32::try_from(offset).map_err(|_| JournalError::Full)
}

/// Frames with right checksums, for whoever wants to know what a journal makes of them.
#[cfg(any(test, fuzzing))]
pub(crate) mod forge {
    use protocol::id::JournalId;

    use super::frame;

    /// Header and seal stand before it.
    pub(crate) const RECORDS_OFFSET: u64 = frame::RECORDS_OFFSET;

    pub(crate) fn header(generation: u64, id: JournalId, half_size: u64) -> Vec<u8> {
        let header = frame::Header {
            generation,
            id,
            half_size,
        };
        header.encode()
    }

    pub(crate) fn record(generation: u64, offset: u64, synced: u64, payload: &[u8]) -> Vec<u8> {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        frame::encode(generation, number(offset), number(synced), payload)
    }
}
#[cfg(any(test, fuzzing))]
pub(crate) mod memory;
#[cfg(test)]
mod tests;
