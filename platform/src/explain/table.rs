//! A bill as a table: what, when, how much of it, and the amount.

use std::fmt;

use protocol::time::Utc;
use tariff::{Effect, Line, What};

use super::{Explained, Spot};

/// Cells of one row; the last is an amount.
type Row = [String; 4];

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As much as tells two of them apart.
        let version: String = self
            .quote
            .tariff_version
            .to_string()
            .chars()
            .take(12)
            .collect();
        writeln!(f, "{}, {}, tariff {version}", self.site, self.time_zone)?;
        for (name, spot) in [("entry", &self.entry), ("exit ", &self.exit)] {
            writeln!(f, "{name}  {}", self.spot(spot))?;
        }
        if self.clock_error_ms > 0 {
            let stay = self.period(self.quote.from, self.quote.to);
            writeln!(
                f,
                "clocks may be {} ms off: {stay} counts",
                self.clock_error_ms
            )?;
        }
        let rows: Vec<Row> = self.quote.lines.iter().map(|line| self.row(line)).collect();
        let amount = self.quote.amount;
        let total = ["to pay", "", "", &amount.to_string()].map(str::to_owned);
        // The currency stands behind the total, right of the amounts.
        let code = amount.currency().code().len() + 1;
        write_rows(f, &rows, &total, code)
    }
}

impl Explained {
    fn row(&self, line: &Line) -> Row {
        let [what, when, count] = self.told(&line.what);
        let decimal = line.amount.decimal();
        let amount = match line.effect {
            Effect::Charge => decimal,
            Effect::Reduction => format!("-{decimal}"),
        };
        [what, when, count, amount]
    }

    fn told(&self, what: &What) -> [String; 3] {
        let cells = |what: &str, when: String, count: String| [what.to_owned(), when, count];
        match what {
            What::Free { from, to, minutes } => {
                let count = format!("{minutes} min");
                cells("free", self.period(*from, *to), count)
            }
            What::Time {
                band,
                from,
                to,
                minutes,
                count,
                price,
            } => {
                let count = format!("{count} x {} per {minutes} min", price.decimal());
                cells(band.in_language("en"), self.period(*from, *to), count)
            }
            What::DayCap { day, cap } => {
                let count = format!("at most {}", cap.decimal());
                cells("cap per day", day.to_string(), count)
            }
            What::Place {
                entry_place,
                exit_place,
            } => cells(
                "places",
                format!("{entry_place} to {exit_place}"),
                String::new(),
            ),
            What::Minimum { minimum } => {
                let count = format!("at least {}", minimum.decimal());
                cells("minimum", String::new(), count)
            }
            What::VisitCap { cap } => {
                let count = format!("at most {}", cap.decimal());
                cells("cap per visit", String::new(), count)
            }
            What::Rounding { step } => {
                let count = format!("to {}", step.decimal());
                cells("rounding", String::new(), count)
            }
            What::Paid { at, paid } => cells("paid", self.clock(*at), paid.decimal()),
        }
    }

    fn spot(&self, spot: &Spot) -> String {
        let at = self.shown(spot.at, "%Y-%m-%d %H:%M:%S %:z");
        match &spot.place {
            Some(place) => format!("{at} at {place}"),
            None => at,
        }
    }

    /// With offsets if they differ: then clocks alone don't tell how long it was.
    fn period(&self, from: Utc, to: Utc) -> String {
        let offset = |at| self.shown(at, "%:z");
        let day = |at| self.shown(at, "%Y-%m-%d");
        let start = self.clock(from);
        if offset(from) != offset(to) {
            let end = self.clock(to);
            return format!("{start} {} to {end} {}", offset(from), offset(to));
        }
        if day(from) == day(to) {
            return format!("{start} to {}", self.shown(to, "%H:%M"));
        }
        format!("{start} to {}", self.clock(to))
    }

    fn clock(&self, at: Utc) -> String {
        self.shown(at, "%Y-%m-%d %H:%M")
    }

    fn shown(&self, at: Utc, format: &str) -> String {
        let zoned = jiff::Timestamp::from(at).to_zoned(self.zone.clone());
        zoned.strftime(format).to_string()
    }
}

fn write_rows(
    f: &mut fmt::Formatter<'_>,
    rows: &[Row],
    total: &Row,
    total_overhang: usize,
) -> fmt::Result {
    let length = |text: &String| text.chars().count();
    let width = |column: usize| {
        let cells = rows.iter().chain([total]).map(|row| length(&row[column]));
        cells.max().unwrap_or(0)
    };
    let [what, when, count] = [0, 1, 2].map(width);
    let amounts = rows.iter().map(|row| length(&row[3]));
    let total_length = length(&total[3]) - total_overhang;
    let amount = amounts.chain([total_length]).max().unwrap_or(0);
    let mut write = |row: &Row, amount: usize| {
        let [a, b, c, d] = row;
        writeln!(f, "  {a:<what$}  {b:<when$}  {c:<count$}  {d:>amount$}")
    };
    for row in rows {
        write(row, amount)?;
    }
    write(total, amount + total_overhang)
}
