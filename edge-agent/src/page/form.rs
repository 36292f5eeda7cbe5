//! The one form with fields: how many of which item.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Form, FromRequest as _, Request};
use axum::http::StatusCode;
use protocol::id::ItemId;
use protocol::message::{ITEMS_MAX, ItemLine};

/// Every item of the largest site with the longest name and five digits.
pub(super) const FORM_BYTES_MAX: usize = 4 * 1024;

/// Wait for a body that the header has announced: it fits one packet.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

const PREFIX: &str = "quantity.";

/// Why a form says nothing. One line for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    #[error("the form has more than {FORM_BYTES_MAX} bytes; go back and choose again")]
    TooLarge,
    #[error("the form did not arrive in time; go back and send it again")]
    TooSlow,
    #[error("this is no form (application/x-www-form-urlencoded); go back and choose again")]
    NoForm,
    #[error("there is no field '{0}'; go back and choose again")]
    Field(String),
    #[error("'{0}' is sent twice; go back and choose again")]
    Twice(String),
    #[error("{field} is '{value}'; write a whole number from 0 to 65535")]
    Quantity { field: String, value: String },
}

impl FormError {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoForm | Self::Field(_) | Self::Twice(_) | Self::Quantity { .. } => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

/// The name of an item's field.
pub(crate) fn field_of(item: &ItemId) -> String {
    format!("{PREFIX}{item}")
}

/// Reads the chosen items; those with quantity 0 are left out.
pub(crate) async fn read_choice(request: Request) -> Result<Vec<ItemLine>, FormError> {
    parse_choice(read_pairs(request).await?)
}

async fn read_pairs(request: Request) -> Result<Vec<(String, String)>, FormError> {
    let (parts, body) = request.into_parts();
    let read = axum::body::to_bytes(body, FORM_BYTES_MAX);
    let bytes: Bytes = tokio::time::timeout(BODY_TIMEOUT, read)
        .await
        .map_err(|_| FormError::TooSlow)?
        .map_err(|_| FormError::TooLarge)?;
    let request = Request::from_parts(parts, bytes.into());
    let form = Form::from_request(request, &()).await;
    form.map(|Form(pairs)| pairs).map_err(|_| FormError::NoForm)
}

fn parse_choice(pairs: Vec<(String, String)>) -> Result<Vec<ItemLine>, FormError> {
    let mut lines: Vec<ItemLine> = Vec::new();
    let mut seen = Vec::new();
    for (field, value) in pairs {
        let item: ItemId = field
            .strip_prefix(PREFIX)
            .and_then(|item| item.parse().ok())
            .filter(|_| seen.len() < ITEMS_MAX)
            .ok_or_else(|| FormError::Field(shortened(&field)))?;
        if seen.contains(&item) {
            return Err(FormError::Twice(field));
        }
        let quantity = parse_quantity(&value).ok_or_else(|| FormError::Quantity {
            field,
            value: shortened(&value),
        })?;
        seen.push(item.clone());
        if quantity > 0 {
            lines.push(ItemLine { item, quantity });
        }
    }
    Ok(lines)
}

/// An empty number field is what a payer leaves who wants none.
fn parse_quantity(value: &str) -> Option<u16> {
    match value {
        "" => Some(0),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(pairs: &[(&str, &str)]) -> Result<Vec<ItemLine>, String> {
        let owned = |(field, value): &(&str, &str)| ((*field).to_owned(), (*value).to_owned());
        parse_choice(pairs.iter().map(owned).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn quantities_become_lines_in_their_order() {
        let lines = parsed(&[
            ("quantity.wash", "2"),
            ("quantity.soap", "0"),
            ("quantity.dry", ""),
            ("quantity.iron", "65535"),
        ]);
        let line = |item: &str, quantity| ItemLine {
            item: item.parse().unwrap(),
            quantity,
        };
        assert_eq!(lines, Ok(vec![line("wash", 2), line("iron", 65_535)]));
        assert_eq!(parsed(&[]), Ok(vec![]));
    }

    #[test]
    fn whatever_else_is_sent_is_named() {
        for (pairs, expected) in [
            (
                vec![("price", "1")],
                "there is no field 'price'; go back and choose again",
            ),
            (
                vec![("quantity.Wash!", "1")],
                "there is no field 'quantity.Wash!'; go back and choose again",
            ),
            (
                vec![("quantity.a", "1"), ("quantity.a", "1")],
                "'quantity.a' is sent twice; go back and choose again",
            ),
            (
                vec![("quantity.a", "-1")],
                "quantity.a is '-1'; write a whole number from 0 to 65535",
            ),
            (
                vec![("quantity.a", "65536")],
                "quantity.a is '65536'; write a whole number from 0 to 65535",
            ),
        ] {
            assert_eq!(parsed(&pairs), Err(expected.to_owned()));
        }
    }
}
