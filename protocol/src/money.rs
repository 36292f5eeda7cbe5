//! Money: integer minor units of one currency. No floats, no silent overflow, no mixing.
//!
//! ```
//! use protocol::money::{Currency, Money};
//!
//! let cny: Currency = "CNY".parse().unwrap();
//! let jpy: Currency = "JPY".parse().unwrap();
//! let price = Money::new(450, cny).unwrap();
//! assert_eq!(price.to_string(), "4.50 CNY");
//! assert_eq!(Money::new(450, jpy).unwrap().to_string(), "450 JPY");
//! assert_eq!(price.checked_add(price).unwrap().minor(), 900);
//! assert!(price.checked_add(Money::new(1, jpy).unwrap()).is_err()); // two currencies
//! assert!(price.checked_mul(i64::MAX).is_err());                    // overflow
//! assert!(Money::new(-1, cny).is_err());                            // owed, never negative
//! assert!("cny".parse::<Currency>().is_err());
//! assert!("XXX".parse::<Currency>().is_err());                      // not in the table
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Largest amount in minor units: 10^12 is ten thousand million yuan, and a thousand million of
/// such amounts still add up within an `i64`'s checks on the ledger side.
pub const MINOR_MAX: i64 = 1_000_000_000_000;

/// Why an amount or a sum is not money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("'{0}' is no currency we know: use an ISO 4217 code such as CNY or EUR")]
    Currency(String),
    #[error("{0} minor units are out of range 0 to {MINOR_MAX}")]
    Range(i64),
    #[error("the sum leaves the range 0 to {MINOR_MAX} minor units")]
    Overflow,
    #[error("{0} and {1} can't be added")]
    Mixed(Currency, Currency),
}

/// An ISO 4217 currency with its exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// ISO 4217 codes with the number of decimals; the currencies of the gateways we know.
const CURRENCIES: [(&str, u32); 34] = [
    ("AED", 2),
    ("AUD", 2),
    ("BHD", 3),
    ("BRL", 2),
    ("CAD", 2),
    ("CHF", 2),
    ("CLP", 0),
    ("CNY", 2),
    ("CZK", 2),
    ("DKK", 2),
    ("EUR", 2),
    ("GBP", 2),
    ("HKD", 2),
    ("HUF", 2),
    ("IDR", 2),
    ("INR", 2),
    ("ISK", 0),
    ("JOD", 3),
    ("JPY", 0),
    ("KRW", 0),
    ("KWD", 3),
    ("MOP", 2),
    ("MXN", 2),
    ("MYR", 2),
    ("NOK", 2),
    ("NZD", 2),
    ("PHP", 2),
    ("PLN", 2),
    ("SEK", 2),
    ("SGD", 2),
    ("THB", 2),
    ("TWD", 2),
    ("USD", 2),
    ("VND", 0),
];

impl Currency {
    /// Number of decimals: 2 for CNY, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn exponent(self) -> u32 {
        CURRENCIES
            .iter()
            .find(|(code, _)| code.as_bytes() == self.0)
            .map_or(2, |(_, exponent)| *exponent)
    }

    #[must_use]
    pub fn code(&self) -> &str {
        // The constructor admits ASCII codes of the table only.
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let unknown = || MoneyError::Currency(text.chars().take(8).collect());
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| unknown())?;
        let known = CURRENCIES
            .iter()
            .any(|(listed, _)| listed.as_bytes() == code);
        known.then_some(Self(code)).ok_or_else(unknown)
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;

    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of 0 to [`MINOR_MAX`] minor units. JSON form: `{"minor":450,"currency":"CNY"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "MoneyForm", into = "MoneyForm")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

#[derive(Serialize, Deserialize)]
struct MoneyForm {
    minor: i64,
    currency: Currency,
}

impl Money {
    pub fn new(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if (0..=MINOR_MAX).contains(&minor) {
            Ok(Self { minor, currency })
        } else {
            Err(MoneyError::Range(minor))
        }
    }

    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    #[must_use]
    pub const fn minor(&self) -> i64 {
        self.minor
    }

    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.minor == 0
    }

    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let sum = self
            .minor
            .checked_add(other.minor)
            .ok_or(MoneyError::Overflow)?;
        Self::new(sum, self.currency).map_err(|_| MoneyError::Overflow)
    }

    /// The difference, or an error if more would be taken away than there is.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let rest = self
            .minor
            .checked_sub(other.minor)
            .ok_or(MoneyError::Overflow)?;
        Self::new(rest, self.currency).map_err(|_| MoneyError::Overflow)
    }

    pub fn checked_mul(self, quantity: i64) -> Result<Self, MoneyError> {
        let product = self
            .minor
            .checked_mul(quantity)
            .ok_or(MoneyError::Overflow)?;
        Self::new(product, self.currency).map_err(|_| MoneyError::Overflow)
    }

    /// The number with the currency's decimals and without its code: `4.50`, `450`, `0.450`.
    #[must_use]
    pub fn decimal(&self) -> String {
        let exponent = self.currency.exponent() as usize;
        if exponent == 0 {
            return self.minor.to_string();
        }
        let digits = format!("{:0>width$}", self.minor, width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        format!("{whole}.{fraction}")
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::Mixed(self.currency, other.currency))
        }
    }
}

impl TryFrom<MoneyForm> for Money {
    type Error = MoneyError;

    fn try_from(form: MoneyForm) -> Result<Self, MoneyError> {
        Self::new(form.minor, form.currency)
    }
}

impl From<Money> for MoneyForm {
    fn from(money: Money) -> Self {
        Self {
            minor: money.minor,
            currency: money.currency,
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency)
    }
}
