//! Which screen a view is. It renders and decides nothing.

use super::layout::Screen;
use super::{order, outcome};
use crate::desk::{SessionToken, View};

pub(super) fn of(token: &SessionToken, view: &View) -> Screen {
    match view {
        View::Choose {
            items,
            seconds_left,
        } => order::choose(token, items, *seconds_left),
        View::Quoting => order::quoting(token),
        View::Bill {
            quote,
            seconds_left,
        } => order::bill(token, quote, *seconds_left),
        View::Paying {
            quote,
            pay_url: _,
            seconds_left,
            declined,
        } => order::paying(token, quote, *seconds_left, *declined),
        View::Verifying {
            quote,
            pay_url: _,
            seconds,
            declined,
        } => order::verifying(token, quote, *seconds, *declined),
        View::Actuating => order::actuating(),
        View::Done { quote, receipt } => outcome::done(token, quote.as_deref(), receipt.as_deref()),
        View::NotConfirmed { reason, refund, .. } => outcome::not_confirmed(*reason, *refund),
        View::Expired => outcome::expired(),
        View::Cancelled => outcome::cancelled(),
        View::Failed {
            outcome, refund, ..
        } => outcome::failed(*outcome, *refund),
        View::Unavailable { reason } => outcome::unavailable(reason),
    }
}
