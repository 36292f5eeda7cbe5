//! The payment server without its wires, for simulations and model checkers: bytes in, bytes out,
//! time and randomness as arguments, a crash as a method. It is the machine that
//! `paylatch-payment-mock` runs.
//!
//! Whoever drives it calls [`Server::handle_timeout`] when [`Server::poll_timeout`] is due, and
//! takes everything out of [`Server::poll_output`] after each call. Every change is recorded before
//! it can be polled, as the shell writes to the disk before it publishes.
//!
//! ```
//! use payment_mock::simulation::{Server, Setup};
//! use protocol::message::{
//!     CreateOrder, GatewayRequest, Operation, OrderStatus,
//! };
//! # use protocol::codec::{Envelope, encode};
//! # use protocol::id::{MessageId, Nonce, TransactionId};
//! # use protocol::signed::{Audience, Keyring, SigningKey, sign};
//! # use protocol::time::{Now, Tick, Utc};
//! # use protocol::topic::{Gateway, Topic};
//!
//! let platform_key = SigningKey::from_seed([1; 32]);
//! let mut setup = Setup::new("mock".parse().unwrap(), [2; 32]);
//! setup.platforms.insert("main".parse().unwrap(), Keyring::of(platform_key.public()));
//! setup.payees = vec!["shop".parse().unwrap()];
//! let now = Now { utc: Utc::EPOCH, tick: Tick::from_millis(0) };
//! let mut server = Server::new(setup, now);
//! let mut drawn = 0;
//! let mut entropy = || { drawn += 1; [drawn; 16] };
//!
//! let order = TransactionId::from_random([7; 16]);
//! let request = GatewayRequest {
//!     aud: Audience::gateway(&"mock".parse().unwrap()),
//!     platform: "main".parse().unwrap(),
//!     nonce: Nonce::from_random([8; 16]),
//!     operation: Operation::Create(CreateOrder {
//!         order,
//!         amount: protocol::money::Money::new(450, "CNY".parse().unwrap()).unwrap(),
//!         payee: "shop".parse().unwrap(),
//!         payee_name: "Shop".to_owned(),
//!         place_name: "Gate 1".to_owned(),
//!         description: "Short stay".to_owned(),
//!         return_url: String::new(),
//!         lifetime_ms: 120_000,
//!     }),
//!     asked_at: now.utc,
//! };
//! let jws = sign(&platform_key, &request).unwrap();
//! let payload = encode(&Envelope::new(MessageId::from_random([9; 16]), now.utc, jws)).unwrap();
//! let topic: Topic = "paylatch/v1/gateway/mock/request/main".parse().unwrap();
//! server.handle_request(&topic, &payload, now, &mut entropy);
//!
//! assert!(server.poll_output().is_some()); // the answer
//! assert!(server.is_payable(order));
//! assert!(server.press_pay(order, now, &mut entropy));
//! server.restart(now); // the event of the payment is lost with the process
//! assert_eq!(server.poll_output(), None);
//! assert_eq!(server.totals()[0].status, OrderStatus::Paid);
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use protocol::id::{Entropy, GatewayId, PayeeId, PaymentId, PlatformId, TransactionId};
use protocol::money::Money;
use protocol::signed::{Keyring, PublicKey, SigningKey};
use protocol::time::{Now, Tick};
use protocol::topic::Topic;

use crate::config::{Capabilities, Delays, rules};
use crate::ledger::{ATTEMPTS_MAX, CheckoutToken, Entry, Ledger, Phase};
use crate::machine::{Arrival, Identity, Machine, Output, Press, Pressed};
use crate::scenario::{Outcome, Ruleset, Scenario};
use crate::totals::OrderTotals;

pub use crate::ledger::DeedRefusal;
pub use crate::machine::{Outside, Publication};

/// Who the server is and how it behaves. [`Setup::new`] sets every default of
/// [`Config`](crate::Config); change fields afterwards.
#[derive(Debug, Clone)]
pub struct Setup {
    pub gateway: GatewayId,
    /// From it comes the key that signs answers and events.
    pub signing_seed: [u8; 32],
    /// Whose requests are taken, and by which keys.
    pub platforms: BTreeMap<PlatformId, Keyring>,
    /// Accounts that orders may pay to.
    pub payees: Vec<PayeeId>,
    /// How payers reach the pages, without a slash at the end.
    pub public_url: String,
    /// The outcome of orders that name none.
    pub outcome: Outcome,
    pub delays: Delays,
    pub capabilities: Capabilities,
    pub rules: Ruleset,
}

impl Setup {
    #[must_use]
    pub fn new(gateway: GatewayId, signing_seed: [u8; 32]) -> Self {
        Self {
            gateway,
            signing_seed,
            platforms: BTreeMap::new(),
            payees: Vec::new(),
            public_url: "http://pay".to_owned(),
            outcome: Outcome::default(),
            delays: Delays::default(),
            capabilities: Capabilities::default(),
            rules: Ruleset::default(),
        }
    }

    /// What platforms have to trust.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        SigningKey::from_seed(self.signing_seed).public()
    }

    fn identity(&self) -> Identity {
        Identity {
            gateway: self.gateway.clone(),
            key: SigningKey::from_seed(self.signing_seed),
            platforms: self.platforms.clone(),
            public_url: self.public_url.clone(),
        }
    }

    fn scenario(&self) -> Scenario {
        Scenario::new(self.outcome, self.rules.clone(), &self.delays)
    }
}

/// A server with its disk. A clone shares nothing that changes with its original.
#[derive(Debug, Clone)]
pub struct Server {
    setup: Arc<Setup>,
    identity: Arc<Identity>,
    machine: Machine,
    /// What is on the disk.
    entries: Vec<Arc<Entry>>,
    /// What is recorded and not yet published.
    outputs: VecDeque<Publication>,
}

