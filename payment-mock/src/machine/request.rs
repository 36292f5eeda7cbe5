//! What a platform asks, and the signed answer bound to its nonce.

use protocol::codec::{Envelope, decode};
use protocol::id::{Entropy, MessageId, PlatformId, TransactionId};
use protocol::message::{
    CreateOrder, GatewayAnswer, GatewayRefusal, GatewayRequest, GatewayResult, Operation,
    RefundOrder, RefundView, STATEMENT_LINES_MAX,
};
use protocol::signed::{Audience, Jws, SignError, Verified, sign, verify};
use protocol::time::Now;
use protocol::topic::{Gateway, Topic};

use super::delivery::Wrapping;
use super::{Machine, Note};
use crate::ledger::{CheckoutToken, CreateRefusal, FormSeed, Opening, RefundCourse};
use crate::scenario::{Action, Aspect, Step};

/// One publish as it came from the broker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) payload: &'a [u8],
    pub(crate) retained: bool,
}

/// A request that was found to be a platform's own.
struct Admitted {
    request: Verified<GatewayRequest>,
    traceparent: Option<String>,
}

impl Machine {
    /// Does what a platform asks, once its signature was found right, and answers as the scenario
    /// says.
    pub(crate) fn handle_request(
        &mut self,
        arrival: Arrival<'_>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        self.handle_timeout(now, entropy);
        let admitted = match self.admit(arrival) {
            Ok(admitted) => admitted,
            Err(reason) => return self.note(Note::RequestRefused { reason }),
        };
        let request = &admitted.request;
        let operation = request.operation.as_str();
        self.counts.request();
        let n = self.count(request.operation.order(), Step::of(&request.operation));
        let result = match self.decided(Aspect::Before, request, n, now) {
            Some(Action::Drop) => return self.withhold(operation, "lost"),
            Some(Action::Outage) => return self.withhold(operation, "outage"),
            Some(Action::Refuse(refusal)) => Some(GatewayResult::Refused(refusal)),
            _ => self.perform(request, n, now, entropy),
        };
        self.drain_ledger(now, entropy);
        let Some(result) = result else {
            return self.withhold(operation, "full");
        };
        match self.decided(Aspect::Answer, request, n, now) {
            Some(Action::DropAnswer) => self.withhold(operation, "silence"),
            Some(Action::Stale) => {
                let result = self.stale(request, result);
                self.answer(&admitted, result, None, now, entropy);
            }
            action => self.answer(&admitted, result, action.as_ref(), now, entropy),
        }
    }

