//! One sale on a bench: a hand-driven clock, seeded randomness, and a payment server and terminal
//! that say exactly what a test tells them to.

mod hands;
mod linkage;
mod money;
mod orders;
mod outcomes;
mod properties;
mod restart;
mod restored;
pub(crate) mod samples;
mod timing;
mod words;

use std::time::Duration;

use protocol::id::{
    BootId, Entropy, JournalId, Nonce, PaymentId, SessionId, StoreEpoch, TransactionId,
};
use protocol::message::{
    BillLine, Charge, DeviceOutcome, DeviceResult, Digest, Feedback, Finding, GatewayAnswer,
    GatewayRefusal, GatewayResult, Item, ItemLine, JournalAnswer, LinkageOutcome, LinkageResult,
    Operation, OrderRequest, OrderStatus, OrderView, Payee, PaymentView, PermitRequest, Place,
    RefundStatus, RefundView, Tariff, Text,
};
use protocol::money::{Currency, Money};
use protocol::signed::{Audience, Claims, Keyring, SigningKey, Verified, sign, verify};
use protocol::time::{Now, Tick, Utc};
use tariff::Bill;

use super::*;
use crate::ledger::{Account, check_balanced};
use crate::rules::Sound;
use words::*;

pub(super) const LIFETIME_MS: u64 = 120_000;
pub(super) const NONCE_LIFETIME_MS: u64 = 180_000;

/// Nothing was put out.
pub(super) const NOTHING: [&str; 0] = [];

/// Counts up: every id is another one, and a run replays.
pub(super) struct Counter(u64);

impl Entropy for Counter {
    fn bytes(&mut self) -> [u8; 16] {
        self.0 += 1;
        let mut bytes = [0xA0; 16];
        bytes[8..].copy_from_slice(&self.0.to_be_bytes());
        bytes
    }
}

pub(super) struct Bench {
    pub(super) sale: Sale,
    pub(super) now: Now,
    pub(super) policy: Policy,
    pub(super) store_epoch: StoreEpoch,
    pub(super) caps: Caps,
    /// Payments that are booked for some transaction.
    pub(super) taken: BTreeMap<PaymentId, TransactionId>,
    entropy: Counter,
    /// Every call to the payment server, oldest first.
    pub(super) calls: Vec<(Operation, Nonce)>,
    pub(super) postings: Vec<crate::ledger::Posting>,
    pub(super) permits: Vec<protocol::message::Permit>,
    /// The status of each refund row, as they were written.
    pub(super) refund_rows: Vec<String>,
    pub(super) inquiry: Option<Nonce>,
    /// What the steps since the last look put out, events aside.
    pub(super) said: Vec<String>,
    pub(super) kinds: Vec<String>,
    pub(super) moves: Vec<(TransactionState, TransactionState)>,
}

impl Bench {
    /// A sale whose create call is out.
    pub(super) fn new() -> Self {
        Self::with(policy())
    }

    pub(super) fn with(policy: Policy) -> Self {
        Self::priced(policy, 450)
    }

    pub(super) fn priced(policy: Policy, minor: i64) -> Self {
        Self::made(policy, minor, false)
    }

    /// A sale that waits for an earlier order.
    pub(super) fn blocked() -> Self {
        Self::made(policy(), 450, true)
    }

    fn made(policy: Policy, minor: i64, is_blocked: bool) -> Self {
        let now = Now {
            utc: Utc::EPOCH,
            tick: Tick::from_millis(1_000_000),
        };
        let mut entropy = Counter(0);
        let (mut caps, taken) = (Caps::default(), BTreeMap::new());
        let mut turn = Turn {
            now,
            entropy: &mut entropy,
            policy: &policy,
            store_epoch: epoch(),
            caps: &mut caps,
            taken: &taken,
        };
        let request = verified(&terminal_key(), &order_request(minor), &ours());
        let sale = Sale::request(request, bill(minor), site_facts(), is_blocked, &mut turn);
        let mut bench = Self {
            sale,
            now,
            policy,
            store_epoch: epoch(),
            caps,
            taken,
            entropy,
            calls: Vec::new(),
            postings: Vec::new(),
            permits: Vec::new(),
            refund_rows: Vec::new(),
            inquiry: None,
            said: Vec::new(),
            kinds: Vec::new(),
            moves: Vec::new(),
        };
        bench.drain();
        bench
    }

    /// A sale whose quote is out.
    pub(super) fn quoted() -> Self {
        let mut bench = Self::new();
        bench.answer(open());
        bench.look();
        bench
    }

