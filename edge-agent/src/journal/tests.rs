use proptest::prelude::*;

use super::memory::MemoryFile;
use super::*;

const ID: JournalId = JournalId::from_random([7; 16]);
const OTHER: JournalId = JournalId::from_random([8; 16]);

fn open(file: &MemoryFile) -> (Journal<MemoryFile>, Opened) {
    Journal::open(file.clone(), JOURNAL_SIZE_MIN, OTHER).unwrap()
}

fn fresh() -> (MemoryFile, Journal<MemoryFile>) {
    let file = MemoryFile::default();
    let (journal, opened) = Journal::open(file.clone(), JOURNAL_SIZE_MIN, ID).unwrap();
    assert_eq!(
        (opened.id, opened.records.len(), opened.damaged),
        (ID, 0, false)
    );
    (file, journal)
}

fn record(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) * 3 + 1]
}

fn records(numbers: std::ops::Range<u8>) -> Vec<Vec<u8>> {
    numbers.map(record).collect()
}

/// Bytes of the half in use, as `open` leaves it and three appends extend it.
fn three_synced() -> MemoryFile {
    let (file, mut journal) = fresh();
    for number in 1..4 {
        journal
            .append(&[record(number)], Durability::Synced)
            .unwrap();
    }
    file
}

#[test]
fn what_was_synced_is_read_back_in_order_under_the_same_id() {
    let file = three_synced();
    for _ in 0..3 {
        let (journal, opened) = open(&file);
        assert_eq!((opened.id, opened.damaged), (ID, false));
        assert_eq!(opened.records, records(1..4));
        assert_eq!(journal.room(), opened.capacity - opened.used);
    }
}

#[test]
fn a_rewrite_replaces_everything_and_makes_room() {
    let (file, mut journal) = fresh();
    let room = journal.room();
    while journal
        .append(&[vec![1; 30_000]], Durability::Written)
        .is_ok()
    {}
    assert!(matches!(
        journal.append(&[vec![1; 30_000]], Durability::Synced),
        Err(JournalError::Full)
    ));
    journal.rewrite(&[record(9)]).unwrap();
    assert_eq!(journal.room(), room - frame_size(record(9).len()));
    journal.append(&[record(2)], Durability::Synced).unwrap();
    assert_eq!(open(&file).1.records, [record(9), record(2)]);
}

#[test]
fn records_of_no_or_too_many_bytes_are_refused_and_nothing_else_is_harmed() {
    let (file, mut journal) = fresh();
    assert!(matches!(
        journal.append(&[vec![]], Durability::Synced),
        Err(JournalError::Record(0))
    ));
    let large = vec![1; RECORD_SIZE_MAX + 1];
    assert!(matches!(
        journal.append(&[large], Durability::Synced),
        Err(JournalError::Record(_))
    ));
    journal.append(&[record(1)], Durability::Synced).unwrap();
    assert_eq!(open(&file).1.records, [record(1)]);
}

#[test]
fn a_failed_sync_is_final_until_the_file_is_opened_anew() {
    for n in 0..6 {
        let (file, mut journal) = fresh();
        file.fail_sync(n);
        let mut promised = Vec::new();
        for number in 1..8 {
            match journal.append(&[record(number)], Durability::Synced) {
                Ok(()) => promised.push(record(number)),
                Err(error) => {
                    assert_eq!(promised.len(), n);
                    assert!(matches!(
                        error,
                        JournalError::Sync(_) | JournalError::Failed
                    ));
                }
            }
        }
        assert!(matches!(journal.rewrite(&[]), Err(JournalError::Failed)));
        let (mut again, opened) = open(&file.after_power_cut(|_| false));
        assert_eq!((opened.records, opened.damaged), (promised, false));
        again.append(&[record(9)], Durability::Synced).unwrap();
    }
}

#[test]
fn a_sync_that_fails_while_opening_opens_nothing() {
    for n in 0..3 {
        let file = three_synced();
        file.fail_sync(n);
        let failed = Journal::open(file.clone(), JOURNAL_SIZE_MIN, OTHER);
        assert!(matches!(failed, Err(JournalError::Sync(_))));
        assert_eq!(open(&file).1.records, records(1..4), "at sync {n}");
    }
}

