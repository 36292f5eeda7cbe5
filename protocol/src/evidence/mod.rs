//! What a third party needs to check a receipt without asking anybody: the published keys, the
//! file that a payer keeps, and the check.
//!
//! | module | what it owns |
//! |---|---|
//! | `keys` | keys as their owners publish them |
//! | `file` | a receipt as a file |
//! | `check` | what a receipt proves, or what does not fit |

mod check;
mod file;
mod keys;

pub use check::{Misfit, Proof, check};
pub use file::{FILE_LENGTH_MAX, FileError, ReceiptFile, file_name};
pub use keys::{KEYS_MAX, KeysError, PublishedKey, PublishedKeys, Standing};
