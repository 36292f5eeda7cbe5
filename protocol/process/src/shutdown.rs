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
    tokio::spawn(watch(interrupt, terminate, token.clone(), || {
        std::process::exit(i32::from(Code::Unavailable.as_u8()));
    }));
    Ok(token)
}

async fn watch(
    mut interrupt: Signal,
    mut terminate: Signal,
    token: CancellationToken,
    on_second: impl FnOnce(),
) {
    let first = next(&mut interrupt, &mut terminate).await;
    tracing::info!(
        signal = first,
        "shutting down; a second signal ends at once"
    );
    token.cancel();
    let second = next(&mut interrupt, &mut terminate).await;
    tracing::warn!(signal = second, "ended before everything was drained");
    on_second();
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
    async fn the_first_signal_cancels_and_the_second_ends() {
        let interrupt = signal(SignalKind::interrupt()).unwrap();
        let terminate = signal(SignalKind::terminate()).unwrap();
        let (token, ended) = (CancellationToken::new(), CancellationToken::new());
        let second = ended.clone();
        tokio::spawn(watch(interrupt, terminate, token.clone(), move || {
            second.cancel();
        }));
        send("-TERM");
        within(token.cancelled()).await;
        assert!(!ended.is_cancelled());
        send("-INT");
        within(ended.cancelled()).await;
    }

    fn send(name: &str) {
        let own_id = std::process::id().to_string();
        let sent = Command::new("kill").args([name, &own_id]).status();
        assert!(sent.unwrap().success());
    }

    async fn within(wait: impl Future<Output = ()>) {
        let outcome = tokio::time::timeout(Duration::from_secs(10), wait).await;
        outcome.expect("the signal did nothing");
    }
}
