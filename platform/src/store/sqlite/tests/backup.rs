//! Backups: whole, refused when they are not, taken back under a new epoch.

use std::fs;

use protocol::id::Entropy;
use protocol::id::StoreEpoch;

use super::super::backup::{BackupError, backup, restore};
use super::*;

fn taken(folder: &TempDir) -> std::path::PathBuf {
    let target = folder.path().join("backup");
    backup(folder.path(), &target, at(1)).unwrap();
    target
}

fn restored(folder: &Path, from: &Path) -> Result<StoreEpoch, BackupError> {
    let platform = "main".parse().unwrap();
    let means: (&mut dyn Entropy, _) = (&mut || [9; 16], at(2));
    restore(folder, from, &platform, means).map(|restored| restored.store_epoch)
}

fn line(result: Result<StoreEpoch, BackupError>) -> String {
    process::exit::one_line(&result.unwrap_err())
}

#[test]
fn a_backup_of_a_running_store_is_a_store_under_a_new_epoch() {
    let home = folder();
    let mut store = open(home.path());
    store.commit(&[created(1)]).unwrap();
    let target = taken(&home);
    // After the backup: forgotten by the restore, and kept aside.
    store.commit(&[created(2)]).unwrap();
    drop(store);
    let epoch = restored(home.path(), &target).unwrap();
    let store = open(home.path());
    assert_eq!(store.epoch(), epoch);
    assert_eq!(store.sale(transaction(1)).unwrap(), Some(sale(1, 1)));
    assert_eq!(store.sale(transaction(2)).unwrap(), None);
    let row = store.epoch_row().unwrap();
    let before = StoreEpoch::from_random([7; 16]);
    assert!(row.is_restored);
    assert_eq!(row.epochs, [before, epoch]);
    let reader = SqliteReader::open(home.path()).unwrap();
    assert!(reader.audit(at(9)).unwrap().chain_intact);
    drop((store, reader));
    let aside = home.path().join("before-restore-1");
    let kept = open_as(&aside, "main").unwrap();
    assert_eq!(
        (kept.epoch(), kept.sale(transaction(2)).unwrap()),
        (before, Some(sale(2, 1)))
    );
}

#[test]
fn an_existing_folder_is_refused_and_left_alone() {
    let home = folder();
    let _store = open(home.path());
    let target = home.path().join("backup");
    fs::create_dir(&target).unwrap();
    let error = backup(home.path(), &target, at(1)).unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }), "{error}");
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
}

#[test]
fn a_running_platform_is_not_restored_over() {
    let home = folder();
    let _store = open(home.path());
    let target = taken(&home);
    let line = line(restored(home.path(), &target));
    assert!(
        line.contains("another platform process is using this data folder"),
        "{line}"
    );
}

#[test]
fn a_backup_that_is_not_what_it_says_is_refused_and_nothing_is_touched() {
    let home = folder();
    let store = open(home.path());
    let target = taken(&home);
    drop(store);
    let (copy, manifest) = (file(&target), target.join("manifest.json"));
    let (bytes, text) = (
        fs::read(&copy).unwrap(),
        fs::read_to_string(&manifest).unwrap(),
    );
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        fs::write(&manifest, text.replacen(from, to, 1)).unwrap();
        let refused = line(restored(home.path(), &target));
        fs::write(&manifest, &text).unwrap();
        refused
    };
    let cases = [
        ("\"schema\": ", "\"schema\": 9", "made by a newer version"),
        (
            "\"format\": 1",
            "\"format\": 2",
            "made by a newer version of this program (format 2)",
        ),
        (
            "\"main\"",
            "\"other\"",
            "a backup of platform 'other', not of 'main'",
        ),
        (
            "\"size_bytes\": ",
            "\"size_bytes\": 1",
            "another size or SHA-256",
        ),
        (
            "\"chain_length\": ",
            "\"chain_length\": 1",
            "another schema, epoch, platform or chain",
        ),
        ("{", "[", "no manifest of a backup: was it broken off?"),
    ];
    for (from, to, expected) in cases {
        let refused = changed(from, to);
        assert!(refused.contains(expected), "{refused}");
    }
    let mut broken = bytes;
    let last = broken.len() - 1;
    broken[last] ^= 1;
    fs::write(&copy, broken).unwrap();
    let refused = line(restored(home.path(), &target));
    assert!(refused.contains("another size or SHA-256"), "{refused}");
    fs::remove_file(&manifest).unwrap();
    let refused = line(restored(home.path(), &target));
    assert!(refused.contains("no manifest of a backup"), "{refused}");
    let store = open(home.path());
    assert_eq!(store.epoch(), StoreEpoch::from_random([7; 16]));
    assert!(!home.path().join("before-restore-1").exists());
}

#[test]
fn a_restore_that_was_broken_off_is_no_store_until_it_is_run_again() {
    let home = folder();
    drop(open(home.path()));
    let target = taken(&home);
    fs::write(home.path().join("restore-unfinished"), b"").unwrap();
    fs::remove_file(file(home.path())).unwrap();
    let error = open_as(home.path(), "main").unwrap_err();
    let line = process::exit::one_line(&error);
    assert!(
        line.ends_with("a restore was broken off here; run restore again"),
        "{line}"
    );
    let epoch = restored(home.path(), &target).unwrap();
    assert_eq!(open(home.path()).epoch(), epoch);
}
