//! The handle from the payer's page to the machine's task. Every call has a deadline.

use std::time::Duration;

use protocol::id::TransactionId;
use protocol::message::ItemLine;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use crate::machine::token::{ReturnSecret, SessionToken};
pub(crate) use crate::machine::view::{
    Landing, LandingState, NotConfirmedReason, Shop, StoredReceipt, View,
};

/// Longest wait for the machine: its slowest answer waits for one synced write, which takes
/// milliseconds; a payer's browser gives up much later than this.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls that may wait: one phone has a lease, others only look; far above what a page makes.
pub(crate) const CALLS_MAX: usize = 64;

/// Why the desk did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeskError {
    #[error("another phone is being served")]
    Busy,
    #[error("{reason}")]
    Unavailable {
        /// A sentence for the payer.
        reason: String,
    },
    #[error("no such session")]
    NotFound,
    /// Not possible in the session's present state: show its view instead.
    #[error("not possible any more")]
    Conflict,
    /// The choice can't be billed; a sentence for the payer.
    #[error("{reason}")]
    Choice { reason: String },
}

/// What the page asks of the machine's task.
#[derive(Debug)]
pub(crate) enum Call {
    Landing(oneshot::Sender<Landing>),
    Accept(oneshot::Sender<Result<SessionToken, DeskError>>),
    View(SessionToken, oneshot::Sender<Result<View, DeskError>>),
    StatusLink(SessionToken, oneshot::Sender<Option<String>>),
    Keep(SessionToken, oneshot::Sender<Result<(), DeskError>>),
    Choose(
        SessionToken,
        Vec<ItemLine>,
        oneshot::Sender<Result<(), DeskError>>,
    ),
    Cancel(SessionToken, oneshot::Sender<Result<(), DeskError>>),
    GoPaying(SessionToken, oneshot::Sender<Result<String, DeskError>>),
    Returned(
        (TransactionId, ReturnSecret),
        oneshot::Sender<Result<SessionToken, DeskError>>,
    ),
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Desk {
    calls: mpsc::Sender<Call>,
    changes: watch::Receiver<u64>,
}

impl Desk {
    pub(crate) const fn new(calls: mpsc::Sender<Call>, changes: watch::Receiver<u64>) -> Self {
        Self { calls, changes }
    }

    /// Who sells here, and whether a phone may take the lease.
    pub(crate) async fn landing(&self) -> Landing {
        self.call(Call::Landing)
            .await
            .unwrap_or_else(|error| Landing {
                shop: None,
                state: LandingState::Unavailable {
                    reason: error.to_string(),
                },
            })
    }

    /// Takes the one lease.
    pub(crate) async fn accept(&self) -> Result<SessionToken, DeskError> {
        self.call(Call::Accept).await?
    }

    /// The session's page. The payer asks, so this is a heartbeat, and while the payment is awaited
    /// also a payment notice (a hint to the platform).
    pub(crate) async fn view(&self, token: &SessionToken) -> Result<View, DeskError> {
        self.call(|reply| Call::View(*token, reply)).await?
    }

    /// Where the payer finds receipt and refund after leaving; none before there is a bill, or
    /// where the platform serves no such page.
    pub(crate) async fn status_link(&self, token: &SessionToken) -> Option<String> {
        let asked = self.call(|reply| Call::StatusLink(*token, reply));
        asked.await.ok().flatten()
    }

    /// Heartbeat of an open event stream; at least every 15 s.
    pub(crate) async fn keep(&self, token: &SessionToken) -> Result<(), DeskError> {
        self.call(|reply| Call::Keep(*token, reply)).await?
    }

    /// Chooses what to buy and asks for the quote.
    pub(crate) async fn choose(
        &self,
        token: &SessionToken,
        lines: Vec<ItemLine>,
    ) -> Result<(), DeskError> {
        self.call(|reply| Call::Choose(*token, lines, reply))
            .await?
    }

    /// Ends the session; [`DeskError::Conflict`] once the payer went paying.
    pub(crate) async fn cancel(&self, token: &SessionToken) -> Result<(), DeskError> {
        self.call(|reply| Call::Cancel(*token, reply)).await?
    }

    /// Journals the order, then gives the payment server's page to redirect to. May be called again.
    pub(crate) async fn go_paying(&self, token: &SessionToken) -> Result<String, DeskError> {
        self.call(|reply| Call::GoPaying(*token, reply)).await?
    }

    /// The payment server sent the payer's browser back: a payment notice.
    pub(crate) async fn returned(
        &self,
        transaction: TransactionId,
        secret: ReturnSecret,
    ) -> Result<SessionToken, DeskError> {
        self.call(|reply| Call::Returned((transaction, secret), reply))
            .await?
    }

    /// Changes whenever a view may have changed.
    pub(crate) fn watch(&self, _token: &SessionToken) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    async fn call<T>(&self, call: impl FnOnce(oneshot::Sender<T>) -> Call) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.calls.send(call(reply)).await.map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())
        };
        tokio::time::timeout(CALL_TIMEOUT, exchange)
            .await
            .unwrap_or_else(|_| Err(stopped()))
    }
}

fn stopped() -> DeskError {
    DeskError::Unavailable {
        reason: "This terminal is restarting. Please try again in a moment.".to_owned(),
    }
}
