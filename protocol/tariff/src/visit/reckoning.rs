//! From a stay to its bill.

use protocol::id::PlaceId;
use protocol::message::{
    BillLine, FreeMinutes, FreeStays, Passage, RoundingDirection, Text, TimeRates,
};
use protocol::money::Money;
use protocol::time::Utc;

use super::calendar::Period;
use super::check::VisitTariff;
use super::quote::{Explanation, QuoteError, VisitQuote, What};
use super::stay::{Paid, Stay};
use crate::Bill;

const MINUTE_MS: i64 = 60_000;

impl VisitTariff {
    /// What the visit from `entry` to `exit` costs now.
    ///
    /// Instants count with their errors, and the errors in the payer's favour. What was `paid` for
    /// the visit before is taken off; who leaves within the tariff's time after it pays for no time
    /// after it.
    ///
    /// # Errors
    /// Why the visit has no price.
    pub fn quote(
        &self,
        entry: &Passage,
        exit: &Passage,
        paid: Option<&Paid>,
    ) -> Result<VisitQuote, QuoteError> {
        let stay = Stay::new(&self.rates, entry, exit, paid)?;
        let mut explanation = Explanation::new(self.currency);
        if let Some(time) = &self.rates.time {
            self.charge_time(time, stay, &mut explanation)?;
        }
        self.charge_places(&entry.place, &exit.place, &mut explanation)?;
        self.apply_limits(&mut explanation)?;
        if let Some(paid) = paid {
            take_off(paid, &mut explanation)?;
        }
        let (lines, amount) = explanation.into_parts();
        Ok(VisitQuote {
            tariff_version: self.version,
            from: stay.from,
            to: stay.to,
            lines,
            amount,
        })
    }

    /// The same as one line of a bill, in each language of the tariff: there is no room for the
    /// whole explanation in a message, and both ends can make it again from the same inputs.
    #[must_use]
    pub fn bill(&self, quote: &VisitQuote) -> Bill {
        let [from, to] =
            [quote.from, quote.to].map(|at| self.calendar.zone().to_datetime(at.into()));
        let until = if from.date() == to.date() {
            to.strftime("%H:%M").to_string()
        } else {
            to.strftime("%Y-%m-%d %H:%M").to_string()
        };
        let period = format!("{} – {until}", from.strftime("%Y-%m-%d %H:%M"));
        let named = |(tag, name): (&String, &String)| (tag.clone(), format!("{name}, {period}"));
        let line = BillLine {
            text: Text(self.rates.name.0.iter().map(named).collect()),
            quantity: 1,
            amount: quote.amount,
        };
        Bill {
            lines: vec![line],
            amount: quote.amount,
        }
    }

    fn charge_time(
        &self,
        time: &TimeRates,
        stay: Stay,
        explanation: &mut Explanation,
    ) -> Result<(), QuoteError> {
        let from = match time.free {
            Some(free) => charge_free(free, stay, explanation)?,
            None => stay.from,
        };
        let periods = self.calendar.periods(from, stay.to)?;
        for day in periods.chunk_by(|one, next| one.day == next.day) {
            self.charge_day(time, day, explanation)?;
        }
        Ok(())
    }

    /// The stretches of one day; of the whole stay where days don't matter.
    fn charge_day(
        &self,
        time: &TimeRates,
        periods: &[Period],
        explanation: &mut Explanation,
    ) -> Result<(), QuoteError> {
        let mut sum = Money::zero(self.currency);
        for period in periods {
            let Some(band) = time.bands.get(period.band) else {
                continue;
            };
            let count = intervals(period.from, period.to, band.minutes);
            let amount = band.price.checked_mul(count)?;
            sum = sum.checked_add(amount)?;
            let what = What::Time {
                band: band.name.clone(),
                from: period.from,
                to: period.to,
                minutes: band.minutes,
                count,
                price: band.price,
            };
            explanation.charge(what, amount)?;
        }
        let day = periods.first().and_then(|period| period.day);
        if let (Some(cap), Some(day)) = (time.day_cap, day)
            && let Some(over) = over(sum, cap)
        {
            explanation.reduce(What::DayCap { day, cap }, over)?;
        }
        Ok(())
    }

