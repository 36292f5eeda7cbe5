//! All open sales in memory, and the rules of who may move which. No I/O: the shell feeds it what
//! it believes, commits what it collects, and tells it whether that worked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::Hasher;
use std::sync::Arc;

use protocol::codec::Record;
use protocol::id::{Entropy, GatewayId, Nonce, PaymentId, StoreEpoch, TransactionId};
use protocol::message::{Ack, Digest, Operation};
use protocol::time::{Now, Tick};
use protocol::topic::{TerminalName, Topic};

use super::acks::Acks;
use super::gateway::{Calls, Gateways};
use super::group::{Group, Kept, word_of};
use super::intake::{Intake, Taken};
use super::reading::Reading;
use super::reconcile::Reconciliations;
use super::speak::{self, Parcel, SpeakError, Speaker};
use crate::act::HoldScope;
use crate::caps::{CapLimits, Caps, Counted};
use crate::ledger::check_balanced;
use crate::metrics;
use crate::registry::Registry;
use crate::sale::{Output, Sale, Turn, Word};
use crate::store::books::OrderBook;
use crate::store::reader::HoldRow;
use crate::store::{OutboxRow, SaleRow, TerminalNote, TerminalRow};

/// Most sales in memory: 10,000 terminals serve one phone each, and half as many again are being
/// refunded. At about 12 KiB each these are 200 MiB; above it no new sale is made.
pub(crate) const SALES_MAX: usize = 16_384;

/// Hashes what is written to it.
struct Fingerprint<'h, H>(&'h mut H);

impl<H: Hasher> std::fmt::Write for Fingerprint<'_, H> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Where a core takes its randomness from. A fork draws what the original would have drawn.
pub(crate) trait Source: Entropy + std::fmt::Debug + Send + Sync {
    fn fork(&self) -> Box<dyn Source>;
}

impl<T: Entropy + Clone + std::fmt::Debug + Send + Sync + 'static> Source for T {
    fn fork(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Source> {
    fn clone(&self) -> Self {
        (**self).fork()
    }
}

/// What the core is made with; it stays the same until the process ends.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) speaker: Arc<Speaker>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) gateways: Gateways,
    pub(crate) store_epoch: StoreEpoch,
    /// Numbers site configs: larger at every start.
    pub(crate) serial: u64,
    /// Where payers find their status page, without the token; none if we serve none.
    pub(crate) status_url: Option<String>,
    pub(crate) caps: CapLimits,
}

#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) ground: Ground,
    /// Numbers site configs: larger at every start.
    pub(super) serial: u64,
    pub(super) entropy: Box<dyn Source>,
    pub(super) sales: BTreeMap<TransactionId, Kept>,
    by_terminal: BTreeMap<TerminalName, BTreeSet<TransactionId>>,
    /// Deadlines of sales in memory, and the late watch of those that are not.
    timers: BTreeSet<(Tick, TransactionId)>,
    wakes: BTreeMap<TransactionId, Tick>,
    touched: BTreeSet<TransactionId>,
    /// Not everything that is open is here yet.
    is_loading: bool,
    acks: Acks,
    pub(super) calls: Calls,
    /// The newest receipt of each terminal: the next one names it.
    receipts: BTreeMap<TerminalName, Digest>,
    pub(super) holds: BTreeSet<HoldScope>,
    pub(super) reading: Reading,
    /// Whether refunds that rest on the store alone go out by themselves.
    pub(super) is_mending: bool,
    /// Refunds that went out by themselves lately (R13).
    pub(super) caps: Caps,
    /// Whose payments are, of those that this round may meet (I4).
    taken: BTreeMap<PaymentId, TransactionId>,
    pub(super) group: Group,
    pub(super) reconciliations: Reconciliations,
    /// Of the orders that statements of this round name.
    pub(super) books: Vec<OrderBook>,
}

