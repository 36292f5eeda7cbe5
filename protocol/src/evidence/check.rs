//! The check of one receipt: both signatures, and whether everything in it says the same.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::file::claimed;
use super::{PublishedKeys, ReceiptFile};
use crate::id::DeviceId;
use crate::message::{
    DeviceOutcome, DeviceResult, Digest, Feedback, Ground, LinkageOutcome, LinkageResult, Receipt,
};
use crate::money::Money;
use crate::signed::{Audience, Jws, KeyId, Refusal, Verified, verify};
use crate::topic::TerminalName;

/// What does not fit, as one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    #[error("the platform's signature: {0}")]
    Platform(Refusal),
    #[error("the terminal's signature: {0}")]
    Terminal(Refusal),
    #[error("the part for people is not what was signed")]
    Readable,
    #[error("the receipt is for {receipt}, the terminal's result for {result}")]
    Differs { receipt: String, result: String },
    #[error("the terminal's result is not 'done'")]
    NotDone,
    #[error("the permit named {permitted}, the terminal's result {moved}")]
    Devices { permitted: String, moved: String },
    #[error("the deciding device {0} did not move")]
    Device(DeviceId),
    #[error("the lines add up to {sum}, the amount is {amount}")]
    Sum { sum: String, amount: Money },
    #[error("{0}")]
    Ground(&'static str),
    #[error("the receipt before this one: {0}")]
    Previous(&'static str),
}

/// A receipt that fits, and what it fits with. [`Display`](fmt::Display) says what it proves, a
/// fact a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    receipt: Verified<Receipt>,
    result: Verified<LinkageResult>,
    /// Whether the receipt before this one was there and fits.
    follows: Follows,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// The receipt names none: it is its terminal's first.
    First,
    /// It names one that was not shown.
    Unseen(Digest),
    /// The one that was shown.
    Shown(Digest),
}

/// Whether `file` is a receipt that these keys prove, and follows `previous` if that is given.
pub fn check(
    file: &ReceiptFile,
    keys: &PublishedKeys,
    previous: Option<&ReceiptFile>,
) -> Result<Proof, Misfit> {
    let (receipt, result) = verify_both(&file.signed, keys)?;
    check_readable(file)?;
    check_result(&receipt, &result)?;
    check_devices(&receipt.devices, &result.devices)?;
    check_sum(&receipt)?;
    check_ground(&receipt)?;
    let follows = match previous {
        Some(previous) => check_previous(&receipt, previous, keys)?,
        None => receipt.previous.map_or(Follows::First, Follows::Unseen),
    };
    Ok(Proof {
        receipt,
        result,
        follows,
    })
}

impl Proof {
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    #[must_use]
    pub fn result(&self) -> &LinkageResult {
        &self.result
    }

    /// Keys that signed: the platform's and the terminal's.
    #[must_use]
    pub const fn signers(&self) -> (&KeyId, &KeyId) {
        (self.receipt.key(), self.result.key())
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (receipt, result) = (&self.receipt, &self.result);
        let (platform, terminal) = self.signers();
        writeln!(
            f,
            "receipt {} issued {}",
            receipt.transaction, receipt.issued_at
        )?;
        writeln!(f, "platform's signature fits: {}", platform.as_str())?;
        writeln!(
            f,
            "terminal's signature fits: {}, of {}",
            terminal.as_str(),
            receipt.terminal
        )?;
        writeln!(
            f,
            "merchant {}, place {}, payee {}",
            plain(&receipt.merchant),
            plain(&receipt.place.name),
            plain(&receipt.payee.name)
        )?;
        self.fmt_money(f)?;
        let devices: Vec<String> = result.devices.iter().map(device).collect();
        writeln!(
            f,
            "served: {} at {}, give or take {} ms",
            named(&devices),
            result.decided_at,
            result.clock_error_ms
        )?;
        self.fmt_chain(f)
    }
}

