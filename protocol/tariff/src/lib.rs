//! What a bill comes to. Pure, and used by terminal and platform alike, so that both compute the
//! same amount from the same inputs; when they differ, no order is made.

mod visit;

use protocol::id::ItemId;
use protocol::message::{BillLine, Charge, Item, ItemLine, LINES_MAX, Tariff};
use protocol::money::{Money, MoneyError};
use serde::{Deserialize, Serialize};

pub use visit::{
    BANDS_MAX, CLOCK_ERROR_MAX_MS, EXPLANATION_LINES_MAX, Effect, INTERVAL_MAX_MINUTES,
    LENGTH_MAX_DAYS, Line, PLACE_PAIRS_MAX, Paid, QuoteError, RatesError, VisitQuote, VisitTariff,
    WAIT_MAX_MINUTES, What, is_time_zone,
};

/// A bill and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    pub lines: Vec<BillLine>,
    pub amount: Money,
}

/// Why nothing can be billed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    #[error("choose at least one item")]
    Empty,
    #[error("a bill has at most {LINES_MAX} lines, not {0}")]
    TooManyLines(usize),
    #[error("'{0}' is not sold here")]
    UnknownItem(ItemId),
    #[error("'{0}' is listed twice")]
    ListedTwice(ItemId),
    #[error("choose 1 to {max} of '{item}', not {quantity}")]
    Quantity {
        item: ItemId,
        quantity: u16,
        max: u16,
    },
    #[error("this tariff has no rate for visits")]
    NoVisitRate,
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// Prices `charge` by `tariff`.
///
/// ```
/// use protocol::message::{Charge, Item, ItemLine, Tariff, Text};
/// use protocol::money::{Currency, Money};
///
/// let currency: Currency = "CNY".parse().unwrap();
/// let wash = Item {
///     id: "wash".parse().unwrap(),
///     name: Text::english("Wash 40 °C"),
///     price: Money::new(1_200, currency).unwrap(),
///     quantity_max: 2,
/// };
/// let tariff = Tariff { currency, items: vec![wash], visit: None };
/// let charge = |quantity| Charge::Items(vec![ItemLine { item: "wash".parse().unwrap(), quantity }]);
///
/// assert_eq!(tariff::price(&tariff, &charge(2)).unwrap().amount.to_string(), "24.00 CNY");
/// assert!(tariff::price(&tariff, &charge(0)).is_err());
/// assert!(tariff::price(&tariff, &charge(3)).is_err());
/// ```
pub fn price(tariff: &Tariff, charge: &Charge) -> Result<Bill, PriceError> {
    match charge {
        Charge::Items(lines) => price_items(tariff, lines),
        Charge::Visit(_) => Err(PriceError::NoVisitRate),
    }
}

fn price_items(tariff: &Tariff, lines: &[ItemLine]) -> Result<Bill, PriceError> {
    if lines.is_empty() {
        return Err(PriceError::Empty);
    }
    if lines.len() > LINES_MAX {
        return Err(PriceError::TooManyLines(lines.len()));
    }
    let mut bill = Bill {
        lines: Vec::with_capacity(lines.len()),
        amount: Money::zero(tariff.currency),
    };
    for (index, line) in lines.iter().enumerate() {
        if lines[..index]
            .iter()
            .any(|earlier| earlier.item == line.item)
        {
            return Err(PriceError::ListedTwice(line.item.clone()));
        }
        let billed = price_line(find_item(tariff, &line.item)?, line)?;
        bill.amount = bill.amount.checked_add(billed.amount)?;
        bill.lines.push(billed);
    }
    Ok(bill)
}

fn find_item<'t>(tariff: &'t Tariff, id: &ItemId) -> Result<&'t Item, PriceError> {
    tariff
        .items
        .iter()
        .find(|item| item.id == *id)
        .ok_or_else(|| PriceError::UnknownItem(id.clone()))
}

fn price_line(item: &Item, line: &ItemLine) -> Result<BillLine, PriceError> {
    if !(1..=item.quantity_max).contains(&line.quantity) {
        return Err(PriceError::Quantity {
            item: item.id.clone(),
            quantity: line.quantity,
            max: item.quantity_max,
        });
    }
    let amount = item.price.checked_mul(i64::from(line.quantity))?;
    Ok(BillLine {
        text: item.name.clone(),
        quantity: line.quantity,
        amount,
    })
}

#[cfg(test)]
mod tests {
    use protocol::message::Text;
    use protocol::money::{Currency, MINOR_MAX};

    use super::*;

    fn currency() -> Currency {
        "EUR".parse().unwrap()
    }

    fn item(id: &str, minor: i64, quantity_max: u16) -> Item {
        Item {
            id: id.parse().unwrap(),
            name: Text::english(id),
            price: Money::new(minor, currency()).unwrap(),
            quantity_max,
        }
    }

    fn priced(items: Vec<Item>, lines: &[(&str, u16)]) -> Result<Bill, PriceError> {
        let tariff = Tariff {
            currency: currency(),
            items,
            visit: None,
        };
        let lines = lines
            .iter()
            .map(|(item, quantity)| ItemLine {
                item: item.parse().unwrap(),
                quantity: *quantity,
            })
            .collect();
        price(&tariff, &Charge::Items(lines))
    }

    #[test]
    fn a_bill_is_the_sum_of_its_lines() {
        let bill = priced(
            vec![item("a", 150, 9), item("b", 99, 9)],
            &[("b", 3), ("a", 1)],
        )
        .unwrap();
        let amounts: Vec<_> = bill.lines.iter().map(|line| line.amount.minor()).collect();
        assert_eq!((amounts, bill.amount.minor()), (vec![297, 150], 447));
    }

    #[test]
    fn what_is_not_sold_is_refused_by_name() {
        let refused = |lines: &[(&str, u16)]| priced(vec![item("a", 1, 2)], lines).unwrap_err();
        let a: ItemId = "a".parse().unwrap();
        assert_eq!(refused(&[]), PriceError::Empty);
        assert_eq!(
            refused(&[("b", 1)]),
            PriceError::UnknownItem("b".parse().unwrap())
        );
        assert_eq!(
            refused(&[("a", 1), ("a", 1)]),
            PriceError::ListedTwice(a.clone())
        );
        assert_eq!(
            refused(&[("a", 3)]),
            PriceError::Quantity {
                item: a,
                quantity: 3,
                max: 2
            }
        );
        assert_eq!(
            refused(&[("a", 1); LINES_MAX + 1]),
            PriceError::TooManyLines(LINES_MAX + 1)
        );
    }

    #[test]
    fn a_sum_beyond_the_range_is_refused() {
        let dear = priced(vec![item("a", MINOR_MAX, 2)], &[("a", 2)]);
        assert_eq!(dear.unwrap_err(), PriceError::Money(MoneyError::Overflow));
    }

    proptest::proptest! {
        #[test]
        fn never_less_than_any_line_and_never_another_currency(
            minor in 0_i64..1_000_000, first in 1_u16..100, second in 1_u16..100,
        ) {
            let bill = priced(vec![item("a", minor, 99), item("b", 7, 99)], &[("a", first), ("b", second)]);
            let bill = bill.unwrap();
            proptest::prop_assert_eq!(
                bill.amount.minor(),
                minor * i64::from(first) + 7 * i64::from(second)
            );
            proptest::prop_assert_eq!(bill.amount.currency(), currency());
        }
    }
}
