//! The thread that writes the journal, so that a slow disk never blocks the machine's task.

use std::path::PathBuf;
use std::thread::JoinHandle;

use process::clock::Clock;
use protocol::id::JournalId;
use tokio::sync::mpsc;

use crate::journal::{DiskFile, Durability, Journal, JournalError, Opened};
use crate::machine::Ticket;
use crate::machine::record::Record;
use crate::metrics;

/// Writes that may wait: one sale makes about twelve, and the disk is a few milliseconds behind.
const JOBS_MAX: usize = 64;

/// What the thread shall do, in order.
#[derive(Debug)]
pub(super) enum Job {
    Append {
        ticket: Ticket,
        records: Vec<Record>,
        durability: Durability,
    },
    Rewrite {
        records: Vec<Record>,
    },
}

#[derive(Debug)]
pub(super) enum Written {
    Done(Ticket),
    /// Nothing that came after is written either.
    Failed(JournalError),
}

#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    results: mpsc::Receiver<Written>,
    thread: Option<JoinHandle<()>>,
}

/// Opens the journal; blocking.
pub(crate) fn open(
    path: &std::path::Path,
    size: u64,
    fresh_id: JournalId,
) -> Result<(Journal<DiskFile>, Opened), JournalError> {
    let file = DiskFile::open(path).map_err(JournalError::Read)?;
    Journal::open(file, size, fresh_id)
}

impl Writer {
    pub(super) fn start(journal: Journal<DiskFile>, clock: Clock) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(JOBS_MAX);
        // One result per job at most, so the thread never waits for its reader.
        let (done, results) = mpsc::channel(JOBS_MAX * 2);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(journal, waiting, &done, &clock))?;
        Ok(Self {
            jobs: Some(jobs),
            results,
            thread: Some(thread),
        })
    }

    /// Hands a job over; `false` once the thread has ended or is hopelessly behind.
    pub(super) fn submit(&self, job: Job) -> bool {
        self.jobs
            .as_ref()
            .is_some_and(|jobs| jobs.try_send(job).is_ok())
    }

    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Written> {
        self.results.recv().await
    }

    /// Ends the thread once everything that was handed over is written; the file is unlocked then.
    pub(super) async fn close(mut self) {
        self.jobs = None;
        while self.results.recv().await.is_some() {}
        let Some(thread) = self.thread.take() else {
            return;
        };
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => tracing::error!("the journal's thread ended abnormally"),
        }
    }
}

fn run(
    mut journal: Journal<DiskFile>,
    mut jobs: mpsc::Receiver<Job>,
    done: &mpsc::Sender<Written>,
    clock: &Clock,
) {
    while let Some(job) = jobs.blocking_recv() {
        let written = match carry_out(&mut journal, job, clock) {
            Ok(None) => continue,
            Ok(Some(ticket)) => Written::Done(ticket),
            Err(error) => Written::Failed(error),
        };
        let is_over = matches!(written, Written::Failed(_));
        if done.blocking_send(written).is_err() || is_over {
            return;
        }
    }
}

fn carry_out(
    journal: &mut Journal<DiskFile>,
    job: Job,
    clock: &Clock,
) -> Result<Option<Ticket>, JournalError> {
    match job {
        Job::Append {
            ticket,
            records,
            durability,
        } => {
            let start = clock.now().tick;
            journal.append(&encoded(&records), durability)?;
            if durability >= Durability::Synced {
                metrics::journal_synced(clock.now().tick.since(start));
            }
            Ok(Some(ticket))
        }
        Job::Rewrite { records } => {
            journal.rewrite(&encoded(&records))?;
            Ok(None)
        }
    }
}

fn encoded(records: &[Record]) -> Vec<Vec<u8>> {
    records.iter().map(Record::encode).collect()
}

/// Where the journal is, and how it is opened again.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}
