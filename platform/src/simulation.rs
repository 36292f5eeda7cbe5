//! The platform without its shell, for simulators and model checkers: messages in as bytes, what
//! was committed out as bytes, time and randomness as arguments. Nothing that ships uses it.
//!
//! A step has two halves, so that a crash can fall between them: the `handle_*` calls believe and
//! apply, [`Platform::commit`] writes and only then gives out what is sent. A
//! [`Platform::crash`] forgets everything that was not committed.

mod hand;

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use protocol::id::{Entropy, PlatformId, StoreEpoch, TransactionId};
use protocol::money::Currency;
use protocol::signed::SigningKey;
use protocol::time::{Now, Tick};
use protocol::topic::Topic;

pub use self::hand::Deed;
use crate::caps::CapLimits;
use crate::config;
use crate::engine::core::{Core, Ground, Source};
use crate::engine::gateway::gateways;
use crate::engine::speak::Speaker;
use crate::ledger::{Account, check_balanced};
use crate::reconciliation::ReconciliationPolicy;
use crate::registry::Registry;
use crate::rules::Rules;
pub use crate::sale::Resolution;
use crate::sale::{Sale, Timeouts, UncertainPolicy};
use crate::site::Described;
use crate::store::memory::MemoryStore;
use crate::store::{SaleRow, Store as _};

/// Why a platform can't be simulated: the same checks as for a real one.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error("the sites are refused")]
    Sites(#[source] process::config::ConfigError),
}

/// What a simulated platform is made of.
#[derive(Debug)]
pub struct Setup {
    pub platform: PlatformId,
    pub key: SigningKey,
    pub sites: Vec<Described>,
    pub gateways: Vec<config::Gateway>,
    pub timeouts: Timeouts,
    pub uncertain: UncertainPolicy,
    pub caps: CapLimits,
    /// None reconciles never.
    pub reconciliation: Option<ReconciliationPolicy>,
    /// [`Sound`](crate::rules::Sound), or it with something taken away.
    pub rules: &'static dyn Rules,
}

/// A simulated platform with its store. A clone goes its own way.
#[derive(Debug, Clone)]
pub struct Platform {
    core: Core,
    store: MemoryStore,
    reconciliation: Option<ReconciliationPolicy>,
    /// Something was applied since the last commit.
    is_touched: bool,
    /// Counts what people have done: each act has an id of its own.
    acts: u64,
}

/// One sale in the books, in minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    pub transaction: TransactionId,
    pub state: String,
    pub order_state: String,
    /// Whether anything is still to be done.
    pub open: bool,
    /// Whether it waits for a person.
    pub is_reviewed: bool,
    pub currency: Currency,
    pub suspense: i64,
    pub kept: i64,
}

impl Platform {
    /// A platform with an empty store, started at `now`.
    ///
    /// # Errors
    /// When the sites contradict themselves.
    pub fn start(
        setup: Setup,
        mut entropy: impl Entropy + Clone + std::fmt::Debug + Send + Sync + 'static,
        now: Now,
    ) -> Result<Self, SimulationError> {
        let store = MemoryStore::new(StoreEpoch::from_random(entropy.bytes()));
        let registry = Registry::build(&setup.sites).map_err(SimulationError::Sites)?;
        let ground = Ground {
            speaker: Arc::new(Speaker {
                platform: setup.platform,
                key: setup.key,
            }),
            registry: Arc::new(registry),
            gateways: gateways(
                &setup.gateways,
                &setup.timeouts,
                setup.uncertain,
                setup.rules,
            ),
            store_epoch: store.epoch(),
            serial: store.starts(),
            status_url: None,
            caps: setup.caps,
        };
        let entropy: Box<dyn Source> = Box::new(entropy);
        let mut platform = Self {
            core: Core::new(ground, entropy),
            store,
            reconciliation: setup.reconciliation,
            is_touched: false,
            acts: 0,
        };
        platform.begin_reconciliation(now);
        Ok(platform)
    }

    /// A message from the broker. Its sender may be told that it was taken once
    /// [`Platform::commit`] has returned.
    pub fn handle_delivery(&mut self, topic: &Topic, payload: &[u8], is_retained: bool, now: Now) {
        self.is_touched = true;
        let taken = self.core.believe(topic, payload, is_retained);
        let wanted = self.core.wanted(&taken.intent);
        self.load(&wanted, now);
        self.lend(&self.core.books_wanted(&taken.intent));
        for (gateway, payment) in self.core.new_payments(&taken.intent) {
            let owner = self.store.payment_owner(&gateway, payment).ok().flatten();
            let owned = owner.map(|transaction| (payment, transaction));
            self.core.adopt_payments(owned.into_iter().collect());
        }
        self.core.apply(taken.intent, now);
        if let Some((terminal, record)) = taken.record {
            self.core.take_record(&terminal, record, now);
        }
        self.reconcile(now);
    }

    /// The connection to the broker is new.
    pub fn handle_connected(&mut self) {
        self.is_touched = true;
        self.core.handle_connected();
    }

