//! What a hold covers.

use std::fmt;
use std::str::FromStr;

use protocol::id::{GatewayId, SiteId};
use protocol::topic::TerminalName;
use serde::{Deserialize, Serialize};

/// Written `north/gate-1`, `north`, `gateway/mock` and `*`: no site is named `gateway`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum HoldScope {
    Everything,
    Gateway(GatewayId),
    Site(SiteId),
    Terminal(TerminalName),
}

/// Why a text is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' can't be held: write SITE/TERMINAL, SITE, gateway/NAME, or * for the whole platform"
)]
pub(crate) struct ScopeError {
    text: String,
}

impl HoldScope {
    /// Whether a new order at this terminal, of a site that pays by this gateway, is in it.
    pub(crate) fn covers(&self, terminal: &TerminalName, gateway: &GatewayId) -> bool {
        match self {
            Self::Everything => true,
            Self::Gateway(held) => held == gateway,
            Self::Site(held) => *held == terminal.site,
            Self::Terminal(held) => held == terminal,
        }
    }
}

impl FromStr for HoldScope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        let parsed = match text.split_once('/') {
            None if text == "*" => Some(Self::Everything),
            None => text.parse().ok().map(Self::Site),
            Some(("gateway", name)) => name.parse().ok().map(Self::Gateway),
            Some(_) => text.parse().ok().map(Self::Terminal),
        };
        // Untrusted text: never more of it than a person can read.
        let refused = || ScopeError {
            text: text.chars().take(80).collect(),
        };
        parsed.ok_or_else(refused)
    }
}

impl TryFrom<String> for HoldScope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<HoldScope> for String {
    fn from(scope: HoldScope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for HoldScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::Gateway(gateway) => write!(f, "gateway/{gateway}"),
            Self::Site(site) => write!(f, "{site}"),
            Self::Terminal(terminal) => write!(f, "{terminal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reads_what_it_writes_and_covers_what_it_names() {
        let (gate, mock): (TerminalName, GatewayId) =
            ("north/gate-1".parse().unwrap(), "mock".parse().unwrap());
        let cases = [
            ("*", true),
            ("gateway/mock", true),
            ("gateway/other", false),
            ("north", true),
            ("south", false),
            ("north/gate-1", true),
            ("north/gate-2", false),
        ];
        for (text, is_covered) in cases {
            let scope: HoldScope = text.parse().unwrap();
            assert_eq!(scope.to_string(), text);
            assert_eq!(scope.covers(&gate, &mock), is_covered, "{text}");
        }
        for text in ["", "**", "gateway", "gateway/", "a/b/c", "North", "north/"] {
            let error = text.parse::<HoldScope>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "'{text}' can't be held: write SITE/TERMINAL, SITE, gateway/NAME, or * for \
                     the whole platform"
                )
            );
        }
    }
}