impl Proof {
    fn fmt_money(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let receipt = &self.receipt;
        for line in &receipt.lines {
            let text = plain(line.text.in_language("en"));
            writeln!(f, "line: {} x {text}, {}", line.quantity, line.amount)?;
        }
        if let Ground::Operator { name, reason } = &receipt.ground {
            let (name, reason) = (plain(name), plain(reason));
            writeln!(f, "opened by hand: by {name}, because {reason}")?;
        }
        let Some(payment) = &receipt.payment else {
            if !receipt.amount.is_zero() {
                return writeln!(f, "nothing was paid of {}", receipt.amount);
            }
            return writeln!(f, "nothing to pay: the lines add up to {}", receipt.amount);
        };
        writeln!(
            f,
            "paid {} to {} at {}: payment {} of payment server {}",
            receipt.amount, receipt.payee.id, payment.paid_at, payment.payment, payment.gateway
        )
    }

    fn fmt_chain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.follows {
            Follows::First => writeln!(f, "chain: the first receipt of its terminal")?,
            Follows::Unseen(digest) => {
                writeln!(f, "chain: follows receipt {digest}, which was not shown")?;
            }
            Follows::Shown(digest) => writeln!(f, "chain: follows receipt {digest}, shown")?,
        }
        write!(f, "chain: this receipt is {}", self.receipt.jws().digest())
    }
}

/// For whom a receipt claims to be; believed only after verifying for exactly that terminal.
#[derive(Deserialize)]
struct Claimed {
    terminal: TerminalName,
}

fn verify_both(
    signed: &Jws<Receipt>,
    keys: &PublishedKeys,
) -> Result<(Verified<Receipt>, Verified<LinkageResult>), Misfit> {
    let named: Claimed = claimed(signed).ok_or(Misfit::Platform(Refusal::Framing))?;
    let platform = Audience::platform(&keys.platform);
    let terminal = Audience::terminal(named.terminal);
    let receipt = verify(signed, &keys.of(&platform), &terminal).map_err(Misfit::Platform)?;
    let result = verify(&receipt.result, &keys.of(&terminal), &platform);
    Ok((receipt, result.map_err(Misfit::Terminal)?))
}

fn check_readable(file: &ReceiptFile) -> Result<(), Misfit> {
    match &file.receipt {
        Some(readable) if claimed::<Value>(&file.signed).as_ref() != Some(readable) => {
            Err(Misfit::Readable)
        }
        _ => Ok(()),
    }
}

fn check_result(receipt: &Receipt, result: &LinkageResult) -> Result<(), Misfit> {
    let pairs = [
        (
            "terminal",
            receipt.terminal.to_string(),
            result.terminal.to_string(),
        ),
        (
            "transaction",
            receipt.transaction.to_string(),
            result.transaction.to_string(),
        ),
        (
            "session",
            receipt.session.to_string(),
            result.session.to_string(),
        ),
    ];
    for (what, ours, theirs) in pairs {
        if ours != theirs {
            return Err(Misfit::Differs {
                receipt: format!("{what} {ours}"),
                result: format!("{what} {theirs}"),
            });
        }
    }
    match result.outcome {
        LinkageOutcome::Done => Ok(()),
        LinkageOutcome::Refused { .. }
        | LinkageOutcome::Failed
        | LinkageOutcome::Uncertain { .. } => settled_by_sensor(result),
    }
}

/// The sensor settles what the terminal could not: the only other result that a platform takes
/// for done.
fn settled_by_sensor(result: &LinkageResult) -> Result<(), Misfit> {
    let has_sensor = result
        .devices
        .first()
        .is_some_and(|device| device.feedback == Feedback::Sensor);
    match result.outcome {
        LinkageOutcome::Uncertain { reason } if has_sensor && !is_partial(reason) => Ok(()),
        _ => Err(Misfit::NotDone),
    }
}

const fn is_partial(reason: crate::message::UncertainReason) -> bool {
    matches!(reason, crate::message::UncertainReason::Partial)
}

