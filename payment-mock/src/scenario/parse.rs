//! From a rule's text to an action with its parameters.

use std::time::Duration;

use protocol::message::RefundStatus;
use protocol::money::MINOR_MAX;

use super::Step;
use super::action::{Action, Aftermath, Forgery, LineFault, Share};
use super::rule::{Rule, RuleError};
use super::text::{ForgeryWord, RuleText, Word};
use crate::ledger::{RefundCourse, RefundTurn};

/// Longest name of a rule, and longest text that a rule looks for: longer ones are no use in a log.
const TEXT_LENGTH_MAX: usize = 64;

/// Longest delay: the longest life of an order.
const AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Most copies of one message: a broker that redelivers more often is broken in other ways.
const COPIES_MAX: u8 = 8;

/// `reorder`: how long a message waits to be overtaken. A payer's page asks again sooner.
const REORDER_MS: u64 = 1_000;

impl RuleText {
    pub(super) fn parse(self) -> Result<Rule, RuleError> {
        self.check_match()?;
        self.check_parameters()?;
        let action = self.to_action()?;
        let steps = self.steps(&action)?;
        Ok(Rule {
            text: self,
            action,
            steps,
        })
    }

    fn wrong(&self, field: &'static str, reason: impl Into<String>) -> RuleError {
        RuleError::Field {
            rule: self.name.chars().take(TEXT_LENGTH_MAX).collect(),
            field,
            reason: reason.into(),
        }
    }

    fn check_match(&self) -> Result<(), RuleError> {
        let is_good = |text: &str| {
            !text.is_empty()
                && text.chars().count() <= TEXT_LENGTH_MAX
                && !text.chars().any(char::is_control)
        };
        let texts = [
            ("name", Some(&self.name)),
            ("place", self.place.as_ref()),
            ("description", self.description.as_ref()),
        ];
        for (field, text) in texts {
            if text.is_some_and(|text| !is_good(text)) {
                return Err(self.wrong(field, format!("use 1 to {TEXT_LENGTH_MAX} characters")));
            }
        }
        self.check_range("to_call", self.from_call, self.to_call)?;
        self.check_range("to_request", self.from_request, self.to_request)?;
        self.check_range("minor_to", self.minor_from, self.minor_to)?;
        let last_ms = self.before_ms.map(|end| end.saturating_sub(1));
        self.check_range("before_ms", self.from_ms, last_ms)?;
        for (field, first) in [
            ("from_call", self.from_call),
            ("from_request", self.from_request),
        ] {
            if first == Some(0) {
                return Err(self.wrong(field, "calls count from 1"));
            }
        }
        match self.chance_permille {
            Some(0 | 1_001..) => Err(self.wrong("chance_permille", "use 1 to 1000")),
            _ => Ok(()),
        }
    }

    fn check_range<T: PartialOrd>(
        &self,
        field: &'static str,
        from: Option<T>,
        to: Option<T>,
    ) -> Result<(), RuleError> {
        match (from, to) {
            (Some(from), Some(to)) if from > to => {
                Err(self.wrong(field, "ends before it begins; no call would ever fit"))
            }
            _ => Ok(()),
        }
    }

    /// A parameter that the action does not take is a mistake, not a comment.
    fn check_parameters(&self) -> Result<(), RuleError> {
        let given = [
            ("refusal", self.refusal.is_some()),
            ("outcome", self.outcome.is_some()),
            ("after_ms", self.after_ms.is_some()),
            ("copies", self.copies.is_some()),
            ("forgeries", self.forgeries.is_some()),
            ("honest", self.honest.is_some()),
            ("minor", self.minor.is_some()),
            ("permille", self.permille.is_some()),
        ];
        let taken = self.action.parameters();
        let foreign = given
            .into_iter()
            .find(|(field, is_given)| *is_given && !taken.contains(field));
        match foreign {
            Some((field, _)) => Err(self.wrong(
                field,
                format!("'{}' does not take it; remove it", self.action),
            )),
            None => Ok(()),
        }
    }

    fn need<T>(&self, field: &'static str, value: Option<T>) -> Result<T, RuleError> {
        value.ok_or_else(|| self.wrong(field, format!("'{}' needs it", self.action)))
    }

    fn after(&self, default_ms: u64) -> Result<Duration, RuleError> {
        let after_ms = self.after_ms.unwrap_or(default_ms);
        if after_ms > AFTER_MS_MAX {
            return Err(self.wrong("after_ms", format!("use at most {AFTER_MS_MAX}, a day")));
        }
        Ok(Duration::from_millis(after_ms))
    }

    fn needed_after(&self) -> Result<Duration, RuleError> {
        self.need("after_ms", self.after_ms)?;
        self.after(0)
    }

