//! The store's own thread: every call of it blocks, and only one may change it.

use std::collections::BTreeMap;

use protocol::id::{ActId, GatewayId, PaymentId, TransactionId};
use protocol::signed::KeyId;
use protocol::topic::TerminalName;
use tokio::sync::{mpsc, oneshot};

use super::group::Group;
use super::hand::Known;
use super::reconcile::BookRows;
use crate::caps::Counted;
use crate::metrics;
use crate::reconciliation::{STEP_MAX, Want};
use crate::store::books::OrderBook;
use crate::store::reader::{EpochRow, HoldRow};
use crate::store::{OutboxRow, SaleRow, Store, StoreError, TerminalRow};

/// The engine waits for each answer before it asks again: one job is all there ever is.
const JOBS_MAX: usize = 1;

/// Sales per read at the start.
const PAGE: usize = 1_000;

/// A sale and what it has in the outbox.
pub(crate) type Loaded = (SaleRow, Vec<OutboxRow>);

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriterError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the store's thread has ended")]
    Ended,
    #[error("can't start the store's thread")]
    Thread(#[source] std::io::Error),
}

enum Job {
    Commit(Box<Group>, oneshot::Sender<Result<Box<Group>, StoreError>>),
    Load(
        Vec<TransactionId>,
        oneshot::Sender<Result<Vec<Loaded>, StoreError>>,
    ),
    OrderBooks(
        Vec<TransactionId>,
        oneshot::Sender<Result<Vec<OrderBook>, StoreError>>,
    ),
    BookRows(
        GatewayId,
        Want,
        oneshot::Sender<Result<BookRows, StoreError>>,
    ),
    Reconciliations(
        Vec<GatewayId>,
        oneshot::Sender<Result<BTreeMap<GatewayId, String>, StoreError>>,
    ),
    Acts(Vec<ActId>, oneshot::Sender<Result<Known, StoreError>>),
    Owners(
        Vec<(GatewayId, PaymentId)>,
        oneshot::Sender<Result<Owners, StoreError>>,
    ),
    Open(
        Vec<TerminalName>,
        oneshot::Sender<Result<Opened, StoreError>>,
    ),
}

/// Payments, and the transactions for which they are booked.
pub(crate) type Owners = Vec<(PaymentId, TransactionId)>;

/// Everything that is open.
pub(crate) struct Opened {
    pub(crate) sales: Vec<Loaded>,
    pub(crate) terminals: Vec<TerminalRow>,
    pub(crate) holds: Vec<HoldRow>,
    pub(crate) revoked: Vec<KeyId>,
    pub(crate) capped: Vec<Counted>,
    pub(crate) epoch: EpochRow,
}

/// The way to the store's thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(crate) fn start<S: Store>(store: S) -> Result<Self, WriterError> {
        let (jobs, inbox) = mpsc::channel(JOBS_MAX);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(store, inbox))
            .map_err(WriterError::Thread)?;
        Ok(Self { jobs })
    }

    /// All of the group or nothing of it; returns once it is on the disk.
    pub(crate) async fn commit(&self, group: Group) -> Result<Group, WriterError> {
        let committed = self
            .ask(|reply| Job::Commit(Box::new(group), reply))
            .await?;
        Ok(*committed)
    }

    pub(crate) async fn load(
        &self,
        wanted: Vec<TransactionId>,
    ) -> Result<Vec<Loaded>, WriterError> {
        self.ask(|reply| Job::Load(wanted, reply)).await
    }

    /// Those of `wanted` that were done.
    pub(crate) async fn acts(&self, wanted: Vec<ActId>) -> Result<Known, WriterError> {
        self.ask(|reply| Job::Acts(wanted, reply)).await
    }

    /// Those of the payments that are booked.
    pub(crate) async fn owners(
        &self,
        payments: Vec<(GatewayId, PaymentId)>,
    ) -> Result<Owners, WriterError> {
        self.ask(|reply| Job::Owners(payments, reply)).await
    }

    pub(crate) async fn open(&self, terminals: Vec<TerminalName>) -> Result<Opened, WriterError> {
        self.ask(|reply| Job::Open(terminals, reply)).await
    }

    pub(crate) async fn order_books(
        &self,
        orders: Vec<TransactionId>,
    ) -> Result<Vec<OrderBook>, WriterError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(|reply| Job::OrderBooks(orders, reply)).await
    }

    /// What a reconciliation of `gateway` waits for.
    pub(crate) async fn book_rows(
        &self,
        gateway: GatewayId,
        want: Want,
    ) -> Result<BookRows, WriterError> {
        self.ask(|reply| Job::BookRows(gateway, want, reply)).await
    }

    /// What is kept of reconciliations.
    pub(crate) async fn reconciliations(
        &self,
        gateways: Vec<GatewayId>,
    ) -> Result<BTreeMap<GatewayId, String>, WriterError> {
        self.ask(|reply| Job::Reconciliations(gateways, reply))
            .await
    }

    async fn ask<R>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<R, StoreError>>) -> Job,
    ) -> Result<R, WriterError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.jobs.send(job(reply)).await;
        sent.map_err(|_| WriterError::Ended)?;
        Ok(answer.await.map_err(|_| WriterError::Ended)??)
    }
}

