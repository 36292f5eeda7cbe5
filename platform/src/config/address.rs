//! Where payers reach our pages, as it stands in links.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// Longest address: it travels in every quote, which must fit one payload.
const LENGTH_MAX: usize = 200;

/// Why a text is no public address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write https://HOST, with a port or a path if need be, in at most {LENGTH_MAX} characters")]
pub struct AddressError;

/// `https://pay.example`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicAddress(String);

impl PublicAddress {
    /// Where status pages are; the payer's token follows.
    pub(crate) fn status_url(&self) -> String {
        format!("{}/r/", self.0)
    }

    /// Encrypted, or not leaving this machine.
    pub(crate) fn is_protected(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else {
            return true;
        };
        let host = rest.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let parsed: Option<std::net::IpAddr> = host.parse().ok();
        host == "localhost" || parsed.is_some_and(|ip| ip.to_canonical().is_loopback())
    }
}

impl FromStr for PublicAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim_end_matches('/');
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme));
        let clean = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:/[]".contains(&byte);
        let is_usable = rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(clean)
        });
        if is_usable && text.len() <= LENGTH_MAX {
            Ok(Self(text.to_owned()))
        } else {
            Err(AddressError)
        }
    }
}

impl TryFrom<String> for PublicAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl fmt::Display for PublicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_web_address_becomes_part_of_a_link() {
        for (text, url) in [
            ("https://pay.example", Some("https://pay.example/r/")),
            ("https://pay.example/", Some("https://pay.example/r/")),
            (
                "https://pay.example:8443/shop",
                Some("https://pay.example:8443/shop/r/"),
            ),
            ("http://[::1]:7081", Some("http://[::1]:7081/r/")),
            ("pay.example", None),
            ("ftp://pay.example", None),
            ("https://", None),
            ("https:///r", None),
            ("https://pay.example?x=1", None),
            ("https://user@pay.example", None),
            ("https://pay.example/#a", None),
            ("https://pay example", None),
            ("javascript:alert(1)", None),
        ] {
            let parsed = text.parse::<PublicAddress>().ok();
            let found = parsed.map(|address| address.status_url());
            assert_eq!(found.as_deref(), url, "{text}");
        }
    }

    #[test]
    fn clear_text_is_protected_on_this_machine_alone() {
        for (text, is_protected) in [
            ("https://pay.example", true),
            ("http://127.0.0.1:7081", true),
            ("http://localhost:7081/a", true),
            ("http://[::1]:7081", true),
            ("http://192.0.2.1:7081", false),
            ("http://pay.example", false),
            ("http://localhost.example", false),
        ] {
            let address: PublicAddress = text.parse().unwrap();
            assert_eq!(address.is_protected(), is_protected, "{text}");
        }
    }
}
