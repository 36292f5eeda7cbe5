//! What can be read on the wires between platform, terminals and payment server, and the rules
//! that show there before any harm is done. Signatures are not checked: nobody lies here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use payment_mock::simulation::Server;
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

/// Everything that was heard so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tap {
    sales: BTreeMap<TransactionId, Heard>,
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
    permits: BTreeSet<Nonce>,
    /// Whether the platform knows of a permit.
    is_permitted: bool,
    /// The payment that the permits rest on.
    ground: Option<PaymentId>,
    is_off: bool,
    refunds: BTreeMap<PaymentId, RefundId>,
    /// Its order's lifetime after it was last asked for.
    outlived_at: Option<Tick>,
    /// The request was under way for longer than that, and made an order that nobody waits for:
    /// money for it is late.
    is_stray: bool,
    /// The payment server said last that there is no such order.
    is_denied: bool,
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

    /// The platform starts again: it waits for no answer any more.
    pub fn platform_restarts(&mut self) {
        self.sales.values_mut().for_each(|sale| sale.asked = None);
    }

    /// The platform starts on a backup of its store: it knows less than it has said.
    pub fn platform_is_restored(&mut self) {
        for sale in self.sales.values_mut() {
            sale.asked = None;
            sale.is_permitted = false;
            sale.is_off = false;
        }
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
        // Said again with the same bytes is not said anew.
        if !sale.permits.insert(permit.nonce) {
            return None;
        }
        let Ground::Paid {
            payment,
            amount,
            payee,
            ..
        } = &permit.ground
        else {
            return None;
        };
        sale.dead_at = sale.dead_at.max(sale.heard.get(&permit.nonce).copied());
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
        let sale = self.sales.get(&transaction)?;
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
            let lifetime = Duration::from_millis(create.lifetime_ms);
            sale.outlived_at = sale.outlived_at.max(Some(now + lifetime));
        }
        let before = sale.asked.replace((request.nonce, now));
        let is_open = before.is_some_and(|(_, at)| now < at + IN_FLIGHT);
        is_open.then_some("R1: two questions about an order in flight")
    }

    fn asks_back(&mut self, refund: &RefundOrder, now: Tick) -> Option<&'static str> {
        let sale = self.sales.entry(refund.order).or_default();
        let known = sale.refunds.insert(refund.payment, refund.refund);
        if known.is_some_and(|known| known != refund.refund) {
            return Some("R3: one payment asked back under two ids");
        }
        if sale.ground != Some(refund.payment) || known.is_some() {
            return None;
        }
        match sale.word {
            Word::Done => Some("I2: served, and the payment asked back"),
            Word::None if sale.dead_at.is_none_or(|at| now < at) => {
                Some("R8: asked back while a permit may live and nothing was answered")
            }
            Word::None | Word::Other => None,
        }
    }

    fn has_payable_beside(&self, order: TransactionId, server: &Server, now: Tick) -> bool {
        let terminal = self
            .sales
            .get(&order)
            .and_then(|sale| sale.terminal.as_ref());
        let others = self.sales.iter().filter(|(other, sale)| {
            **other != order && sale.terminal.is_some() && sale.terminal.as_ref() == terminal
        });
        others
            .into_iter()
            .any(|(other, sale)| sale.is_awaited(now) && server.is_payable(*other))
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
        sale.is_denied = answer.result == absent;
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
