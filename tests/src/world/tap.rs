//! What can be read on the wires between platform, terminals and payment server, and the rules
//! that show there before any harm is done. Signatures are not checked: nobody lies here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use payment_mock::simulation::Server;
use platform::config::CapLimits;
use protocol::codec::{Envelope, decode};
use protocol::id::{Nonce, PaymentId, RefundId, TransactionId};
use protocol::message::{
    GatewayAnswer, GatewayRefusal, GatewayRequest, GatewayResult, Ground, LinkageCommand,
    LinkageMessage, LinkageOutcome, Operation, PaymentMessage, PaymentReply, Permit, RefundOrder,
};
use protocol::signed::Jws;
use protocol::time::Tick;
use protocol::topic::{Down, Gateway, TerminalName, Topic, Up};
use serde::de::DeserializeOwned;

/// How long a question counts as in flight: the platform's default, less what a commit takes.
const IN_FLIGHT: Duration = Duration::from_millis(4_900);

/// How long refunds are counted against a cap here: less than the platform counts them, since it
/// counts from an earlier instant.
const CAP_WINDOW: Duration = Duration::from_secs(50 * 60);

/// Refunds on a terminal's word, by the reasons that are sent along.
const WORD: [&str; 5] = [
    "linkage_refused",
    "linkage_failed",
    "linkage_uncertain",
    "gave_up",
    "ended",
];

/// Refunds of money that nobody wants.
const MENDING: [&str; 5] = [
    "late",
    "duplicate",
    "wrong_amount",
    "wrong_currency",
    "inconsistent",
];

/// What is true of a world, and can't be heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Caps that are tight enough to be met.
    pub caps: Option<CapLimits>,
    /// Nothing costs anything.
    pub is_free: bool,
}

