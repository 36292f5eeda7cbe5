//! What client ids, topics and filters may look like before anything else is asked.
//!
//! The router behind the door panics on some names that MQTT permits, so the door permits less:
//! printable ASCII, no `$`, and a length.

/// Longest topic or filter: twice what the contract makes.
pub(crate) const TOPIC_LENGTH_MAX: usize = 2 * protocol::topic::TOPIC_LENGTH_MAX;

const CLIENT_ID_LENGTH_MAX: usize = 64;

/// Why a topic is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicFault {
    /// MQTT itself forbids it: empty, a wildcard or a NUL in a publish.
    Illegal,
    /// MQTT permits it, this broker does not.
    Unsupported,
}

/// 1 to 64 of `A-Za-z0-9_.-`.
pub(crate) fn is_client_id(text: &str) -> bool {
    (1..=CLIENT_ID_LENGTH_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A topic that somebody publishes to.
pub(crate) fn check_topic(topic: &[u8]) -> Result<&str, TopicFault> {
    if topic.is_empty() || topic.iter().any(|byte| matches!(byte, 0 | b'+' | b'#')) {
        return Err(TopicFault::Illegal);
    }
    let text = std::str::from_utf8(topic).map_err(|_| TopicFault::Illegal)?;
    if text.len() <= TOPIC_LENGTH_MAX && is_plain(text) {
        Ok(text)
    } else {
        Err(TopicFault::Unsupported)
    }
}

/// A filter that somebody subscribes to: wildcards stand alone in their level, `#` is the last.
pub(crate) fn is_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.len() > TOPIC_LENGTH_MAX || !is_plain(filter) {
        return false;
    }
    let depth = filter.split('/').count();
    filter.split('/').enumerate().all(|(index, level)| {
        let is_last = index + 1 == depth;
        level == "+" || (level == "#" && is_last) || !level.contains(['+', '#'])
    })
}

fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| (0x20..0x7f).contains(&byte) && byte != b'$')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn client_ids_are_of_one_alphabet_and_length() {
        for good in ["a", "north.gate-1", "A_9", &"x".repeat(64)] {
            assert!(is_client_id(good), "{good}");
        }
        for bad in ["", "a+b", "a#", "a/b", "$a", "a b", "é", &"x".repeat(65)] {
            assert!(!is_client_id(bad), "{bad}");
        }
    }

    #[test]
    fn topics_are_sorted_into_good_unsupported_and_illegal() {
        assert_eq!(check_topic(b"a/b"), Ok("a/b"));
        for illegal in ["", "a/+", "#", "a\0b"] {
            assert_eq!(check_topic(illegal.as_bytes()), Err(TopicFault::Illegal));
        }
        assert_eq!(check_topic(&[0xff]), Err(TopicFault::Illegal));
        let long = "a".repeat(TOPIC_LENGTH_MAX + 1);
        for unsupported in ["支付/1", "$SYS/a", "a/$b", "a\tb", &long] {
            assert_eq!(
                check_topic(unsupported.as_bytes()),
                Err(TopicFault::Unsupported)
            );
        }
    }

    #[test]
    fn wildcards_stand_alone_and_hash_comes_last() {
        for good in ["a", "+", "#", "a/+/b", "a/#", "+/+", "/"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a+", "a/#/b", "#a", "$share/g/a", "a/支", "a/+b"] {
            assert!(!is_filter(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_at_all_pass_that_the_router_can_not_bear(bytes: Vec<u8>) {
            if let Ok(topic) = check_topic(&bytes) {
                prop_assert!(topic.is_ascii());
                prop_assert!(!topic.contains(['$', '+', '#', '\0']));
                prop_assert!((1..=TOPIC_LENGTH_MAX).contains(&topic.len()));
            }
        }

        #[test]
        fn a_topic_without_wildcards_is_a_filter_of_itself(topic in "[ -~]{1,40}") {
            prop_assert_eq!(check_topic(topic.as_bytes()).is_ok(), is_filter(&topic) && !topic.contains(['+', '#']));
        }
    }
}
