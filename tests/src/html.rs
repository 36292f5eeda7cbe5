//! Just enough HTML to press a button: the forms of a page, as a browser without JavaScript sees
//! them. It reads our own pages only, which quote every attribute.

use std::collections::BTreeMap;

/// A form of a page with the values it would send as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub action: String,
    pub fields: BTreeMap<String, String>,
    /// `name=value` of its submit buttons, for forms with several.
    pub buttons: Vec<(String, String)>,
}

impl Form {
    /// The body of the POST (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn body(&self) -> String {
        let pair =
            |(name, value): (&String, &String)| format!("{}={}", encode(name), encode(value));
        self.fields.iter().map(pair).collect::<Vec<_>>().join("&")
    }

    /// With one field set, whether the page had it or not.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// All POST forms of a page, in their order.
#[must_use]
pub fn forms(page: &str) -> Vec<Form> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find("<form") {
        let form = &rest[start..];
        let end = form.find("</form>").map_or(form.len(), |end| end);
        found.extend(read_form(&form[..end]));
        rest = &form[end..];
    }
    found
}

/// Where the links of a page lead, in their order.
#[must_use]
pub fn links(page: &str) -> Vec<String> {
    let starts = page.match_indices("<a ").map(|(start, _)| &page[start..]);
    starts
        .filter_map(|link| attribute(&link[..link.find('>')?], "href"))
        .collect()
}

/// The value of `name` on the first tag that has it.
#[must_use]
pub fn attribute_of_page(page: &str, name: &str) -> Option<String> {
    let start = page.find(&format!(" {name}=\""))?;
    attribute(&page[start..], name)
}

fn read_form(form: &str) -> Option<Form> {
    let tag = &form[..form.find('>')?];
    let action = attribute(tag, "action").unwrap_or_default();
    let mut read = Form {
        action,
        fields: BTreeMap::new(),
        buttons: Vec::new(),
    };
    for tag in form[tag.len()..].split('<').filter(|tag| is_control(tag)) {
        let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
        let Some(name) = attribute(tag, "name") else {
            continue;
        };
        let value = attribute(tag, "value").unwrap_or_default();
        if tag.starts_with("button") {
            read.buttons.push((name, value));
        } else if !is_unchecked(tag) {
            read.fields.insert(name, value);
        }
    }
    Some(read)
}

fn is_control(tag: &str) -> bool {
    ["input", "button", "select"]
        .iter()
        .any(|control| tag.starts_with(control))
}

fn is_unchecked(tag: &str) -> bool {
    let choice = matches!(
        attribute(tag, "type").as_deref(),
        Some("checkbox" | "radio")
    );
    choice && !tag.contains(" checked")
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let end = tag[start..].find('"')?;
    Some(decode(&tag[start..start + end]))
}

fn decode(text: &str) -> String {
    let replaced = text
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    replaced
        .replace("&#x27;", "'")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_sent_as_a_browser_would() {
        let page = r#"<p><form method="post" action="/s/1?a=1&amp;b=2"><input type="hidden" name="token" value="a&quot;b">
            <input type="checkbox" name="no" value="1"><input type="radio" name="yes" value="2" checked>
            <button name="go" value="now">Go</button></form><form action="/other"></form>"#;
        let found = forms(page);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].action, "/s/1?a=1&b=2");
        assert_eq!(found[0].body(), "token=a%22b&yes=2");
        assert_eq!(found[0].buttons, [("go".to_owned(), "now".to_owned())]);
        assert_eq!(
            found[0].clone().with("x", "ü").body(),
            "token=a%22b&x=%C3%BC&yes=2"
        );
    }
}