/// Receipts of earlier versions name no devices; the result then speaks alone.
fn check_devices(permitted: &[DeviceId], moved: &[DeviceResult]) -> Result<(), Misfit> {
    let is_equal = permitted
        .iter()
        .eq(moved.iter().map(|result| &result.device));
    if !permitted.is_empty() && !is_equal {
        let moved: Vec<&DeviceId> = moved.iter().map(|result| &result.device).collect();
        return Err(Misfit::Devices {
            permitted: named(permitted),
            moved: named(&moved),
        });
    }
    match moved.first() {
        Some(first) if !has_moved(first) => Err(Misfit::Device(first.device.clone())),
        _ => Ok(()),
    }
}

fn has_moved(device: &DeviceResult) -> bool {
    device.feedback != Feedback::Contradicts
        && (device.outcome == DeviceOutcome::Done || device.feedback == Feedback::Sensor)
}

fn check_sum(receipt: &Receipt) -> Result<(), Misfit> {
    let zero = Money::zero(receipt.amount.currency());
    let sum = receipt
        .lines
        .iter()
        .try_fold(zero, |sum, line| sum.checked_add(line.amount));
    let sum = match sum {
        Ok(sum) if sum == receipt.amount => return Ok(()),
        Ok(sum) => sum.to_string(),
        Err(error) => error.to_string(),
    };
    let amount = receipt.amount;
    Err(Misfit::Sum { sum, amount })
}

fn check_ground(receipt: &Receipt) -> Result<(), Misfit> {
    let fits = |fits: bool, line| fits.then_some(()).ok_or(Misfit::Ground(line));
    match (&receipt.ground, &receipt.payment) {
        (
            Ground::Paid {
                gateway,
                payment,
                amount,
                payee,
            },
            Some(paid),
        ) => {
            fits(
                (gateway, payment) == (&paid.gateway, &paid.payment),
                "the payment of the permit is not that of the receipt",
            )?;
            fits(
                *amount == receipt.amount,
                "the amount of the permit is not that of the receipt",
            )?;
            fits(
                *payee == receipt.payee.id,
                "the payee of the permit is not that of the receipt",
            )
        }
        (Ground::Paid { .. }, None) => fits(false, "paid, but no payment is named"),
        (Ground::ZeroBill { tariff_version }, None) => {
            fits(
                receipt.amount.is_zero(),
                "there was something to pay, but nothing was paid",
            )?;
            fits(
                receipt
                    .tariff_version
                    .is_none_or(|version| version == *tariff_version),
                "the tariff of the permit is not that of the receipt",
            )
        }
        (Ground::ZeroBill { .. }, Some(_)) => fits(false, "paid, although nothing was to be paid"),
        // A person opened: whether it was paid as well is told, not judged.
        (Ground::Operator { .. }, _) => Ok(()),
        (Ground::EntryVisit { .. }, _) => fits(false, "its ground is no sale"),
    }
}

fn check_previous(
    receipt: &Receipt,
    previous: &ReceiptFile,
    keys: &PublishedKeys,
) -> Result<Follows, Misfit> {
    let digest = previous.signed.digest();
    let (before, _) = verify_both(&previous.signed, keys)
        .map_err(|_| Misfit::Previous("its signatures don't fit"))?;
    if before.terminal != receipt.terminal {
        return Err(Misfit::Previous("it is another terminal's"));
    }
    match receipt.previous {
        Some(named) if named == digest => Ok(Follows::Shown(digest)),
        Some(_) => Err(Misfit::Previous("another one is named")),
        None => Err(Misfit::Previous("none is named")),
    }
}

fn device(result: &DeviceResult) -> String {
    let word = match result.feedback {
        Feedback::None => "switched, without a sensor to tell",
        Feedback::ReadBack => "switched, its output reads back",
        Feedback::Sensor => "moved, a sensor saw it",
        Feedback::Contradicts => "did not move",
    };
    format!("{} ({word})", result.device)
}

fn named(names: &[impl ToString]) -> String {
    if names.is_empty() {
        return "no device".to_owned();
    }
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// In quotes and without control characters: it is shown on a terminal.
fn plain(text: &str) -> String {
    format!("{text:?}")
}
