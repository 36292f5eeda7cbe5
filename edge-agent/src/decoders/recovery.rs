//! What a terminal remembers of its records.

use crate::machine::book::{Book, Entry};
use crate::machine::record::Record;
use crate::rules::Sound;

/// Records, one in a line, in any order and however contradictory: the index takes them, and a
/// compaction keeps what it says.
pub fn recovery(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    let records: Result<Vec<Record>, _> = lines.map(Record::decode).collect();
    let Ok(records) = records else {
        return false;
    };
    let book = book_of(&records);
    let compacted = book.snapshot();
    let again = book_of(&compacted);
    assert_eq!(again.snapshot(), compacted);
    assert_eq!(again.last_result(), book.last_result());
    for (transaction, entry) in book.entries() {
        let is_closed = |entry: &Entry| entry.is_closed(&Sound);
        let kept = again.entry(transaction).map(is_closed);
        assert_eq!(kept, Some(is_closed(entry)), "{transaction}");
    }
    let waiting = |book: &Book| book.outbox().cloned().collect::<Vec<_>>();
    assert_eq!(waiting(&again), waiting(&book));
    true
}

fn book_of(records: &[Record]) -> Book {
    let mut book = Book::new();
    for record in records {
        book.apply(record, &Sound);
    }
    book
}
