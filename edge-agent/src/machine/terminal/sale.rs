//! `down/payment`: quotes, refusals, standings, receipts; and what sessions want to be told.

use protocol::id::{Entropy, Nonce, SessionId, TransactionId};
use protocol::message::{
    LinkageMessage, OrderRefusal, OrderRefused, PaymentMessage, PaymentNotice, PaymentReply,
    PaymentStanding, PermitRequest, Quote, Receipt, SessionEnded, Settled,
};
use protocol::signed::{Jws, sign, verify};
use protocol::time::Now;

use super::desk::millis;
use super::{After, DeliveryId, Terminal};
use crate::journal::Durability;
use crate::machine::event::Event;
use crate::machine::permit::Request;
use crate::machine::record::{Post, Record};
use crate::machine::session;
use crate::machine::view::{NotConfirmedReason, StoredReceipt};
use crate::rules::Rule;

impl Terminal {
    pub(super) fn handle_reply(&mut self, delivery: DeliveryId, reply: PaymentReply, now: Now) {
        match reply {
            PaymentReply::Quote(quote) => self.handle_quote(delivery, &quote, now),
            PaymentReply::Refused(refused) => self.handle_order_refused(delivery, &refused),
            PaymentReply::Standing(standing) => self.handle_standing(delivery, standing),
            PaymentReply::Receipt(receipt) => self.handle_receipt(delivery, &receipt),
            PaymentReply::Settled(settled) => self.handle_settled(delivery, settled),
        }
    }

    fn handle_quote(&mut self, delivery: DeliveryId, jws: &Jws<Quote>, now: Now) {
        let quote = match verify(jws, &self.setup.keyring, &self.audience) {
            Ok(quote) => quote,
            Err(refusal) => return self.refuse(delivery, "quote", refusal.as_str()),
        };
        let transaction = quote.transaction;
        let asked = self.requests.get(&transaction).is_some_and(|request| {
            (request.session, request.nonce) == (quote.session, quote.nonce)
        });
        if !asked {
            return self.refuse(delivery, "quote", "not_asked");
        }
        if !self.holds(Rule::NonceNeverExtended)
            && let Some(request) = self.requests.get_mut(&transaction)
        {
            request.born_at = now.tick;
        }
        if let Some(session) = self.session_of(transaction)
            && session.handle_quote(quote, now.tick).is_ok()
        {
            self.changes += 1;
        }
        self.take(delivery, transaction, |message| {
            matches!(message, Post::Payment(PaymentMessage::OrderRequest(_)))
        });
    }

    fn handle_order_refused(&mut self, delivery: DeliveryId, refused: &OrderRefused) {
        let (transaction, reason) = (refused.transaction, refused.reason);
        let accepted = self
            .session_of(transaction)
            .is_some_and(|session| session.handle_refused(sentence(reason)).is_ok());
        if !accepted {
            return self.once_written(After::Acknowledge(delivery));
        }
        self.requests.remove(&transaction);
        self.note(Event::OrderRefused {
            transaction,
            reason,
        });
        self.changes += 1;
        let mut records = vec![Record::Ended { transaction }];
        records.extend(self.taken(transaction, |_| true));
        self.write_or_acknowledge(delivery, records);
        self.report_closed(transaction);
    }

    fn handle_standing(&mut self, delivery: DeliveryId, standing: PaymentStanding) {
        if let Some(session) = self.session_of(standing.transaction) {
            session.handle_standing(standing.standing);
            self.changes += 1;
        }
        self.once_written(After::Acknowledge(delivery));
    }

    fn handle_receipt(&mut self, delivery: DeliveryId, jws: &Jws<Receipt>) {
        let receipt = match verify(jws, &self.setup.keyring, &self.audience) {
            Ok(receipt) => receipt,
            Err(refusal) => return self.refuse(delivery, "receipt", refusal.as_str()),
        };
        let transaction = receipt.transaction;
        if self.book.entry(transaction).is_none() {
            return self.once_written(After::Acknowledge(delivery));
        }
        if let Some(session) = self.session_of(transaction) {
            session.handle_receipt(StoredReceipt {
                receipt: receipt.into_claims(),
                signed: jws.as_str().to_owned(),
            });
            self.changes += 1;
        }
        let mut records = vec![Record::Receipt {
            transaction,
            receipt: jws.clone(),
        }];
        records.extend(self.taken(transaction, |message| {
            matches!(message, Post::Linkage(LinkageMessage::Result(_)))
        }));
        self.write_or_acknowledge(delivery, records);
    }

    /// What is acting now has no result yet, so it can't be settled.
    fn handle_settled(&mut self, delivery: DeliveryId, Settled { transaction }: Settled) {
        if self.actions.contains_key(&transaction) || self.book.entry(transaction).is_none() {
            return self.once_written(After::Acknowledge(delivery));
        }
        self.requests.remove(&transaction);
        if let Some(session) = self.session_of(transaction) {
            session.handle_withdrawn(NotConfirmedReason::Withdrawn);
            self.changes += 1;
        }
        self.write_or_acknowledge(delivery, vec![Record::Settled { transaction }]);
        self.report_closed(transaction);
    }

    /// Carries out what a session wants, after each call of it.
    pub(super) fn after_session(&mut self, id: SessionId, now: Now, entropy: &mut dyn Entropy) {
        while let Some(session) = self.sessions.get_mut(&id)
            && let Some(output) = session.poll_output()
        {
            let transaction = session.transaction;
            self.changes += 1;
            let Some(transaction) = transaction else {
                continue;
            };
            match output {
                session::Output::Notice => self.post_notice(id, transaction, now, entropy),
                session::Output::PermitRequest => {
                    self.post_permit_request(id, transaction, now, entropy);
                }
                session::Output::Ended(reason) => {
                    let ended = SessionEnded {
                        session: id,
                        transaction: Some(transaction),
                        reason,
                        ended_at: now.utc,
                    };
                    self.post_ended(ended, transaction, now, entropy);
                }
            }
        }
        self.report_session(id);
        self.pump(now);
    }

