//! Rules: which call they are about, and what is done.

use protocol::message::CreateOrder;
use sha2::{Digest as _, Sha256};

use super::action::{Action, Aspect};
use super::text::RuleText;
use super::{Call, Decision, Step};

/// Most rules: every call looks through all of them, up to three times.
const RULES_MAX: usize = 64;

/// Rules in the order in which they are asked, and the seed of their draws.
#[derive(Debug, Clone, Default)]
pub struct Ruleset {
    seed: u64,
    rules: Vec<Rule>,
}

/// Why a rule can't be used: one line that names rule, field and fix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("rule '{rule}': {field}: {reason}")]
    Field {
        rule: String,
        field: &'static str,
        reason: String,
    },
    #[error("rule '{rule}' is there twice; give each its own name")]
    Twice { rule: String },
    #[error("there are more than {RULES_MAX} rules")]
    TooMany,
}

/// One rule: a parsed action and the text it came from, which says when.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) text: RuleText,
    pub(super) action: Action,
    /// The calls it is about.
    pub(super) steps: Vec<Step>,
}

impl Ruleset {
    /// No rules: every order goes as its outcome says.
    #[must_use]
    pub const fn empty(seed: u64) -> Self {
        Self {
            seed,
            rules: Vec::new(),
        }
    }

    /// Rules from texts, asked in this order.
    ///
    /// # Errors
    /// The first rule that can't be used.
    pub fn new(seed: u64, texts: impl IntoIterator<Item = RuleText>) -> Result<Self, RuleError> {
        let mut rules = Self::empty(seed);
        for text in texts {
            rules.add(text)?;
        }
        Ok(rules)
    }

    /// Adds a rule behind all others.
    ///
    /// # Errors
    /// It can't be used, there is one of its name, or there are too many.
    pub fn add(&mut self, text: RuleText) -> Result<(), RuleError> {
        if self.rules.len() >= RULES_MAX {
            return Err(RuleError::TooMany);
        }
        let rule = text.parse()?;
        if self
            .rules
            .iter()
            .any(|known| known.text.name == rule.text.name)
        {
            return Err(RuleError::Twice {
                rule: rule.text.name,
            });
        }
        self.rules.push(rule);
        Ok(())
    }

    /// What the rules were made of.
    pub fn texts(&self) -> impl Iterator<Item = &RuleText> {
        self.rules.iter().map(|rule| &rule.text)
    }

    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn first(&self, aspect: Aspect, call: &Call<'_>) -> Option<Decision> {
        let rule = self.fitting(aspect, call).next()?;
        Some(Decision {
            action: rule.action.clone(),
            rule: Some(rule.text.name.clone()),
        })
    }

    pub(super) fn all(&self, aspect: Aspect, call: &Call<'_>) -> impl Iterator<Item = &Action> {
        self.fitting(aspect, call).map(|rule| &rule.action)
    }

    /// Whether any rule is about lines of the statement.
    pub(crate) fn touches_lines(&self) -> bool {
        let mut actions = self.rules.iter().map(|rule| rule.action.aspect());
        actions.any(|aspect| aspect == Aspect::Line)
    }

    fn fitting(&self, aspect: Aspect, call: &Call<'_>) -> impl Iterator<Item = &Rule> {
        let call = *call;
        self.rules.iter().filter(move |rule| {
            rule.action.aspect() == aspect && rule.fits(&call) && self.draw(rule, &call)
        })
    }

    /// The same seed, rule, order, step and number always draw the same: no stream is shared, so
    /// that one more call elsewhere changes nothing here.
    fn draw(&self, rule: &Rule, call: &Call<'_>) -> bool {
        let Some(chance) = rule.text.chance_permille else {
            return true;
        };
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(rule.text.name.as_bytes());
        hash.update([0]);
        hash.update(call.order.map_or([0; 16], |order| *order.as_bytes()));
        hash.update(call.step.as_str());
        hash.update([0]);
        hash.update(call.n.to_be_bytes());
        let mut drawn = [0; 8];
        drawn.copy_from_slice(&hash.finalize()[..8]);
        u64::from_be_bytes(drawn) % 1_000 < u64::from(chance)
    }
}

impl Rule {
    fn fits(&self, call: &Call<'_>) -> bool {
        let text = &self.text;
        let age_ms = u64::try_from(call.age.as_millis()).unwrap_or(u64::MAX);
        self.steps.contains(&call.step)
            && text.platform.as_ref().is_none_or(|id| id == call.platform)
            && text.order.is_none_or(|order| Some(order) == call.order)
            && within(call.n, text.from_call, text.to_call)
            && within(call.request, text.from_request, text.to_request)
            && within(
                age_ms,
                text.from_ms,
                text.before_ms.map(|end| end.saturating_sub(1)),
            )
            && (!text.is_about_content() || call.create.is_some_and(|order| text.fits(order)))
    }
}

impl RuleText {
    /// Whether it can only fit an order that exists.
    const fn is_about_content(&self) -> bool {
        self.payee.is_some()
            || self.place.is_some()
            || self.description.is_some()
            || self.currency.is_some()
            || self.minor_from.is_some()
            || self.minor_to.is_some()
    }

    fn fits(&self, order: &CreateOrder) -> bool {
        let holds = |part: &Option<String>, whole: &str| {
            part.as_ref().is_none_or(|part| whole.contains(part))
        };
        self.payee
            .as_ref()
            .is_none_or(|payee| *payee == order.payee)
            && holds(&self.place, &order.place_name)
            && holds(&self.description, &order.description)
            && self
                .currency
                .is_none_or(|currency| currency == order.amount.currency())
            && within(order.amount.minor(), self.minor_from, self.minor_to)
    }
}

/// Both ends count.
fn within<T: PartialOrd + Copy>(value: T, from: Option<T>, to: Option<T>) -> bool {
    from.is_none_or(|from| value >= from) && to.is_none_or(|to| value <= to)
}
