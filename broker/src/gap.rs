//! Counts what a reader of the router's rings never saw.
//!
//! The router numbers the messages of one filter consecutively. When a slow reader is overtaken by
//! the ring, the numbers jump, and nothing else tells.

use protocol::topic::filter_matches;

/// What one link is subscribed to, and the next number expected of each filter.
#[derive(Debug, Default)]
pub(crate) struct GapWatch {
    filters: Vec<(String, Option<u64>)>,
}

impl GapWatch {
    /// False if it is watched already. `next` is the first number to come, if it is known: else
    /// what is lost before the first message that comes is not seen.
    pub(crate) fn add(&mut self, filter: &str, next: Option<u64>) -> bool {
        let is_new = self.filters.iter().all(|(known, _)| known != filter);
        if is_new {
            self.filters.push((filter.to_owned(), next));
        }
        is_new
    }

    /// False if it was not watched.
    pub(crate) fn remove(&mut self, filter: &str) -> bool {
        let count_before = self.filters.len();
        self.filters.retain(|(known, _)| known != filter);
        self.filters.len() < count_before
    }

    pub(crate) fn filters(&self) -> Vec<String> {
        self.filters
            .iter()
            .map(|(filter, _)| filter.clone())
            .collect()
    }

    /// Takes note of a message and gives the number of messages lost before it. Where several
    /// filters match a topic the message is of the filter whose number it continues best.
    pub(crate) fn seen(&mut self, topic: &str, number: u64) -> u64 {
        let matching = self.filters.iter_mut();
        let best = matching
            .filter(|(filter, _)| filter_matches(filter, topic))
            .filter_map(|(_, next)| {
                let lost = number.checked_sub(next.unwrap_or(number))?;
                Some((lost, next))
            })
            .min_by_key(|(lost, _)| *lost);
        let Some((lost, next)) = best else {
            return 0;
        };
        *next = Some(number + 1);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_lose_nothing_and_a_jump_loses_the_difference() {
        let mut watch = GapWatch::default();
        assert!(watch.add("a/+", None));
        assert!(!watch.add("a/+", None));
        assert_eq!(watch.seen("a/b", 7), 0);
        assert_eq!(watch.seen("a/c", 8), 0);
        assert_eq!(watch.seen("a/b", 12), 3);
        assert_eq!(watch.seen("a/b", 13), 0);
    }

    #[test]
    fn overlapping_filters_keep_their_own_numbers() {
        let mut watch = GapWatch::default();
        watch.add("a/+", None);
        watch.add("a/b", None);
        assert_eq!(watch.seen("a/b", 100), 0);
        assert_eq!(watch.seen("a/b", 5), 0);
        assert_eq!(watch.seen("a/b", 6), 0);
        assert_eq!(watch.seen("a/b", 101), 0);
        assert_eq!(watch.seen("a/b", 8), 1);
    }

    #[test]
    fn with_a_known_beginning_the_first_message_shows_a_loss_too() {
        let mut watch = GapWatch::default();
        watch.add("a", Some(0));
        assert_eq!(watch.seen("a", 3), 3);
        assert_eq!(watch.seen("a", 4), 0);
    }

    #[test]
    fn a_filter_that_is_subscribed_again_starts_anew() {
        let mut watch = GapWatch::default();
        watch.add("a", None);
        assert_eq!(watch.seen("a", 1), 0);
        assert!(watch.remove("a"));
        assert!(!watch.remove("a"));
        watch.add("a", None);
        assert_eq!(watch.seen("a", 90), 0);
    }
}
