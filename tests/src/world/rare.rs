//! What happens in some worlds only, as the plan says.

use edge_agent::simulation::Terminal;
use platform::simulation::Deed as Act;
use protocol::codec::{Envelope, decode, encode};
use protocol::id::TransactionId;
use protocol::message::{OrderRequest, PaymentMessage};
use protocol::money::Money;
use protocol::signed::{SigningKey, sign};
use protocol::topic::{Topic, Up};

use super::plan::{Deed, DiskFault};
use super::tap::claims;
use super::wire::Parcel;
use super::{Happening, World, build};

/// Until an overheard message is heard again.
const REPEATED_MAX_MS: u64 = 200_000;

impl World {
    pub(super) fn begin_rare(&mut self) {
        let rare = self.plan.rare.clone();
        self.deeds_left = rare.deeds.len();
        for (ms, deed) in rare.deeds {
            self.after(ms, Happening::Deed(deed));
        }
        for (ms, lane, fault) in rare.disks {
            self.after(ms, Happening::Disk(lane, fault));
        }
        if let Some((backup_ms, restore_ms)) = rare.restore {
            self.after(backup_ms, Happening::Backup);
            self.after(restore_ms, Happening::Restore);
        }
    }

    /// A person acts; whoever is not let in comes back no more.
    pub(super) fn act_by_hand(&mut self, deed: Deed) {
        self.deeds_left -= usize::from(deed != Deed::Release);
        if !self.is_platform_up {
            return;
        }
        let now = self.now();
        let (act, word) = match deed {
            Deed::Pause { for_ms } => {
                self.after(for_ms, Happening::Deed(Deed::Release));
                (Some(Act::Hold), "by hand: hold")
            }
            Deed::Release => (Some(Act::Release), "by hand: release"),
            Deed::Reconcile => (Some(Act::Reconcile), "by hand: reconcile"),
            Deed::Refund => (self.a_sale(None).map(Act::Refund), "by hand: refund"),
            Deed::Open => (
                self.a_sale(Some("awaiting_payment")).map(Act::Open),
                "by hand: open",
            ),
            Deed::Resolve(resolution) => {
                let sale = self.a_sale(Some("review"));
                let act = sale.map(|sale| Act::Resolve(sale, resolution));
                (act, "by hand: resolve")
            }
        };
        let Some(act) = act else {
            return;
        };
        let about = match &act {
            Act::Refund(sale) | Act::Resolve(sale, _) | Act::Open(sale) => Some(*sale),
            Act::Hold | Act::Release | Act::Reconcile | Act::Vouch(_) => None,
        };
        if self.platform.act(act, now) {
            self.seen(word);
            if let Some(sale) = about {
                self.oracle.decided_by_hand(sale);
                self.tap.decided_by_hand(sale);
            }
        }
        self.commit_soon();
    }

    /// One in the wanted state if there is any, else any.
    fn a_sale(&mut self, state: Option<&str>) -> Option<TransactionId> {
        let books = self.platform.books();
        let wanted: Vec<_> = books
            .iter()
            .filter(|sale| state.is_none_or(|state| sale.state == state))
            .map(|sale| sale.transaction)
            .collect();
        let all: Vec<_> = books.iter().map(|sale| sale.transaction).collect();
        let of = if wanted.is_empty() { all } else { wanted };
        self.dice.pick(&of).copied()
    }

    /// Power fails, and comes back with another disk.
    pub(super) fn break_disk(&mut self, lane: usize, fault: DiskFault) {
        if !self.lanes[lane].is_up {
            return;
        }
        self.seen("disk lost or damaged");
        self.lanes[lane].disk_fault = Some(fault);
        let name = self.lanes[lane].terminal.name().clone();
        self.tap.disk_is_broken(&name);
        for transaction in self.lanes[lane].switched.clone() {
            // Its records are gone: nobody can know.
            self.oracle.excuse(transaction);
        }
        self.cut(lane);
    }

    pub(super) fn take_backup(&mut self) {
        self.backup = Some(Box::new(self.platform.clone()));
    }

    pub(super) fn restore_store(&mut self) {
        let Some(backup) = self.backup.take() else {
            return;
        };
        self.seen("store restored");
        let now = self.now();
        let terminals = self.lanes.iter().map(|lane| lane.terminal.name().clone());
        self.tap.platform_is_restored(terminals.collect());
        let orders = self.server.totals();
        let orders = orders.iter().map(|order| order.order);
        let switched = self.lanes.iter().flat_map(|lane| lane.switched.clone());
        self.oracle.store_restored(orders.chain(switched));
        let epoch = protocol::id::Entropy::bytes(&mut self.dice);
        self.platform.restore(&backup, epoch, now);
        if self.is_platform_up {
            self.connect_soon(super::Party::Platform, 500);
            self.is_commit_due = false;
            self.commit_soon();
        }
    }

    /// Somebody on the wire repeats what he has heard.
    pub(super) fn repeat_later(&mut self, parcel: &Parcel) {
        if self.dice.chance(self.plan.rare.repeated) {
            let ms = self.dice.between(1_000, REPEATED_MAX_MS);
            self.after(ms, Happening::Repeat(parcel.clone()));
        }
    }

    pub(super) fn repeat(&mut self, parcel: &Parcel) {
        self.seen("overheard message repeated");
        let generation = self.links.get(&parcel.to).map_or(0, |link| link.generation);
        self.deliver(&parcel.on(generation));
    }

    /// What a terminal publishes that claims that nothing is to be paid.
    pub(super) fn lie(&mut self, lane: usize, topic: &Topic, payload: Vec<u8>) -> Vec<u8> {
        let is_liar = self.plan.rare.are_liars && matches!(topic, Topic::Up(_, Up::Payment));
        match is_liar.then(|| free_of_charge(lane, &payload)).flatten() {
            Some(lie) => {
                self.seen("terminal lies about the price");
                lie
            }
            None => payload,
        }
    }
}

/// The same request for nothing, signed by the terminal's own key.
fn free_of_charge(lane: usize, payload: &[u8]) -> Option<Vec<u8>> {
    let mut message: Envelope<PaymentMessage> = decode(payload).ok()?;
    let PaymentMessage::OrderRequest(jws) = &message.body else {
        return None;
    };
    let mut request: OrderRequest = claims(jws)?;
    request.amount = Money::zero(request.amount.currency());
    let key = SigningKey::from_seed(build::seed_of(lane));
    message.body = PaymentMessage::OrderRequest(sign(&key, &request).ok()?);
    encode(&message).ok()
}

/// Power comes back, on whatever disk there is now.
pub(super) fn start_terminal(lane: &mut super::lane::Lane, now: protocol::time::Now) {
    let dice = &mut lane.dice;
    let terminal: &mut Terminal = &mut lane.terminal;
    match lane.disk_fault.take() {
        None => terminal.power_cut(lane.kept_unsynced, now, dice),
        Some(DiskFault::Lost) => terminal.lose_journal(now, dice),
        Some(DiskFault::Damaged { readable_percent }) => {
            let records = terminal.clone_journal().len() as u64;
            let readable = usize::try_from(records * readable_percent / 100).unwrap_or(0);
            terminal.damage_journal(readable, now, dice);
        }
    }
}
