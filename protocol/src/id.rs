//! Identifiers. Names are chosen by people (`car-park-7`), ids are 128 random bits.
//!
//! ```
//! use protocol::id::{SiteId, TransactionId};
//!
//! let transaction = TransactionId::from_random([7; 16]);
//! assert_eq!(transaction.to_string(), "07070707070707070707070707070707");
//! assert_eq!(transaction.to_string().parse::<TransactionId>().unwrap(), transaction);
//!
//! assert!("car-park-7".parse::<SiteId>().is_ok());
//! assert!("Car Park".parse::<SiteId>().is_err());   // one alphabet: a-z 0-9 - _
//! assert!("gateway".parse::<SiteId>().is_err());    // reserved: it would shadow the gateway topics
//! assert!("0707".parse::<TransactionId>().is_err()); // 32 hexadecimal digits, lower case
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name: five of them and the fixed words stay far below the 256 bytes that the broker
/// allows a topic.
pub const NAME_LENGTH_MAX: usize = 32;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error(
        "'{text}' is no {kind}: use 1 to {NAME_LENGTH_MAX} of a-z 0-9 - _, starting with a letter or digit"
    )]
    Name { kind: &'static str, text: String },
    #[error("'{text}' is reserved and can't be a {kind}")]
    Reserved { kind: &'static str, text: String },
    #[error("'{text}' is no {kind}: use 32 lower-case hexadecimal digits")]
    Random { kind: &'static str, text: String },
}

/// Where fresh identifiers come from. Machines take it as an argument, so that a seeded source
/// replays a run byte for byte.
pub trait Entropy {
    /// Sixteen bytes that nobody can guess.
    fn bytes(&mut self) -> [u8; 16];
}

impl<F: FnMut() -> [u8; 16]> Entropy for F {
    fn bytes(&mut self) -> [u8; 16] {
        self()
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident $(, reserved $reserved:literal)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                $(if text == $reserved {
                    return Err(IdError::Reserved { kind: stringify!($name), text: text.to_owned() });
                })?
                if is_name(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::Name { kind: stringify!($name), text: shortened(text) })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! random {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            #[must_use]
            pub const fn from_random(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The first eight digits, for people on the phone with each other. Not unique.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse_random(text)
                    .map(Self)
                    .ok_or_else(|| IdError::Random { kind: stringify!($name), text: shortened(text) })
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

name!(/// A shop, car park, gate or launderette: one merchant at one address.
    SiteId, reserved "gateway");
name!(/// An access terminal, unique within its site.
    TerminalId);
name!(/// A payment server as the platform knows it.
    GatewayId);
name!(/// A platform; all replicas of one platform share it.
    PlatformId);
name!(/// Something that a site sells.
    ItemId);
name!(/// A linkage device of a terminal: gate, relay, printer, light.
    DeviceId);
name!(/// Who is paid, as the payment server names the account.
    PayeeId);
name!(/// Where a terminal stands, as receipts and tariffs name it.
    PlaceId);

random!(/// One sale. It is the order number at the payment server too, for ever.
    TransactionId);
random!(/// One phone's stay at a terminal, from accept to end.
    SessionId);
random!(/// Made by its author before the first send; the same on every resend.
    MessageId);
random!(/// Good for one permit, within the lifetime that its terminal stated.
    Nonce);
random!(/// One journal file. A new file is a new journal.
    JournalId);
random!(/// One start of a terminal's operating system or agent.
    BootId);
random!(/// One incarnation of a platform's store; a restored backup gets a new one.
    StoreEpoch);
random!(/// Key under which a refund is asked for, however often it is sent.
    RefundId);
random!(/// One payment as the payment server books it.
    PaymentId);
random!(/// A pair of an entry and an exit.
    VisitId);
random!(/// Something that a person has done by hand; the same id twice is one act.
    ActId);
random!(/// Stands for a payer wherever the payer's identity must not.
    Pseudonym);

fn is_name(text: &str) -> bool {
    let starts_well = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let in_alphabet = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    starts_well && text.len() <= NAME_LENGTH_MAX && text.bytes().all(in_alphabet)
}

fn parse_random(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Untrusted text goes into errors and logs: never more of it than an operator can read.
fn shortened(text: &str) -> String {
    text.chars().take(NAME_LENGTH_MAX + 8).collect()
}
