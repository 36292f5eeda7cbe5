//! A small file system in memory, so that a full disk is a real one. Mounting needs root.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::tool;

/// Takes the room that nobody else shall have.
const BALLAST: &str = "ballast";

/// One write of ballast; a full disk takes what is left of it.
const CHUNK_BYTES: usize = 4 * 1024;

/// A mounted tmpfs. Dropped, it is gone with everything in it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts `kib` KiB at `folder`. `None` where this may not be done, which is told loudly.
    ///
    /// # Errors
    /// It may not be done where nothing may be left out.
    pub fn mount(folder: &Path, kib: u32) -> anyhow::Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let options = format!("size={kib}k,mode=0700");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "paylatch-tests"])
            .arg(folder)
            .output()
            .context("mount does not start")?;
        if output.status.success() {
            let folder = folder.to_owned();
            return Ok(Some(Self { folder }));
        }
        let reason = String::from_utf8_lossy(&output.stderr);
        tool::leave_out(&format!("a full disk needs root: {}", reason.trim()))?;
        Ok(None)
    }

    /// Takes all room that is left but for `left` bytes.
    pub fn fill(&self, left: u64) -> anyhow::Result<()> {
        let path = self.folder.join(BALLAST);
        let mut file = File::options().create(true).append(true).open(path)?;
        while file
            .write(&[0; CHUNK_BYTES])
            .is_ok_and(|written| written > 0)
        {}
        let length = file.metadata()?.len();
        Ok(file.set_len(length.saturating_sub(left))?)
    }

    /// Gives the room back.
    pub fn empty(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.folder.join(BALLAST))?)
    }

    /// Makes the disk larger or smaller.
    pub fn resize(&self, kib: u32) -> anyhow::Result<()> {
        let options = format!("remount,size={kib}k");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.folder)
            .status()?;
        ensure!(status.success(), "the disk can't be resized");
        Ok(())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: a program that was just killed may still hold a file of it.
        let result = Command::new("umount").arg("-l").arg(&self.folder).status();
        if !result.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.folder.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_disk_takes_nothing_until_it_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let Some(disk) = SmallDisk::mount(folder.path(), 256).unwrap() else {
            return;
        };
        let file = folder.path().join("file");
        disk.fill(0).unwrap();
        let full = std::fs::write(&file, [1; 8_192]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        disk.empty().unwrap();
        std::fs::write(&file, [1; 8_192]).unwrap();
        drop(disk);
        assert!(!file.exists(), "it is still mounted");
    }
}
