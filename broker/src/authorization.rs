//! Who may do what: one pure function of identity, action and topic.
//!
//! | identity | publishes | subscribes |
//! |---|---|---|
//! | terminal | its own `up` but presence, which the broker states itself; as its will presence too | its own `down` |
//! | platform | every `down`, gateway requests in its own name | every `up`, responses and events for itself |
//! | payment server | its own responses and events | requests to itself |
//! | monitor | nothing | every `up` |

use protocol::topic::{Filter, Gateway, Topic, Up};
use serde::Deserialize;

use crate::identity::Identity;

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Publish,
    /// To be published by the broker when the client vanishes.
    Will,
    /// The topic is a filter then.
    Subscribe,
}

/// Which rules apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The table above.
    #[default]
    Contract,
    /// Everybody may do everything: for interoperability tests, and refused off loopback.
    Open,
}

impl Policy {
    pub(crate) fn permits(self, identity: &Identity, action: Action, topic: &str) -> bool {
        match self {
            Self::Contract => is_authorized(identity, action, topic),
            Self::Open => true,
        }
    }
}

/// Whether the contract lets `identity` do `action` on `topic`.
///
/// ```
/// use broker::authorization::{Action, is_authorized};
/// use broker::Identity;
///
/// let gate = Identity::Terminal("north/gate-1".parse().unwrap());
/// assert!(is_authorized(&gate, Action::Publish, "paylatch/v1/north/gate-1/up/payment"));
/// assert!(!is_authorized(&gate, Action::Publish, "paylatch/v1/north/gate-2/up/payment"));
/// assert!(!is_authorized(&gate, Action::Publish, "paylatch/v1/north/gate-1/down/linkage"));
/// assert!(is_authorized(&gate, Action::Subscribe, "paylatch/v1/north/gate-1/down/+"));
/// assert!(!is_authorized(&gate, Action::Subscribe, "#"));
/// ```
#[must_use]
pub fn is_authorized(identity: &Identity, action: Action, topic: &str) -> bool {
    match action {
        Action::Publish => may_publish(identity, topic),
        Action::Will => may_publish(identity, topic) || is_own_presence(identity, topic),
        Action::Subscribe => readable(identity)
            .iter()
            .any(|allowed| covers(allowed.as_str(), topic)),
    }
}

fn may_publish(identity: &Identity, topic: &str) -> bool {
    let Ok(topic) = topic.parse::<Topic>() else {
        return false;
    };
    match (identity, topic) {
        (Identity::Terminal(own), Topic::Up(name, kind)) => *own == name && kind != Up::Presence,
        (Identity::Platform(_), Topic::Down(..)) => true,
        (Identity::Platform(own), Topic::Gateway(_, Gateway::Request, platform)) => {
            *own == platform
        }
        (
            Identity::Gateway(own),
            Topic::Gateway(gateway, Gateway::Response | Gateway::Event, _),
        ) => *own == gateway,
        (
            Identity::Terminal(_)
            | Identity::Platform(_)
            | Identity::Gateway(_)
            | Identity::Monitor,
            Topic::Up(..) | Topic::Down(..) | Topic::Gateway(..),
        ) => false,
    }
}

fn is_own_presence(identity: &Identity, topic: &str) -> bool {
    match (identity, topic.parse()) {
        (Identity::Terminal(own), Ok(Topic::Up(name, Up::Presence))) => *own == name,
        _ => false,
    }
}

fn readable(identity: &Identity) -> Vec<Filter> {
    match identity {
        Identity::Terminal(name) => vec![Filter::down(name)],
        Identity::Platform(platform) => vec![
            Filter::all_up(),
            Filter::gateway_responses(platform),
            Filter::gateway_events(platform),
        ],
        Identity::Gateway(gateway) => vec![Filter::gateway_requests(gateway)],
        Identity::Monitor => vec![Filter::all_up()],
    }
}

/// Whether every topic under `filter` is under `allowed` too. No filter of ours has a `#`.
fn covers(allowed: &str, filter: &str) -> bool {
    let mut allowed = allowed.split('/');
    let mut levels = filter.split('/');
    loop {
        match (allowed.next(), levels.next()) {
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(allowed), Some(level)) if allowed == level => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
