//! Where a payer's browser goes afterwards. It becomes a redirect, a link and part of a content
//! security policy, so it is read strictly.

/// Longest URL that every browser and proxy carries.
const LENGTH_MAX: usize = 2_048;

/// An absolute `http` or `https` URL without user information.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReturnUrl {
    text: String,
    origin_length: usize,
}

impl ReturnUrl {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() > LENGTH_MAX || !printable {
            return None;
        }
        let scheme = ["https://", "http://"]
            .into_iter()
            .find(|scheme| text.starts_with(scheme))?;
        let rest = &text[scheme.len()..];
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        is_host_and_port(authority).then(|| Self {
            text: text.to_owned(),
            origin_length: scheme.len() + authority.len(),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, as a content security policy wants them (CSP 3, section 2.3.1).
    pub(crate) fn origin(&self) -> &str {
        &self.text[..self.origin_length]
    }
}

/// Letters, digits and what hosts and ports are written with. No `@`: a payer reads the first name
/// and goes to the second. No backslash: browsers take it for a slash.
fn is_host_and_port(authority: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    !authority.is_empty() && authority.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::ReturnUrl;

    #[test]
    fn web_addresses_are_taken_with_their_origin() {
        for (text, origin) in [
            ("http://127.0.0.1:8080/s/1?x=2", "http://127.0.0.1:8080"),
            ("https://gate.example", "https://gate.example"),
            ("http://[::1]:80#x", "http://[::1]:80"),
        ] {
            let url = ReturnUrl::parse(text).unwrap();
            assert_eq!((url.as_str(), url.origin()), (text, origin));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "javascript:alert(1)",
            "ftp://gate.example/",
            "//gate.example/",
            "http://",
            "http:///path",
            "http://bank.example@evil.example/",
            "http://gate.example\\@evil.example/",
            "http://gate.example;script-src *",
            "http://gate.example/\r\nSet-Cookie: a=b",
            "http://gate.example/ x",
            "http://闸.example/",
        ] {
            assert_eq!(ReturnUrl::parse(text), None, "{text}");
        }
        assert_eq!(
            ReturnUrl::parse(&format!("http://a/{}", "b".repeat(2048))),
            None
        );
    }
}
