//! Prices as people write them.

use protocol::money::{Currency, Money};

/// The exact amount of a decimal text, or what is wrong with it.
pub(crate) fn parse(text: &str, currency: Currency) -> Result<Money, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(format!("'{}' is no price", shortened(text)));
    }
    let exponent = currency.exponent() as usize;
    if text.contains('.') && fraction.len() > exponent {
        return Err(format!(
            "{text} has more decimals than {currency} has ({exponent})"
        ));
    }
    // "0" stands for an absent fraction and is dropped where the currency has no decimals.
    let fraction = format!("{fraction:0<exponent$}");
    let minor = format!("{whole}{}", &fraction[..exponent]).parse();
    minor
        .ok()
        .and_then(|minor| Money::new(minor, currency).ok())
        .ok_or_else(|| format!("'{}' is more than we count", shortened(text)))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, currency: &str) -> Option<i64> {
        parse(text, currency.parse().unwrap())
            .ok()
            .map(|money| money.minor())
    }

    #[test]
    fn exact_or_refused() {
        let exact = [
            ("4.50", "CNY", 450),
            ("4.5", "CNY", 450),
            ("4", "CNY", 400),
            ("0", "CNY", 0),
            ("0.01", "CNY", 1),
            ("007.00", "CNY", 700),
            ("450", "JPY", 450),
            ("0.125", "KWD", 125),
            ("10000000000.00", "CNY", 1_000_000_000_000),
        ];
        for (text, currency, minor) in exact {
            assert_eq!(parsed(text, currency), Some(minor), "{text} {currency}");
        }
        let refused = [
            ("4.505", "CNY"),
            ("4.500", "CNY"),
            ("4.0", "JPY"),
            ("4.", "JPY"),
            ("4.", "CNY"),
            (".5", "CNY"),
            ("", "CNY"),
            ("-1", "CNY"),
            ("+1", "CNY"),
            ("1,50", "CNY"),
            ("1e3", "CNY"),
            (" 1", "CNY"),
            ("1.5.0", "CNY"),
            ("٤", "CNY"),
            ("10000000000.01", "CNY"),
            ("99999999999999999999999", "CNY"),
        ];
        for (text, currency) in refused {
            assert_eq!(parsed(text, currency), None, "{text} {currency}");
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_what_money_writes(minor in 0..=protocol::money::MINOR_MAX, index in 0_usize..3) {
            let currency: Currency = ["CNY", "JPY", "KWD"][index].parse().unwrap();
            let money = Money::new(minor, currency).unwrap();
            proptest::prop_assert_eq!(parse(&money.decimal(), currency), Ok(money));
        }

        #[test]
        fn never_panics(text in ".{0,50}") {
            let _answer: Result<Money, String> = parse(&text, "CNY".parse().unwrap());
        }
    }
}
