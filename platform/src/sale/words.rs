//! What a sale says, as claims that the shell signs.

use protocol::id::{Nonce, PaymentId};
use protocol::message::{
    CreateOrder, Ground, Inquiry, Off, OffReason, Operation, OrderRefusal, OrderRefused,
    PaymentStanding, Permit, Quote, Receipt, ReceiptPayment, RefundOrder, Settled, Standing,
};
use protocol::signed::Audience;
use serde_json::{Value, json};

use super::call::Question;
use super::transaction::TransactionState;
use super::{Output, Sale, Turn, Word};
use crate::rules::Rule;
use crate::store::EventRow;

/// Most characters of the text by which a payer recognises the order at the payment server.
const DESCRIPTION_LENGTH_MAX: usize = 120;

impl Sale {
    pub(super) fn quote(&mut self, turn: &mut Turn<'_>) {
        self.transaction.quoted_at = Some(turn.now.utc);
        self.go(TransactionState::AwaitingPayment, turn);
        let lifetime = std::time::Duration::from_millis(self.facts.order_lifetime_ms);
        let quote = Quote {
            aud: self.terminal_audience(),
            transaction: self.facts.transaction,
            session: self.facts.session,
            nonce: self.facts.nonce,
            lines: self.facts.lines.clone(),
            amount: self.facts.amount,
            payee: self.facts.payee.clone(),
            place: self.facts.place.clone(),
            gateway: self.facts.gateway.clone(),
            pay_url: self.order.pay_url.clone(),
            tariff_version: self.facts.tariff_version,
            order_lifetime_ms: self.facts.order_lifetime_ms,
            expires_at: turn.now.utc.saturating_add(lifetime),
            issued_at: turn.now.utc,
            status_url: self.facts.status_url.clone(),
        };
        self.event("quoted", json!({ "amount": quote.amount }), turn);
        self.say(Word::Quote, Output::Quote(quote));
    }

    pub(super) fn permit_zero_bill(&mut self, turn: &mut Turn<'_>) {
        if let Some(ground) = self.ground() {
            self.go(TransactionState::Confirmed, turn);
            self.permit(ground, turn);
        }
    }

    /// Signs an ON for the newest nonce. Its callers hold a ground of R12.
    pub(super) fn permit(&mut self, ground: Ground, turn: &mut Turn<'_>) {
        let Some(life) = self.transaction.nonces.last_mut() else {
            return;
        };
        life.is_permitted = true;
        let nonce = life.nonce;
        self.transaction.permitted_at.get_or_insert(turn.now.utc);
        self.go(TransactionState::Commanded, turn);
        self.arm_deadline(turn);
        self.arm_repeat(turn);
        let permit = Permit {
            aud: self.terminal_audience(),
            transaction: self.facts.transaction,
            session: self.facts.session,
            nonce,
            journal: self.facts.journal,
            devices: self.facts.devices.clone(),
            ground,
            store_epoch: self.facts.store_epoch,
            issued_at: turn.now.utc,
        };
        self.event("permit", json!({ "ground": permit.ground }), turn);
        self.say(Word::Permit, Output::Permit(permit));
    }

    /// Withdraws the request, once, and never after a permit (R10): the terminal's journal then
    /// has the last word.
    pub(super) fn off(&mut self, reason: OffReason, turn: &mut Turn<'_>) {
        let was_permitted = self.transaction.was_permitted() && turn.holds(Rule::NoOffAfterPermit);
        if self.transaction.is_off || was_permitted {
            return;
        }
        self.transaction.is_off = true;
        self.transaction.repeats = 0;
        self.withdraw_word(Word::Quote);
        let off = Off {
            aud: self.terminal_audience(),
            transaction: self.facts.transaction,
            nonce: self
                .transaction
                .nonce()
                .map_or(self.facts.nonce, |life| life.nonce),
            devices: self.facts.devices.clone(),
            reason,
            issued_at: turn.now.utc,
        };
        self.event("off", json!({ "reason": reason }), turn);
        self.say(Word::Off, Output::Off(off));
        self.arm_repeat(turn);
    }

    pub(super) fn say_inquiry(&mut self, nonce: Nonce, turn: &mut Turn<'_>) {
        let inquiry = Inquiry {
            aud: self.terminal_audience(),
            transaction: self.facts.transaction,
            nonce,
            journal: self.facts.journal,
            asked_at: turn.now.utc,
        };
        self.event("inquiry", json!({}), turn);
        self.say(Word::Inquiry, Output::Inquiry(inquiry));
    }

    /// The shell adds the digest of the terminal's receipt before this one.
    pub(super) fn say_receipt(&mut self, turn: &mut Turn<'_>) {
        let (Some(result), Some(ground)) = (self.result.clone(), self.ground()) else {
            return;
        };
        let payment = self
            .transaction
            .kept
            .and_then(|id| self.receipt_payment(id));
        let receipt = Receipt {
            aud: self.terminal_audience(),
            terminal: self.facts.terminal.clone(),
            transaction: self.facts.transaction,
            session: self.facts.session,
            merchant: self.facts.merchant.clone(),
            payee: self.facts.payee.clone(),
            place: self.facts.place.clone(),
            lines: self.facts.lines.clone(),
            amount: self.facts.amount,
            ground,
            payment,
            devices: self.facts.devices.clone(),
            tariff_version: Some(self.facts.tariff_version),
            time_zone: self.facts.time_zone.clone(),
            result,
            previous: None,
            issued_at: turn.now.utc,
        };
        self.event("receipt", json!({}), turn);
        self.say(Word::Receipt, Output::Receipt(Box::new(receipt)));
    }

