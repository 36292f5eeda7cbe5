//! Who may move which sale, and how.

use std::collections::BTreeMap;

use protocol::id::{GatewayId, PaymentId, TransactionId};
use protocol::message::{
    GatewayResult, Hello, OrderRefusal, OrderRefused, OrderRequest, PAYMENTS_MAX,
};
use protocol::signed::Verified;
use protocol::time::Now;
use protocol::topic::TerminalName;

use super::core::Core;
use super::group::Kept;
use super::intake::{Intent, TerminalStep};
use super::speak;
use crate::metrics;
use crate::rules::Rule;
use crate::sale::{Sale, SiteFacts, Turn, admit};
use crate::store::{IdentityRow, TerminalNote};

impl Core {
    /// Sales that must be in memory before `intent` is applied.
    pub(crate) fn wanted(&self, intent: &Intent) -> Vec<TransactionId> {
        let wanted = match intent {
            Intent::Order { request, .. } => vec![request.transaction],
            Intent::Terminal { transaction, .. } | Intent::Event { transaction, .. } => {
                vec![*transaction]
            }
            Intent::Answer(answer) => answer.order.into_iter().collect(),
            Intent::Hello { hello, .. } => hello
                .open
                .iter()
                .take(protocol::message::HELLO_OPEN_MAX)
                .copied()
                .collect(),
            Intent::Presence { .. } | Intent::Identity { .. } | Intent::Nothing => Vec::new(),
        };
        wanted
            .into_iter()
            .filter(|transaction| !self.has(*transaction))
            .collect()
    }

    /// Payments that `intent` shows, and that its sale has not booked: whose are they?
    pub(crate) fn new_payments(&self, intent: &Intent) -> Vec<(GatewayId, PaymentId)> {
        let Intent::Answer(answer) = intent else {
            return Vec::new();
        };
        let GatewayResult::Order(view) = &answer.result else {
            return Vec::new();
        };
        let Some(kept) = self.sales.get(&view.order) else {
            return Vec::new();
        };
        let payments = view.payments.iter().map(|shown| shown.payment);
        payments
            .filter(|payment| !kept.sale.has_payment(*payment))
            .take(PAYMENTS_MAX)
            .map(|payment| (answer.gateway.clone(), payment))
            .collect()
    }

    pub(crate) fn apply(&mut self, intent: Intent, now: Now) {
        match intent {
            Intent::Order {
                request,
                traceparent,
            } => self.apply_order(*request, traceparent, now),
            Intent::Terminal {
                terminal,
                transaction,
                step,
            } => self.apply_terminal(&terminal, transaction, &step, now),
            Intent::Answer(answer) => {
                self.calls
                    .answered(answer.nonce, result_name(&answer.result), now.tick);
                let is_taken = match answer.order {
                    Some(transaction) => self.step(transaction, now, |sale, turn| {
                        sale.handle_answer(&answer, turn)
                    }),
                    None => Some(self.apply_statement(&answer, now)),
                };
                if is_taken != Some(true) {
                    metrics::refused("gateway_answer", "not_asked", answer.gateway.as_str());
                }
            }
            Intent::Event {
                gateway,
                transaction,
            } => self.apply_event(&gateway, transaction, now),
            Intent::Hello { terminal, hello } => self.apply_hello(&terminal, &hello, now),
            Intent::Presence {
                terminal,
                online,
                is_replayed,
            } => self.apply_presence(terminal, online, is_replayed, now),
            Intent::Identity {
                pseudonym,
                identity,
                consent,
                at,
            } => self.group.identities.push(IdentityRow {
                pseudonym,
                identity,
                consent,
                registered_at: at,
            }),
            Intent::Nothing => {}
        }
    }

    fn apply_order(
        &mut self,
        request: Verified<OrderRequest>,
        traceparent: Option<String>,
        now: Now,
    ) {
        let transaction = request.transaction;
        if let Some(kept) = self.sales.get(&transaction) {
            if kept.sale.facts().is_same_request(&request) {
                self.step(transaction, now, Sale::handle_request_again);
            } else {
                self.refuse_order(&request, OrderRefusal::TransactionTaken, now);
            }
            return;
        }
        match self.make_sale(request, traceparent, now) {
            Ok(sale) => {
                self.supersede(&sale.facts().terminal, now);
                self.keep(Kept::new(sale));
                self.absorb(transaction, now);
            }
            Err((request, reason)) => self.refuse_order(&request, reason, now),
        }
    }

