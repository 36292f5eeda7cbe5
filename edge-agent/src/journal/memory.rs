//! A disk in memory whose writes last only once they are synced, and whose calls can fail.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::File;

#[derive(Debug, Clone, Default)]
struct Disk {
    written: Vec<u8>,
    synced: Vec<u8>,
    /// Unsynced writes, oldest first.
    waiting: Vec<(usize, Vec<u8>)>,
    syncs: usize,
    sync_fails_at: Option<usize>,
    writes: usize,
    write_fails_at: Option<usize>,
    write_max: Option<usize>,
    writes_fail: bool,
    /// Every second call is interrupted by a signal.
    interrupts: bool,
}

/// Clones share the disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryFile(Arc<Mutex<Disk>>);

impl MemoryFile {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            synced: bytes.clone(),
            written: bytes,
            ..Disk::default()
        })))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.disk().written.clone()
    }

    /// What is on the disk after a power cut that kept only some of the unsynced writes.
    pub(crate) fn after_power_cut(&self, kept: impl Fn(usize) -> bool) -> Self {
        let disk = self.disk();
        let mut bytes = disk.synced.clone();
        for (index, (offset, written)) in disk.waiting.iter().enumerate() {
            if kept(index) {
                put(&mut bytes, *offset, written);
            }
        }
        Self::of(bytes)
    }

    /// The `n`-th sync from now fails, counted from 0; the kernel forgets what it could not write.
    pub(crate) fn fail_sync(&self, n: usize) {
        let mut disk = self.disk();
        disk.sync_fails_at = Some(disk.syncs + n);
    }

    /// No write takes more than this.
    pub(crate) fn limit_writes(&self, bytes: usize) {
        self.disk().write_max = Some(bytes);
    }

    /// The `n`-th write from now finds the disk full, counted from 0.
    pub(crate) fn fail_write(&self, n: usize) {
        let mut disk = self.disk();
        disk.write_fails_at = Some(disk.writes + n);
    }

    pub(crate) fn interrupt_writes(&self) {
        self.disk().interrupts = true;
    }

    /// Syncs and writes so far.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let disk = self.disk();
        (disk.syncs, disk.writes)
    }

    /// Writes that a power cut could lose.
    pub(crate) fn unsynced_count(&self) -> usize {
        self.disk().waiting.len()
    }

    /// Another disk in the same state.
    pub(crate) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(self.disk().clone())))
    }

    pub(crate) fn fail_writes(&self) {
        self.disk().writes_fail = true;
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = self.disk();
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let rest = disk.written.get(offset..);
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk();
        let number = disk.writes;
        disk.writes += 1;
        if disk.interrupts && number.is_multiple_of(2) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if disk.writes_fail || disk.write_fails_at == Some(number) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let length = bytes.len().min(disk.write_max.unwrap_or(usize::MAX));
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        put(&mut disk.written, offset, &bytes[..length]);
        disk.waiting.push((offset, bytes[..length].to_vec()));
        Ok(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.disk();
        let fails = disk.sync_fails_at == Some(disk.syncs);
        disk.syncs += 1;
        let waiting = std::mem::take(&mut disk.waiting);
        if fails {
            // The pages count as clean from now on: no later sync writes them.
            return Err(io::Error::other("injected"));
        }
        for (offset, bytes) in waiting {
            put(&mut disk.synced, offset, &bytes);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().written.len() as u64)
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[offset..end].copy_from_slice(written);
}