#[test]
fn a_full_disk_is_final_too() {
    let (file, mut journal) = fresh();
    file.fail_writes();
    assert!(matches!(
        journal.append(&[record(1)], Durability::Written),
        Err(JournalError::Write(_))
    ));
    assert!(matches!(
        journal.append(&[record(1)], Durability::Written),
        Err(JournalError::Failed)
    ));
}

#[test]
fn short_writes_are_carried_on() {
    let (file, mut journal) = fresh();
    file.limit_writes(5);
    journal.append(&records(1..6), Durability::Synced).unwrap();
    assert_eq!(open(&file).1.records, records(1..6));
}

#[test]
fn an_inspection_sees_what_is_there_and_writes_nothing() {
    let file = three_synced();
    let before = (file.bytes(), file.calls());
    let seen = Journal::inspect(file.clone()).unwrap();
    assert_eq!((file.bytes(), file.calls()), before);
    assert_eq!(seen, open(&file).1);
    let nothing = Journal::inspect(MemoryFile::of(vec![0; 524_288])).unwrap();
    assert_eq!((nothing.records.len(), nothing.damaged), (0, false));
    let foreign = MemoryFile::of(b"not a journal".repeat(50_000));
    assert!(Journal::inspect(foreign).unwrap().damaged);
    let huge = Journal::inspect(Endless).unwrap();
    assert_eq!((huge.records.len(), huge.damaged), (0, true));
}

/// Longer than any journal, and all zeros, as a file may be that takes no room on its disk.
struct Endless;

impl File for Endless {
    fn read_at(&self, buffer: &mut [u8], _: u64) -> io::Result<usize> {
        panic!("{} bytes were to be read", buffer.len())
    }

    fn write_at(&mut self, _: &[u8], _: u64) -> io::Result<usize> {
        panic!("an inspection writes nothing")
    }

    fn sync(&mut self) -> io::Result<()> {
        panic!("an inspection writes nothing")
    }

    fn len(&self) -> io::Result<u64> {
        Ok(JOURNAL_SIZE_MAX + 16)
    }
}

#[test]
fn interrupted_writes_are_made_again() {
    let (file, mut journal) = fresh();
    file.interrupt_writes();
    file.limit_writes(7);
    journal.append(&records(1..6), Durability::Sealed).unwrap();
    journal.rewrite(&records(2..9)).unwrap();
    assert_eq!(open(&file).1.records, records(2..9));
}

#[test]
fn a_first_start_cut_short_is_begun_again() {
    for length in [1, 100, 70_000, 524_288] {
        let (_, opened) = open(&MemoryFile::of(vec![0; length]));
        assert_eq!((opened.id, opened.damaged), (OTHER, false));
    }
}

#[test]
fn a_file_of_something_else_is_damage_and_stays_as_it_is() {
    let file = MemoryFile::of(b"not a journal".repeat(50_000));
    let before = file.bytes();
    let (mut journal, opened) = open(&file);
    assert!(opened.damaged);
    assert!(matches!(
        journal.append(&[record(1)], Durability::Synced),
        Err(JournalError::Damaged)
    ));
    assert_eq!(file.bytes(), before);
}

#[test]
fn a_file_cut_short_is_damage() {
    let (file, journal) = {
        let file = three_synced();
        let (journal, _) = open(&file);
        (file, journal)
    };
    let bytes = file.bytes();
    let used = usize::try_from(journal.half.offset(journal.half_size) + journal.end).unwrap();
    let lengths = (1..used + 64).step_by(97).chain(used - 64..used + 64);
    for length in lengths.filter(|length| *length < bytes.len()) {
        let (_, opened) = open(&MemoryFile::of(bytes[..length].to_vec()));
        let promised = opened.records == records(1..4) && opened.id == ID;
        // Nothing but zeros is a new journal, and says so by its id.
        let new = opened.id == OTHER && bytes[..length].iter().all(|byte| *byte == 0);
        assert!(opened.damaged || promised || new, "cut to {length}");
    }
}

/// Every place of the half in use that holds anything.
fn places(journal: &Journal<MemoryFile>) -> impl Iterator<Item = usize> {
    let start = usize::try_from(journal.half.offset(journal.half_size)).unwrap();
    let end = usize::try_from(journal.end).unwrap();
    let seal = usize::try_from(SEAL_OFFSET).unwrap();
    let records = usize::try_from(RECORDS_OFFSET).unwrap();
    let parts = [0..64, seal..seal + 16, records..end];
    parts.into_iter().flatten().map(move |place| start + place)
}

