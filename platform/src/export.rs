//! The books per day and merchant, as a table that any spreadsheet opens.
//!
//! Pure: days are those of the site, wherever this runs. Amounts are integers in minor units, so
//! that no program rounds them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use protocol::id::{PayeeId, TransactionId};
use protocol::money::Currency;
use protocol::time::Utc;

/// What stands in the first row.
const HEADER: &str = "day,time_zone,merchant,payee,currency,transactions,received_minor,\
     refunded_minor,kept_minor,fees_minor,loss_minor";

/// Longest span that is exported at once: ten years of days.
const DAYS_MAX: i32 = 3_660;

/// Why a span of days is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpanError {
    #[error("'{text}' is no day: write for example 2026-03-01")]
    Day { text: String },
    #[error("{to} is before {from}")]
    Backwards { from: Date, to: Date },
    #[error("more than {DAYS_MAX} days: export years one by one")]
    Long,
}

/// Whole days, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    from: Date,
    to: Date,
}

/// One booking, before anybody has asked for its day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) at: Utc,
    pub(crate) merchant: String,
    pub(crate) payee: PayeeId,
    pub(crate) currency: Currency,
    pub(crate) transaction: TransactionId,
    pub(crate) sums: Sums,
}

/// Minor units, each as it moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) received: i64,
    pub(crate) refunded: i64,
    /// Earned by the merchant.
    pub(crate) kept: i64,
    pub(crate) fees: i64,
    pub(crate) loss: i64,
}

/// Rows of one day, merchant and currency.
type Key = (Date, String, String, PayeeId, Currency);

#[derive(Debug, Default)]
struct Row {
    transactions: std::collections::BTreeSet<TransactionId>,
    sums: Sums,
}

/// Adds up bookings as they come.
#[derive(Debug)]
pub(crate) struct Table {
    span: Span,
    rows: BTreeMap<Key, Row>,
}

impl Span {
    pub(crate) fn parse(from: &str, to: &str) -> Result<Self, SpanError> {
        let (from, to) = (day(from)?, day(to)?);
        if to < from {
            return Err(SpanError::Backwards { from, to });
        }
        let days = from.until(to).map_err(|_| SpanError::Long)?.get_days();
        if days >= DAYS_MAX {
            return Err(SpanError::Long);
        }
        Ok(Self { from, to })
    }

    /// Instants that may be on these days somewhere on Earth: zones differ by up to 14 hours.
    pub(crate) fn window(&self) -> (Utc, Utc) {
        let edge = |date: Date, hours: i64| {
            let midnight = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0));
            let millis = midnight.map_or(0, Timestamp::as_millisecond);
            Utc::from_millis(millis.saturating_add(hours * 3_600_000)).unwrap_or(Utc::EPOCH)
        };
        (edge(self.from, -24), edge(self.to, 48))
    }
}

impl Table {
    pub(crate) fn new(span: Span) -> Self {
        Self {
            span,
            rows: BTreeMap::new(),
        }
    }

    /// Counts `booking` on its day in `zone`, if that is one of the span.
    pub(crate) fn add(&mut self, booking: Booking, (name, zone): (&str, &TimeZone)) {
        let day = zone.to_datetime(booking.at.into()).date();
        if day < self.span.from || self.span.to < day {
            return;
        }
        let Booking {
            merchant,
            payee,
            currency,
            ..
        } = booking;
        let key = (day, name.to_owned(), merchant, payee, currency);
        let row = self.rows.entry(key).or_default();
        row.transactions.insert(booking.transaction);
        row.sums.add(booking.sums);
    }

    /// Rows, without the header.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// CSV as RFC 4180 has it: a header, CRLF, quotes where needed.
    pub(crate) fn csv(&self) -> String {
        let mut text = format!("{HEADER}\r\n");
        for ((day, zone, merchant, payee, currency), row) in &self.rows {
            let Sums {
                received,
                refunded,
                kept,
                fees,
                loss,
            } = row.sums;
            let (zone, merchant) = (cell(zone), cell(merchant));
            let (payee, count) = (cell(payee.as_str()), row.transactions.len());
            // Writing into a String can't fail.
            let _written = write!(
                text,
                "{day},{zone},{merchant},{payee},{currency},{count},{received},{refunded},{kept},\
                 {fees},{loss}\r\n"
            );
        }
        text
    }
}