    /// A sale whose permit is out.
    pub(super) fn permitted() -> Self {
        Self::permitted_with(policy())
    }

    pub(super) fn permitted_with(policy: Policy) -> Self {
        let mut bench = Self::with(policy);
        bench.answer(open());
        bench.step(Sale::handle_notice);
        bench.answer(paid(&[exact(1)]));
        bench.look();
        bench
    }

    /// One step of the machine; checks what must hold after every step.
    pub(super) fn step<R>(&mut self, step: impl FnOnce(&mut Sale, &mut Turn<'_>) -> R) -> R {
        let mut turn = Turn {
            now: self.now,
            entropy: &mut self.entropy,
            policy: &self.policy,
            store_epoch: self.store_epoch,
            caps: &mut self.caps,
            taken: &self.taken,
        };
        let result = step(&mut self.sale, &mut turn);
        self.drain();
        result
    }

    /// The payment server answers the newest call.
    pub(super) fn answer(&mut self, result: GatewayResult) -> bool {
        let (_, nonce) = self.calls.last().cloned().unwrap();
        self.answer_under(nonce, result)
    }

    pub(super) fn answer_under(&mut self, nonce: Nonce, result: GatewayResult) -> bool {
        let answer = GatewayAnswer {
            aud: ours(),
            gateway: "mock".parse().unwrap(),
            nonce,
            order: Some(transaction()),
            result,
            answered_at: self.now.utc,
        };
        let answer = verified(&gateway_key(), &answer, &ours());
        self.step(|sale, turn| sale.handle_answer(&answer, turn))
    }

    pub(super) fn result(&mut self, outcome: LinkageOutcome) -> bool {
        self.result_with(outcome, Feedback::ReadBack)
    }

    pub(super) fn result_with(&mut self, outcome: LinkageOutcome, feedback: Feedback) -> bool {
        let result = linkage_result(outcome, feedback);
        let result = verified(&terminal_key(), &result, &ours());
        self.step(|sale, turn| sale.handle_result(&result, turn))
    }

    pub(super) fn journal(&mut self, finding: Finding) -> bool {
        self.journal_of(journal(), finding)
    }

    pub(super) fn journal_of(&mut self, journal: JournalId, finding: Finding) -> bool {
        let answer = JournalAnswer {
            aud: ours(),
            terminal: terminal(),
            transaction: transaction(),
            nonce: self.inquiry.unwrap(),
            journal,
            finding,
            answered_at: self.now.utc,
        };
        let answer = verified(&terminal_key(), &answer, &ours());
        self.step(|sale, turn| sale.handle_journal_answer(&answer, turn))
    }

    pub(super) fn permit_request(&mut self, boot: u8, nonce: u8) -> bool {
        let request = PermitRequest {
            aud: ours(),
            terminal: terminal(),
            transaction: transaction(),
            session: session(),
            boot: BootId::from_random([boot; 16]),
            journal: journal(),
            nonce: Nonce::from_random([nonce; 16]),
            nonce_lifetime_ms: NONCE_LIFETIME_MS,
            requested_at: self.now.utc,
        };
        let request = verified(&terminal_key(), &request, &ours());
        self.step(|sale, turn| sale.handle_permit_request(&request, turn))
    }

    /// Time goes on, and every deadline on the way is met.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now.tick + duration;
        while let Some(due) = self.sale.poll_timeout().filter(|due| *due <= end) {
            self.advance_to(due);
            self.step(Sale::handle_timeout);
        }
        self.advance_to(end);
    }

    /// Time goes on to the next deadline, which is met.
    pub(super) fn pass_to_next(&mut self) {
        let due = self.sale.poll_timeout().unwrap();
        self.advance_to(due);
        self.step(Sale::handle_timeout);
    }

    /// The next deadline, in milliseconds from now.
    pub(super) fn next_ms(&self) -> Option<u128> {
        let due = self.sale.poll_timeout()?;
        Some(due.since(self.now.tick).as_millis())
    }