    pub(super) fn report_closed(&mut self, transaction: TransactionId) {
        if let Some(id) = self.session_of(transaction).map(|session| session.id) {
            self.report_session(id);
        }
    }

    /// Messages of `transaction` in the outbox that need no more sending.
    pub(super) fn taken(
        &self,
        transaction: TransactionId,
        is_taken: impl Fn(&Post) -> bool,
    ) -> Vec<Record> {
        self.book
            .outbox()
            .filter(|posted| posted.transaction == Some(transaction) && is_taken(&posted.body))
            .map(|posted| Record::Taken {
                sequence: posted.sequence,
            })
            .collect()
    }

    pub(super) fn refuse(
        &mut self,
        delivery: DeliveryId,
        kind: &'static str,
        reason: &'static str,
    ) {
        self.note(Event::MessageRefused { kind, reason });
        self.once_written(After::Acknowledge(delivery));
    }

    pub(super) fn write_or_acknowledge(&mut self, delivery: DeliveryId, records: Vec<Record>) {
        let acknowledge = After::Acknowledge(delivery);
        if records.is_empty() {
            self.once_written(acknowledge);
        } else if self
            .write(records, Durability::Written, vec![acknowledge])
            .is_err()
        {
            // Without a journal there is no effect to commit; the platform keeps what it needs.
            self.once_written(After::Acknowledge(delivery));
        }
    }

    pub(super) fn post_ended(
        &mut self,
        ended: SessionEnded,
        transaction: TransactionId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        self.requests.remove(&transaction);
        let message = PaymentMessage::Ended(ended);
        let replaced = self.taken(transaction, |post| matches!(post, Post::Payment(_)));
        self.post(replaced, (transaction, message), now, entropy);
    }

    fn take(
        &mut self,
        delivery: DeliveryId,
        transaction: TransactionId,
        is_taken: impl Fn(&Post) -> bool,
    ) {
        let records = self.taken(transaction, is_taken);
        self.write_or_acknowledge(delivery, records);
    }

    fn post_notice(
        &mut self,
        session: SessionId,
        transaction: TransactionId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let notice = PaymentMessage::Notice(PaymentNotice {
            transaction,
            session,
            noticed_at: now.utc,
        });
        let older = self.taken(transaction, |post| {
            matches!(post, Post::Payment(PaymentMessage::Notice(_)))
        });
        self.post(older, (transaction, notice), now, entropy);
    }

    /// R9: only for a transaction of which the journal holds nothing that closes it.
    fn post_permit_request(
        &mut self,
        session: SessionId,
        transaction: TransactionId,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let is_open = self
            .book
            .entry(transaction)
            .is_some_and(|entry| !entry.is_closed(self.setup.rules))
            || !self.holds(Rule::FreshNonceOnlyIfOpen);
        let (true, Some(config)) = (is_open, &self.config) else {
            return;
        };
        let request = Request {
            transaction,
            session,
            nonce: Nonce::from_random(entropy.bytes()),
            born_at: now.tick,
            lifetime: self.nonce_lifetime(config),
        };
        let Ok(signed) = sign(&self.setup.key, &self.permit_request(&request, now)) else {
            return;
        };
        let nonce = Record::Nonce {
            transaction,
            nonce: request.nonce,
        };
        let message = PaymentMessage::PermitRequest(signed);
        self.post(vec![nonce], (transaction, message), now, entropy);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.handle_reopened(request.dies_at());
        }
        self.requests.insert(transaction, request);
    }

    fn permit_request(&self, request: &Request, now: Now) -> PermitRequest {
        PermitRequest {
            aud: self.setup.platform.clone(),
            terminal: self.setup.name.clone(),
            transaction: request.transaction,
            session: request.session,
            boot: self.setup.boot,
            journal: self.room.id,
            nonce: request.nonce,
            nonce_lifetime_ms: millis(request.lifetime),
            requested_at: now.utc,
        }
    }

    /// Without a journal nothing is posted: the platform asks by itself.
    fn post(
        &mut self,
        mut records: Vec<Record>,
        (transaction, message): (TransactionId, PaymentMessage),
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let posted = self.posted(Some(transaction), Post::Payment(message), now, entropy);
        let queue = After::Queue(posted.sequence);
        records.push(Record::Posted(posted));
        if self
            .write(records, Durability::Written, vec![queue])
            .is_err()
        {
            self.changes += 1;
        }
    }

    fn report_session(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if !session.holds_lease() && !std::mem::replace(&mut session.is_reported, true) {
            let state = session.name();
            self.changes += 1;
            self.note(Event::SessionClosed { state });
        }
    }
}

fn sentence(reason: OrderRefusal) -> &'static str {
    match reason {
        OrderRefusal::UnknownTerminal => "This terminal is not registered. Nothing was charged.",
        OrderRefusal::TariffVersion => "The prices have just changed. Please start again.",
        OrderRefusal::Amount | OrderRefusal::NonceLifetime | OrderRefusal::TransactionTaken => {
            "This terminal and its payment service disagree. Nothing was charged."
        }
        OrderRefusal::Charge => "What you chose is not sold any more. Please start again.",
        OrderRefusal::GatewayUnavailable => {
            "The payment service does not answer. Nothing was charged."
        }
        OrderRefusal::Held => "Sales are paused here. Nothing was charged.",
    }
}
