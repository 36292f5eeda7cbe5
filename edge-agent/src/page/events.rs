//! One stream of changes per page (Server-Sent Events, WHATWG HTML section 9.2). It says that
//! something changed, never what: the page fetches itself.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::desk::{Desk, SessionToken};

/// Streams at once: one payer with a few open tabs, and those before him with their receipts.
pub(super) const STREAMS_MAX: usize = 16;

/// Heartbeat towards the phone and, while it listens, towards the lease, which wants one at least
/// every 15 s.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Shortest time between two events: a page that fetches itself can't do more in it.
const PACE: Duration = Duration::from_millis(200);

/// A stream ends after this and the browser opens another: a phone that has gone without a word
/// holds its place no longer.
const LIFETIME: Duration = Duration::from_secs(300);

/// What a browser waits before it opens another stream.
const RETRY: Duration = Duration::from_secs(2);

struct State {
    desk: Desk,
    token: SessionToken,
    changes: watch::Receiver<u64>,
    /// The version that the page shows.
    shown: u64,
    shutdown: CancellationToken,
    ends_at: Instant,
    next_at: Instant,
    first: bool,
    _place: OwnedSemaphorePermit,
}

/// Events from version `shown` on.
pub(super) fn stream(
    desk: Desk,
    token: SessionToken,
    shown: u64,
    shutdown: CancellationToken,
    place: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let state = State {
        changes: desk.watch(&token),
        desk,
        token,
        shown,
        shutdown,
        // The stream's own lifetime is no guard of anything; no machine sees it.
        ends_at: Instant::now() + LIFETIME,
        next_at: Instant::now(),
        first: true,
        _place: place,
    };
    Sse::new(futures_util::stream::unfold(state, |mut state| async {
        let event = state.next().await?;
        Some((Ok(event), state))
    }))
}

impl State {
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.first) {
            return Some(Event::default().comment("open").retry(RETRY));
        }
        let changed = tokio::select! {
            () = self.shutdown.cancelled() => return None,
            () = sleep_until(self.ends_at) => return None,
            () = sleep(HEARTBEAT) => None,
            changed = self.changes.wait_for(|version| *version != self.shown) => Some(changed.is_ok()),
        };
        match changed {
            None => return Some(self.heartbeat().await),
            // The machine has ended.
            Some(false) => return None,
            Some(true) => {}
        }
        sleep_until(self.next_at).await;
        self.next_at = Instant::now() + PACE;
        // What changed during the pause is told with it.
        self.shown = *self.changes.borrow_and_update();
        Some(Event::default().id(self.shown.to_string()).data("changed"))
    }

    /// A session that has ended tells the page so.
    async fn heartbeat(&self) -> Event {
        match self.desk.keep(&self.token).await {
            Ok(()) => Event::default().comment("still here"),
            Err(error) => {
                tracing::debug!(%error, "a page listens to a session that is not kept");
                Event::default().data("changed")
            }
        }
    }
}
