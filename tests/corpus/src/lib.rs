//! The committed inputs of the fuzz targets (`fuzz/corpus`), and a bounded search around them.
//!
//! A door is a function that gives bytes to one decoder, says whether they were accepted, and
//! panics if the decoder broke a promise. The fuzzer runs the same doors for as long as one lets
//! it; [`check`] runs them a fixed number of times, with shrinking, as part of every test run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "only tests use this crate, and a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Inputs per door beside the corpus: each takes microseconds, all doors a few seconds.
pub const CASES: u32 = 512;

/// Edits of one input: more of them and hardly anything of the input is left.
const EDITS_MAX: usize = 5;

/// Longest piece that is inserted, repeated or cut.
const PIECE_LENGTH_MAX: usize = 64;

/// What numbers go wrong at.
const PIECES: [&[u8]; 12] = [
    b"",
    b"0",
    b"-1",
    b"18446744073709551616",
    b"9223372036854775807",
    b"1e999",
    b"null",
    b"\"\"",
    b"[]",
    b"{}",
    b"\xff",
    b"\0\0\0\0",
];

/// Bytes in, whether they were accepted out.
pub type Door = fn(&[u8]) -> bool;

/// One file of `fuzz/corpus/TARGET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Seed {
    /// Files that a decoder has to refuse begin with `refused`.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.name.starts_with("refused")
    }
}

/// All inputs of a target, in the order of their names.
///
/// # Panics
/// If the folder can't be read or holds nothing.
#[must_use]
pub fn seeds(target: &str) -> Vec<Seed> {
    let folder = folder(target);
    let entries =
        std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds: Vec<Seed> = entries.map(|entry| seed(&entry.unwrap().path())).collect();
    assert!(!seeds.is_empty(), "{}: nothing in it", folder.display());
    seeds.sort_by(|one, other| one.name.cmp(&other.name));
    seeds
}

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

fn seed(path: &Path) -> Seed {
    Seed {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        bytes: std::fs::read(path).unwrap(),
    }
}

/// Every seed is judged as its name says, and no input near a seed, or of any bytes at all, breaks
/// a promise.
///
/// # Panics
/// With the smallest input that was found to break one.
pub fn check(target: &str, door: Door) {
    check_cases(target, door, CASES);
}

/// [`check`] for a door that is slower than others.
///
/// # Panics
/// With the smallest input that was found to break a promise.
pub fn check_cases(target: &str, door: Door, cases: u32) {
    let seeds = seeds(target);
    judge(target, &seeds, door);
    let inputs = seeds.into_iter().map(|seed| seed.bytes).collect();
    if let Err(error) = search(TestRunner::new(config(cases)), inputs, door) {
        panic!("{target}: {error}");
    }
}

fn judge(target: &str, seeds: &[Seed], door: Door) {
    for seed in seeds {
        let is_accepted = door(&seed.bytes);
        assert_eq!(is_accepted, !seed.is_refused(), "{target}/{}", seed.name);
    }
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        // What is found belongs into the corpus, where the fuzzer sees it too.
        failure_persistence: None,
        ..Config::default()
    }
}

fn search(mut runner: TestRunner, inputs: Vec<Vec<u8>>, door: Door) -> Result<(), String> {
    let outcome = runner.run(&near(inputs), |bytes| {
        door(&bytes);
        Ok::<(), TestCaseError>(())
    });
    outcome.map_err(|error| error.to_string())
}

/// Inputs with a few edits each, and a few of random bytes.
fn near(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edited = (select(inputs.clone()), vec(edit(inputs), 0..=EDITS_MAX))
        .prop_map(|(input, edits)| edits.into_iter().fold(input, Edit::apply));
    prop_oneof![
        15 => edited,
        1 => vec(any::<u8>(), 0..256),
    ]
}

#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Cut(Index, usize),
    Repeat(Index, usize),
    End(Index),
    Insert(Index, Vec<u8>),
    /// A run of digits becomes another number.
    Number(Index, Vec<u8>),
}

