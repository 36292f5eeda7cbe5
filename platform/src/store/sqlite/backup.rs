//! Copies of the store that tell what they are: made while the platform runs, taken back while it
//! does not.
//!
//! A backup is a folder with the database as one file and a manifest, which is written last: a
//! folder without one was broken off.

mod restore;

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use protocol::id::{PlatformId, StoreEpoch};
use protocol::message::Digest;
use protocol::time::Utc;
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{FILE, chain, meta, open_reader, private, schema};
use crate::store::StoreError;

pub(super) use restore::refuse_unfinished;
pub(crate) use restore::restore;

/// Inside a backup's folder.
const MANIFEST: &str = "manifest.json";

/// Of the manifest itself. A reader refuses a larger one.
const FORMAT: u32 = 1;

/// Longest manifest that is read: ours has ten short members.
const MANIFEST_SIZE_MAX: u64 = 16 * 1024;

/// What is read at once of a file to be hashed.
const BLOCK: usize = 64 * 1024;

/// Why there is no backup, or none was taken back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path} is there already: name a folder that is not")]
    Exists { path: PathBuf },
    #[error("{path}: can't write the backup")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: can't copy the store")]
    Copy {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("{path}: can't read the backup")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: no manifest of a backup: was it broken off?")]
    Manifest {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{path}: made by a newer version of this program ({what}): install that version")]
    Newer { path: PathBuf, what: String },
    #[error("{path}: a backup of platform '{theirs}', not of '{ours}'")]
    Foreign {
        path: PathBuf,
        theirs: PlatformId,
        ours: PlatformId,
    },
    #[error("{path}: not as its manifest says: {what}; take another backup")]
    Differs { path: PathBuf, what: &'static str },
    #[error("{path}: can't put the backup in place of the store")]
    Place {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    format: u32,
    pub(crate) platform: PlatformId,
    pub(crate) schema: u32,
    pub(crate) store_epoch: StoreEpoch,
    /// Events of the chain, and its head's hash.
    pub(crate) chain_length: i64,
    pub(crate) chain_head: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) made_at: Utc,
    pub(crate) made_by: String,
}

/// Copies the store of the data folder into `target`, which must not be there. One snapshot,
/// synced; the platform may run meanwhile.
pub(crate) fn backup(data: &Path, target: &Path, at: Utc) -> Result<Manifest, BackupError> {
    let source = open_reader(data)?;
    let made = DirBuilder::new().mode(0o700).create(target);
    made.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists {
            path: target.to_owned(),
        },
        _ => unwritable(target, source),
    })?;
    write(&source, target, at).inspect_err(|_| {
        // Nobody else knows the folder: half a backup is better not there.
        if let Err(error) = std::fs::remove_dir_all(target) {
            tracing::warn!(path = %target.display(), %error, "half a backup stays behind");
        }
    })
}

fn write(source: &Connection, target: &Path, at: Utc) -> Result<Manifest, BackupError> {
    let copy = target.join(FILE);
    // Empty and private: the copy keeps the mode.
    private(&copy).map_err(|error| unwritable(&copy, error))?;
    let copied = source.execute("VACUUM INTO ?1", [copy.display().to_string()]);
    copied.map_err(|source| BackupError::Copy {
        path: copy.clone(),
        source,
    })?;
    let synced = File::open(&copy).and_then(|file| file.sync_all());
    synced.map_err(|error| unwritable(&copy, error))?;
    let manifest = describe(&copy, at)?;
    let path = target.join(MANIFEST);
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| unwritable(&path, io::Error::other(error)))?;
    process::file::create(&path, format!("{text}\n").as_bytes())
        .and_then(|()| process::file::sync_folder(target))
        .map_err(|error| unwritable(&path, error))?;
    Ok(manifest)
}

/// What the copy really holds, whatever the store claims.
fn describe(copy: &Path, at: Utc) -> Result<Manifest, BackupError> {
    let found = inspect(copy)?;
    let (sha256, size_bytes) = digest(copy)?;
    Ok(Manifest {
        format: FORMAT,
        platform: found.platform,
        schema: found.schema,
        store_epoch: found.epoch,
        chain_length: found.head.sequence,
        chain_head: Digest::from_bytes(found.head.hash),
        size_bytes,
        sha256,
        made_at: at,
        made_by: concat!("paylatch-platform ", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

/// A database file that is whole: its pages, its chain, its names.
struct Inspected {
    platform: PlatformId,
    schema: u32,
    epoch: StoreEpoch,
    head: chain::Head,
}

fn inspect(path: &Path) -> Result<Inspected, BackupError> {
    let differs = |what| BackupError::Differs {
        path: path.to_owned(),
        what,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = || -> rusqlite::Result<_> {
        let connection = Connection::open_with_flags(path, flags)?;
        let check: String = connection.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
        let chained = chain::verify(&connection, chain::Head::START, i64::MAX)?;
        let is_intact = check == "ok" && chained.1.is_none();
        let names = (meta(&connection, "platform")?, meta(&connection, "epoch")?);
        Ok((
            is_intact,
            names,
            schema::version(&connection)?,
            chain::head(&connection)?,
        ))
    };
    let (is_intact, (platform, epoch), schema, head) =
        read().map_err(|_| differs("it is no database of ours"))?;
    if !is_intact {
        return Err(differs("a page or the chain of events is broken"));
    }
    Ok(Inspected {
        platform: platform
            .parse()
            .map_err(|_| differs("it names no platform"))?,
        epoch: epoch.parse().map_err(|_| differs("it names no epoch"))?,
        schema,
        head,
    })
}

/// SHA-256 and size of a file.
fn digest(path: &Path) -> Result<(Digest, u64), BackupError> {
    let read = || -> io::Result<_> {
        let mut file = File::open(path)?;
        let (mut hash, mut size) = (Sha256::new(), 0_u64);
        let mut block = vec![0; BLOCK];
        loop {
            let count = file.read(&mut block)?;
            if count == 0 {
                return Ok((Digest::from_bytes(hash.finalize().into()), size));
            }
            hash.update(&block[..count]);
            size = size.saturating_add(count as u64);
        }
    };
    read().map_err(|source| BackupError::Read {
        path: path.to_owned(),
        source,
    })
}

fn unwritable(path: &Path, source: io::Error) -> BackupError {
    BackupError::Write {
        path: path.to_owned(),
        source,
    }
}
