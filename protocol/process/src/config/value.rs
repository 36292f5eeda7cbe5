//! A stricter reading of the `config` crate's values: it rounds `1.5` to a whole number and takes
//! `true` for 1, and neither may happen to an amount.

use std::fmt;

use config::{Value, ValueKind};
use serde::de::value::{MapDeserializer, SeqDeserializer, StringDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::layers::ENVIRONMENT;

/// What serde has to say; the path to it is told separately.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Error(String);

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// A value whose type is that of its file; a text of the environment takes the type of its field.
pub(super) struct Strict(pub(super) Value);

impl Strict {
    fn variable(&self) -> Option<&str> {
        match (&self.0.kind, self.0.origin()) {
            (ValueKind::String(text), Some(ENVIRONMENT)) => Some(text),
            _ => None,
        }
    }
}

impl IntoDeserializer<'_, Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! from_variable {
    ($($method:ident => $visit:ident $wanted:ty),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.variable().and_then(|text| text.parse::<$wanted>().ok()) {
                Some(parsed) => visitor.$visit(parsed),
                None => self.deserialize_any(visitor),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind {
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(value) => visitor.visit_bool(value),
            ValueKind::I64(value) => visitor.visit_i64(value),
            ValueKind::I128(value) => visitor.visit_i128(value),
            ValueKind::U64(value) => visitor.visit_u64(value),
            ValueKind::U128(value) => visitor.visit_u128(value),
            ValueKind::Float(value) => visitor.visit_f64(value),
            ValueKind::String(value) => visitor.visit_string(value),
            ValueKind::Array(values) => {
                SeqDeserializer::new(values.into_iter().map(Strict)).deserialize_any(visitor)
            }
            ValueKind::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Strict(value)));
                MapDeserializer::new(entries).deserialize_any(visitor)
            }
        }
    }

    from_variable! {
        deserialize_bool => visit_bool bool,
        deserialize_i8 => visit_i64 i64,
        deserialize_i16 => visit_i64 i64,
        deserialize_i32 => visit_i64 i64,
        deserialize_i64 => visit_i64 i64,
        deserialize_u8 => visit_u64 u64,
        deserialize_u16 => visit_u64 u64,
        deserialize_u32 => visit_u64 u64,
        deserialize_u64 => visit_u64 u64,
        deserialize_f32 => visit_f64 f64,
        deserialize_f64 => visit_f64 f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.kind {
            ValueKind::String(variant) => {
                StringDeserializer::new(variant).deserialize_enum(name, variants, visitor)
            }
            ValueKind::Table(table) => {
                let entries = table.into_iter().map(|(key, value)| (key, Strict(value)));
                let access = MapDeserializer::new(entries);
                visitor.visit_enum(de::value::MapAccessDeserializer::new(access))
            }
            _ => Strict(self.0).deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}