#[test]
fn every_flipped_bit_of_what_was_sealed_is_noticed() {
    let (file, mut journal) = fresh();
    journal.append(&[record(1)], Durability::Synced).unwrap();
    journal.append(&[record(2)], Durability::Sealed).unwrap();
    let sealed = file.after_power_cut(|_| false);
    let bytes = sealed.bytes();
    for place in places(&journal) {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << bit;
            let (_, opened) = open(&MemoryFile::of(flipped));
            // Padding carries nothing, and a seal alone only vouches: their damage loses nothing.
            let harmless = opened.records == records(1..3) && opened.id == ID;
            assert!(opened.damaged || harmless, "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn a_lost_block_of_records_is_noticed_once_they_are_sealed() {
    for (durability, is_noticed) in [(Durability::Synced, false), (Durability::Sealed, true)] {
        let (file, mut journal) = fresh();
        journal.append(&[record(1)], durability).unwrap();
        let mut bytes = file.after_power_cut(|_| false).bytes();
        let start = journal.half.offset(journal.half_size) + RECORDS_OFFSET;
        let start = usize::try_from(start).unwrap();
        bytes[start..start + 4096].fill(0xff);
        let (_, opened) = open(&MemoryFile::of(bytes));
        assert_eq!(opened.damaged, is_noticed, "{durability:?}");
        assert_eq!(opened.records, Vec::<Vec<u8>>::new());
    }
}

#[test]
fn a_torn_tail_is_cut_at_every_byte() {
    let (file, mut journal) = fresh();
    journal.append(&records(1..3), Durability::Synced).unwrap();
    let start = usize::try_from(journal.half.offset(journal.half_size) + journal.end).unwrap();
    journal.append(&[record(30)], Durability::Written).unwrap();
    let end = usize::try_from(journal.half.offset(journal.half_size) + journal.end).unwrap();
    let bytes = file.bytes();
    for cut in start..end {
        let mut torn = bytes.clone();
        torn[cut..end].fill(0);
        let (_, opened) = open(&MemoryFile::of(torn));
        assert!(!opened.damaged, "torn at {cut}");
        let whole = opened.records.len() == 3;
        assert_eq!(opened.records[..2], records(1..3));
        assert!(!whole || opened.records[2] == record(30));
    }
}

#[test]
fn a_power_cut_in_a_rewrite_leaves_the_old_records_or_the_new() {
    for kept in 0_u8..16 {
        for n in 0..3 {
            let (file, mut journal) = fresh();
            journal.append(&records(1..3), Durability::Synced).unwrap();
            file.fail_sync(n);
            let before = file.after_power_cut(|_| true);
            assert!(journal.rewrite(&[record(9)]).is_err());
            for state in [before, file.after_power_cut(|index| kept >> index & 1 == 1)] {
                let (_, opened) = open(&state);
                let whole = opened.records == records(1..3) || opened.records == [record(9)];
                assert!(whole && !opened.damaged);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>, Durability),
    Rewrite,
    PowerCut(u64),
}

fn durability() -> impl Strategy<Value = Durability> {
    prop_oneof![
        Just(Durability::Written),
        Just(Durability::Synced),
        Just(Durability::Sealed),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let payload = proptest::collection::vec(any::<u8>(), 1..200);
    prop_oneof![
        6 => (payload, durability()).prop_map(|(payload, how)| Step::Append(payload, how)),
        1 => Just(Step::Rewrite),
        2 => any::<u64>().prop_map(Step::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_power_cut_loses_what_was_promised_or_invents_anything(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let (mut file, mut journal) = fresh();
        let (mut promised, mut written) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Append(payload, durability) => {
                    journal.append(std::slice::from_ref(&payload), durability).unwrap();
                    written.push(payload);
                    if durability >= Durability::Synced {
                        promised = written.clone();
                    }
                }
                Step::Rewrite => {
                    journal.rewrite(&written).unwrap();
                    promised = written.clone();
                }
                Step::PowerCut(kept) => {
                    file = file.after_power_cut(|index| kept >> (index % 64) & 1 == 1);
                    let (again, opened) = open(&file);
                    journal = again;
                    prop_assert!(!opened.damaged);
                    prop_assert!(opened.records.starts_with(&promised));
                    prop_assert!(written.starts_with(&opened.records));
                    promised = opened.records.clone();
                    written = opened.records;
                }
            }
        }
    }
}