    fn make_sale(
        &mut self,
        request: Verified<OrderRequest>,
        traceparent: Option<String>,
        now: Now,
    ) -> Result<Sale, (Box<Verified<OrderRequest>>, OrderRefusal)> {
        let refuse = |request, reason| Err((Box::new(request), reason));
        let Some(terminal) = self.ground.registry.terminal(&request.terminal) else {
            return refuse(request, OrderRefusal::UnknownTerminal);
        };
        let site = &terminal.site;
        if self.is_full() || self.is_held(&request.terminal, &site.gateway) {
            return refuse(request, OrderRefusal::Held);
        }
        let Some(gateway) = self.ground.gateways.get(&site.gateway) else {
            return refuse(request, OrderRefusal::GatewayUnavailable);
        };
        let lifetime_ms = site.order_lifetime_ms;
        let bill = match admit(
            &request,
            &site.tariff,
            site.tariff_version,
            lifetime_ms,
            &gateway.policy,
        ) {
            Ok(bill) => bill,
            Err(reason) => return refuse(request, reason),
        };
        let facts = SiteFacts {
            merchant: site.merchant.name.clone(),
            payee: site.payee.clone(),
            place: terminal.place.clone(),
            devices: terminal.devices.clone(),
            gateway: site.gateway.clone(),
            order_lifetime_ms: lifetime_ms,
            store_epoch: self.ground.store_epoch,
            traceparent,
            time_zone: site.time_zone.clone(),
            status_url: self.ground.status_url.clone(),
        };
        let is_blocked =
            self.is_payable_at(&request.terminal) && gateway.policy.holds(Rule::OneOpenOrder);
        let no_payments = BTreeMap::new();
        let mut turn = Turn {
            now,
            entropy: &mut *self.entropy,
            policy: &gateway.policy,
            store_epoch: self.ground.store_epoch,
            caps: &mut self.caps,
            taken: &no_payments,
        };
        Ok(Sale::request(request, bill, facts, is_blocked, &mut turn))
    }

    /// At most one order is on offer at a terminal (R4).
    fn supersede(&mut self, terminal: &TerminalName, now: Now) {
        for other in self.of_terminal(terminal) {
            let is_on_offer = self
                .sales
                .get(&other)
                .is_some_and(|kept| kept.sale.is_undecided());
            if is_on_offer {
                self.step(other, now, Sale::handle_superseded);
            }
        }
    }

    fn refuse_order(&mut self, request: &OrderRequest, reason: OrderRefusal, now: Now) {
        metrics::refused(
            "order_request",
            refusal_name(reason),
            &request.terminal.to_string(),
        );
        let refused = OrderRefused {
            transaction: request.transaction,
            reason,
        };
        match speak::refused(&request.terminal, refused, (&mut *self.entropy, now.utc)) {
            Ok(parcel) => self.group.parcels.push(parcel),
            Err(error) => tracing::error!(%error, "a refusal can't be said"),
        }
        if reason == OrderRefusal::TariffVersion {
            self.send_config(&request.terminal, now);
        }
    }

    fn apply_terminal(
        &mut self,
        terminal: &TerminalName,
        transaction: TransactionId,
        step: &TerminalStep,
        now: Now,
    ) {
        let what = step_name(step);
        let Some(kept) = self.sales.get(&transaction) else {
            metrics::refused(what, "unknown_order", &terminal.to_string());
            return;
        };
        let facts = kept.sale.facts();
        let is_own_session = match step {
            TerminalStep::Notice(session) | TerminalStep::Ended(session, _) => {
                facts.session == *session
            }
            TerminalStep::PermitRequest(_) | TerminalStep::Result(_) | TerminalStep::Answer(..) => {
                true
            }
        };
        if facts.terminal != *terminal || !is_own_session {
            metrics::refused(what, "foreign_order", &terminal.to_string());
            return;
        }
        let is_taken = self.step(transaction, now, |sale, turn| take_step(sale, step, turn));
        let is_taken = is_taken == Some(true);
        let is_read = match step {
            TerminalStep::Answer(answer, _) => self.take_reading(terminal, (answer, is_taken), now),
            _ => false,
        };
        if !is_taken && !is_read {
            metrics::refused(what, "not_expected", &terminal.to_string());
        }
    }