    pub fn handle_timeout(&mut self, now: Now) {
        self.is_touched = true;
        let watched = self.core.due_elsewhere(now.tick);
        self.load(&watched, now);
        self.core.handle_timeout(&watched, now);
        self.reconcile(now);
    }

    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.core.poll_timeout()
    }

    /// Whether something was applied and not committed yet.
    #[must_use]
    pub const fn is_touched(&self) -> bool {
        self.is_touched
    }

    /// Writes what the steps since the last commit have led to, and gives out what may be sent
    /// now. A conflict is impossible with one writer, so a store that refuses is a defect, which
    /// [`Platform::violations`] names.
    pub fn commit(&mut self, now: Now) -> Vec<(Topic, Vec<u8>)> {
        self.is_touched = false;
        let group = self.core.take_group(now);
        if group.needs_commit() && self.store.commit_all(group.batch()).is_err() {
            self.crash(now);
            return Vec::new();
        }
        for identity in &group.identities {
            // The memory takes everything.
            drop(self.store.put_identity(identity));
        }
        self.core.handle_committed();
        let parcels = group.parcels.into_iter();
        parcels
            .map(|parcel| (parcel.topic, parcel.payload))
            .collect()
    }

    /// The process is killed and starts again on its store.
    pub fn crash(&mut self, now: Now) {
        self.store.reopen();
        self.start_again(now);
    }

    /// The process is stopped, and starts again on a backup of its store, in a new epoch. What was
    /// committed since the backup is gone.
    pub fn restore(&mut self, backup: &Self, epoch: [u8; 16], now: Now) {
        let epoch = StoreEpoch::from_random(epoch);
        self.store = backup.store.restored(epoch, &self.store);
        self.core.ground.store_epoch = epoch;
        self.start_again(now);
    }

    /// Both processes write one store: this one meets what the other has written, with its own
    /// memory of before.
    pub fn share_store(&mut self, other: &Self) {
        self.store = other.store.clone();
    }

    fn start_again(&mut self, now: Now) {
        self.is_touched = true;
        self.core.restart(self.store.starts());
        let open: Vec<TransactionId> = self
            .store
            .content()
            .sales
            .values()
            .filter(|row| row.open)
            .map(|row| row.transaction)
            .collect();
        for row in self.store.content().terminals.values() {
            self.core.adopt_terminal(row);
        }
        self.adopt_standing(now);
        self.load(&open, now);
        self.begin_reconciliation(now);
        self.core.handle_loaded(now);
    }

    /// Every sale, in the order of their ids.
    #[must_use]
    pub fn books(&self) -> Vec<Booked> {
        let content = self.store.content();
        let mut balances: BTreeMap<(TransactionId, Account), i64> = BTreeMap::new();
        for posting in &content.postings {
            let Some(transaction) = posting.transaction else {
                continue;
            };
            let balance = balances.entry((transaction, posting.account)).or_default();
            *balance += posting.credit_minor - posting.debit_minor;
        }
        let balance = |transaction, account| {
            let found = balances.get(&(transaction, account));
            found.copied().unwrap_or_default()
        };
        let booked = content.sales.values().map(|row| Booked {
            transaction: row.transaction,
            state: row.state.clone(),
            order_state: row.order_state.clone(),
            open: row.open,
            is_reviewed: is_reviewed(row),
            currency: row.amount.currency(),
            suspense: balance(row.transaction, Account::Suspense),
            kept: balance(row.transaction, Account::Merchant)
                + balance(row.transaction, Account::Loss),
        });
        booked.collect()
    }

    /// Rules of the books that do not hold now, one line each.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let content = self.store.content();
        let mut found = Vec::new();
        if let Err(error) = check_balanced(&content.postings) {
            found.push(format!("I1: {error}"));
        }
        for payment in content.payments.values() {
            if !(0..=payment.amount.minor()).contains(&payment.refunded_minor) {
                let (id, back) = (payment.payment, payment.refunded_minor);
                found.push(format!("I5: {id} refunded {back} of {}", payment.amount));
            }
        }
        for sale in self.books() {
            if sale.suspense < 0 || !sale.open && sale.suspense != 0 {
                let (id, suspense) = (sale.transaction, sale.suspense);
                found.push(format!("I6: {id} has {suspense} in suspense"));
            }
        }
        found
    }

    /// Feeds everything that tells this platform from another one in its future behaviour.
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        let content = self.store.content();
        for row in content.sales.values() {
            row.document.hash(hasher);
        }
        content.outbox_keys().for_each(|key| key.hash(hasher));
        self.core.fingerprint(hasher);
    }

    /// What stands whatever is sold. The memory can always be read.
    fn adopt_standing(&mut self, now: Now) {
        self.core
            .adopt_holds(self.store.holds().unwrap_or_default());
        let revoked = self.store.revoked_keys().unwrap_or_default();
        self.core.adopt_revoked(&revoked);
        let capped = self.store.capped().unwrap_or_default();
        self.core.adopt_capped(capped, now.tick);
        if let Ok(epoch) = self.store.epoch_row() {
            self.core.adopt_epoch(&epoch, now);
        }
    }

    fn load(&mut self, wanted: &[TransactionId], now: Now) {
        for transaction in wanted {
            let row = self.store.sale(*transaction).ok().flatten();
            let outbox = self.store.outbox(Some(*transaction)).unwrap_or_default();
            if let Some(row) = row {
                self.core.adopt(&row, outbox, now);
            }
        }
    }
}

/// In the state of that name, or served and with a payment that a person must see to.
fn is_reviewed(row: &SaleRow) -> bool {
    let sale = || serde_json::from_str::<Sale>(&row.document).ok();
    row.state == "review" || row.open && sale().is_some_and(|sale| sale.reviews().next().is_some())
}
