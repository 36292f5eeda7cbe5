//! The counter between the pages and the one task that owns the ledger.

use std::time::Duration;

use protocol::id::TransactionId;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::CheckoutToken;
use crate::machine::{CheckoutView, Press, Pressed};
use crate::scenario::Outcome;
use crate::totals::OrderTotals;

/// Requests that wait for the ledger: one for each connection that the server takes at once.
pub(crate) const QUEUE_MAX: usize = 512;

/// A payer looks at a white page no longer than this. A write to a slow disk takes 10 ms.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeskError {
    #[error("the ledger did not reply in time")]
    Timeout,
    #[error("the ledger has stopped")]
    Stopped,
}

/// What the task is asked.
#[derive(Debug)]
pub(crate) enum Command {
    View {
        checkout: CheckoutToken,
        reply: oneshot::Sender<Option<CheckoutView>>,
    },
    Press {
        checkout: CheckoutToken,
        form_token: String,
        press: Press,
        reply: oneshot::Sender<Pressed>,
    },
    SetOutcome {
        order: TransactionId,
        outcome: Outcome,
        reply: oneshot::Sender<bool>,
    },
    Totals {
        reply: oneshot::Sender<Vec<OrderTotals>>,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Desk(mpsc::Sender<Command>);

impl Desk {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        (Self(sender), receiver)
    }

    pub(crate) async fn view(
        &self,
        checkout: CheckoutToken,
    ) -> Result<Option<CheckoutView>, DeskError> {
        self.ask(|reply| Command::View { checkout, reply }).await
    }

    pub(crate) async fn press(
        &self,
        checkout: CheckoutToken,
        form_token: String,
        press: Press,
    ) -> Result<Pressed, DeskError> {
        self.ask(|reply| Command::Press {
            checkout,
            form_token,
            press,
            reply,
        })
        .await
    }

    pub(crate) async fn set_outcome(
        &self,
        order: TransactionId,
        outcome: Outcome,
    ) -> Result<bool, DeskError> {
        self.ask(|reply| Command::SetOutcome {
            order,
            outcome,
            reply,
        })
        .await
    }

    pub(crate) async fn totals(&self) -> Result<Vec<OrderTotals>, DeskError> {
        self.ask(|reply| Command::Totals { reply }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            let sent = self.0.send(command(reply)).await;
            sent.map_err(|_| DeskError::Stopped)?;
            answer.await.map_err(|_| DeskError::Stopped)
        };
        tokio::time::timeout(REPLY_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(DeskError::Timeout))
    }
}