    fn apply_event(&mut self, gateway: &GatewayId, transaction: TransactionId, now: Now) {
        let is_own = |kept: &Kept| kept.sale.facts().gateway == *gateway;
        if self.sales.get(&transaction).is_some_and(is_own) {
            self.step(transaction, now, Sale::handle_event);
        } else {
            metrics::refused("gateway_event", "unknown_order", gateway.as_str());
        }
    }

    fn apply_hello(&mut self, terminal: &TerminalName, hello: &Hello, now: Now) {
        self.group.notes.push(TerminalNote::Hello {
            terminal: terminal.clone(),
            at: now.utc,
            boot: hello.boot,
            journal: hello.journal,
            agent_version: hello.agent_version.clone(),
        });
        self.judge_epoch(terminal, hello.store_epoch, now);
        self.send_config(terminal, now);
        for transaction in self.of_terminal(terminal) {
            let is_listed = hello.open.contains(&transaction);
            self.step(transaction, now, |sale, turn| {
                sale.handle_hello(is_listed, hello.boot, turn);
            });
        }
        for transaction in &hello.open {
            if !self.has(*transaction) {
                metrics::refused("hello", "unknown_order", &terminal.to_string());
            }
        }
    }

    fn apply_presence(
        &mut self,
        terminal: TerminalName,
        online: bool,
        is_replayed: bool,
        now: Now,
    ) {
        metrics::presence(&terminal, online);
        if self.ground.registry.terminal(&terminal).is_some() {
            self.reading.note_presence(&terminal, online, now.tick);
        }
        if online && is_replayed {
            // It connected before we did, so its hello went unheard.
            self.send_config(&terminal, now);
        }
        self.group.notes.push(TerminalNote::Presence {
            terminal,
            at: now.utc,
            online,
        });
    }

    fn send_config(&mut self, terminal: &TerminalName, now: Now) {
        if self.reading.is_unheard(terminal) {
            return;
        }
        let (serial, epoch) = (self.serial, self.ground.store_epoch);
        let config = self
            .ground
            .registry
            .site_config(terminal, serial, epoch, now.utc);
        let Some(config) = config else {
            return;
        };
        match self
            .ground
            .speaker
            .site_config(terminal, &config, &mut *self.entropy)
        {
            Ok(parcel) => self.group.parcels.push(parcel),
            Err(error) => {
                let error = process::exit::one_line(&error);
                tracing::error!(%terminal, error, "the site's config can't be said");
            }
        }
    }
}

/// Whether the sale took it.
fn take_step(sale: &mut Sale, step: &TerminalStep, turn: &mut Turn<'_>) -> bool {
    match step {
        TerminalStep::Notice(_) => sale.handle_notice(turn),
        TerminalStep::Ended(_, reason) => sale.handle_ended(*reason, turn),
        // A refusal is an answer too: the terminal is told again how its sale stands.
        TerminalStep::PermitRequest(request) => {
            sale.handle_permit_request(request, turn);
        }
        TerminalStep::Result(result) => return sale.handle_result(result, turn),
        TerminalStep::Answer(answer, result) => {
            let is_asked = sale.handle_journal_answer(answer, turn);
            return match result {
                Some(result) => sale.handle_result(result, turn),
                None => is_asked,
            };
        }
    }
    true
}

const fn step_name(step: &TerminalStep) -> &'static str {
    match step {
        TerminalStep::Notice(_) => "payment_notice",
        TerminalStep::Ended(..) => "session_ended",
        TerminalStep::PermitRequest(_) => "permit_request",
        TerminalStep::Result(_) => "linkage_result",
        TerminalStep::Answer(..) => "journal_answer",
    }
}

const fn refusal_name(reason: OrderRefusal) -> &'static str {
    match reason {
        OrderRefusal::UnknownTerminal => "unknown_terminal",
        OrderRefusal::TariffVersion => "tariff_version",
        OrderRefusal::Amount => "amount",
        OrderRefusal::Charge => "charge",
        OrderRefusal::NonceLifetime => "nonce_lifetime",
        OrderRefusal::TransactionTaken => "transaction_taken",
        OrderRefusal::GatewayUnavailable => "gateway_unavailable",
        OrderRefusal::Held => "held",
    }
}

const fn result_name(result: &GatewayResult) -> &'static str {
    match result {
        GatewayResult::Order(_) => "order",
        GatewayResult::Refund(_) => "refund",
        GatewayResult::Statement(_) => "statement",
        GatewayResult::Refused(refusal) => refusal.as_str(),
    }
}