fn edit(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let length = || 1..PIECE_LENGTH_MAX;
    let piece = || select(PIECES.to_vec()).prop_map(<[u8]>::to_vec);
    let borrowed = (select(inputs), at(), length()).prop_map(|(input, start, length)| {
        let start = start.index(input.len() + 1);
        input[start..].iter().copied().take(length).collect()
    });
    prop_oneof![
        4 => (at(), 1..=u8::MAX).prop_map(|(at, mask)| Edit::Flip(at, mask)),
        2 => (at(), length()).prop_map(|(at, length)| Edit::Cut(at, length)),
        1 => (at(), length()).prop_map(|(at, length)| Edit::Repeat(at, length)),
        1 => at().prop_map(Edit::End),
        2 => (at(), piece()).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        2 => (at(), borrowed).prop_map(|(at, piece)| Edit::Insert(at, piece)),
        2 => (at(), piece()).prop_map(|(at, piece)| Edit::Number(at, piece)),
    ]
}

impl Edit {
    fn apply(mut input: Vec<u8>, edit: Self) -> Vec<u8> {
        let length = input.len();
        match edit {
            Self::Flip(..) if length == 0 => {}
            Self::Flip(at, mask) => input[at.index(length)] ^= mask,
            Self::Cut(at, count) => {
                let start = at.index(length + 1);
                input.drain(start..length.min(start + count));
            }
            Self::Repeat(at, count) => {
                let start = at.index(length + 1);
                let piece: Vec<u8> = input[start..length.min(start + count)].to_vec();
                input.splice(start..start, piece);
            }
            Self::End(at) => input.truncate(at.index(length + 1)),
            Self::Insert(at, piece) => {
                let start = at.index(length + 1);
                input.splice(start..start, piece);
            }
            Self::Number(at, piece) => {
                let from = at.index(length + 1);
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                let found = input[from..].iter().position(is_digit);
                let start = from + found.unwrap_or(length - from);
                let digits = input[start..].iter().take_while(|byte| is_digit(byte));
                let end = start + digits.count();
                input.splice(start..end, piece);
            }
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;

    fn inputs() -> Vec<Vec<u8>> {
        vec![b"amount 450".to_vec(), Vec::new()]
    }

    #[test]
    fn a_broken_promise_is_found_and_shrunk() {
        fn door(bytes: &[u8]) -> bool {
            assert!(!bytes.contains(&b'-'), "negative");
            true
        }
        // How far shrinking gets depends on the first finding: always the same one here.
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let runner = TestRunner::new_with_rng(config(20_000), rng);
        let found = search(runner, inputs(), door).unwrap_err();
        assert!(found.contains("negative"), "{found}");
        // No longer than what it was made from, however many edits had led to it.
        let (_, input) = found.split_once("minimal failing input: ").unwrap();
        let length = input.matches(',').count();
        assert!(length <= b"amount 450".len(), "{found}");
    }

    #[test]
    fn a_seed_is_judged_by_its_name() {
        let seed = |name: &str| Seed {
            name: name.to_owned(),
            bytes: name.as_bytes().to_vec(),
        };
        let door: Door = |bytes| !bytes.starts_with(b"refused");
        judge("any", &[seed("one"), seed("refused-two")], door);
        for wrong in [(|_| true) as Door, |_| false] {
            let seeds = [seed("one"), seed("refused-two")];
            assert!(std::panic::catch_unwind(|| judge("any", &seeds, wrong)).is_err());
        }
    }

    #[test]
    fn a_door_is_asked_a_fixed_number_of_times() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        fn door(_bytes: &[u8]) -> bool {
            ASKED.fetch_add(1, Ordering::Relaxed);
            true
        }
        search(TestRunner::new(config(100)), inputs(), door).unwrap();
        assert_eq!(ASKED.load(Ordering::Relaxed), 100);
    }
}