    fn charge_places(
        &self,
        from: &PlaceId,
        to: &PlaceId,
        explanation: &mut Explanation,
    ) -> Result<(), QuoteError> {
        let rates = &self.rates;
        if rates.places.is_empty() && rates.other_places.is_none() {
            return Ok(());
        }
        let listed = rates
            .places
            .iter()
            .find(|pair| pair.from == *from && pair.to == *to);
        let price = listed
            .map(|pair| pair.price)
            .or(rates.other_places)
            .ok_or_else(|| QuoteError::NoPlacePrice {
                from: from.clone(),
                to: to.clone(),
            })?;
        let what = What::Place {
            entry_place: from.clone(),
            exit_place: to.clone(),
        };
        Ok(explanation.charge(what, price)?)
    }

    /// Each of them grows with the amount, and none of them undoes the one before it: the minimum
    /// is below the cap, and both are multiples of what is rounded to.
    fn apply_limits(&self, explanation: &mut Explanation) -> Result<(), QuoteError> {
        let amount = explanation.amount();
        if let Some(minimum) = self.rates.minimum
            && !amount.is_zero()
            && let Some(missing) = over(minimum, amount)
        {
            explanation.charge(What::Minimum { minimum }, missing)?;
        }
        if let Some(cap) = self.rates.visit_cap
            && let Some(over) = over(explanation.amount(), cap)
        {
            explanation.reduce(What::VisitCap { cap }, over)?;
        }
        self.round(explanation)
    }

    fn round(&self, explanation: &mut Explanation) -> Result<(), QuoteError> {
        let Some(rounding) = self.rates.rounding else {
            return Ok(());
        };
        let step = rounding.step;
        let down = explanation.amount().minor() % step.minor();
        if down == 0 {
            return Ok(());
        }
        let up = step.minor() - down;
        let is_up = match rounding.direction {
            RoundingDirection::Down => false,
            RoundingDirection::Nearest => up < down,
            RoundingDirection::Up => true,
        };
        let what = What::Rounding { step };
        if is_up {
            explanation.charge(what, Money::new(up, self.currency)?)?;
        } else {
            explanation.reduce(what, Money::new(down, self.currency)?)?;
        }
        Ok(())
    }
}

/// From when on time costs.
fn charge_free(
    free: FreeMinutes,
    stay: Stay,
    explanation: &mut Explanation,
) -> Result<Utc, QuoteError> {
    let length = std::time::Duration::from_secs(u64::from(free.minutes) * 60);
    let end = stay.from.saturating_add(length).min(stay.to);
    let is_short = stay.millis() <= i64::from(free.minutes) * MINUTE_MS;
    let to = match free.stays {
        FreeStays::All => end,
        FreeStays::Short if is_short => stay.to,
        FreeStays::Short => return Ok(stay.from),
    };
    let what = What::Free {
        from: stay.from,
        to,
        minutes: free.minutes,
    };
    explanation.charge(what, Money::zero(explanation.amount().currency()))?;
    Ok(to)
}

/// Intervals that have begun: one that is over to the millisecond has not begun the next.
fn intervals(from: Utc, to: Utc, minutes: u16) -> i64 {
    let length = to.as_millis().saturating_sub(from.as_millis());
    let interval = i64::from(minutes) * MINUTE_MS;
    length / interval + i64::from(length % interval != 0)
}

/// How much of `amount` is above `limit`, if anything.
fn over(amount: Money, limit: Money) -> Option<Money> {
    let over = amount.checked_sub(limit).ok()?;
    (!over.is_zero()).then_some(over)
}

/// A visit that was paid too much for gives nothing back here: that is a refund, of its own payment.
fn take_off(paid: &Paid, explanation: &mut Explanation) -> Result<(), QuoteError> {
    let due = explanation.amount();
    // Another currency is refused here.
    due.checked_add(paid.amount)?;
    let taken = if paid.amount.minor() < due.minor() {
        paid.amount
    } else {
        due
    };
    let what = What::Paid {
        at: paid.at,
        paid: paid.amount,
    };
    Ok(explanation.reduce(what, taken)?)
}
