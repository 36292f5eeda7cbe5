//! What a terminal remembers of its records.

use crate::machine::book::Book;
use crate::machine::record::Record;

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
        match again.entry(transaction) {
            Some(kept) => assert_eq!(kept.is_closed(), entry.is_closed()),
            None => panic!("{transaction} is forgotten by a compaction"),
        }
    }
    let waiting = |book: &Book| book.outbox().cloned().collect::<Vec<_>>();
    assert_eq!(waiting(&again), waiting(&book));
    true
}

fn book_of(records: &[Record]) -> Book {
    let mut book = Book::new();
    for record in records {
        book.apply(record);
    }
    book
}
