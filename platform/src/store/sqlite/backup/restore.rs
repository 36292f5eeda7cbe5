//! Taking a backup back: everything is checked before anything of the store is touched, and what
//! was there stays beside it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::id::{Entropy, PlatformId, StoreEpoch};
use protocol::time::Utc;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use serde_json::json;

use super::super::chain::{self, Link};
use super::super::{MIGRATIONS, change, configure, epoch, file, lock, meta, private, schema};
use super::{BackupError, FORMAT, MANIFEST, MANIFEST_SIZE_MAX, Manifest, digest, inspect};
use crate::store::StoreError;

/// Stands in the data folder while files are exchanged: a platform that started then would make
/// an empty store.
const MARK: &str = "restore-unfinished";

/// The store that is being made.
const PART: &str = "platform.sqlite3.restored";

/// What a database may consist of.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Folders for what was there before; so many restores, and somebody should have tidied up.
const ASIDE_MAX: u32 = 1_000;

/// A backup that is the store now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restored {
    pub(crate) manifest: Manifest,
    pub(crate) store_epoch: StoreEpoch,
    /// Where the files of before are, if there were any.
    pub(crate) aside: Option<PathBuf>,
}

/// Refuses a data folder in which a restore was broken off.
pub(in super::super) fn refuse_unfinished(folder: &Path) -> io::Result<()> {
    if folder.join(MARK).exists() {
        let reason = "a restore was broken off here; run restore again";
        return Err(io::Error::other(reason));
    }
    Ok(())
}

/// Makes the backup in `source` the store of `data`, under a new epoch.
pub(crate) fn restore(
    data: &Path,
    source: &Path,
    platform: &PlatformId,
    (entropy, at): (&mut dyn Entropy, Utc),
) -> Result<Restored, BackupError> {
    let manifest = verify(source, platform)?;
    // Held until all is done; refused while a platform runs.
    let _lock = lock(data)?;
    let part = data.join(PART);
    copy(&file(source), &part)?;
    let store_epoch = StoreEpoch::from_random(entropy.bytes());
    renew(&part, &manifest, store_epoch, at)?;
    let aside = place(data, &part).map_err(|source| BackupError::Place {
        path: file(data),
        source,
    })?;
    Ok(Restored {
        manifest,
        store_epoch,
        aside,
    })
}

/// The manifest, if the backup is what it says and for us.
fn verify(source: &Path, ours: &PlatformId) -> Result<Manifest, BackupError> {
    let manifest = read_manifest(&source.join(MANIFEST))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let newer = |what| BackupError::Newer {
        path: source.to_owned(),
        what,
    };
    if manifest.format > FORMAT {
        return Err(newer(format!("format {}", manifest.format)));
    }
    if manifest.schema > known {
        return Err(newer(format!(
            "schema {}, this one knows {known}",
            manifest.schema
        )));
    }
    if manifest.platform != *ours {
        return Err(BackupError::Foreign {
            path: source.to_owned(),
            theirs: manifest.platform,
            ours: ours.clone(),
        });
    }
    let copy = file(source);
    let differs = |what| BackupError::Differs {
        path: copy.clone(),
        what,
    };
    if digest(&copy)? != (manifest.sha256, manifest.size_bytes) {
        return Err(differs("another size or SHA-256"));
    }
    let found = inspect(&copy)?;
    let is_same = (found.schema, found.epoch, &found.platform)
        == (manifest.schema, manifest.store_epoch, &manifest.platform)
        && found.head.sequence == manifest.chain_length
        && found.head.hash == *manifest.chain_head.as_bytes();
    if !is_same {
        return Err(differs("another schema, epoch, platform or chain"));
    }
    Ok(manifest)
}

fn read_manifest(path: &Path) -> Result<Manifest, BackupError> {
    let none = |source: Box<dyn std::error::Error + Send + Sync>| BackupError::Manifest {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MANIFEST_SIZE_MAX).read_to_string(&mut text))
        .map_err(|error| none(error.into()))?;
    serde_json::from_str(&text).map_err(|error| none(error.into()))
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let copied = || -> io::Result<()> {
        for suffix in SUFFIXES {
            remove(&suffixed(to, suffix))?;
        }
        let mut target = private(to)?;
        io::copy(&mut File::open(from)?, &mut target)?;
        target.sync_all()
    };
    copied().map_err(|source| BackupError::Place {
        path: to.to_owned(),
        source,
    })
}

/// At the newest schema, under the new epoch, with the restore in its chain.
fn renew(part: &Path, manifest: &Manifest, fresh: StoreEpoch, at: Utc) -> Result<(), BackupError> {
    let wrap = |source: rusqlite::Error| BackupError::Copy {
        path: part.to_owned(),
        source,
    };
    let mut connection = Connection::open(part).map_err(wrap)?;
    configure(&connection).map_err(wrap)?;
    schema::migrate(&mut connection, MIGRATIONS).map_err(|error| {
        BackupError::Store(StoreError::Failed {
            action: "bring the backup to this version",
            source: Box::new(error),
        })
    })?;
    let mut begin = || -> rusqlite::Result<()> {
        let transaction = Transaction::new(&mut connection, TransactionBehavior::Immediate)?;
        epoch::know(&transaction, &meta(&transaction, "epoch")?)?;
        epoch::begin(&transaction, fresh, at)?;
        let detail = json!({"from_epoch": manifest.store_epoch, "to_epoch": fresh, "backup_made_at": manifest.made_at});
        let link = Link {
            transaction: &[],
            at_ms: at.as_millis(),
            kind: "restored",
            detail: &detail.to_string(),
        };
        let head = change::write_link(&transaction, &link, chain::head(&transaction)?)?;
        chain::put_head(&transaction, head)?;
        transaction.execute(
            "UPDATE meta SET value = ?1 WHERE key = 'epoch'",
            params![fresh.to_string()],
        )?;
        transaction.commit()
    };
    begin().map_err(wrap)?;
    // One file again: nothing of it may stay in a log that is not moved with it.
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .map_err(wrap)?;
    connection.close().map_err(|(_, error)| wrap(error))
}

/// Exchanges the files. Broken off anywhere, the mark stays, and a second run goes on.
fn place(data: &Path, part: &Path) -> io::Result<Option<PathBuf>> {
    let (mark, store) = (data.join(MARK), file(data));
    process::file::replace(&mark, b"run restore again\n")?;
    let aside = set_aside(data, &store)?;
    fs::rename(part, &store)?;
    process::file::sync_folder(&store)?;
    fs::remove_file(&mark)?;
    process::file::sync_folder(&store)?;
    Ok(aside)
}

fn set_aside(data: &Path, store: &Path) -> io::Result<Option<PathBuf>> {
    let files: Vec<PathBuf> = SUFFIXES
        .map(|suffix| suffixed(store, suffix))
        .into_iter()
        .filter(|path| path.exists())
        .collect();
    if files.is_empty() {
        return Ok(None);
    }
    let aside = new_folder(data)?;
    for path in files {
        let name = path.file_name().unwrap_or_default();
        fs::rename(&path, aside.join(name))?;
    }
    process::file::sync_folder(&aside.join("any"))?;
    process::file::sync_folder(store)?;
    Ok(Some(aside))
}

fn new_folder(data: &Path) -> io::Result<PathBuf> {
    for number in 1..=ASIDE_MAX {
        let path = data.join(format!("before-restore-{number}"));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(
        "too many folders before-restore-N; remove old ones",
    ))
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