    /// Only once the terminal's own answer came, or every nonce is dead: what it forgets before
    /// that it could not answer any more (R7).
    pub(super) fn say_settled(&mut self, turn: &Turn<'_>) {
        let is_answered = self.result.is_some() || self.transaction.has_answered;
        let may_forget = is_answered
            || self.transaction.is_settled
            || self.transaction.is_dead(turn.now.tick)
            || !turn.holds(Rule::SettledOnlyAfterEnd);
        self.transaction.settle_waits = !may_forget;
        if !may_forget {
            self.arm_linger(turn);
            return;
        }
        self.transaction.is_settled = true;
        let settled = Settled {
            transaction: self.facts.transaction,
        };
        self.say(Word::Settled, Output::Settled(settled));
    }

    pub(super) fn say_standing(&mut self, standing: Standing, turn: &mut Turn<'_>) {
        self.event("standing", json!({ "standing": standing }), turn);
        let standing = PaymentStanding {
            transaction: self.facts.transaction,
            standing,
        };
        self.say(Word::Standing, Output::Standing(standing));
    }

    pub(super) fn say_refused(&mut self, reason: OrderRefusal, turn: &mut Turn<'_>) {
        self.event("refused", json!({ "reason": reason }), turn);
        let refused = OrderRefused {
            transaction: self.facts.transaction,
            reason,
        };
        self.say(Word::Refused, Output::Refused(refused));
    }

    /// Everything that stands in the outbox, once more.
    pub(super) fn say_again(&mut self) {
        for word in Word::ALL {
            self.say_word_again(word);
        }
    }

    pub(super) fn say_word_again(&mut self, word: Word) {
        if self.words.contains(&word) {
            self.outputs.push_back(Output::Resend(word));
        }
    }

    /// How the sale ended, for a terminal that asks after the outbox has forgotten it.
    pub(super) fn say_end_again(&mut self, is_asked: bool, turn: &mut Turn<'_>) {
        let is_forgotten = self.transaction.has_lingered && self.transaction.state.is_final();
        if !is_asked || !is_forgotten {
            return;
        }
        self.transaction.has_lingered = false;
        self.arm_linger(turn);
        if let Some(receipt) = self.receipt.clone() {
            self.say(Word::Receipt, Output::ReceiptAgain(receipt));
        }
        if self.transaction.state == TransactionState::Refunded {
            self.say_standing(Standing::Refunded, turn);
        }
        self.say_settled(turn);
    }

    /// What the terminal had to say has come, or can't come any more.
    pub(super) fn settle_if_waiting(&mut self, turn: &Turn<'_>) {
        if self.transaction.settle_waits {
            self.say_settled(turn);
            self.arm_linger(turn);
        }
    }

    pub(super) fn operation(&self, question: Question) -> Operation {
        let order = self.facts.transaction;
        match question {
            Question::Create => Operation::Create(self.create_order()),
            Question::Close => Operation::Close { order },
            Question::Query | Question::FinalQuery | Question::Refund => Operation::Query { order },
        }
    }

    pub(super) fn refund_operation(&self, payment: PaymentId) -> Option<Operation> {
        let refund = self.payments.get(&payment)?.refund.as_ref()?;
        Some(Operation::Refund(RefundOrder {
            refund: refund.id,
            order: self.facts.transaction,
            payment,
            amount: refund.amount,
            reason: refund.reason.as_str().to_owned(),
        }))
    }

    pub(super) fn event(&mut self, kind: &str, detail: Value, turn: &Turn<'_>) {
        self.outputs.push_back(Output::Event(EventRow {
            at: turn.now.utc,
            kind: kind.to_owned(),
            detail,
        }));
    }

    fn say(&mut self, word: Word, output: Output) {
        self.words.insert(word);
        self.outputs.push_back(output);
    }

    /// The same content at every call, so that the payment server knows it again (R3).
    fn create_order(&self) -> CreateOrder {
        CreateOrder {
            order: self.facts.transaction,
            amount: self.facts.amount,
            payee: self.facts.payee.id.clone(),
            payee_name: self.facts.payee.name.clone(),
            place_name: self.facts.place.name.clone(),
            description: self.description(),
            return_url: self.facts.return_url.clone(),
            lifetime_ms: self.facts.order_lifetime_ms,
        }
    }

    fn description(&self) -> String {
        let line = |line: &protocol::message::BillLine| {
            format!("{} x {}", line.quantity, line.text.in_language("en"))
        };
        let lines: Vec<String> = self.facts.lines.iter().map(line).collect();
        lines
            .join(", ")
            .chars()
            .take(DESCRIPTION_LENGTH_MAX)
            .collect()
    }

    fn receipt_payment(&self, id: PaymentId) -> Option<ReceiptPayment> {
        let payment = self.payments.get(&id)?;
        Some(ReceiptPayment {
            gateway: self.facts.gateway.clone(),
            payment: id,
            paid_at: payment.paid_at,
        })
    }

    fn terminal_audience(&self) -> Audience {
        Audience::terminal(self.facts.terminal.clone())
    }
}