impl Core {
    pub(crate) fn new(ground: Ground, entropy: Box<dyn Source>) -> Self {
        let caps = Caps::new(ground.caps.clone());
        Self {
            serial: ground.serial,
            reading: Reading::new(ground.store_epoch),
            ground,
            entropy,
            sales: BTreeMap::new(),
            by_terminal: BTreeMap::new(),
            timers: BTreeSet::new(),
            wakes: BTreeMap::new(),
            touched: BTreeSet::new(),
            is_loading: false,
            acks: Acks::default(),
            calls: Calls::default(),
            receipts: BTreeMap::new(),
            holds: BTreeSet::new(),
            is_mending: true,
            caps,
            taken: BTreeMap::new(),
            group: Group::default(),
            reconciliations: Reconciliations::default(),
            books: Vec::new(),
        }
    }

    /// Forgets what only the store may know for sure, to be loaded again, until
    /// [`Core::handle_loaded`].
    pub(crate) fn forget(&mut self) {
        self.sales.clear();
        self.by_terminal.clear();
        self.timers.clear();
        self.wakes.clear();
        self.touched.clear();
        self.is_loading = true;
        self.acks = Acks::default();
        self.receipts.clear();
        self.holds.clear();
        self.caps = Caps::new(self.ground.caps.clone());
        self.taken.clear();
        self.group = Group::default();
        self.books.clear();
    }

    /// The next process on the same store. What is open is to be loaded after it.
    pub(crate) fn restart(&mut self, serial: u64) {
        self.forget();
        self.reading.forget_presence();
        self.calls = Calls::default();
        self.serial = serial;
    }

