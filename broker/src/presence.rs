//! The last state of every terminal that was ever connected to this broker.
//!
//! The broker states presence itself and replays all of it to a subscriber, so a platform that
//! (re)starts learns of 10,000 terminals without any of them saying anything.

use std::collections::BTreeMap;
use std::ops::Bound;

use protocol::codec::{CodecError, Envelope, encode};
use protocol::id::MessageId;
use protocol::message;
use protocol::time::Utc;
use protocol::topic::{TerminalName, Topic, Up, filter_matches};

use crate::message::{Message, Qos};

/// Bounded by the terminals among the users: nobody else gets in here.
#[derive(Debug, Default)]
pub(crate) struct PresenceTable {
    terminals: BTreeMap<TerminalName, State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: usize,
    message: Option<Message>,
}

/// What a state is called and when it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) id: MessageId,
    pub(crate) at: Utc,
}

impl PresenceTable {
    /// One more session; a message if the terminal was offline before.
    pub(crate) fn connected(
        &mut self,
        name: &TerminalName,
        stamp: Stamp,
    ) -> Result<Option<Message>, CodecError> {
        let state = self.terminals.entry(name.clone()).or_default();
        state.sessions += 1;
        if state.sessions > 1 {
            return Ok(None);
        }
        state.message = Some(presence(name, true, stamp)?);
        Ok(state.message.clone())
    }

    /// One session less; a message if it was the last.
    pub(crate) fn disconnected(
        &mut self,
        name: &TerminalName,
        stamp: Stamp,
    ) -> Result<Option<Message>, CodecError> {
        let Some(state) = self.terminals.get_mut(name) else {
            return Ok(None);
        };
        state.sessions = state.sessions.saturating_sub(1);
        if state.sessions > 0 {
            return Ok(None);
        }
        state.message = Some(presence(name, false, stamp)?);
        Ok(state.message.clone())
    }

    /// The next terminal's current state under `filter`, in the order of names. Read at the moment
    /// of sending, so that a replay never says less than a live message that overtook it.
    pub(crate) fn next_after(
        &self,
        last: Option<&TerminalName>,
        filter: &str,
    ) -> Option<(TerminalName, Message)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.terminals.range((from, Bound::Unbounded));
        rest.filter_map(|(name, state)| Some((name, state.message.as_ref()?)))
            .find(|(_, message)| is_under(filter, message))
            .map(|(name, message)| {
                let retain = true;
                let message = message.clone();
                (name.clone(), Message { retain, ..message })
            })
    }
}

fn is_under(filter: &str, message: &Message) -> bool {
    std::str::from_utf8(&message.topic).is_ok_and(|topic| filter_matches(filter, topic))
}

/// Whether any terminal's presence can be under `filter`: most filters need no replay.
pub(crate) fn may_match_presence(filter: &str) -> bool {
    let topic = ["paylatch", "v1", "", "", "up", "presence"];
    let mut levels = filter.split('/');
    for word in topic {
        match levels.next() {
            Some("#") => return true,
            Some(level) if level == word || level == "+" || word.is_empty() => {}
            _ => return false,
        }
    }
    matches!(levels.next(), None | Some("#"))
}

fn presence(name: &TerminalName, online: bool, stamp: Stamp) -> Result<Message, CodecError> {
    let body = message::Presence { online };
    let payload = encode(&Envelope::new(stamp.id, stamp.at, body))?;
    let topic = Topic::Up(name.clone(), Up::Presence).to_string();
    Ok(Message::copied(
        topic.as_bytes(),
        &payload,
        Qos::AtLeastOnce,
    ))
}

#[cfg(test)]
mod tests {
    use protocol::codec::decode;

    use super::*;

    const STAMP: Stamp = Stamp {
        id: MessageId::from_random([1; 16]),
        at: Utc::EPOCH,
    };

    fn name(text: &str) -> TerminalName {
        text.parse().unwrap()
    }

    fn is_online(message: &Message) -> bool {
        decode::<message::Presence>(&message.payload)
            .unwrap()
            .body
            .online
    }

    #[test]
    fn only_the_first_and_the_last_session_change_presence() {
        let mut table = PresenceTable::default();
        let gate = name("north/gate-1");
        let first = table.connected(&gate, STAMP).unwrap().unwrap();
        assert_eq!(first.topic, "paylatch/v1/north/gate-1/up/presence");
        assert!(is_online(&first) && !first.retain);
        assert_eq!(table.connected(&gate, STAMP).unwrap(), None);
        assert_eq!(table.disconnected(&gate, STAMP).unwrap(), None);
        assert!(!is_online(
            &table.disconnected(&gate, STAMP).unwrap().unwrap()
        ));
    }

    #[test]
    fn a_stranger_that_leaves_changes_nothing() {
        let mut table = PresenceTable::default();
        assert_eq!(
            table.disconnected(&name("north/gate-1"), STAMP).unwrap(),
            None
        );
        assert_eq!(table.next_after(None, "#"), None);
    }

    #[test]
    fn replay_walks_all_terminals_under_the_filter_once() {
        let mut table = PresenceTable::default();
        for text in ["north/a", "north/b", "south/a"] {
            table.connected(&name(text), STAMP).unwrap();
        }
        table.disconnected(&name("north/b"), STAMP).unwrap();
        let mut seen = Vec::new();
        let mut last = None;
        while let Some((next, message)) =
            table.next_after(last.as_ref(), "paylatch/v1/north/+/up/+")
        {
            assert!(message.retain);
            seen.push((next.to_string(), is_online(&message)));
            last = Some(next);
        }
        assert_eq!(
            seen,
            [("north/a".to_owned(), true), ("north/b".to_owned(), false)]
        );
    }

    #[test]
    fn filters_that_can_not_match_presence_are_known_at_once() {
        for may in [
            "#",
            "paylatch/v1/+/+/up/+",
            "paylatch/v1/a/b/up/presence",
            "+/+/+/+/+/+",
        ] {
            assert!(may_match_presence(may), "{may}");
        }
        for never in [
            "paylatch/v1/gateway/+/response/main",
            "paylatch/v1/+/+/up/hello",
            "a",
            "+",
        ] {
            assert!(!may_match_presence(never), "{never}");
        }
    }
}
