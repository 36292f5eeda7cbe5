//! What the machine has to offer: a disk that keeps the journal, and an address for the page.

use std::io;
use std::path::Path;

use rustix::fs::{statfs, statvfs};
use tokio::net::{TcpListener, TcpStream};

use super::Problem;
use crate::config::Config;
use crate::journal::{DiskFile, Journal, JournalError};
use crate::machine::has_room;

/// `f_type` of file systems that forget everything at a power cut (statfs(2)).
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58F6];

/// The journal is only read here: its agent may be running.
pub(super) fn journal(config: &Config) -> Result<String, Problem> {
    let folder = &config.data_folder;
    if !folder.is_dir() {
        let what = format!("{} is no folder", folder.display());
        return Err(Problem::new(
            what,
            "make it, owned by the agent's user, mode 0700",
        ));
    }
    if in_memory(folder) {
        let what = format!(
            "{} is in memory: a power cut forgets every permit",
            folder.display()
        );
        return Err(Problem::new(what, "put data_folder on a disk"));
    }
    let path = config.journal_path();
    match std::fs::metadata(&path) {
        Ok(_) => contents(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => room(config),
        Err(error) => Err(Problem::new(
            format!("{}: {error}", path.display()),
            "run as the user that owns data_folder",
        )),
    }
}

fn contents(path: &Path) -> Result<String, Problem> {
    let inspect = || {
        let file = DiskFile::look(path).map_err(JournalError::Read)?;
        Journal::inspect(file)
    };
    let opened = match inspect() {
        // A running agent may just be rewriting it.
        Ok(opened) if opened.damaged => inspect(),
        other => other,
    };
    let opened = opened.map_err(|error| {
        let what = format!("{}: {}", path.display(), process::exit::one_line(&error));
        Problem::new(
            what,
            "run as the user that owns data_folder, and check the disk",
        )
    })?;
    let room = has_room(&opened.records, opened.capacity);
    if opened.damaged || room.is_none() {
        return Err(Problem::new(
            format!("{} is damaged: nothing is sold on it", path.display()),
            "keep a copy, move it away and start the agent: the platform settles its sales",
        ));
    }
    if room == Some(false) {
        return Err(Problem::new(
            format!(
                "{} is full of sales that nobody has settled",
                path.display()
            ),
            "let the terminal reach its platform, which settles them",
        ));
    }
    let (used, capacity) = (opened.used, opened.capacity);
    Ok(format!(
        "{}, {used} of {capacity} bytes used",
        path.display()
    ))
}

fn in_memory(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|found| {
        IN_MEMORY
            .iter()
            .any(|kind| i128::from(*kind) == i128::from(found.f_type))
    })
}

fn room(config: &Config) -> Result<String, Problem> {
    let folder = &config.data_folder;
    let wanted = config.journal.size_bytes;
    let found = statvfs(folder).map_err(|error| {
        let what = format!("{}: {error}", folder.display());
        Problem::new(what, "check the disk")
    })?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if free < wanted {
        let what = format!(
            "{free} bytes are free in {}, {wanted} are wanted",
            folder.display()
        );
        return Err(Problem::new(
            what,
            "free some space, or lower journal.size_bytes",
        ));
    }
    Ok(format!(
        "none yet; {free} bytes are free, {wanted} are wanted"
    ))
}

pub(super) async fn page(config: &Config) -> Result<String, Problem> {
    let address = config.page.listen;
    let reach = match (&config.page.url, address.ip().is_loopback()) {
        (Some(url), _) => format!("phones open {url}"),
        (None, true) => "phones can't reach it, this machine alone can".to_owned(),
        (None, false) => "phones open it directly".to_owned(),
    };
    match TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free; {reach}")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken(config, &reach).await,
        Err(error) => Err(Problem::new(
            format!("{address}: {error}"),
            "set page.listen to an address of this machine, with a port from 1024",
        )),
    }
}

/// A running agent has the address; then something answers there.
async fn taken(config: &Config, reach: &str) -> Result<String, Problem> {
    let address = config.page.listen;
    match TcpStream::connect(address).await {
        Ok(_) => Ok(format!(
            "{address} is in use, as it is while the agent runs; {reach}"
        )),
        Err(error) => Err(Problem::new(
            format!("{address} is taken and does not answer: {error}"),
            "stop what holds it, or set another page.listen",
        )),
    }
}