    /// What was put out since the last look, events aside.
    pub(super) fn look(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    /// The process ends and starts again, on a machine with other ticks.
    pub(super) fn restart(&mut self) {
        let document = serde_json::to_string(&self.sale).unwrap();
        self.sale = serde_json::from_str(&document).unwrap();
        self.now.tick = Tick::from_millis(7);
        self.step(Sale::handle_restart);
    }

    pub(super) fn reasons(&self) -> Vec<ReviewReason> {
        self.sale.reviews().map(|review| review.reason).collect()
    }

    pub(super) fn state(&self) -> TransactionState {
        self.sale.state()
    }

    /// Debits less credits.
    pub(super) fn balance(&self, account: Account) -> i64 {
        let of_account = self.postings.iter().filter(|p| p.account == account);
        of_account.map(|p| p.debit_minor - p.credit_minor).sum()
    }

    pub(super) fn refunds(&self) -> Vec<protocol::message::RefundOrder> {
        let mut refunds: Vec<protocol::message::RefundOrder> = Vec::new();
        for (operation, _) in &self.calls {
            if let Operation::Refund(refund) = operation
                && !refunds.contains(refund)
            {
                refunds.push(refund.clone());
            }
        }
        refunds
    }

    /// The payment server does what the newest refund call asks.
    /// Which payments were asked back.
    pub(super) fn asked_back(&self) -> Vec<PaymentId> {
        let refunds = self.refunds();
        refunds.iter().map(|refund| refund.payment).collect()
    }

    pub(super) fn answer_refund(&mut self, status: RefundStatus) {
        let found = self
            .calls
            .iter()
            .rev()
            .find_map(|(operation, nonce)| match operation {
                Operation::Refund(refund) => Some((refund.clone(), *nonce)),
                _ => None,
            });
        let (refund, nonce) = found.unwrap();
        self.answer_refund_of(&refund, nonce, status);
    }

    pub(super) fn answer_refund_of(
        &mut self,
        refund: &protocol::message::RefundOrder,
        nonce: Nonce,
        status: RefundStatus,
    ) {
        let view = RefundView {
            refund: refund.refund,
            payment: refund.payment,
            amount: refund.amount,
            status,
        };
        self.answer_under(nonce, GatewayResult::Refund(view));
    }

    fn advance_to(&mut self, tick: Tick) {
        let passed = tick.since(self.now.tick);
        self.now = Now {
            utc: self.now.utc.saturating_add(passed),
            tick: self.now.tick.max(tick),
        };
    }

    fn drain(&mut self) {
        while let Some(output) = self.sale.poll_output() {
            match &output {
                Output::Event(event) => {
                    if event.kind == "state" {
                        self.moves.push(moved(&event.detail));
                    }
                    self.kinds.push(event.kind.clone());
                    continue;
                }
                Output::Payment(_) => continue,
                Output::Refund(row) => {
                    self.refund_rows.push(row.status.clone());
                    continue;
                }
                Output::Entry(entry) => {
                    assert_eq!(check_balanced(entry), Ok(()));
                    self.postings.extend(entry.iter().cloned());
                }
                Output::Gateway { operation, nonce } => {
                    self.calls.push((operation.clone(), *nonce));
                }
                Output::Permit(permit) => self.permits.push(permit.clone()),
                Output::Inquiry(inquiry) => self.inquiry = Some(inquiry.nonce),
                Output::Receipt(receipt) => {
                    let jws = sign(&platform_key(), receipt.as_ref()).unwrap();
                    self.sale.keep_receipt(jws);
                }
                _ => {}
            }
            self.said.push(named(&output));
        }
    }
}

/// Debits less credits of what a sale can move: receivable, suspense, merchant, loss, dispute.
pub(super) fn money_accounts(bench: &Bench) -> [i64; 5] {
    [
        Account::GatewayReceivable,
        Account::Suspense,
        Account::Merchant,
        Account::Loss,
        Account::Dispute,
    ]
    .map(|account| bench.balance(account))
}

fn moved(detail: &serde_json::Value) -> (TransactionState, TransactionState) {
    let state = |name: &str| serde_json::from_value(detail[name].clone()).unwrap();
    (state("from"), state("to"))
}

/// Short and exact: what a test compares.
fn named(output: &Output) -> String {
    match output {
        Output::Event(event) => format!("event {}", event.kind),
        Output::Entry(entry) => {
            let side = |posting: &crate::ledger::Posting| {
                let sign = if posting.debit_minor > 0 {
                    "debit"
                } else {
                    "credit"
                };
                format!("{sign} {}", posting.account.as_str())
            };
            let sides: Vec<String> = entry.iter().map(side).collect();
            format!("book {}", sides.join(", "))
        }
        Output::Payment(_) => "payment row".to_owned(),
        Output::Refund(_) => "refund row".to_owned(),
        Output::Quote(_) => "quote".to_owned(),
        Output::Permit(_) => "permit".to_owned(),
        Output::Off(off) => format!("off {:?}", off.reason),
        Output::Inquiry(_) => "inquiry".to_owned(),
        Output::Receipt(_) => "receipt".to_owned(),
        Output::ReceiptAgain(_) => "receipt again".to_owned(),
        Output::Settled(_) => "settled".to_owned(),
        Output::Standing(standing) => format!("standing {:?}", standing.standing),
        Output::Refused(refused) => format!("refused {:?}", refused.reason),
        Output::Gateway { operation, .. } => format!("ask {}", operation.as_str()),
        Output::Resend(word) => format!("resend {}", word.as_str()),
        Output::Withdraw(word) => format!("withdraw {}", word.as_str()),
    }
}

pub(super) fn policy() -> Policy {
    Policy {
        timeouts: Timeouts::default(),
        capabilities: Capabilities {
            close_age_minimum: Duration::ZERO,
            key_retention: Duration::from_secs(86_400),
            refund_window: Duration::from_secs(86_400),
            push: false,
            waiting_query: Duration::ZERO,
            order_after_scan: false,
        },
        uncertain: UncertainPolicy::Review,
        self_mending: true,
        rules: &Sound,
    }
}

pub(super) fn refund_as_loss() -> Policy {
    Policy {
        uncertain: UncertainPolicy::RefundAsLoss,
        ..policy()
    }
}

pub(super) fn hand() -> Hand {
    Hand {
        name: "ada".to_owned(),
        reason: "the barrier stuck".to_owned(),
    }
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn epoch() -> StoreEpoch {
    StoreEpoch::from_random([6; 16])
}

pub(super) fn currency() -> Currency {
    "CNY".parse().unwrap()
}

pub(super) fn money(minor: i64) -> Money {
    Money::new(minor, currency()).unwrap()
}

pub(super) fn transaction() -> TransactionId {
    TransactionId::from_random([1; 16])
}

pub(super) fn session() -> SessionId {
    SessionId::from_random([2; 16])
}

pub(super) fn journal() -> JournalId {
    JournalId::from_random([3; 16])
}

pub(super) fn boot(number: u8) -> BootId {
    BootId::from_random([number; 16])
}

pub(super) fn nonce() -> Nonce {
    Nonce::from_random([4; 16])
}

fn terminal() -> protocol::topic::TerminalName {
    "north/gate-1".parse().unwrap()
}

fn ours() -> Audience {
    Audience::platform(&"main".parse().unwrap())
}

fn terminal_key() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

fn gateway_key() -> SigningKey {
    SigningKey::from_seed([2; 32])
}

fn platform_key() -> SigningKey {
    SigningKey::from_seed([3; 32])
}

fn verified<T: Claims>(key: &SigningKey, claims: &T, audience: &Audience) -> Verified<T> {
    let jws = sign(key, claims).unwrap();
    verify(&jws, &Keyring::of(key.public()), audience).unwrap()
}

fn tariff() -> Tariff {
    Tariff {
        currency: currency(),
        items: vec![Item {
            id: "stay".parse().unwrap(),
            name: Text::english("Short stay"),
            price: money(450),
            quantity_max: 2,
        }],
        visit: None,
    }
}

fn bill(minor: i64) -> Bill {
    let line = BillLine {
        text: Text::english("Short stay"),
        quantity: 1,
        amount: money(minor),
    };
    Bill {
        lines: vec![line],
        amount: money(minor),
    }
}

#[test]
fn an_order_request_is_let_in_or_refused_by_name() {
    use protocol::message::OrderRefusal;
    let admitted = |change: &dyn Fn(&mut OrderRequest)| {
        let mut request = order_request(450);
        change(&mut request);
        let version = tariff().version();
        admit(&request, &tariff(), version, LIFETIME_MS, &policy())
    };
    assert_eq!(admitted(&|_| ()), Ok(bill(450)));
    let items = |quantity| {
        let item = "stay".parse().unwrap();
        Charge::Items(vec![ItemLine { item, quantity }])
    };
    type Row<'a> = (&'a dyn Fn(&mut OrderRequest), OrderRefusal);
    let rows: [Row<'_>; 6] = [
        (
            &|r| r.tariff_version = Digest::of(b""),
            OrderRefusal::TariffVersion,
        ),
        (&|r| r.amount = money(449), OrderRefusal::Amount),
        (&|r| r.charge = items(2), OrderRefusal::Amount),
        (&|r| r.charge = items(3), OrderRefusal::Charge),
        (
            &|r| r.nonce_lifetime_ms = 124_999,
            OrderRefusal::NonceLifetime,
        ),
        (
            &|r| r.nonce_lifetime_ms = 3_600_001,
            OrderRefusal::NonceLifetime,
        ),
    ];
    for (change, reason) in rows {
        assert_eq!(admitted(change), Err(reason));
    }
}