impl Server {
    /// With an empty ledger.
    #[must_use]
    pub fn new(setup: Setup, now: Now) -> Self {
        let identity = Arc::new(setup.identity());
        let setup = Arc::new(setup);
        Self {
            machine: machine(&setup, &identity, &[], now.tick),
            setup,
            identity,
            entries: Vec::new(),
            outputs: VecDeque::new(),
        }
    }

    /// What platforms have to trust.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.identity.key.public()
    }

    /// Takes one delivery; what is no request to us is counted by nobody here and changes nothing.
    pub fn handle_request(
        &mut self,
        topic: &Topic,
        payload: &[u8],
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let arrival = Arrival {
            topic,
            payload,
            retained: false,
        };
        self.machine.handle_request(arrival, now, entropy);
        self.drain();
    }

    /// The payer opens the order's page and presses Pay; whether the page says paid then.
    pub fn press_pay(&mut self, order: TransactionId, now: Now, entropy: &mut dyn Entropy) -> bool {
        self.press(order, Press::Pay, now, entropy)
    }

    /// The payer opens the order's page and presses Decline; whether the page says paid then.
    pub fn press_decline(
        &mut self,
        order: TransactionId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> bool {
        self.press(order, Press::Decline, now, entropy)
    }

    fn press(
        &mut self,
        order: TransactionId,
        press: Press,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let Some(checkout) = self.checkout(order) else {
            return false;
        };
        let page = self.machine.handle_view(checkout, now, entropy);
        let pressed = page.map(|page| {
            let form = &page.form_token;
            self.machine
                .handle_press(checkout, form, press, now, entropy)
        });
        self.drain();
        let answered = matches!(pressed, Ok(Pressed::Paid { .. } | Pressed::Back { .. }));
        answered && self.phase(order) == Some(Phase::Paid)
    }

    /// The payer opens the order's page and presses nothing; false if there is no page to see.
    pub fn open_page(&mut self, order: TransactionId, now: Now, entropy: &mut dyn Entropy) -> bool {
        let checkout = self.checkout(order);
        let page = checkout.map(|checkout| self.machine.handle_view(checkout, now, entropy));
        self.drain();
        matches!(page, Some(Ok(_)))
    }

    /// Something happens to a payment, without one to the first of the order, that no platform asked
    /// for.
    ///
    /// # Errors
    /// There is no such payment, or it has not so much left.
    pub fn handle_outside(
        &mut self,
        order: TransactionId,
        payment: Option<PaymentId>,
        outside: Outside,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeedRefusal> {
        let done = self
            .machine
            .handle_outside(order, payment, outside, now, entropy);
        self.drain();
        done
    }

    /// Pays out of an account; the statement line goes to this platform.
    ///
    /// # Errors
    /// Platform or account are unknown, or the amount is zero.
    pub fn handle_payout(
        &mut self,
        platform: &PlatformId,
        payee: &PayeeId,
        amount: Money,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeedRefusal> {
        let done = self
            .machine
            .handle_payout(platform, payee, amount, now, entropy);
        self.drain();
        done
    }

    /// Ends lifetimes, books late money, sends delayed answers.
    pub fn handle_timeout(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.machine.handle_timeout(now, entropy);
        self.drain();
    }

    /// When [`Server::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Tick> {
        self.machine.poll_timeout()
    }

    /// The next answer or event for the broker.
    pub fn poll_output(&mut self) -> Option<Publication> {
        self.outputs.pop_front()
    }

    /// A crash and a new start at once: what was recorded is there, what was not yet published is
    /// gone, lifetimes and ages count from now.
    pub fn restart(&mut self, now: Now) {
        self.outputs.clear();
        self.machine = machine(&self.setup, &self.identity, &self.entries, now.tick);
    }

    /// Changes the outcome of one order; false if there is no such order.
    pub fn set_order_outcome(
        &mut self,
        order: TransactionId,
        outcome: Outcome,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> bool {
        let known = self.machine.handle_outcome(order, outcome, now, entropy);
        self.drain();
        known
    }

    /// All orders, by number.
    #[must_use]
    pub fn totals(&self) -> Vec<OrderTotals> {
        self.machine.totals()
    }

    /// Where the order's page sends the payer's browser once it has paid.
    #[must_use]
    pub fn return_url(&self, order: TransactionId) -> Option<String> {
        let found = self.machine.ledger().order(order)?;
        Some(found.create.return_url.clone())
    }

    /// Whether a press of Pay would be taken, as far as deadlines have been handled.
    #[must_use]
    pub fn is_payable(&self, order: TransactionId) -> bool {
        let found = self.machine.ledger().order(order);
        found.is_some_and(|found| found.phase() == Phase::Open && found.attempts < ATTEMPTS_MAX)
    }

    fn checkout(&self, order: TransactionId) -> Option<CheckoutToken> {
        let found = self.machine.ledger().order(order)?;
        Some(found.opening.checkout)
    }

    fn phase(&self, order: TransactionId) -> Option<Phase> {
        let found = self.machine.ledger().order(order)?;
        Some(found.phase())
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Record(entry) => self.entries.push(Arc::new(entry)),
                Output::Publish(publication) => self.outputs.push_back(publication),
                Output::Noted(_) => {}
            }
        }
    }
}

fn machine(setup: &Setup, identity: &Arc<Identity>, entries: &[Arc<Entry>], tick: Tick) -> Machine {
    let mut ledger = Ledger::new(rules(&setup.payees, &setup.capabilities, &setup.delays));
    for entry in entries {
        ledger.restore(entry, tick);
    }
    Machine::new(Arc::clone(identity), ledger, setup.scenario(), tick)
}

#[cfg(test)]
mod tests;
