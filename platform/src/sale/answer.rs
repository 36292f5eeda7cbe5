//! What the payment server answers to our own questions; nothing else moves a payment (R1, R2).

use protocol::id::PaymentId;
use protocol::message::{
    GatewayAnswer, GatewayRefusal, GatewayResult, OrderStatus, OrderView, PAYMENTS_MAX,
};
use protocol::signed::Verified;
use serde_json::json;

use super::call::{Asked, Question};
use super::order::News;
use super::refund::Refund;
use super::{Sale, Turn};
use crate::rules::Rule;

impl Sale {
    /// Takes an answer; `false` if we did not ask for it, or not about this order.
    pub(crate) fn handle_answer(
        &mut self,
        answer: &Verified<GatewayAnswer>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_about_us = answer
            .order
            .is_none_or(|order| order == self.facts.transaction)
            && answer.gateway == self.facts.gateway;
        let is_taken = is_about_us && self.take_answer(answer, turn);
        self.drive(turn);
        is_taken
    }

    fn take_answer(&mut self, answer: &GatewayAnswer, turn: &mut Turn<'_>) -> bool {
        if let Some(id) = self.refund_asked_under(answer) {
            return self.take_refund_answer(id, answer, turn);
        }
        let view = match &answer.result {
            GatewayResult::Order(view) if self.is_own(view, turn) => Ok(view),
            GatewayResult::Refused(refusal) => Err(*refusal),
            GatewayResult::Order(_) | GatewayResult::Refund(_) | GatewayResult::Statement(_) => {
                return false;
            }
        };
        match self.order.answered(answer.nonce, turn) {
            Some((asked, was_in_flight)) => {
                self.take_order_answer(&asked, view, was_in_flight, turn);
                true
            }
            None => false,
        }
    }

    fn take_order_answer(
        &mut self,
        asked: &Asked,
        view: Result<&OrderView, GatewayRefusal>,
        was_in_flight: bool,
        turn: &mut Turn<'_>,
    ) {
        let before = self.order.state;
        let news = self.order.handle_answer(view, (asked, was_in_flight), turn);
        let is_remarkable = before != self.order.state || asked.question != Question::Query;
        if is_remarkable {
            let detail = json!({
                "question": asked.question,
                "answer": answer_name(view),
                "asked_at": asked.asked_at,
            });
            self.event("gateway_answered", detail, turn);
        }
        if let Ok(view) = view {
            self.book(view, asked.number, turn);
        }
        let is_final = asked.question == Question::FinalQuery || !turn.holds(Rule::FinalQuery);
        match news {
            News::View => self.consider(is_final, turn),
            News::NotFound => self.consider_missing(is_final, turn),
            News::CloseTooEarly if turn.holds(Rule::CloseTooEarlyWaits) => {
                self.tell_off_early(turn);
            }
            News::Stale => {}
            News::AlreadyPaid if turn.holds(Rule::AlreadyPaidAsks) => {}
            News::CloseTooEarly | News::AlreadyPaid => self.expire_sale(self.end_reason(), turn),
            News::Refused(refusal) => self.consider_refused(asked.question, refusal, turn),
        }
    }

    /// Whether this is an order of ours with a number of payments that one order can have.
    fn is_own(&self, view: &OrderView, turn: &Turn<'_>) -> bool {
        let is_ours = view.order == self.facts.transaction || !turn.holds(Rule::OwnOrder);
        is_ours && view.payments.len() <= PAYMENTS_MAX
    }

    fn refund_asked_under(&self, answer: &GatewayAnswer) -> Option<PaymentId> {
        let asked = |refund: &Refund| refund.has_asked(answer.nonce);
        self.payments
            .iter()
            .find(|(_, payment)| payment.refund.as_ref().is_some_and(asked))
            .map(|(id, _)| *id)
    }

    fn take_refund_answer(
        &mut self,
        id: PaymentId,
        answer: &GatewayAnswer,
        turn: &mut Turn<'_>,
    ) -> bool {
        match &answer.result {
            GatewayResult::Refund(view) if view.payment == id => {
                self.close_refund_call(id, answer);
                self.note_refund(view, turn);
            }
            GatewayResult::Refused(refusal) => {
                self.close_refund_call(id, answer);
                let detail = json!({"payment": id, "refusal": refusal});
                self.event("refund_refused", detail, turn);
                self.refuse_refund(id, *refusal, turn);
            }
            GatewayResult::Refund(_) | GatewayResult::Order(_) | GatewayResult::Statement(_) => {
                return false;
            }
        }
        true
    }

    fn close_refund_call(&mut self, id: PaymentId, answer: &GatewayAnswer) {
        if let Some(refund) = self.payments.get_mut(&id).and_then(|p| p.refund.as_mut()) {
            refund.answered(answer.nonce);
        }
    }
}

fn answer_name(view: Result<&OrderView, GatewayRefusal>) -> &'static str {
    match view {
        Ok(view) => match view.status {
            OrderStatus::Open => "open",
            OrderStatus::Paying => "paying",
            OrderStatus::Held => "held",
            OrderStatus::Paid => "paid",
            OrderStatus::Closed => "closed",
        },
        Err(refusal) => refusal.as_str(),
    }
}