/// Everything that was heard so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tap {
    sales: BTreeMap<TransactionId, Heard>,
    /// Refunds on a terminal's word, and of unwanted money, that may go out by themselves.
    caps: Option<(usize, usize)>,
    is_free: bool,
    /// Refunds that went out by themselves: when, and on which terminal's word.
    counted: Vec<(Tick, Option<TerminalName>)>,
    /// Terminals that the store has not heard since it was restored.
    unheard: BTreeSet<TerminalName>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Heard {
    terminal: Option<TerminalName>,
    /// Every nonce that its terminal has made.
    born: BTreeSet<Nonce>,
    /// When the newest of them dies, counted from its first word on the wire; none after a reboot.
    alive_until: Option<Tick>,
    /// When each nonce is dead for the platform, counted from when it heard of it.
    heard: BTreeMap<Nonce, Tick>,
    /// When all of them are that it may have permitted something under.
    dead_at: Option<Tick>,
    /// Each with whether a person gave it.
    permits: BTreeMap<Nonce, bool>,
    /// Whether the platform knows of a permit.
    is_permitted: bool,
    /// The payment that the permits rest on.
    ground: Option<PaymentId>,
    is_off: bool,
    refunds: BTreeMap<PaymentId, RefundId>,
    /// Payments that were asked back, by whichever store.
    asked_back: BTreeSet<PaymentId>,
    is_by_hand: bool,
    /// It was heard of before the store was restored.
    is_old: bool,
    /// Its order's lifetime after it was last asked for.
    outlived_at: Option<Tick>,
    /// The request was under way for longer than that, and made an order that nobody waits for:
    /// money for it is late.
    is_stray: bool,
    /// The payment server said last that there is no such order, of all that it was asked for.
    is_denied: bool,
    /// Asked since the order was asked for last.
    newest: BTreeSet<Nonce>,
    /// The terminal was told that it is over.
    is_settled: bool,
    /// The terminal was told where to pay.
    is_quoted: bool,
    /// The question about the order that is not answered.
    asked: Option<(Nonce, Tick)>,
    /// What the terminal said of a permit or an inquiry.
    word: Word,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Word {
    #[default]
    None,
    Done,
    Other,
}

impl Tap {
    #[must_use]
    pub fn new(expected: Expected) -> Self {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let of = |caps: CapLimits| (count(caps.per_terminal), count(caps.breaker_count));
        Self {
            caps: expected.caps.map(of),
            is_free: expected.is_free,
            ..Self::default()
        }
    }

    /// The platform says something; the rule that it breaks with it.
    pub fn platform_says(
        &mut self,
        topic: &Topic,
        payload: &[u8],
        server: &Server,
        now: Tick,
    ) -> Option<&'static str> {
        match topic {
            Topic::Down(_, Down::Linkage) => {
                let command: Envelope<LinkageCommand> = decode(payload).ok()?;
                match command.body {
                    LinkageCommand::Permit(permit) => self.permits(&claims(&permit)?, server),
                    LinkageCommand::Off(off) => self.withdraws(claims(&off)?.transaction),
                }
            }
            Topic::Down(_, Down::Payment) => {
                let reply: Envelope<PaymentReply> = decode(payload).ok()?;
                match reply.body {
                    PaymentReply::Settled(settled) => {
                        self.settles(settled.transaction, server, now)
                    }
                    PaymentReply::Quote(quote) => {
                        let sale = self.sales.entry(claims(&quote)?.transaction).or_default();
                        sale.is_quoted = true;
                        None
                    }
                    _ => None,
                }
            }
            Topic::Gateway(_, Gateway::Request, _) => {
                let request: Envelope<Jws<GatewayRequest>> = decode(payload).ok()?;
                self.asks(&claims(&request.body)?, server, now)
            }
            _ => None,
        }
    }

    /// Something reaches the platform.
    pub fn platform_hears(&mut self, topic: &Topic, payload: &[u8], now: Tick) {
        match topic {
            Topic::Up(name, Up::Payment) => {
                if let Some((transaction, nonce, life)) = birth(payload) {
                    let sale = self.sales.entry(transaction).or_default();
                    sale.terminal = Some(name.clone());
                    let dies_at = *sale.heard.entry(nonce).or_insert(now + life);
                    // A fresh one may be refused: it counts once there is a permit under it.
                    sale.dead_at.get_or_insert(dies_at);
                }
            }
            Topic::Up(name, Up::Hello) => {
                self.unheard.remove(name);
            }
            Topic::Up(_, Up::Linkage) => self.hears_word(payload),
            Topic::Gateway(_, Gateway::Response, _) => self.hears_answer(payload),
            _ => {}
        }
    }

    /// Something reaches the payment server.
    pub fn server_hears(&mut self, payload: &[u8], now: Tick) {
        let request = decode::<Jws<GatewayRequest>>(payload).ok();
        let request = request.and_then(|envelope| claims(&envelope.body));
        if let Some(Operation::Create(create)) = request.map(|request| request.operation) {
            let sale = self.sales.entry(create.order).or_default();
            sale.is_stray |= sale.outlived_at.is_none_or(|at| now >= at);
        }
    }

    /// Whether the platform can't know of an order: made so late that nobody waits for it, or denied.
    #[must_use]
    pub fn is_hidden(&self, transaction: TransactionId) -> bool {
        let sale = self.sales.get(&transaction);
        sale.is_some_and(|sale| sale.is_stray || sale.is_denied)
    }

    /// A terminal says something.
    pub fn terminal_says(&mut self, topic: &Topic, payload: &[u8], now: Tick) {
        let Topic::Up(name, Up::Payment) = topic else {
            return;
        };
        if let Some((transaction, nonce, life)) = birth(payload) {
            let sale = self.sales.entry(transaction).or_default();
            sale.terminal = Some(name.clone());
            if sale.born.insert(nonce) {
                sale.alive_until = Some(now + life);
            }
        }
    }

    /// A terminal starts again: its nonces are dead (R6).
    pub fn terminal_restarts(&mut self, name: &TerminalName) {
        let own = self.sales.values_mut();
        own.filter(|sale| sale.terminal.as_ref() == Some(name))
            .for_each(|sale| sale.alive_until = None);
    }

    /// A terminal's disk is gone, and with it what the platform may have heard and never kept.
    pub fn disk_is_broken(&mut self, name: &TerminalName) {
        let own = self.sales.values_mut();
        own.filter(|sale| sale.terminal.as_ref() == Some(name) && !sale.is_settled)
            .filter(|sale| sale.word == Word::Done)
            .for_each(|sale| sale.word = Word::Other);
    }

    /// The platform starts again: it waits for no answer any more.
    pub fn platform_restarts(&mut self) {
        self.sales.values_mut().for_each(|sale| sale.asked = None);
    }

    /// The platform starts on a backup of its store: it knows less than it has said.
    pub fn platform_is_restored(&mut self, terminals: BTreeSet<TerminalName>) {
        self.unheard = terminals;
        self.counted.clear();
        for sale in self.sales.values_mut() {
            sale.asked = None;
            sale.is_permitted = false;
            sale.is_off = false;
            sale.is_old = true;
            sale.is_settled = false;
            sale.is_quoted = false;
            sale.refunds.clear();
            sale.newest.clear();
            sale.outlived_at = None;
        }
    }

    /// A person has decided about its money.
    pub fn decided_by_hand(&mut self, transaction: TransactionId) {
        self.sales.entry(transaction).or_default().is_by_hand = true;
    }

    /// A device moves; the rule that is broken by it.
    #[must_use]
    pub fn switched_on(&self, transaction: TransactionId, now: Tick) -> Option<&'static str> {
        let sale = self.sales.get(&transaction)?;
        let is_alive = sale.alive_until.is_some_and(|until| now <= until);
        (!is_alive).then_some("R6: an ON under a nonce that is dead")
    }

    fn permits(&mut self, permit: &Permit, server: &Server) -> Option<&'static str> {
        let sale = self.sales.entry(permit.transaction).or_default();
        let is_by_hand = matches!(permit.ground, Ground::Operator { .. });
        let was_by_hand = sale.permits.insert(permit.nonce, is_by_hand);
        // Said again is not said anew.
        if was_by_hand == Some(is_by_hand) {
            return None;
        }
        sale.dead_at = sale.dead_at.max(sale.heard.get(&permit.nonce).copied());
        let (payment, amount, payee) = match &permit.ground {
            Ground::Paid {
                payment,
                amount,
                payee,
                ..
            } => (payment, amount, payee),
            Ground::Operator { .. } => {
                let is_second = std::mem::replace(&mut sale.is_permitted, true);
                let is_second = is_second && sale.permits.values().any(|by_hand| !by_hand);
                return is_second.then_some("R12: ON by hand after a permit");
            }
            Ground::ZeroBill { .. } if !self.is_free => {
                return Some("R12: a zero bill for what costs something");
            }
            Ground::ZeroBill { .. } | Ground::EntryVisit { .. } => return None,
        };
        sale.ground = Some(*payment);
        sale.is_permitted = true;
        if sale.is_off {
            return Some("R5: a permit after an OFF");
        }
        if sale.refunds.contains_key(payment) {
            return Some("I14: a permit after its payment was asked back");
        }
        let orders = server.totals();
        let order = orders.iter().find(|it| it.order == permit.transaction)?;
        let is_exact = (amount, payee) == (&order.amount, &order.payee)
            && order
                .payments
                .iter()
                .any(|it| it.payment == *payment && (&it.amount, &it.payee) == (amount, payee));
        (!is_exact).then_some("R2: a permit without an exact payment")
    }

    fn withdraws(&mut self, transaction: TransactionId) -> Option<&'static str> {
        let sale = self.sales.entry(transaction).or_default();
        sale.is_off = true;
        sale.is_permitted.then_some("R10: an OFF after a permit")
    }

    fn settles(
        &mut self,
        transaction: TransactionId,
        server: &Server,
        now: Tick,
    ) -> Option<&'static str> {
        let sale = self.sales.get_mut(&transaction)?;
        sale.is_settled = true;
        let may_act = sale.word == Word::None && sale.dead_at.is_some_and(|at| now < at);
        if may_act {
            return Some("R7: settled while its nonce may live and nothing was answered");
        }
        let is_unpaid = sale.permits.is_empty() && sale.refunds.is_empty();
        (is_unpaid && sale.is_awaited(now) && server.is_payable(transaction))
            .then_some("R5: settled while its order can be paid")
    }

    fn asks(
        &mut self,
        request: &GatewayRequest,
        server: &Server,
        now: Tick,
    ) -> Option<&'static str> {
        let order = request.operation.order()?;
        match &request.operation {
            Operation::Refund(refund) => return self.asks_back(refund, now),
            Operation::Create(_) if self.has_payable_beside(order, server, now) => {
                return Some("R4: an order beside one that can be paid");
            }
            _ => {}
        }
        let sale = self.sales.entry(order).or_default();
        if let Operation::Create(create) = &request.operation {
            sale.newest.clear();
            let lifetime = Duration::from_millis(create.lifetime_ms);
            sale.outlived_at = sale.outlived_at.max(Some(now + lifetime));
        }
        sale.newest.insert(request.nonce);
        let before = sale.asked.replace((request.nonce, now));
        let is_open = before.is_some_and(|(_, at)| now < at + IN_FLIGHT);
        is_open.then_some("R1: two questions about an order in flight")
    }

    fn asks_back(&mut self, refund: &RefundOrder, now: Tick) -> Option<&'static str> {
        let sale = self.sales.entry(refund.order).or_default();
        let known = sale.refunds.insert(refund.payment, refund.refund);
        let is_by_hand = sale.is_by_hand;
        if known.is_some_and(|known| known != refund.refund) && !is_by_hand {
            return Some("R3: one payment asked back under two ids");
        }
        let is_first = sale.asked_back.insert(refund.payment);
        let (is_old, terminal) = (sale.is_old, sale.terminal.clone());
        if is_first && !is_by_hand {
            let broken = self.counts(refund, is_old, terminal, now);
            if broken.is_some() {
                return broken;
            }
        }
        let sale = self.sales.entry(refund.order).or_default();
        if sale.ground != Some(refund.payment) || known.is_some() {
            return None;
        }
        match sale.word {
            Word::Done if is_by_hand => None,
            Word::Done => Some("I2: served, and the payment asked back"),
            Word::None if sale.dead_at.is_none_or(|at| now < at) => {
                Some("R8: asked back while a permit may live and nothing was answered")
            }
            Word::None | Word::Other => None,
        }
    }

    /// A refund that goes out by itself, for the first time.
    fn counts(
        &mut self,
        refund: &RefundOrder,
        is_old: bool,
        terminal: Option<TerminalName>,
        now: Tick,
    ) -> Option<&'static str> {
        let reason = refund.reason.as_str();
        let on_word = WORD.contains(&reason);
        let rests_on_store = !matches!(reason, "linkage_refused" | "linkage_failed" | "operator");
        if is_old && rests_on_store && !self.unheard.is_empty() {
            return Some("R7: a restored store mends before it has heard every terminal");
        }
        let (word_max, mending_max) = self.caps?;
        if !on_word && !MENDING.contains(&reason) {
            return None;
        }
        let whose = terminal.filter(|_| on_word);
        let of_kind = self
            .counted
            .iter()
            .filter(|(at, of)| now < *at + CAP_WINDOW && *of == whose);
        let most = if on_word { word_max } else { mending_max };
        let is_above = of_kind.count() >= most;
        self.counted.push((now, whose));
        is_above.then_some("R13: more refunds than the cap lets out")
    }

    fn has_payable_beside(&self, order: TransactionId, server: &Server, now: Tick) -> bool {
        let terminal = self
            .sales
            .get(&order)
            .and_then(|sale| sale.terminal.as_ref());
        let others = self.sales.iter().filter(|(other, sale)| {
            **other != order && sale.terminal.is_some() && sale.terminal.as_ref() == terminal
        });
        others.into_iter().any(|(other, sale)| {
            let is_known = sale.is_quoted || !sale.is_denied;
            is_known && sale.is_awaited(now) && server.is_payable(*other)
        })
    }

    fn hears_word(&mut self, payload: &[u8]) {
        let Ok(message) = decode::<LinkageMessage>(payload) else {
            return;
        };
        let said = match message.body {
            LinkageMessage::Result(result) => claims(&result).map(|result| {
                let is_done = result.outcome == LinkageOutcome::Done;
                let word = if is_done { Word::Done } else { Word::Other };
                (result.transaction, word)
            }),
            LinkageMessage::Answer(answer) => {
                claims(&answer).map(|answer| (answer.transaction, Word::Other))
            }
        };
        if let Some((transaction, word)) = said {
            let sale = self.sales.entry(transaction).or_default();
            if sale.word != Word::Done {
                sale.word = word;
            }
        }
    }

    fn hears_answer(&mut self, payload: &[u8]) {
        let answer = decode::<Jws<GatewayAnswer>>(payload).ok();
        let Some(answer) = answer.and_then(|envelope| claims(&envelope.body)) else {
            return;
        };
        let Some(sale) = answer.order.and_then(|order| self.sales.get_mut(&order)) else {
            return;
        };
        let absent = GatewayResult::Refused(GatewayRefusal::OrderNotFound);
        if sale.newest.contains(&answer.nonce) {
            sale.is_denied = answer.result == absent;
        }
        if sale.asked.is_some_and(|(nonce, _)| nonce == answer.nonce) {
            sale.asked = None;
        }
    }
}

