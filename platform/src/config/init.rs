//! What an operator does once: make secrets, check files, forget a payer.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use process::entropy::SystemEntropy;
use process::exit::{self, Code, Failure};
use process::secret::SecretFile;
use protocol::id::{Entropy as _, Pseudonym};
use protocol::signed::PublicKey;

use super::Settings;
use crate::registry::Registry;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store as _, StoreError};

impl Settings {
    /// Makes the signing key, and a password for each user of the embedded broker whose file is
    /// missing. Overwrites nothing.
    ///
    /// # Errors
    /// One line; also when there is a key already.
    pub fn init_keys(&self) -> Result<PublicKey, anyhow::Error> {
        for (user, file) in self.password_files() {
            if init_password(file)? {
                eprintln!("made a password for '{user}': {}", file.display());
            }
        }
        let file = self.signing_file();
        make_folder_of(&file)?;
        Ok(process::keys::create(&file)?.public())
    }

    /// Forgets who a pseudonym is; whether there was anything to forget.
    ///
    /// # Errors
    /// One line; also while a platform runs on the data folder.
    pub fn erase_identity(&self, pseudonym: Pseudonym) -> Result<bool, anyhow::Error> {
        let opened =
            SqliteStore::open(&self.data_folder, &self.platform, &mut SystemEntropy::new());
        let unavailable =
            |error: StoreError| Failure::new(Code::Unavailable, exit::one_line(&error));
        let mut store = opened.map_err(unavailable)?;
        Ok(store.erase_identity(pseudonym).map_err(unavailable)?)
    }

    /// Reads everything that `run` would read and binds nothing.
    ///
    /// # Errors
    /// One line with file, field and fix.
    pub fn check(&self) -> Result<(), anyhow::Error> {
        let config = self.config()?;
        Registry::build(&config.sites)?;
        for (_, file) in self.password_files() {
            SecretFile::new(file).read()?;
        }
        process::keys::load(&self.signing_file())?;
        Ok(())
    }
}

/// Whether a password was made.
fn init_password(file: &Path) -> Result<bool, anyhow::Error> {
    make_folder_of(file)?;
    let random = SystemEntropy::new().bytes();
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    match process::file::create(file, format!("{password}\n").as_bytes()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unwritable(file, &error).into()),
    }
}

fn make_folder_of(file: &Path) -> Result<(), anyhow::Error> {
    make_folder(file.parent().unwrap_or(Path::new(".")))
}

pub(super) fn make_folder(folder: &Path) -> Result<(), anyhow::Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| unwritable(folder, &error).into())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Code::Config,
        format!("{}: can't write: {error}", path.display()),
    )
}
