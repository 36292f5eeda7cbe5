//! The statement as a platform reads it: the ledger's own lines, unless a rule lies about them.

use protocol::id::{PaymentId, PlatformId};
use protocol::message::{Digest, StatementKind, StatementLine, StatementPage};
use protocol::time::Now;

use super::Machine;
use crate::ledger::page;
use crate::scenario::{Action, Aspect, Call, LineFault, Step};

impl Machine {
    pub(super) fn statement(
        &self,
        platform: &PlatformId,
        after: u64,
        limit: u16,
        now: Now,
    ) -> StatementPage {
        if self.scenario.rules.touches_lines() {
            page(&self.told_lines(platform, now), after, limit)
        } else {
            self.ledger.statements().page(platform, after, limit)
        }
    }

    /// All lines with their faults, numbered anew: a reader by cursor sees a statement that is wrong
    /// and never changes, as long as the rules don't.
    fn told_lines(&self, platform: &PlatformId, now: Now) -> Vec<StatementLine> {
        let mut told: Vec<StatementLine> = Vec::new();
        for line in self.ledger.statements().lines(platform) {
            match self.fault_of(platform, line, now) {
                None => told.push(line.clone()),
                Some(LineFault::Missing) => {}
                Some(LineFault::Duplicate) => told.extend([line.clone(), line.clone()]),
                Some(LineFault::WrongAmount) => told.push(StatementLine {
                    minor: line.minor + 1,
                    ..line.clone()
                }),
                Some(LineFault::Unknown) => told.extend([line.clone(), unknown(line)]),
            }
        }
        for (sequence, line) in (1..).zip(&mut told) {
            line.sequence = sequence;
        }
        told
    }

    fn fault_of(&self, platform: &PlatformId, line: &StatementLine, now: Now) -> Option<LineFault> {
        let order = Some(line.order);
        let call = Call {
            outcome: None,
            ..self.call(Step::Statement, platform, order, line.sequence, now)
        };
        match self.scenario.decide(Aspect::Line, &call)?.action {
            Action::Line(fault) => Some(fault),
            _ => None,
        }
    }
}

/// Money for an order that nobody made; the same one each time it is read.
fn unknown(line: &StatementLine) -> StatementLine {
    let drawn = |word: &str| {
        let text = format!("paylatch unknown {word} {} {}", line.order, line.sequence);
        let hex = Digest::of(text.as_bytes()).to_string();
        hex[..32].to_owned()
    };
    StatementLine {
        kind: StatementKind::Payment,
        order: parsed(&drawn("order")).unwrap_or(line.order),
        payment: parsed::<PaymentId>(&drawn("payment")).unwrap_or(line.payment),
        refund: None,
        minor: line.minor.abs(),
        ..line.clone()
    }
}

fn parsed<T: std::str::FromStr>(hex: &str) -> Option<T> {
    hex.parse().ok()
}