    fn admit(&self, arrival: Arrival<'_>) -> Result<Admitted, &'static str> {
        let Topic::Gateway(gateway, Gateway::Request, platform) = arrival.topic else {
            return Err("topic");
        };
        if arrival.retained {
            return Err("retained");
        }
        if *gateway != self.identity.gateway {
            return Err("topic");
        }
        let keyring = self
            .identity
            .platforms
            .get(platform)
            .ok_or("unknown_platform")?;
        let envelope: Envelope<Jws<GatewayRequest>> =
            decode(arrival.payload).map_err(|error| error.as_str())?;
        let request = verify(&envelope.body, keyring, &Audience::gateway(gateway))
            .map_err(protocol::signed::Refusal::as_str)?;
        if request.platform != *platform {
            return Err("platform");
        }
        Ok(Admitted {
            request,
            traceparent: envelope.traceparent,
        })
    }

    /// What the scenario does about one aspect of a request; noted if it does anything.
    fn decided(
        &mut self,
        aspect: Aspect,
        request: &GatewayRequest,
        n: u64,
        now: Now,
    ) -> Option<Action> {
        let (platform, step) = (&request.platform, Step::of(&request.operation));
        let call = match &request.operation {
            Operation::Create(create) => self.create_call(platform, create, n, now),
            operation => self.call(step, platform, operation.order(), n, now),
        };
        let decision = self.scenario.decide(aspect, &call)?;
        self.note_decision(&decision, step);
        Some(decision.action)
    }

    /// `None` if the contract has no word for the answer.
    fn perform(
        &mut self,
        request: &GatewayRequest,
        n: u64,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Option<GatewayResult> {
        let platform = &request.platform;
        let done = match &request.operation {
            Operation::Create(create) => match self.create(platform, create, n, now, entropy) {
                Ok(()) => self.created(create.order),
                Err(CreateRefusal::Named(refusal)) => Err(refusal),
                Err(CreateRefusal::Full) => return None,
            },
            Operation::Query { order } => self.order_result(platform, *order),
            Operation::Close { order } => self
                .ledger
                .handle_close(platform, *order, now)
                .and_then(|()| self.order_result(platform, *order)),
            Operation::Refund(refund) => self
                .refund(platform, refund, n, now)
                .map(GatewayResult::Refund),
            Operation::Statement { after, limit } => {
                let page = self.statement(platform, *after, *limit, now);
                Ok(GatewayResult::Statement(page))
            }
        };
        Some(done.unwrap_or_else(GatewayResult::Refused))
    }

    fn create(
        &mut self,
        platform: &PlatformId,
        create: &CreateOrder,
        n: u64,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), CreateRefusal> {
        let call = self.create_call(platform, create, n, now);
        let opening = Opening {
            checkout: CheckoutToken::from_random(entropy.bytes()),
            form_seed: FormSeed::from_random(entropy.bytes()),
            outcome: call.outcome.unwrap_or(self.scenario.default),
            hidden: self.ledger.hides_orders() || self.is_decided(Aspect::Hiding, &call),
        };
        let forgotten = self.is_decided(Aspect::Memory, &call);
        self.ledger
            .handle_create(platform, create.clone(), opening, forgotten, now)
    }

    fn refund(
        &mut self,
        platform: &PlatformId,
        refund: &RefundOrder,
        n: u64,
        now: Now,
    ) -> Result<RefundView, GatewayRefusal> {
        let call = self.call(Step::Refund, platform, Some(refund.order), n, now);
        let forgotten = self.is_decided(Aspect::Memory, &call);
        let decision = self.scenario.decide(Aspect::Course, &call);
        let course = match decision.map(|decision| decision.action) {
            Some(Action::Refund(course)) => course,
            _ => RefundCourse::SUCCEEDS,
        };
        self.ledger
            .handle_refund(platform, refund, course, forgotten, now)
    }

    /// Whoever creates an order sees it, also one that can't be found before it was scanned.
    fn created(&self, order: TransactionId) -> Result<GatewayResult, GatewayRefusal> {
        let order = self.ledger.order(order);
        let order = order.ok_or(GatewayRefusal::OrderNotFound)?;
        Ok(GatewayResult::Order(order.view(&self.identity.public_url)))
    }

    fn stale(&self, request: &GatewayRequest, fresh: GatewayResult) -> GatewayResult {
        let (GatewayResult::Order(_), Some(order)) = (&fresh, request.operation.order()) else {
            return fresh;
        };
        let order = self.ledger.order_of(&request.platform, order);
        let stale = order.map(|order| order.stale_view(&self.identity.public_url));
        match stale {
            Ok(Some(view)) => GatewayResult::Order(view),
            Ok(None) | Err(_) => GatewayResult::Refused(GatewayRefusal::OrderNotFound),
        }
    }

    fn order_result(
        &self,
        platform: &PlatformId,
        order: TransactionId,
    ) -> Result<GatewayResult, GatewayRefusal> {
        let order = self.ledger.order_of(platform, order)?;
        Ok(GatewayResult::Order(order.view(&self.identity.public_url)))
    }

    fn answer(
        &mut self,
        admitted: &Admitted,
        result: GatewayResult,
        action: Option<&Action>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) {
        let request = &admitted.request;
        let operation = request.operation.as_str();
        let answer = GatewayAnswer {
            aud: Audience::platform(&request.platform),
            gateway: self.identity.gateway.clone(),
            nonce: request.nonce,
            order: request.operation.order(),
            result,
            answered_at: now.utc,
        };
        let result = result_name(&answer.result);
        let wrapping = Wrapping {
            platform: &request.platform,
            id: MessageId::from_random(entropy.bytes()),
            traceparent: admitted.traceparent.clone(),
            now,
        };
        let jws = match self.signed_to_fit(answer.clone()) {
            Ok(jws) => jws,
            Err(reason) => return self.note(Note::Unsendable { reason }),
        };
        if self.deliver(&answer, jws, &wrapping, action, entropy) {
            self.note(Note::Answered {
                platform: request.platform.clone(),
                operation,
                result,
                order: request.operation.order(),
            });
        } else {
            self.withhold(operation, "not_sent");
        }
    }

    /// A statement page is halved until it fits a message; the rest is on the next page.
    fn signed_to_fit(&self, mut answer: GatewayAnswer) -> Result<Jws<GatewayAnswer>, String> {
        for _ in 0..=STATEMENT_LINES_MAX.ilog2() {
            match (sign(&self.identity.key, &answer), &mut answer.result) {
                (Ok(jws), _) => return Ok(jws),
                (Err(SignError::TooLong { .. }), GatewayResult::Statement(page))
                    if page.lines.len() > 1 =>
                {
                    page.lines.truncate(page.lines.len() / 2);
                    page.next = page.lines.last().map_or(page.next, |line| line.sequence);
                    page.more = true;
                }
                (Err(error), _) => return Err(error.to_string()),
            }
        }
        Err("a statement of one line is too long".to_owned())
    }

    fn withhold(&mut self, operation: &'static str, reason: &'static str) {
        self.note(Note::AnswerWithheld { operation, reason });
    }
}

fn result_name(result: &GatewayResult) -> &'static str {
    match result {
        GatewayResult::Order(_) => "order",
        GatewayResult::Refund(_) => "refund",
        GatewayResult::Statement(_) => "statement",
        GatewayResult::Refused(refusal) => refusal.as_str(),
    }
}