impl Sums {
    fn add(&mut self, other: Self) {
        let pairs = [
            (&mut self.received, other.received),
            (&mut self.refunded, other.refunded),
            (&mut self.kept, other.kept),
            (&mut self.fees, other.fees),
            (&mut self.loss, other.loss),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A text as a cell. One that a spreadsheet would compute gets an apostrophe in front: names come
/// from people.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let safe = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if safe.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

fn day(text: &str) -> Result<Date, SpanError> {
    text.parse().map_err(|_| SpanError::Day {
        text: text.chars().take(40).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booking(at: &str, merchant: &str, transaction: u8, sums: Sums) -> Booking {
        let at: Timestamp = at.parse().unwrap();
        Booking {
            at: at.into(),
            merchant: merchant.to_owned(),
            payee: "north".parse().unwrap(),
            currency: "CNY".parse().unwrap(),
            transaction: TransactionId::from_random([transaction; 16]),
            sums,
        }
    }

    fn received(minor: i64) -> Sums {
        Sums {
            received: minor,
            ..Sums::default()
        }
    }

    fn zone(name: &str) -> TimeZone {
        jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap()
    }

    #[test]
    fn a_day_is_the_sites_and_each_merchant_has_its_row() {
        let mut table = Table::new(Span::parse("2026-03-01", "2026-03-02").unwrap());
        let shanghai = ("Asia/Shanghai", &zone("Asia/Shanghai"));
        // The last moment of February there, the first of March, the last of the span, and after.
        for (at, transaction) in [
            ("2026-02-28T15:59:59.999Z", 1),
            ("2026-02-28T16:00:00Z", 2),
            ("2026-03-02T15:59:59.999Z", 3),
            ("2026-03-02T16:00:00Z", 4),
        ] {
            table.add(booking(at, "North", transaction, received(450)), shanghai);
        }
        let rest = Sums {
            received: 0,
            refunded: 450,
            kept: 0,
            fees: 3,
            loss: 1,
        };
        table.add(booking("2026-03-01T00:00:00Z", "North", 2, rest), shanghai);
        let south = booking("2026-03-01T00:00:00Z", "=1+1, \"S\"", 5, received(7));
        table.add(south, ("UTC", &TimeZone::UTC));
        let expected = "\
            day,time_zone,merchant,payee,currency,transactions,received_minor,refunded_minor,\
            kept_minor,fees_minor,loss_minor\r\n\
            2026-03-01,Asia/Shanghai,North,north,CNY,1,450,450,0,3,1\r\n\
            2026-03-01,UTC,\"'=1+1, \"\"S\"\"\",north,CNY,1,7,0,0,0,0\r\n\
            2026-03-02,Asia/Shanghai,North,north,CNY,1,450,0,0,0,0\r\n";
        assert_eq!(table.csv(), expected);
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_shown_as_text() {
        for (text, expected) in [
            ("North", "North"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum", "'@sum"),
            ("\t=1", "'\t=1"),
            ("\r\n=1", "\"'\r\n=1\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_span_is_days_in_their_order() {
        let window = Span::parse("2026-03-01", "2026-03-01").unwrap().window();
        assert_eq!(window.0.to_string(), "2026-02-28T00:00:00.000Z");
        assert_eq!(window.1.to_string(), "2026-03-03T00:00:00.000Z");
        let line = |from, to| Span::parse(from, to).unwrap_err().to_string();
        assert_eq!(
            line("1.3.2026", "2026-03-02"),
            "'1.3.2026' is no day: write for example 2026-03-01"
        );
        assert_eq!(
            line("2026-03-02", "2026-03-01"),
            "2026-03-01 is before 2026-03-02"
        );
        assert_eq!(
            line("2000-01-01", "2026-03-01"),
            "more than 3660 days: export years one by one"
        );
    }

    proptest::proptest! {
        #[test]
        fn a_cell_never_begins_a_formula_and_never_breaks_a_row(text in "\\PC{0,20}|[=+@\",\r\n-]{0,9}") {
            let written = cell(&text);
            let read = written
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .map_or_else(|| written.clone(), |inner| inner.replace("\"\"", "\""));
            proptest::prop_assert!(!read.starts_with(['=', '+', '-', '@']));
            let shown = ["'", &text].concat();
            proptest::prop_assert!(read == text || read == shown);
        }
    }
}
