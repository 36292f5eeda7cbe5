//! A wall clock that an operator, a battery or a network can step, for unmodified programs, by
//! libfaketime. Monotonic and boot time go on as they are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::programs::Launch;
use crate::tool;

/// Debian's package `faketime` has it in a folder of the machine's architecture.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// Folders in which libraries are, or folders of architectures with them.
const ROOTS: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// One clock for any number of programs.
#[derive(Debug, Clone)]
pub struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    /// A clock that is right, kept in a file of `folder`. `None` where libfaketime is missing,
    /// which is told loudly.
    ///
    /// # Errors
    /// It is missing where nothing may be.
    pub fn new(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(library) = find() else {
            tool::leave_out("libfaketime is not installed")?;
            return Ok(None);
        };
        let file = folder.join("wall-clock");
        let clock = Self { library, file };
        clock.set(0)?;
        Ok(Some(clock))
    }

    /// How programs that see this clock are started.
    #[must_use]
    pub fn launch(&self) -> Launch {
        let environment: Vec<(&'static str, OsString)> = vec![
            ("LD_PRELOAD", self.library.clone().into()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.clone().into()),
            ("FAKETIME_NO_CACHE", "1".into()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            ("DONT_FAKE_MONOTONIC", "1".into()),
        ];
        Launch {
            wrapper: Vec::new(),
            environment,
        }
    }

    /// Steps it to so many seconds before or after the right time.
    pub fn set(&self, offset_s: i64) -> anyhow::Result<()> {
        // Replaced in one step: no program may read half of a number.
        let next = self.file.with_extension("next");
        std::fs::write(&next, format!("{offset_s:+}\n"))?;
        Ok(std::fs::rename(next, &self.file)?)
    }
}

fn find() -> Option<PathBuf> {
    ROOTS.iter().map(Path::new).find_map(|root| {
        let folders = std::fs::read_dir(root).ok()?.flatten();
        let mut found: Vec<_> = folders
            .map(|folder| folder.path().join(LIBRARY))
            .chain([root.join(LIBRARY)])
            .filter(|path| path.is_file())
            .collect();
        found.sort();
        found.into_iter().next()
    })
}
