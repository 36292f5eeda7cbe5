//! The clean end of a process.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Code;

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process at once, for the
/// operator who does not want to wait for the drain. Call it inside a tokio runtime, once.
pub fn on_signal() -> io::Result<CancellationToken> {
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    tokio::spawn(watch(interrupt, terminate, token.clone()));
    Ok(token)
}

async fn watch(mut interrupt: Signal, mut terminate: Signal, token: CancellationToken) {
    let first = next(&mut interrupt, &mut terminate).await;
    tracing::info!(
        signal = first,
        "shutting down; a second signal ends at once"
    );
    token.cancel();
    let second = next(&mut interrupt, &mut terminate).await;
    tracing::warn!(signal = second, "ended before everything was drained");
    std::process::exit(i32::from(Code::Unavailable.as_u8()));
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_signal_cancels_the_token() {
        let token = on_signal().unwrap();
        assert!(!token.is_cancelled());
        let own_id = std::process::id().to_string();
        let sent = Command::new("kill").args(["-TERM", &own_id]).status();
        assert!(sent.unwrap().success());
        let cancelled = tokio::time::timeout(Duration::from_secs(10), token.cancelled());
        cancelled.await.unwrap();
    }
}
