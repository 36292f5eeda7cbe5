//! From instants to the bands and days of a place.
//!
//! A band or a day begins with the first instant at which clocks there show its time or a later one.
//! So a time that clocks skip begins when they skip it, and one that they show twice begins at its
//! first. The database of zones is built in: the host's own must not change a bill.

use jiff::civil::{Date, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use protocol::time::{TimeOfDay, Utc};

/// An instant is too near to the end of the calendar to have days around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the calendar ends there")]
pub(crate) struct CalendarEnd;

/// A stretch of time within one band and, where days matter, within one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    /// Index of the band.
    pub(crate) band: usize,
    /// The date at the day's beginning; absent where days don't matter.
    pub(crate) day: Option<Date>,
    pub(crate) from: Utc,
    pub(crate) to: Utc,
}

#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    zone: TimeZone,
    /// What begins on every day, in the order of times.
    marks: Vec<(TimeOfDay, Mark)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Band(usize),
    Day,
}

/// The zone of that IANA name, as everybody has it.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

impl Calendar {
    /// `day_starts` is absent where days don't matter: then nothing ends with them.
    pub(crate) fn new(
        zone: TimeZone,
        bands: impl IntoIterator<Item = TimeOfDay>,
        day_starts: Option<TimeOfDay>,
    ) -> Self {
        let bands = bands.into_iter().enumerate();
        let mut marks: Vec<_> = bands
            .map(|(index, from)| (from, Mark::Band(index)))
            .chain(day_starts.map(|from| (from, Mark::Day)))
            .collect();
        marks.sort_by_key(|(from, _)| *from);
        Self { zone, marks }
    }

    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The stretches from `from` until `to`, without gaps, none of them empty. There are at most
    /// two of each band a day, so the caller bounds them by bounding the days.
    pub(crate) fn periods(&self, from: Utc, to: Utc) -> Result<Vec<Period>, CalendarEnd> {
        let mut periods = Vec::new();
        // Every band and the day have begun at least once before `from`, whatever the zone.
        let mut date = back(back(self.zone.to_datetime(from.into()).date())?)?;
        let mut open = Period {
            band: 0,
            day: None,
            from,
            to,
        };
        while open.from < to {
            for (time, mark) in &self.marks {
                let at = self.first_instant(date, *time)?.min(to);
                let next = match mark {
                    Mark::Band(band) => Period {
                        band: *band,
                        ..open
                    },
                    Mark::Day => Period {
                        day: Some(date),
                        ..open
                    },
                };
                if next != open && at > open.from {
                    periods.push(Period { to: at, ..open });
                    open = Period { from: at, ..next };
                } else {
                    open = next;
                }
            }
            date = date.tomorrow().map_err(|_| CalendarEnd)?;
            if self.first_instant(date, TimeOfDay::MIDNIGHT)? >= to {
                break;
            }
        }
        periods.push(open);
        periods.retain(|period| period.from < period.to);
        Ok(periods)
    }

    fn first_instant(&self, date: Date, time: TimeOfDay) -> Result<Utc, CalendarEnd> {
        let time = Time::new(time.hour(), time.minute(), 0, 0).map_err(|_| CalendarEnd)?;
        let ambiguous = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
        let is_skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
        let earlier = ambiguous.earlier().map_err(|_| CalendarEnd)?;
        if !is_skipped {
            return Ok(earlier.into());
        }
        // For a skipped time that is an instant before the skip.
        let skip = self.zone.following(earlier).next();
        Ok(skip.map_or(earlier, |skip| skip.timestamp()).into())
    }
}

fn back(date: Date) -> Result<Date, CalendarEnd> {
    date.yesterday().map_err(|_| CalendarEnd)
}
