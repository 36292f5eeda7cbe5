//! What the payer's page asks.

use std::time::Duration;

use protocol::id::{Entropy, MessageId, Nonce, SessionId, TransactionId};
use protocol::message::{Charge, Digest, ItemLine, OrderRequest, PaymentMessage, SiteConfig};
use protocol::money::Money;
use protocol::signed::sign;
use protocol::time::{Now, Tick};

use super::{After, CallId, JournalState, Output, Terminal};
use crate::desk::DeskError;
use crate::journal::Durability;
use crate::machine::event::Event;
use crate::machine::permit::Request;
use crate::machine::record::{OrderRecord, Post, Posted, Record};
use crate::machine::session::{Conflict, Session, State};
use crate::machine::token::{ReturnSecret, SessionToken, StatusToken};
use crate::machine::view::{Landing, LandingState, Shop, View};
use crate::rules::Rule;

impl Terminal {
    pub(crate) fn landing(&self, now: Now) -> Landing {
        let state = match self.unavailable(now.tick) {
            _ if self.is_leased() => LandingState::Busy,
            Some(reason) => LandingState::Unavailable {
                reason: reason.to_owned(),
            },
            None => LandingState::Free,
        };
        Landing {
            shop: self.config.as_deref().map(|config| shop(config)),
            state,
        }
    }

    /// The transaction of a session, once there is one.
    pub(crate) fn transaction_of(&self, token: SessionToken) -> Option<TransactionId> {
        let mut sessions = self.sessions.values();
        sessions.find(|session| session.token == token)?.transaction
    }