    fn to_action(&self) -> Result<Action, RuleError> {
        let refund = |status, turn| Ok(Action::Refund(RefundCourse { status, turn }));
        let later = |status| -> Result<Option<RefundTurn>, RuleError> {
            let after = self.needed_after()?;
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(AFTER_MS_MAX);
            Ok(Some(RefundTurn { status, after_ms }))
        };
        match self.action {
            Word::DropBefore => Ok(Action::Drop),
            Word::Outage => Ok(Action::Outage),
            Word::Refuse => Ok(Action::Refuse(self.need("refusal", self.refusal)?)),
            Word::Outcome => Ok(Action::Outcome(self.need("outcome", self.outcome)?)),
            Word::HideUntilScan => Ok(Action::Hide),
            Word::ForgetKey => Ok(Action::Forget),
            Word::RefundFails => refund(RefundStatus::Failed, None),
            Word::RefundPending => refund(RefundStatus::Pending, later(RefundStatus::Succeeded)?),
            Word::RefundPendingFails => refund(RefundStatus::Pending, later(RefundStatus::Failed)?),
            Word::RefundFailsLater => refund(RefundStatus::Succeeded, later(RefundStatus::Failed)?),
            Word::DropAfter => Ok(Action::DropAnswer),
            Word::Delay => Ok(Action::Delay(self.needed_after()?)),
            Word::Truncate => Ok(Action::Truncate),
            Word::Double => self.double(),
            Word::Reorder => Ok(Action::Reorder {
                within: self.after(REORDER_MS)?,
            }),
            Word::Stale => Ok(Action::Stale),
            Word::Forge => self.forge(),
            Word::Dispute => self.befall(Aftermath::Dispute),
            Word::ChargeBack => self.befall(Aftermath::ChargeBack),
            Word::RefundOutside => self.befall(Aftermath::RefundOutside(self.share()?)),
            Word::Fee => self.befall(Aftermath::Fee(self.share()?)),
            Word::LineMissing => Ok(Action::Line(LineFault::Missing)),
            Word::LineDuplicate => Ok(Action::Line(LineFault::Duplicate)),
            Word::LineWrongAmount => Ok(Action::Line(LineFault::WrongAmount)),
            Word::LineUnknown => Ok(Action::Line(LineFault::Unknown)),
        }
    }

    fn double(&self) -> Result<Action, RuleError> {
        let copies = self.copies.unwrap_or(2);
        if !(2..=COPIES_MAX).contains(&copies) {
            return Err(self.wrong("copies", format!("use 2 to {COPIES_MAX}")));
        }
        let apart = self.after(0)?;
        Ok(Action::Double { copies, apart })
    }

    fn forge(&self) -> Result<Action, RuleError> {
        let forgeries: Vec<Forgery> = match &self.forgeries {
            Some(words) if words.is_empty() => {
                return Err(self.wrong("forgeries", "name at least one, or leave it out for all"));
            }
            Some(words) if words.len() > Forgery::ALL.len() => {
                return Err(self.wrong("forgeries", "name each at most once"));
            }
            Some(words) => words.iter().map(|word| Forgery::from(*word)).collect(),
            None => Forgery::ALL.to_vec(),
        };
        Ok(Action::Forge {
            forgeries,
            honest: self.honest.unwrap_or(true),
        })
    }

    fn befall(&self, aftermath: Aftermath) -> Result<Action, RuleError> {
        let after = self.after(0)?;
        Ok(Action::Befall { aftermath, after })
    }

    fn share(&self) -> Result<Share, RuleError> {
        match (self.minor, self.permille) {
            (Some(minor), None) if (1..=MINOR_MAX).contains(&minor) => Ok(Share::Minor(minor)),
            (None, Some(permille)) if (1..=1_000).contains(&permille) => {
                Ok(Share::Permille(permille))
            }
            (Some(_), None) => Err(self.wrong("minor", format!("use 1 to {MINOR_MAX}"))),
            (None, Some(_)) => Err(self.wrong("permille", "use 1 to 1000")),
            _ => Err(self.wrong("minor", "name either it or permille")),
        }
    }

    fn steps(&self, action: &Action) -> Result<Vec<Step>, RuleError> {
        let good = action.steps();
        match self.operation {
            None => Ok(good.to_vec()),
            Some(step) if good.contains(&step) => Ok(vec![step]),
            Some(step) => {
                let names: Vec<&str> = good.iter().map(|step| step.as_str()).collect();
                let reason = format!(
                    "'{}' can't be done to {}; use {}",
                    self.action,
                    step.as_str(),
                    names.join(", ")
                );
                Err(self.wrong("operation", reason))
            }
        }
    }
}

impl Word {
    const fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Refuse => &["refusal"],
            Self::Outcome => &["outcome"],
            Self::RefundPending
            | Self::RefundPendingFails
            | Self::RefundFailsLater
            | Self::Delay
            | Self::Reorder
            | Self::Dispute
            | Self::ChargeBack => &["after_ms"],
            Self::Double => &["copies", "after_ms"],
            Self::Forge => &["forgeries", "honest"],
            Self::RefundOutside | Self::Fee => &["after_ms", "minor", "permille"],
            Self::DropBefore
            | Self::Outage
            | Self::HideUntilScan
            | Self::ForgetKey
            | Self::RefundFails
            | Self::DropAfter
            | Self::Truncate
            | Self::Stale
            | Self::LineMissing
            | Self::LineDuplicate
            | Self::LineWrongAmount
            | Self::LineUnknown => &[],
        }
    }
}

impl From<ForgeryWord> for Forgery {
    fn from(word: ForgeryWord) -> Self {
        match word {
            ForgeryWord::Key => Self::Key,
            ForgeryWord::Nonce => Self::Nonce,
            ForgeryWord::Order => Self::Order,
            ForgeryWord::Unsigned => Self::Unsigned,
        }
    }
}
