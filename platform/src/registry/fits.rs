//! Whether what a site says fits the messages that will carry it. Found at the start: a payer who is
//! served must not go without a receipt because of a long name.

use std::time::Duration;

use process::config::ConfigError;
use protocol::id::{JournalId, Nonce, PaymentId, SessionId, StoreEpoch, TransactionId};
use protocol::message::{
    BillLine, DeviceOutcome, DeviceResult, Digest, Feedback, Ground, Item, LINES_MAX,
    LinkageOutcome, LinkageResult, Receipt, ReceiptPayment, Tariff, UncertainReason,
};
use protocol::money::{MINOR_MAX, Money};
use protocol::signed::{Audience, Claims, SignError, SigningKey, sign};
use protocol::time::Utc;
use tariff::{VisitQuote, VisitTariff};

use super::Terminal;
use super::build::field;
use crate::site::Described;

pub(super) fn check_fits(described: &Described, terminal: &Terminal) -> Result<(), ConfigError> {
    let epoch = StoreEpoch::from_random([0; 16]);
    let config = terminal.site_config(u64::MAX, epoch, Utc::EPOCH);
    fits(&config)
        .and_then(|()| fits(&longest_receipt(terminal)?))
        .map_err(|error| {
            let (name, fix) = match &described.site.visit {
                None => ("items", "shorten texts, drop a language or an item"),
                Some(_) => (
                    "visit",
                    "shorten texts, drop a language, a band, a pair or an item",
                ),
            };
            field(described, name, error.to_string(), fix)
        })
}

/// Signed with a key that nobody trusts: only the length matters.
fn fits<T: Claims>(claims: &T) -> Result<(), SignError> {
    sign(&nobody(), claims).map(drop)
}

fn nobody() -> SigningKey {
    SigningKey::from_seed([0; 32])
}

/// A bill with the longest lines that there can be, and the longest words for everything else.
fn longest_receipt(terminal: &Terminal) -> Result<Receipt, SignError> {
    let site = &terminal.site;
    let currency = site.tariff.currency;
    let most = Money::new(MINOR_MAX, currency).unwrap_or(Money::zero(currency));
    Ok(Receipt {
        aud: Audience::terminal(terminal.name.clone()),
        terminal: terminal.name.clone(),
        transaction: TransactionId::from_random([0; 16]),
        session: SessionId::from_random([0; 16]),
        merchant: site.merchant.name.clone(),
        payee: site.payee.clone(),
        place: terminal.place.clone(),
        lines: longest_lines(&site.tariff, most),
        amount: most,
        ground: Ground::Paid {
            gateway: site.gateway.clone(),
            payment: PaymentId::from_random([0; 16]),
            amount: most,
            payee: site.payee.id.clone(),
        },
        payment: Some(ReceiptPayment {
            gateway: site.gateway.clone(),
            payment: PaymentId::from_random([0; 16]),
            paid_at: Utc::EPOCH,
        }),
        devices: terminal.devices.clone(),
        tariff_version: Some(site.tariff_version),
        time_zone: Some(site.time_zone.clone()),
        result: sign(&nobody(), &longest_result(terminal))?,
        previous: Some(Digest::of(b"")),
        issued_at: Utc::EPOCH,
    })
}

/// Each item stands on a bill once, and so does a visit.
fn longest_lines(tariff: &Tariff, most: Money) -> Vec<BillLine> {
    let line = |item: &Item| BillLine {
        text: item.name.clone(),
        quantity: item.quantity_max,
        amount: most,
    };
    let length = |line: &BillLine| -> usize {
        let texts = line.text.0.iter();
        texts.map(|(tag, text)| tag.len() + text.len()).sum()
    };
    let mut lines: Vec<BillLine> = tariff
        .items
        .iter()
        .map(line)
        .chain(visit_line(tariff, most))
        .collect();
    lines.sort_by_key(|line| std::cmp::Reverse(length(line)));
    lines.truncate(LINES_MAX);
    lines
}

/// With a period of two days, which is as long as any.
fn visit_line(tariff: &Tariff, most: Money) -> Option<BillLine> {
    let visit = VisitTariff::new(tariff).ok()?;
    let quote = VisitQuote {
        tariff_version: tariff.version(),
        from: Utc::EPOCH,
        to: Utc::EPOCH.saturating_add(Duration::from_hours(24)),
        lines: Vec::new(),
        amount: most,
    };
    visit.bill(&quote).lines.pop()
}

fn longest_result(terminal: &Terminal) -> LinkageResult {
    let device = |device: &protocol::id::DeviceId| DeviceResult {
        device: device.clone(),
        outcome: DeviceOutcome::Uncertain,
        feedback: Feedback::Contradicts,
    };
    LinkageResult {
        aud: Audience::terminal(terminal.name.clone()),
        terminal: terminal.name.clone(),
        transaction: TransactionId::from_random([0; 16]),
        session: SessionId::from_random([0; 16]),
        nonce: Nonce::from_random([0; 16]),
        journal: JournalId::from_random([0; 16]),
        outcome: LinkageOutcome::Uncertain {
            reason: UncertainReason::IntentWithoutDone,
        },
        devices: terminal.devices.iter().map(device).collect(),
        decided_at: Utc::EPOCH,
        clock_error_ms: u64::MAX,
        previous: Some(Digest::of(b"")),
    }
}