    /// Why nothing can be sold now, if so.
    pub(crate) fn why_unavailable(&self, now: Now) -> Option<&'static str> {
        self.unavailable(now.tick)
    }

    /// The one lease, for whoever asks first.
    pub(crate) fn handle_accept(
        &mut self,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<SessionToken, DeskError> {
        if self.is_leased() && self.holds(Rule::OneLease) {
            return Err(DeskError::Busy);
        }
        self.check_available(now.tick)?;
        let id = SessionId::from_random(entropy.bytes());
        let token = SessionToken::from_random(entropy.bytes());
        self.sessions.insert(id, Session::new(id, token, now.tick));
        self.forget_sessions();
        self.note(Event::SessionOpened);
        self.changes += 1;
        Ok(token)
    }

    pub(crate) fn handle_view(
        &mut self,
        token: SessionToken,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<View, DeskError> {
        let limits = self.setup.limits.clone();
        let session = self.session(token)?;
        session.handle_asked(now.tick, &limits);
        let id = session.id;
        self.after_session(id, now, entropy);
        let items = self
            .config
            .as_ref()
            .map_or(&[][..], |config| &config.tariff.items);
        let session = self.sessions.get(&id).ok_or(DeskError::NotFound)?;
        Ok(session.view(items, now.tick, &limits))
    }

    /// Where the session's payer finds receipt and refund after leaving, from the bill on.
    pub(crate) fn status_link(&self, token: SessionToken) -> Option<String> {
        let with_token = |session: &&Session| session.token == token;
        let quote = self.sessions.values().find(with_token)?.quote.as_ref()?;
        let status_token = StatusToken::of(&token, quote.transaction);
        Some(format!("{}{status_token}", quote.status_url.as_ref()?))
    }

    pub(crate) fn handle_keep(&mut self, token: SessionToken, now: Now) -> Result<(), DeskError> {
        self.session(token)?.handle_seen(now.tick);
        Ok(())
    }

    /// Money is going to be asked for: whatever could keep the terminal from serving is checked
    /// first (R14).
    pub(crate) fn handle_choose(
        &mut self,
        (token, lines): (SessionToken, Vec<ItemLine>),
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeskError> {
        let session = self.session(token)?;
        let id = session.id;
        if session.state != State::Leased {
            return Err(DeskError::Conflict);
        }
        session.handle_seen(now.tick);
        self.check_available(now.tick)?;
        let charge = Charge::Items(lines);
        let config = self.config.as_ref().ok_or_else(closed)?;
        let bill = tariff::price(&config.tariff, &charge).map_err(|error| DeskError::Choice {
            reason: error.to_string(),
        })?;
        let (version, lifetime) = (config.tariff_version, self.nonce_lifetime(config));
        let request = Request {
            transaction: TransactionId::from_random(entropy.bytes()),
            session: id,
            nonce: Nonce::from_random(entropy.bytes()),
            born_at: now.tick,
            lifetime,
        };
        let return_secret = ReturnSecret::from_random(entropy.bytes());
        let link = StatusToken::of(&token, request.transaction).digest();
        let bill = (charge, bill.amount, version);
        let order = self.order_request((&request, return_secret, link), bill, now);
        let signed = sign(&self.setup.key, &order).map_err(|error| DeskError::Choice {
            reason: error.to_string(),
        })?;
        let posted = self.posted(
            Some(request.transaction),
            Post::Payment(PaymentMessage::OrderRequest(signed)),
            now,
            entropy,
        );
        self.begin_order((token, return_secret), request, posted, now)
    }

    pub(crate) fn handle_cancel(
        &mut self,
        token: SessionToken,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeskError> {
        let session = self.session(token)?;
        let id = session.id;
        session.handle_cancel().map_err(conflict)?;
        self.after_session(id, now, entropy);
        Ok(())
    }

    /// The order is journaled with its session before the payer goes; then the answer follows as
    /// [`Output::Answer`].
    pub(crate) fn handle_go_paying(
        &mut self,
        (token, call): (SessionToken, CallId),
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        if let Err(error) = self.go_paying((token, call), now, entropy) {
            self.outputs.push_back(Output::Answer {
                call,
                result: Err(error),
            });
        }
        self.pump(now);
    }

    /// The payment server sent the browser back, to the address that came with the order.
    pub(crate) fn handle_returned(
        &mut self,
        (transaction, secret): (TransactionId, ReturnSecret),
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<SessionToken, DeskError> {
        let limits = self.setup.limits.clone();
        let is_any = !self.holds(Rule::ReturnNeedsSecret);
        let session = self.session_of(transaction).ok_or(DeskError::NotFound)?;
        if session.return_secret != Some(secret) && !is_any {
            return Err(DeskError::NotFound);
        }
        session.handle_returned(now.tick, &limits);
        let (id, token) = (session.id, session.token);
        self.after_session(id, now, entropy);
        Ok(token)
    }

    pub(super) fn answer_pay_url(&mut self, call: CallId, session: SessionId) {
        let session = self.sessions.get(&session);
        let quote =
            session.and_then(|session| session.quote.as_ref().map(|quote| (session, quote)));
        let result = match quote {
            Some((session, quote)) if quote.pay_url.is_empty() => {
                Ok(format!("{}/s/{}", self.setup.page_url, session.token))
            }
            Some((_, quote)) => Ok(quote.pay_url.clone()),
            None => Err(DeskError::NotFound),
        };
        self.outputs.push_back(Output::Answer { call, result });
    }

    /// Why nothing can be sold now, as a sentence for the payer.
    pub(super) fn unavailable(&self, now: Tick) -> Option<&'static str> {
        match self.room.state {
            JournalState::Failed | JournalState::Damaged => {
                return Some("This terminal can't keep records safely now. Nothing is sold here.");
            }
            JournalState::Ready => {}
        }
        let Some(config) = &self.config else {
            return Some("This terminal has not been told its prices yet.");
        };
        if !self.is_connected {
            return Some("This terminal has no connection to its payment service now.");
        }
        if !self.are_devices_ready(&config.devices, now) {
            return Some("The device that would serve you does not answer now.");
        }
        if !self.has_room_for_a_sale() && self.holds(Rule::RoomBeforeSale) {
            return Some("This terminal waits for its payment service to settle earlier sales.");
        }
        None
    }

    fn go_paying(
        &mut self,
        (token, call): (SessionToken, CallId),
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), DeskError> {
        let session = self.session(token)?;
        let (id, is_first) = (session.id, session.is_before_paying());
        let quote = session.quote.clone().ok_or(DeskError::Conflict)?;
        if is_first {
            self.check_available(now.tick)?;
        }
        self.session(token)?
            .handle_paying(now.tick)
            .map_err(conflict)?;
        let after = After::PayUrl(call, id);
        if is_first {
            let record = Record::Paying {
                transaction: quote.transaction,
                quote: quote.jws().clone(),
            };
            self.write(vec![record], Durability::Synced, vec![after])
                .map_err(|_| closed())?;
        } else {
            self.once_written(after);
        }
        if quote.amount.is_zero() {
            let limits = self.setup.limits.clone();
            self.session(token)?.handle_returned(now.tick, &limits);
        }
        self.after_session(id, now, entropy);
        Ok(())
    }

    fn begin_order(
        &mut self,
        (token, return_secret): (SessionToken, ReturnSecret),
        request: Request,
        posted: Posted,
        now: Now,
    ) -> Result<(), DeskError> {
        let limits = self.setup.limits.clone();
        let transaction = request.transaction;
        let order = OrderRecord {
            transaction,
            session: request.session,
            token,
            return_secret: Some(return_secret),
            nonce: request.nonce,
        };
        let queue = After::Queue(posted.sequence);
        let records = vec![Record::Order(order), Record::Posted(posted)];
        self.write(records, Durability::Written, vec![queue])
            .map_err(|_| closed())?;
        let session = self.session(token)?;
        session
            .handle_order(transaction, (now.tick, &limits), request.dies_at())
            .map_err(conflict)?;
        session.return_secret = Some(return_secret);
        self.requests.insert(transaction, request);
        self.note(Event::OrderRequested { transaction });
        self.changes += 1;
        Ok(())
    }

    fn order_request(
        &self,
        (request, return_secret, link): (&Request, ReturnSecret, Digest),
        (charge, amount, tariff_version): (Charge, Money, Digest),
        now: Now,
    ) -> OrderRequest {
        OrderRequest {
            aud: self.setup.platform.clone(),
            terminal: self.setup.name.clone(),
            transaction: request.transaction,
            session: request.session,
            boot: self.setup.boot,
            journal: self.room.id,
            nonce: request.nonce,
            nonce_lifetime_ms: millis(request.lifetime),
            charge,
            amount,
            tariff_version,
            payer: None,
            return_url: format!(
                "{}/return/{}/{return_secret}",
                self.setup.page_url, request.transaction
            ),
            requested_at: now.utc,
            clock_error_ms: self.clock_error_ms(),
            status_token_sha256: Some(link),
        }
    }

    /// A message for the outbox; it is in it once its record is written.
    pub(super) fn posted(
        &self,
        transaction: Option<TransactionId>,
        body: Post,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Posted {
        Posted {
            sequence: self.book.next_sequence(),
            id: MessageId::from_random(entropy.bytes()),
            at: now.utc,
            transaction,
            body,
        }
    }

    pub(super) fn nonce_lifetime(&self, config: &SiteConfig) -> Duration {
        Duration::from_millis(config.order_lifetime_ms) + self.setup.limits.nonce_grace
    }

    pub(super) fn clock_error_ms(&self) -> u64 {
        millis(self.setup.limits.clock_error)
    }

    fn session(&mut self, token: SessionToken) -> Result<&mut Session, DeskError> {
        self.sessions
            .values_mut()
            .find(|session| session.token == token)
            .ok_or(DeskError::NotFound)
    }

    fn check_available(&self, now: Tick) -> Result<(), DeskError> {
        match self.unavailable(now) {
            None => Ok(()),
            Some(reason) => Err(DeskError::Unavailable {
                reason: reason.to_owned(),
            }),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn conflict(_: Conflict) -> DeskError {
    DeskError::Conflict
}

fn closed() -> DeskError {
    DeskError::Unavailable {
        reason: "This terminal can't take orders now.".to_owned(),
    }
}

fn shop(config: &SiteConfig) -> Shop {
    Shop {
        merchant: config.merchant.clone(),
        payee: config.payee.clone(),
        place: config.place.clone(),
        time_zone: config.time_zone.clone(),
        items: config.tariff.items.clone(),
    }
}
