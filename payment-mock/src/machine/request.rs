//! What a platform asks, and the signed answer bound to its nonce.

use std::time::Duration;

use protocol::codec::{Envelope, decode, encode};
use protocol::id::{Entropy, MessageId, PlatformId};
use protocol::message::{
    CreateOrder, GatewayAnswer, GatewayRefusal, GatewayRequest, GatewayResult, Operation,
    STATEMENT_LINES_MAX,
};
use protocol::signed::{Audience, Jws, SignError, Verified, sign, verify};
use protocol::time::Now;
use protocol::topic::{Gateway, Topic};

use super::{DELAYED_MAX, Machine, Note, Output, Publication};
use crate::ledger::{CheckoutToken, CreateRefusal, FormSeed, Opening};
use crate::scenario::{Action, Case, Step};

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
        let result = self.perform(request, now, entropy);
        self.drain_ledger(now, entropy);
        match (result, self.decide(request, now)) {
            (None, _) => self.withhold(operation, "full"),
            (Some(_), None) => self.withhold(operation, "silence"),
            (Some(result), Some(after)) => {
                self.answer(&admitted, result, after, now, entropy);
            }
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

    /// `None` if the contract has no word for the answer.
    fn perform(
        &mut self,
        request: &GatewayRequest,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Option<GatewayResult> {
        let platform = &request.platform;
        let done = match &request.operation {
            Operation::Create(create) => match self.create(platform, create, now, entropy) {
                Ok(()) => self.order_result(platform, create.order),
                Err(CreateRefusal::Named(refusal)) => Err(refusal),
                Err(CreateRefusal::Full) => return None,
            },
            Operation::Query { order } => self.order_result(platform, *order),
            Operation::Close { order } => self
                .ledger
                .handle_close(platform, *order, now)
                .and_then(|()| self.order_result(platform, *order)),
            Operation::Refund(refund) => self
                .ledger
                .handle_refund(platform, refund, now)
                .map(GatewayResult::Refund),
            Operation::Statement { after, limit } => Ok(GatewayResult::Statement(
                self.ledger.statements().page(platform, *after, *limit),
            )),
        };
        Some(done.unwrap_or_else(GatewayResult::Refused))
    }

    fn create(
        &mut self,
        platform: &PlatformId,
        create: &CreateOrder,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Result<(), CreateRefusal> {
        let opening = Opening {
            checkout: CheckoutToken::from_random(entropy.bytes()),
            form_seed: FormSeed::from_random(entropy.bytes()),
            outcome: self.scenario.outcome_of(&create.description),
        };
        self.ledger
            .handle_create(platform, create.clone(), opening, now)
    }

    fn order_result(
        &self,
        platform: &PlatformId,
        order: protocol::id::TransactionId,
    ) -> Result<GatewayResult, GatewayRefusal> {
        let order = self.ledger.order_of(platform, order)?;
        Ok(GatewayResult::Order(order.view(&self.identity.public_url)))
    }

    /// The delay of the answer, or `None` for silence. What is about no order of this platform is
    /// answered at once.
    fn decide(&mut self, request: &GatewayRequest, now: Now) -> Option<Duration> {
        let order = request
            .operation
            .order()
            .filter(|order| self.ledger.order_of(&request.platform, *order).is_ok());
        let (Some(order), Some(step)) = (order, step(&request.operation)) else {
            return Some(Duration::ZERO);
        };
        let n = self.count(order, step);
        let found = self.ledger.order(order)?;
        let case = Case::of(found, now);
        match self.scenario.decide(step, case, n) {
            Action::Answer { after } => Some(after),
            _ => None,
        }
    }

    fn answer(
        &mut self,
        admitted: &Admitted,
        result: GatewayResult,
        after: Duration,
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
        let name = result_name(&answer.result);
        let id = MessageId::from_random(entropy.bytes());
        let payload = self.signed_to_fit(answer).and_then(|jws| {
            let envelope = Envelope::new(id, now.utc, jws);
            encode(&envelope.with_traceparent(admitted.traceparent.clone()))
                .map_err(|error| error.to_string())
        });
        let payload = match payload {
            Ok(payload) => payload,
            Err(reason) => return self.note(Note::Unsendable { reason }),
        };
        let topic = self.topic(Gateway::Response, &request.platform);
        if self.send_after(Publication { topic, payload }, after, now) {
            self.note(Note::Answered {
                platform: request.platform.clone(),
                operation,
                result: name,
                order: request.operation.order(),
            });
        } else {
            self.withhold(operation, "delayed_full");
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

    /// False if too many answers wait already.
    fn send_after(&mut self, publication: Publication, after: Duration, now: Now) -> bool {
        if after.is_zero() {
            self.outputs.push_back(Output::Publish(publication));
            return true;
        }
        let room = self.delayed.len() < DELAYED_MAX;
        if room {
            self.delayed_count += 1;
            let due = (now.tick + after, self.delayed_count);
            self.delayed.insert(due, publication);
        }
        room
    }

    fn withhold(&mut self, operation: &'static str, reason: &'static str) {
        self.note(Note::AnswerWithheld { operation, reason });
    }
}

/// A statement is about no order, so no scenario touches it.
fn step(operation: &Operation) -> Option<Step> {
    match operation {
        Operation::Create(_) => Some(Step::Create),
        Operation::Query { .. } => Some(Step::Query),
        Operation::Close { .. } => Some(Step::Close),
        Operation::Refund(_) => Some(Step::Refund),
        Operation::Statement { .. } => None,
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
