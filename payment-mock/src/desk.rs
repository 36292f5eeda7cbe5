//! The counter between the pages, the admin API and the one task that owns the ledger.

use std::fmt;
use std::time::Duration;

use protocol::id::{Entropy, TransactionId};
use protocol::time::Now;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::CheckoutToken;
use crate::machine::{CheckoutView, Machine, NoView, Press, Pressed};
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

/// What may happen once everything is on the disk: a reply or an acknowledgement.
pub(crate) type Settlement = Box<dyn FnOnce() + Send>;

type Work = Box<dyn FnOnce(&mut Machine, Now, &mut dyn Entropy) -> Settlement + Send>;

/// What the task is asked to do with its machine.
pub(crate) struct Command(Work);

impl Command {
    /// Its reply waits for the disk.
    pub(crate) fn perform(
        self,
        machine: &mut Machine,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Settlement {
        (self.0)(machine, now, entropy)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Command(..)")
    }
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
    ) -> Result<Result<CheckoutView, NoView>, DeskError> {
        self.ask(move |machine, now, entropy| machine.handle_view(checkout, now, entropy))
            .await
    }

    pub(crate) async fn press(
        &self,
        checkout: CheckoutToken,
        form_token: String,
        press: Press,
    ) -> Result<Pressed, DeskError> {
        self.ask(move |machine, now, entropy| {
            machine.handle_press(checkout, &form_token, press, now, entropy)
        })
        .await
    }

    pub(crate) async fn set_outcome(
        &self,
        order: TransactionId,
        outcome: Outcome,
    ) -> Result<bool, DeskError> {
        self.ask(move |machine, now, entropy| machine.handle_outcome(order, outcome, now, entropy))
            .await
    }

    pub(crate) async fn totals(&self) -> Result<Vec<OrderTotals>, DeskError> {
        self.ask(|machine, _, _| machine.totals()).await
    }

    /// Does `work` between two inputs of the machine; the reply comes once all of it is on the disk.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Machine, Now, &mut dyn Entropy) -> T + Send + 'static,
    ) -> Result<T, DeskError> {
        let (reply, answer) = oneshot::channel();
        let command = Command(Box::new(move |machine, now, entropy| {
            let done = work(machine, now, entropy);
            Box::new(move || told(reply.send(done).is_ok()))
        }));
        let exchange = async {
            let sent = self.0.send(command).await;
            sent.map_err(|_| DeskError::Stopped)?;
            answer.await.map_err(|_| DeskError::Stopped)
        };
        tokio::time::timeout(REPLY_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(DeskError::Timeout))
    }
}

/// A page that stopped waiting has had its error already.
fn told(arrived: bool) {
    if !arrived {
        tracing::debug!("nobody waits for the reply any more");
    }
}
