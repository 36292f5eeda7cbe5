//! The site config on the disk, so that a start without an uplink can show what is sold.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use process::exit::one_line;
use protocol::message::SiteConfig;
use protocol::signed::{JWS_LENGTH_MAX, Jws};

/// One signed message and its line end: this program never writes more. Read in whole at each
/// start, on terminals with 64 MiB.
const FILE_BYTES_MAX: usize = JWS_LENGTH_MAX + 1;

/// Why the file is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("can't read it")]
    Read(#[source] io::Error),
    #[error("not a regular file of at most {FILE_BYTES_MAX} bytes; remove it")]
    Foreign,
}

/// What the file says, not yet verified. Without it the platform sends another.
pub(super) fn read(path: &Path) -> Option<Jws<SiteConfig>> {
    match try_read(path) {
        Ok(config) => config,
        Err(error) => {
            let (path, error) = (path.display(), one_line(&error));
            tracing::warn!(%path, error, "the cached site config is not used");
            None
        }
    }
}

fn try_read(path: &Path) -> Result<Option<Jws<SiteConfig>>, Unusable> {
    // A pipe would be waited for.
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(Unusable::Foreign),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Unusable::Read(error)),
    }
    let mut text = String::new();
    // One byte more tells that there is too much.
    let file = File::open(path).map_err(Unusable::Read)?;
    file.take(FILE_BYTES_MAX as u64 + 1)
        .read_to_string(&mut text)
        .map_err(Unusable::Read)?;
    if text.len() > FILE_BYTES_MAX {
        return Err(Unusable::Foreign);
    }
    let config = text.trim().parse().map_err(|_| Unusable::Foreign)?;
    Ok(Some(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(content: &[u8]) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site-config");
        fs::write(&path, content).unwrap();
        match try_read(&path) {
            Ok(config) => Ok(config.unwrap().as_str().to_owned()),
            Err(error) => Err(one_line(&error)),
        }
    }

    #[test]
    fn the_longest_signed_message_is_read_and_nothing_beyond_it() {
        let longest = "a".repeat(JWS_LENGTH_MAX);
        assert_eq!(read_of(b"a.b.c\n"), Ok("a.b.c".to_owned()));
        assert_eq!(
            read_of(format!("{longest}\n").as_bytes()),
            Ok(longest.clone())
        );
        let refused = "not a regular file of at most 7169 bytes; remove it";
        for more in ["\n\n", "a"] {
            let read = read_of(format!("{longest}{more}").as_bytes());
            assert_eq!(read, Err(refused.to_owned()));
        }
    }

    #[test]
    fn what_is_no_text_or_no_file_is_named() {
        let read = read_of(b"a.b\xff").unwrap_err();
        assert!(read.starts_with("can't read it: "), "{read}");
        let folder = tempfile::tempdir().unwrap();
        let error = try_read(folder.path()).unwrap_err();
        assert!(one_line(&error).starts_with("not a regular file"));
        let absent = try_read(&folder.path().join("nothing"));
        assert!(matches!(absent, Ok(None)));
    }

    /// As long as a sparse file may be: were it read, there would be no memory for it.
    #[test]
    fn a_file_without_end_costs_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("site-config");
        File::create(&path).unwrap().set_len(1 << 42).unwrap();
        assert!(matches!(try_read(&path), Err(Unusable::Foreign)));
        assert_eq!(read(&path), None);
    }
}