    /// Feeds what the future depends on and the store does not hold.
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        let volatile = (&self.sales, &self.timers, &self.acks, &self.receipts);
        let group = (&self.group, &self.touched, &self.entropy);
        let written = write!(Fingerprint(hasher), "{volatile:?}{group:?}");
        debug_assert!(written.is_ok(), "a hasher takes everything");
    }

    /// A sale out of the store. A row that is none is said and left alone.
    pub(crate) fn adopt(&mut self, row: &SaleRow, outbox: Vec<OutboxRow>, now: Now) {
        let sale: Sale = match serde_json::from_str(&row.document) {
            Ok(sale) => sale,
            Err(error) => {
                let transaction = row.transaction;
                tracing::error!(%transaction, %error, "the store holds a sale that is none");
                return;
            }
        };
        let parcel = |row: OutboxRow| {
            let word = word_of(&row)?;
            let (topic, payload) = (row.topic, row.payload);
            Some((word, Parcel { topic, payload }))
        };
        let outbox = outbox.into_iter().filter_map(parcel).collect();
        let digest = Digest::of(row.document.as_bytes());
        let kept = Kept::restored(sale, Some(row.version), Some(digest), outbox);
        self.keep(kept);
        self.step(row.transaction, now, Sale::handle_restart);
    }

    /// What the store knows of a terminal.
    pub(crate) fn adopt_terminal(&mut self, row: &TerminalRow) {
        for (journal, through) in &row.journals {
            self.acks.restore(&row.terminal, *journal, *through);
        }
        if let Some(digest) = row.last_receipt {
            self.receipts.insert(row.terminal.clone(), digest);
        }
    }

    /// Whether a message is believed, by the keys that are known.
    pub(crate) fn believe(&self, topic: &Topic, payload: &[u8], is_retained: bool) -> Taken {
        let intake = Intake {
            platform: &self.ground.speaker.platform,
            registry: &self.ground.registry,
            gateways: &self.ground.gateways,
        };
        let taken = intake.take(topic, payload, is_retained);
        if let Some((what, reason)) = taken.refused {
            metrics::refused(what, reason, &topic.to_string());
        }
        taken
    }

    /// What the store knows of holds.
    pub(crate) fn adopt_holds(&mut self, rows: Vec<HoldRow>) {
        self.holds.extend(rows.into_iter().map(|row| row.scope));
    }

    /// What the store knows of refunds that went out by themselves lately.
    pub(crate) fn adopt_capped(&mut self, rows: Vec<Counted>, now: Tick) {
        for counted in rows {
            self.caps.restore(counted, now);
        }
    }

    pub(crate) fn has(&self, transaction: TransactionId) -> bool {
        self.sales.contains_key(&transaction)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.sales.len() >= SALES_MAX
    }

    pub(crate) fn poll_timeout(&self) -> Option<Tick> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let others = [
            self.acks.timeout(),
            self.reconciliations.timeout(),
            self.reading.timeout(),
        ];
        timer.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// Sales that are due, and not in memory.
    pub(crate) fn due_elsewhere(&self, now: Tick) -> Vec<TransactionId> {
        self.due(now)
            .into_iter()
            .filter(|transaction| !self.has(*transaction))
            .collect()
    }

    /// Everything that is due. `watched` were not in memory: they have been loaded for their late
    /// watch, or are gone.
    pub(crate) fn handle_timeout(&mut self, watched: &[TransactionId], now: Now) {
        for transaction in watched {
            self.set_wake(*transaction, None);
            self.step(*transaction, now, Sale::handle_watch);
        }
        for transaction in self.due(now.tick) {
            self.step(transaction, now, Sale::handle_timeout);
        }
        self.ask_due(now);
        for (terminal, record) in self.acks.skip_due(now.tick) {
            self.acknowledge(&terminal, record, true, now);
        }
        self.handle_reconciliation_timeout(now);
    }

    /// Sends everything that is not acknowledged: nothing of an earlier connection is on its way.
    pub(crate) fn handle_connected(&mut self) {
        for kept in self.sales.values() {
            self.group.parcels.extend(kept.outbox.values().cloned());
        }
    }

    /// The effect of a terminal's record is in this group.
    pub(crate) fn take_record(&mut self, terminal: &TerminalName, record: Record, now: Now) {
        let (through, is_news) = self.acks.take(terminal, record, now.tick);
        self.acknowledge(terminal, through, is_news, now);
    }

    /// What is to be committed now, and then to be sent.
    pub(crate) fn take_group(&mut self, now: Now) -> Group {
        let mut group = std::mem::take(&mut self.group);
        self.caps.forget_passed(now.tick);
        group.caps = self.caps.take_notes();
        for transaction in &self.touched {
            let Some(kept) = self.sales.get_mut(transaction) else {
                continue;
            };
            match kept.take_change(now.utc) {
                Ok(change) => group.changes.extend(change),
                Err(error) => tracing::error!(%transaction, %error, "a sale has no JSON form"),
            }
        }
        group
    }

    /// The group is on the disk: what only waits need not stay in memory.
    pub(crate) fn handle_committed(&mut self) {
        self.taken.clear();
        for transaction in std::mem::take(&mut self.touched) {
            let is_parked = |kept: &Kept| kept.sale.is_parked();
            if self.sales.get(&transaction).is_some_and(is_parked)
                && let Some(kept) = self.sales.remove(&transaction)
            {
                self.leave_terminal(&kept.sale);
            }
        }
    }

    /// Whether refunds that rest on the store alone go out by themselves: not after a restore, until
    /// every terminal's journal was read.
    pub(crate) fn set_self_mending(&mut self, is_mending: bool, now: Now) {
        for gateway in self.ground.gateways.values_mut() {
            gateway.policy.self_mending = is_mending;
        }
        let sales: Vec<TransactionId> = self.sales.keys().copied().collect();
        for transaction in sales {
            self.step(transaction, now, Sale::handle_mending);
        }
    }

    pub(super) fn keep(&mut self, kept: Kept) {
        let facts = kept.sale.facts();
        let transaction = facts.transaction;
        self.by_terminal
            .entry(facts.terminal.clone())
            .or_default()
            .insert(transaction);
        self.sales.insert(transaction, kept);
    }

    /// Everything that was open is loaded: what waited for a sale that is shut by now waits no more.
    pub(crate) fn handle_loaded(&mut self, now: Now) {
        self.is_loading = false;
        let sales: Vec<TransactionId> = self.sales.keys().copied().collect();
        for transaction in sales {
            self.unblock(transaction, now);
        }
    }

    /// The store knows whose payments these are.
    pub(crate) fn adopt_payments(&mut self, owned: Vec<(PaymentId, TransactionId)>) {
        self.taken.extend(owned);
    }

    /// Whether an order may still be paid at this terminal (R4).
    pub(super) fn is_payable_at(&self, terminal: &TerminalName) -> bool {
        let of_terminal = self.by_terminal.get(terminal).into_iter().flatten();
        let mut sales = of_terminal.filter_map(|transaction| self.sales.get(transaction));
        sales.any(|kept| kept.sale.is_payable())
    }

    /// Lets the sale that waits at this sale's terminal go on, once no order can be paid there (R4).
    fn unblock(&mut self, transaction: TransactionId, now: Now) {
        if self.is_loading {
            return;
        }
        let Some(kept) = self.sales.get(&transaction) else {
            return;
        };
        let terminal = &kept.sale.facts().terminal;
        let is_alone = self.by_terminal.get(terminal).is_none_or(|of| of.len() < 2);
        if is_alone && !kept.sale.is_waiting() || self.is_payable_at(terminal) {
            return;
        }
        let terminal = terminal.clone();
        let is_waiting = |core: &Self, other: &TransactionId| {
            let kept = core.sales.get(other);
            kept.is_some_and(|kept| kept.sale.is_waiting())
        };
        let waiting = self.of_terminal(&terminal);
        let first = waiting.into_iter().find(|other| is_waiting(self, other));
        if let Some(first) = first {
            // The sale that goes on is payable at once, so this ends with the first one.
            self.step(first, now, Sale::handle_unblocked);
        }
    }

    pub(super) fn of_terminal(&self, terminal: &TerminalName) -> Vec<TransactionId> {
        let of_terminal = self.by_terminal.get(terminal);
        of_terminal.into_iter().flatten().copied().collect()
    }

    /// One step of one sale, and everything that it queued. `None` without such a sale.
    pub(super) fn step<R>(
        &mut self,
        transaction: TransactionId,
        now: Now,
        step: impl FnOnce(&mut Sale, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let kept = self.sales.get_mut(&transaction)?;
        let gateway = self.ground.gateways.get(&kept.sale.facts().gateway);
        let Some(gateway) = gateway else {
            let gateway = &kept.sale.facts().gateway;
            metrics::refused("sale", "unknown_gateway", gateway.as_str());
            return None;
        };
        let mut turn = Turn {
            now,
            entropy: &mut *self.entropy,
            policy: &gateway.policy,
            store_epoch: self.ground.store_epoch,
            caps: &mut self.caps,
            taken: &self.taken,
        };
        let result = step(&mut kept.sale, &mut turn);
        self.absorb(transaction, now);
        Some(result)
    }

    /// Drains what a sale queued into the group.
    pub(super) fn absorb(&mut self, transaction: TransactionId, now: Now) {
        self.touched.insert(transaction);
        while let Some(output) = self
            .sales
            .get_mut(&transaction)
            .and_then(|kept| kept.sale.poll_output())
        {
            if let Err(error) = self.absorb_one(transaction, output, now) {
                let error = process::exit::one_line(&error);
                tracing::error!(%transaction, error, "a message can't be said");
            }
        }
        let wake = self
            .sales
            .get(&transaction)
            .and_then(|kept| kept.sale.poll_timeout());
        self.set_wake(transaction, wake);
        self.unblock(transaction, now);
    }

    fn absorb_one(
        &mut self,
        transaction: TransactionId,
        output: Output,
        now: Now,
    ) -> Result<(), SpeakError> {
        let Some(kept) = self.sales.get_mut(&transaction) else {
            return Ok(());
        };
        match output {
            Output::Event(event) => kept.draft.events.push(event),
            Output::Entry(entry) => match check_balanced(&entry) {
                Ok(()) => kept.draft.postings.extend(entry),
                Err(error) => tracing::error!(%transaction, %error, "an entry is not booked"),
            },
            Output::Payment(payment) => {
                self.taken.insert(payment.payment, transaction);
                kept.draft.payments.push(payment);
            }
            Output::Refund(refund) => kept.draft.refunds.push(refund),
            Output::Withdraw(word) => kept.withdraw(word),
            Output::Resend(word) => self.group.parcels.extend(kept.outbox.get(&word).cloned()),
            Output::Receipt(mut receipt) => {
                let terminal = receipt.terminal.clone();
                receipt.previous = self.receipts.get(&terminal).copied();
                let signed = self.ground.speaker.receipt(&receipt)?;
                let digest = signed.digest();
                kept.sale.keep_receipt(signed.clone());
                self.receipts.insert(terminal.clone(), digest);
                let note = TerminalNote::Receipt { terminal, digest };
                self.group.notes.push(note);
                self.say(transaction, &Output::ReceiptAgain(signed), now)?;
            }
            Output::Gateway { operation, nonce } => {
                let facts = kept.sale.facts();
                let (gateway, trace) = (facts.gateway.clone(), facts.traceparent.clone());
                self.ask_gateway(&gateway, (operation, nonce), trace.as_ref(), now)?;
            }
            word => self.say(transaction, &word, now)?,
        }
        Ok(())
    }

    /// A question to a payment server, sent after the commit.
    pub(super) fn ask_gateway(
        &mut self,
        gateway: &GatewayId,
        (operation, nonce): (Operation, Nonce),
        traceparent: Option<&String>,
        now: Now,
    ) -> Result<(), SpeakError> {
        self.calls.asked(nonce, operation.as_str(), now.tick);
        let speaker = &self.ground.speaker;
        let call = (operation, nonce);
        let request = super::gateway::request(&speaker.platform, gateway, call, now.utc);
        let entropy = &mut *self.entropy;
        let parcel = speaker.gateway_request(gateway, &request, traceparent, entropy)?;
        self.group.parcels.push(parcel);
        Ok(())
    }

    /// A word: into the outbox with its exact bytes, and sent after the commit.
    fn say(
        &mut self,
        transaction: TransactionId,
        output: &Output,
        now: Now,
    ) -> Result<(), SpeakError> {
        let Some(kept) = self.sales.get_mut(&transaction) else {
            return Ok(());
        };
        let source: (&mut dyn Entropy, _) = (&mut *self.entropy, now.utc);
        let said: Option<(Word, Parcel)> =
            self.ground
                .speaker
                .word(kept.sale.facts(), output, source)?;
        if let Some((word, parcel)) = said {
            self.group.parcels.push(parcel.clone());
            kept.put(word, parcel);
        }
        Ok(())
    }

    fn acknowledge(&mut self, terminal: &TerminalName, through: Record, is_news: bool, now: Now) {
        if is_news {
            let terminal = terminal.clone();
            let note = TerminalNote::Acknowledged {
                terminal,
                record: through,
            };
            self.group.notes.push(note);
        }
        let ack = Ack {
            journal: through.journal,
            through: through.sequence,
        };
        match speak::ack(terminal, ack, (&mut *self.entropy, now.utc)) {
            Ok(parcel) => self.group.parcels.push(parcel),
            Err(error) => tracing::error!(%error, "an acknowledgement can't be said"),
        }
    }

    fn due(&self, now: Tick) -> Vec<TransactionId> {
        self.timers
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, transaction)| *transaction)
            .collect()
    }

    fn set_wake(&mut self, transaction: TransactionId, wake: Option<Tick>) {
        let before = match wake {
            Some(at) => self.wakes.insert(transaction, at),
            None => self.wakes.remove(&transaction),
        };
        if let Some(at) = before {
            self.timers.remove(&(at, transaction));
        }
        if let Some(at) = wake {
            self.timers.insert((at, transaction));
        }
    }

    fn leave_terminal(&mut self, sale: &Sale) {
        let terminal = &sale.facts().terminal;
        if let Some(of_terminal) = self.by_terminal.get_mut(terminal) {
            of_terminal.remove(&sale.transaction());
            if of_terminal.is_empty() {
                self.by_terminal.remove(terminal);
            }
        }
    }
}