impl Heard {
    /// Whether its order may still come into being and be paid in time, as far as the platform can
    /// know.
    fn is_awaited(&self, now: Tick) -> bool {
        !self.is_stray && self.outlived_at.is_some_and(|at| now < at)
    }
}

/// The nonce of a request that makes one, and its life.
fn birth(payload: &[u8]) -> Option<(TransactionId, Nonce, Duration)> {
    let message: Envelope<PaymentMessage> = decode(payload).ok()?;
    let (transaction, nonce, life_ms) = match message.body {
        PaymentMessage::OrderRequest(jws) => {
            let request = claims(&jws)?;
            (
                request.transaction,
                request.nonce,
                request.nonce_lifetime_ms,
            )
        }
        PaymentMessage::PermitRequest(jws) => {
            let request = claims(&jws)?;
            (
                request.transaction,
                request.nonce,
                request.nonce_lifetime_ms,
            )
        }
        PaymentMessage::Notice(_) | PaymentMessage::Ended(_) => return None,
    };
    Some((transaction, nonce, Duration::from_millis(life_ms)))
}

/// What a message claims, believed as it stands.
pub fn claims<T: DeserializeOwned>(jws: &Jws<T>) -> Option<T> {
    let body = jws.as_str().split('.').nth(1)?;
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, body);
    serde_json::from_slice(&bytes.ok()?).ok()
}