fn work<S: Store>(mut store: S, mut inbox: mpsc::Receiver<Job>) {
    while let Some(job) = inbox.blocking_recv() {
        let is_heard = match job {
            Job::Commit(group, reply) => reply.send(commit(&mut store, group)).is_ok(),
            Job::Load(wanted, reply) => reply.send(load(&store, &wanted)).is_ok(),
            Job::OrderBooks(orders, reply) => reply.send(store.order_books(&orders)).is_ok(),
            Job::BookRows(gateway, want, reply) => {
                reply.send(book_rows(&store, &gateway, &want)).is_ok()
            }
            Job::Reconciliations(gateways, reply) => {
                reply.send(reconciliations(&store, gateways)).is_ok()
            }
            Job::Acts(wanted, reply) => reply.send(acts(&store, &wanted)).is_ok(),
            Job::Owners(payments, reply) => reply.send(owners(&store, &payments)).is_ok(),
            Job::Open(terminals, reply) => reply.send(open(&store, &terminals)).is_ok(),
        };
        if !is_heard {
            tracing::debug!("nobody waits for the store's answer");
        }
    }
}

fn commit<S: Store>(store: &mut S, group: Box<Group>) -> Result<Box<Group>, StoreError> {
    let clock = process::clock::Clock::system();
    let began = clock.now().tick;
    for identity in &group.identities {
        store.put_identity(identity)?;
    }
    store.commit_all(group.batch())?;
    metrics::acted(&group.acts);
    metrics::committed(&group.changes, clock.now().tick.since(began));
    Ok(group)
}

fn load<S: Store>(store: &S, wanted: &[TransactionId]) -> Result<Vec<Loaded>, StoreError> {
    let mut loaded = Vec::new();
    for transaction in wanted {
        if let Some(row) = store.sale(*transaction)? {
            let outbox = store.outbox(Some(*transaction))?;
            loaded.push((row, outbox));
        }
    }
    Ok(loaded)
}

/// Rows of ours that a reconciliation waits for.
pub(crate) fn book_rows<S: Store>(
    store: &S,
    gateway: &GatewayId,
    want: &Want,
) -> Result<BookRows, StoreError> {
    match want {
        Want::Pending { after } => {
            let lines = store.pending_lines(gateway, *after, STEP_MAX)?;
            let orders: Vec<_> = lines.iter().map(|row| row.line.order).collect();
            Ok(BookRows {
                books: store.order_books(&orders)?,
                lines,
                unlisted: Vec::new(),
            })
        }
        Want::Unlisted { from, until } => Ok(BookRows {
            unlisted: store.unlisted(gateway, (*from, *until), STEP_MAX)?,
            ..BookRows::default()
        }),
    }
}

fn reconciliations<S: Store>(
    store: &S,
    gateways: Vec<GatewayId>,
) -> Result<BTreeMap<GatewayId, String>, StoreError> {
    let mut kept = BTreeMap::new();
    for gateway in gateways {
        if let Some(document) = store.reconciliation(&gateway)? {
            kept.insert(gateway, document);
        }
    }
    Ok(kept)
}

fn acts<S: Store>(store: &S, wanted: &[ActId]) -> Result<Known, StoreError> {
    let mut known = Known::new();
    for id in wanted {
        known.extend(store.act(*id)?.map(|act| (*id, act)));
    }
    Ok(known)
}

fn owners<S: Store>(store: &S, payments: &[(GatewayId, PaymentId)]) -> Result<Owners, StoreError> {
    let mut owners = Vec::new();
    for (gateway, payment) in payments {
        if let Some(transaction) = store.payment_owner(gateway, *payment)? {
            owners.push((*payment, transaction));
        }
    }
    Ok(owners)
}

fn open<S: Store>(store: &S, names: &[TerminalName]) -> Result<Opened, StoreError> {
    let mut sales = Vec::new();
    let mut after = None;
    loop {
        let page = store.open_sales(after, PAGE)?;
        let Some(last) = page.last() else {
            break;
        };
        after = Some(last.transaction);
        for row in page {
            let outbox = store.outbox(Some(row.transaction))?;
            sales.push((row, outbox));
        }
    }
    let mut terminals = Vec::new();
    for name in names {
        terminals.extend(store.terminal(name)?);
    }
    Ok(Opened {
        sales,
        terminals,
        holds: store.holds()?,
        revoked: store.revoked_keys()?,
        capped: store.capped()?,
        epoch: store.epoch_row()?,
    })
}
