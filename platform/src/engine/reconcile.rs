//! Reconciliations beside the sales: they ask through the same door, and what they find is in the
//! same commit.

use std::collections::BTreeMap;

use protocol::id::{GatewayId, TransactionId};
use protocol::message::{GatewayAnswer, GatewayResult};
use protocol::time::{Now, Tick};

use super::core::Core;
use super::intake::Intent;
use crate::metrics;
use crate::reconciliation::{Output, Reconciliation, ReconciliationPolicy, Want};
use crate::sale::Sale;
use crate::store::books::{LineRow, OrderBook, Unlisted};

/// One machine per payment server; none until [`Core::reconcile_with`].
#[derive(Debug, Clone, Default)]
pub(super) struct Reconciliations {
    machines: BTreeMap<GatewayId, Reconciliation>,
    /// Orders to be asked about again in this round.
    hints: Vec<TransactionId>,
}

/// Rows of ours that a machine waited for.
#[derive(Debug, Clone, Default)]
pub(crate) struct BookRows {
    pub(crate) lines: Vec<LineRow>,
    pub(crate) books: Vec<OrderBook>,
    pub(crate) unlisted: Vec<Unlisted>,
}

impl Reconciliations {
    pub(super) fn timeout(&self) -> Option<Tick> {
        let machines = self.machines.values();
        machines.filter_map(Reconciliation::poll_timeout).min()
    }
}

impl Core {
    /// Reconciles every payment server from now on, each from where `kept` says.
    pub(crate) fn reconcile_with(
        &mut self,
        policy: &ReconciliationPolicy,
        kept: &BTreeMap<GatewayId, String>,
        now: Tick,
    ) {
        let machine = |gateway: &GatewayId| {
            let kept = kept.get(gateway).map(String::as_str);
            let machine = Reconciliation::new(gateway.clone(), policy.clone(), kept, now);
            (gateway.clone(), machine)
        };
        let machines = self.ground.gateways.keys().map(machine).collect();
        self.reconciliations = Reconciliations {
            machines,
            hints: Vec::new(),
        };
    }

    /// Begins a run of every payment server now.
    pub(crate) fn reconcile_now(&mut self, now: Tick) {
        for machine in self.reconciliations.machines.values_mut() {
            machine.handle_demand(now);
        }
    }

    /// Rows of the store that a machine waits for.
    pub(crate) fn reconciliation_wants(&self) -> Option<(GatewayId, Want)> {
        let mut machines = self.reconciliations.machines.values();
        machines.find_map(|machine| Some((machine.gateway().clone(), machine.poll_want()?)))
    }

    /// Orders whose books must be lent before `intent` is applied.
    pub(crate) fn books_wanted(&self, intent: &Intent) -> Vec<TransactionId> {
        let Intent::Answer(answer) = intent else {
            return Vec::new();
        };
        match &answer.result {
            GatewayResult::Statement(page) => page.lines.iter().map(|line| line.order).collect(),
            GatewayResult::Order(_) | GatewayResult::Refund(_) | GatewayResult::Refused(_) => {
                Vec::new()
            }
        }
    }

    /// The books of orders that pages of this round name.
    pub(crate) fn lend_books(&mut self, books: Vec<OrderBook>) {
        self.books = books;
    }

    /// An answer that is about no order; whether a reconciliation has asked for it.
    pub(super) fn apply_statement(&mut self, answer: &GatewayAnswer, now: Now) -> bool {
        let gateway = &answer.gateway;
        let Some(machine) = self.reconciliations.machines.get_mut(gateway) else {
            return false;
        };
        let is_taken = machine.handle_answer(answer, &self.books, now, &mut *self.entropy);
        self.absorb_reconciliation(gateway, now);
        is_taken
    }

    /// Rows that [`Core::reconciliation_wants`] has named.
    pub(crate) fn apply_rows(
        &mut self,
        gateway: &GatewayId,
        rows: &BookRows,
        want: &Want,
        now: Now,
    ) {
        if let Some(machine) = self.reconciliations.machines.get_mut(gateway) {
            match want {
                Want::Pending { .. } => machine.handle_pending(&rows.lines, &rows.books, now),
                Want::Unlisted { .. } => machine.handle_unlisted(&rows.unlisted, now),
            }
        }
        self.absorb_reconciliation(gateway, now);
    }

    /// Orders that must be in memory to be asked about again.
    pub(crate) fn hinted(&self) -> &[TransactionId] {
        &self.reconciliations.hints
    }

    /// Lets the sales ask again; those that are not in memory by now are none of ours.
    pub(crate) fn apply_hints(&mut self, now: Now) {
        for transaction in std::mem::take(&mut self.reconciliations.hints) {
            self.step(transaction, now, Sale::handle_event);
        }
    }

    pub(super) fn handle_reconciliation_timeout(&mut self, now: Now) {
        let gateways: Vec<GatewayId> = self.reconciliations.machines.keys().cloned().collect();
        for gateway in gateways {
            if let Some(machine) = self.reconciliations.machines.get_mut(&gateway) {
                machine.handle_timeout(now, &mut *self.entropy);
            }
            self.absorb_reconciliation(&gateway, now);
        }
    }

    fn absorb_reconciliation(&mut self, gateway: &GatewayId, now: Now) {
        while let Some(output) = self
            .reconciliations
            .machines
            .get_mut(gateway)
            .and_then(Reconciliation::poll_output)
        {
            match output {
                Output::Note(note) => self.group.books.push(note),
                Output::Hint(order) => self.reconciliations.hints.push(order),
                Output::Ask { operation, nonce } => {
                    let asked = self.ask_gateway(gateway, (operation, nonce), None, now);
                    if let Err(error) = asked {
                        let error = process::exit::one_line(&error);
                        tracing::error!(%gateway, error, "a statement can't be asked for");
                    }
                }
                Output::Found(finding) => metrics::line_found(gateway, finding.as_str()),
                Output::Fault(fault) => metrics::statement_fault(gateway, fault.as_str()),
                Output::Completed => metrics::reconciled(gateway),
            }
        }
    }
}
