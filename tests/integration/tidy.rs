//! The house rules that a compiler does not know, as tests.

use std::path::{Path, PathBuf};

/// Files of 600 lines are the end.
const FILE_LINES_MAX: usize = 600;

/// Folders of pure machines: whoever reads a clock, a disk or a socket there breaks the replay.
const CORES: [&str; 8] = [
    "protocol/src",
    "protocol/tariff/src",
    "edge-agent/src/machine",
    "platform/src/reconciliation",
    "platform/src/sale",
    "payment-mock/src/ledger",
    "payment-mock/src/machine",
    "payment-mock/src/scenario",
];

const INPUT_AND_OUTPUT: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "tokio",
    "rumqttc",
    "rusqlite",
    "SystemTime::now",
    "Instant::now",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(rust_files(&path));
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_core_does_input_or_output() {
    let mut broken = Vec::new();
    for file in CORES.iter().flat_map(|core| rust_files(&root().join(core))) {
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for (line, word) in code.flat_map(|line| INPUT_AND_OUTPUT.map(|word| (line, word))) {
            if line.contains(word) {
                broken.push(format!("{}: {}", file.display(), line.trim()));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn no_file_is_longer_than_anybody_reads() {
    let lines = |file: &PathBuf| std::fs::read_to_string(file).unwrap().lines().count();
    let long: Vec<_> = rust_files(&root())
        .into_iter()
        .filter(|file| lines(file) > FILE_LINES_MAX)
        .collect();
    assert_eq!(long, Vec::<PathBuf>::new());
}

#[test]
fn the_architecture_names_the_file_that_verifies_a_permit() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let lines: Vec<_> = page
        .lines()
        .filter(|line| line.contains("verifies a permit"))
        .collect();
    let [line] = lines[..] else {
        panic!("not one line: {lines:?}")
    };
    let file = line.split('`').nth(1).unwrap();
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    assert!(
        text.contains("Jws<Permit>") && text.contains("signed::verify"),
        "{file} verifies none"
    );
    // And nothing else makes a permit believed.
    let elsewhere: Vec<_> = rust_files(&root().join("edge-agent/src"))
        .into_iter()
        .filter(|path| !path.ends_with(file) && !path.to_string_lossy().contains("test"))
        .filter(|path| {
            std::fs::read_to_string(path)
                .unwrap()
                .contains("signed::verify::<Permit>")
        })
        .collect();
    assert_eq!(elsewhere, Vec::<PathBuf>::new());
}
