//! Every topic, in both directions. Nothing outside this module writes a topic by hand.
//!
//! ```text
//! paylatch/v1/{site}/{terminal}/up/{hello|session|payment|linkage|health|metrics|config|presence}
//! paylatch/v1/{site}/{terminal}/down/{ack|payment|linkage|visits|config|inquiry}
//! paylatch/v1/gateway/{gateway}/{request|response|event}/{platform}
//! ```
//!
//! The depth is fixed, so that one filter reads all and one rule authorizes all.
//!
//! ```
//! use protocol::topic::{Down, Filter, Topic, Up};
//!
//! let topic: Topic = "paylatch/v1/north/gate-1/up/payment".parse().unwrap();
//! assert!(matches!(topic, Topic::Up(_, Up::Payment)));
//! assert!("paylatch/v1/north/gate-1/up/linkage/extra".parse::<Topic>().is_err()); // depth
//! assert!("paylatch/v1/north/gate-1/down/payments".parse::<Topic>().is_err());    // unknown word
//! assert!("paylatch/v1/gateway/mock/up/payment".parse::<Topic>().is_err());       // reserved site
//! assert!("paylatch/v1/north/+/up/payment".parse::<Topic>().is_err());            // a filter
//! assert!("paylatch/v1/支付/gate-1/up/payment".parse::<Topic>().is_err());        // alphabet
//!
//! let filter = Filter::all_up();
//! assert_eq!(filter.as_str(), "paylatch/v1/+/+/up/+");
//! assert!(filter.matches("paylatch/v1/north/gate-1/up/payment"));
//! assert!(!filter.matches("paylatch/v1/north/gate-1/down/payment"));
//! # let _ = Down::Ack;
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{GatewayId, IdError, PlatformId, SiteId, TerminalId};

/// Longest topic we make: the prefix, two names and two words stay below it.
pub const TOPIC_LENGTH_MAX: usize = 128;

const PREFIX: &str = "paylatch/v1";

/// Why a text is none of our topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    #[error("a topic has at most {TOPIC_LENGTH_MAX} bytes")]
    TooLong,
    #[error(
        "a topic has the form paylatch/v1/SITE/TERMINAL/up|down/KIND or paylatch/v1/gateway/GATEWAY/KIND/PLATFORM"
    )]
    Shape,
    #[error("'{0}' is no kind of message")]
    Kind(String),
    #[error(transparent)]
    Name(#[from] IdError),
}

/// A terminal by its full name; JSON and text form `site/terminal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TerminalName {
    pub site: SiteId,
    pub terminal: TerminalId,
}

impl FromStr for TerminalName {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        let (site, terminal) = text.split_once('/').ok_or(TopicError::Shape)?;
        Ok(Self {
            site: site.parse()?,
            terminal: terminal.parse()?,
        })
    }
}

impl TryFrom<String> for TerminalName {
    type Error = TopicError;

    fn try_from(text: String) -> Result<Self, TopicError> {
        text.parse()
    }
}

impl From<TerminalName> for String {
    fn from(name: TerminalName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for TerminalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.terminal)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($variant),+ }

        impl $name {
            /// Every kind, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = TopicError;

            fn from_str(text: &str) -> Result<Self, TopicError> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(TopicError::Kind(text.chars().take(32).collect())),
                }
            }
        }
    };
}

words!(/// What a terminal says.
Up {
    Hello = "hello",
    Session = "session",
    Payment = "payment",
    Linkage = "linkage",
    Health = "health",
    Metrics = "metrics",
    Config = "config",
    Presence = "presence",
});
words!(/// What a terminal is told, by the platform alone.
Down {
    Ack = "ack",
    Payment = "payment",
    Linkage = "linkage",
    Visits = "visits",
    Config = "config",
    Inquiry = "inquiry",
    Hello = "hello",
});
words!(/// What platform and payment server say to each other.
Gateway {
    Request = "request",
    Response = "response",
    Event = "event",
});

/// A topic of the contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    Up(TerminalName, Up),
    Down(TerminalName, Down),
    Gateway(GatewayId, Gateway, PlatformId),
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(name, kind) => write!(f, "{PREFIX}/{name}/up/{}", kind.as_str()),
            Self::Down(name, kind) => write!(f, "{PREFIX}/{name}/down/{}", kind.as_str()),
            Self::Gateway(gateway, kind, platform) => {
                write!(f, "{PREFIX}/gateway/{gateway}/{}/{platform}", kind.as_str())
            }
        }
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        if text.len() > TOPIC_LENGTH_MAX {
            return Err(TopicError::TooLong);
        }
        let mut levels = text.split('/');
        let mut next = || levels.next().ok_or(TopicError::Shape);
        let levels_of_six = [next()?, next()?, next()?, next()?, next()?, next()?];
        if levels.next().is_some() {
            return Err(TopicError::Shape);
        }
        match levels_of_six {
            ["paylatch", "v1", "gateway", gateway, kind, platform] => Ok(Self::Gateway(
                gateway.parse()?,
                kind.parse()?,
                platform.parse()?,
            )),
            ["paylatch", "v1", site, terminal, "up", kind] => {
                let name = TerminalName {
                    site: site.parse()?,
                    terminal: terminal.parse()?,
                };
                Ok(Self::Up(name, kind.parse()?))
            }
            ["paylatch", "v1", site, terminal, "down", kind] => {
                let name = TerminalName {
                    site: site.parse()?,
                    terminal: terminal.parse()?,
                };
                Ok(Self::Down(name, kind.parse()?))
            }
            _ => Err(TopicError::Shape),
        }
    }
}

/// A subscription. Only the shapes that some party needs can be built.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter(String);

impl Filter {
    /// All that terminals say: for the platform and for monitors.
    #[must_use]
    pub fn all_up() -> Self {
        Self(format!("{PREFIX}/+/+/up/+"))
    }

    /// All that one terminal is told.
    #[must_use]
    pub fn down(name: &TerminalName) -> Self {
        Self(format!("{PREFIX}/{name}/down/+"))
    }

    /// What every terminal is told: the broker's dispatcher reads it.
    #[must_use]
    pub fn all_down() -> Self {
        Self(format!("{PREFIX}/+/+/down/+"))
    }

    /// Requests to one payment server, of every platform.
    #[must_use]
    pub fn gateway_requests(gateway: &GatewayId) -> Self {
        Self(format!("{PREFIX}/gateway/{gateway}/request/+"))
    }

    /// Answers of every payment server to one platform.
    #[must_use]
    pub fn gateway_responses(platform: &PlatformId) -> Self {
        Self(format!("{PREFIX}/gateway/+/response/{platform}"))
    }

    /// Events of every payment server for one platform.
    #[must_use]
    pub fn gateway_events(platform: &PlatformId) -> Self {
        Self(format!("{PREFIX}/gateway/+/event/{platform}"))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `topic` falls under this filter (MQTT 3.1.1, section 4.7).
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        filter_matches(&self.0, topic)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// MQTT 3.1.1 section 4.7: `+` is one level, a last `#` is the rest, and neither sees `$` topics
/// from its first level.
#[must_use]
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut wanted = filter.split('/');
    let mut found = topic.split('/');
    loop {
        match (wanted.next(), found.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(want), Some(have)) if want == have => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}
