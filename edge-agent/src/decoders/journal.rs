//! Whatever a disk gives back: opened whole, or called damaged and left as it is.

use std::ops::ControlFlow;

use protocol::id::JournalId;

use crate::journal::memory::MemoryFile;
use crate::journal::{Durability, JOURNAL_SIZE_MIN, Journal, Opened, forge};

const ID: JournalId = JournalId::from_random([7; 16]);
const OTHER: JournalId = JournalId::from_random([8; 16]);

const HALF_SIZE: u64 = JOURNAL_SIZE_MIN / 2;

/// One opening of a file of half a megabyte takes a fraction of a millisecond.
const STEPS_MAX: usize = 24;

/// Steps that use and harm a journal, each a byte that names it, a byte for the length of its
/// argument, and the argument:
///
/// | name | argument | what it does |
/// |---|---|---|
/// | `a`, `A`, `S` | record | appends it; `A` synced, `S` sealed |
/// | `w` | none | writes everything to the other half |
/// | `p` | kept writes, one bit each | a power cut, and another start |
/// | `x` | offset 3, bytes | these bytes are on the disk instead |
/// | `f` | offset 3, generation 8, synced 4, record | a record with a right checksum |
/// | `h` | half 1, generation 8, half's size 8 | a header with a right checksum |
/// | `l` | length 4 | the file is cut or grows |
///
/// Accepted if the journal was never called damaged.
pub fn journal(bytes: &[u8]) -> bool {
    let mut world = World::new();
    for (name, argument) in steps(bytes).take(STEPS_MAX) {
        if world.step(name, argument).is_break() {
            return false;
        }
    }
    world.restart(|_| true).is_continue()
}

fn steps(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&name, after) = rest.split_first()?;
        let (&length, after) = after.split_first()?;
        let (argument, after) = after.split_at_checked(usize::from(length))?;
        rest = after;
        Some((name, argument))
    })
}

struct World {
    file: MemoryFile,
    journal: Journal<MemoryFile>,
    /// What was appended since the last start and before it, as far as it was read back.
    written: Vec<Vec<u8>>,
    /// How many of them must be there after a power cut.
    promised: usize,
    /// How many of them are never missed without being called damage.
    sealed: usize,
    /// Nothing but the journal itself has written to the disk.
    is_untouched: bool,
    /// Nothing was written that could be a header, a seal or a whole record.
    is_plain: bool,
}

impl World {
    fn new() -> Self {
        let file = MemoryFile::default();
        let (journal, _) = Journal::open(file.clone(), JOURNAL_SIZE_MIN, ID).unwrap();
        Self {
            file,
            journal,
            written: Vec::new(),
            promised: 0,
            sealed: 0,
            is_untouched: true,
            is_plain: true,
        }
    }

    /// Breaks when the journal is called damaged.
    fn step(&mut self, name: u8, argument: &[u8]) -> ControlFlow<()> {
        match name {
            b'a' => self.append(argument, Durability::Written),
            b'A' => self.append(argument, Durability::Synced),
            b'S' => self.append(argument, Durability::Sealed),
            b'w' => self.rewrite(),
            b'p' => {
                let kept = number(argument);
                return self.restart(|index| kept >> (index % 64) & 1 == 1);
            }
            b'x' if argument.len() > 3 => {
                let (offset, bytes) = (number(&argument[..3]), &argument[3..]);
                let offset_in_half = offset % HALF_SIZE;
                self.is_plain &= offset_in_half >= forge::RECORDS_OFFSET
                    && offset_in_half + bytes.len() as u64 <= HALF_SIZE;
                self.put(offset, bytes);
            }
            b'f' if argument.len() > 15 => {
                let offset = number(&argument[..3]);
                let (generation, synced) = (number(&argument[3..11]), number(&argument[11..15]));
                let record = forge::record(generation, offset, synced, &argument[15..]);
                self.is_plain = false;
                self.put(offset, &record);
                self.put(offset + HALF_SIZE, &record);
            }
            b'h' if argument.len() == 17 => {
                let header = forge::header(number(&argument[1..9]), ID, number(&argument[9..]));
                let is_second = argument[0] & 1 == 1;
                self.is_plain = false;
                self.put(if is_second { HALF_SIZE } else { 0 }, &header);
            }
            b'l' => self.resize(number(argument)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn append(&mut self, record: &[u8], durability: Durability) {
        if self.journal.append(&[record.to_vec()], durability).is_err() {
            return assert!(record.is_empty() || self.is_full());
        }
        self.written.push(record.to_vec());
        if durability >= Durability::Synced {
            self.promised = self.written.len();
        }
        if durability >= Durability::Sealed {
            self.sealed = self.written.len();
        }
    }

    fn is_full(&self) -> bool {
        self.journal.room() < 512
    }

    fn rewrite(&mut self) {
        self.journal.rewrite(&self.written).unwrap();
        self.promised = self.written.len();
        self.sealed = self.written.len();
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) {
        let mut image = self.file.bytes();
        let start = usize::try_from(offset).unwrap().min(image.len());
        let count = bytes.len().min(image.len() - start);
        image[start..start + count].copy_from_slice(&bytes[..count]);
        self.harm(image);
    }

    fn resize(&mut self, length: u64) {
        self.is_plain = false;
        let mut image = self.file.bytes();
        image.resize(usize::try_from(length).unwrap().min(image.len() + 4_096), 0);
        self.harm(image);
    }

    /// The disk holds something else, and the process that used it is gone.
    fn harm(&mut self, image: Vec<u8>) {
        self.is_untouched = false;
        self.file = MemoryFile::of(image);
    }

    fn restart(&mut self, kept: impl Fn(usize) -> bool) -> ControlFlow<()> {
        self.file = self.file.after_power_cut(kept);
        let before = self.file.bytes();
        let found = Journal::open(self.file.clone(), JOURNAL_SIZE_MIN, OTHER);
        // No disk failed, so nothing but a size can be refused, and ours is none of these.
        assert!(found.is_ok(), "a journal is neither opened nor damaged");
        let Ok((journal, opened)) = found else {
            return ControlFlow::Break(());
        };
        self.journal = journal;
        if opened.damaged {
            assert!(!self.is_untouched, "a power cut is no damage");
            assert_eq!(
                self.file.bytes(),
                before,
                "a damaged journal is left as it is"
            );
            assert!(self.journal.append(&[vec![1]], Durability::Synced).is_err());
            return ControlFlow::Break(());
        }
        if self.is_untouched {
            assert!(opened.records.starts_with(&self.written[..self.promised]));
            assert!(self.written.starts_with(&opened.records));
        }
        if self.is_plain {
            let sealed = &self.written[..self.sealed];
            assert!(
                opened.records.starts_with(sealed),
                "a sealed record is missed"
            );
        }
        self.reopen(&opened);
        self.written = opened.records;
        self.promised = self.written.len();
        self.sealed = self.written.len();
        ControlFlow::Continue(())
    }

    /// What was read once is read again.
    fn reopen(&mut self, first: &Opened) {
        let again = Journal::open(self.file.clone(), JOURNAL_SIZE_MIN, OTHER);
        let (journal, second) = again.unwrap();
        assert_eq!(second, *first);
        self.journal = journal;
    }
}

/// Little-endian, of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    let digits = bytes.iter().take(8).rev();
    digits.fold(0, |number, digit| number << 8 | u64::from(*digit))
}
