//! `/epoch`: which incarnation of the store this is, and what it still has to learn.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use protocol::id::StoreEpoch;
use protocol::topic::TerminalName;
use serde::Serialize;

use super::{Api, Refusal};
use crate::registry::Registry;
use crate::store::reader::{EpochRow, Known};

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Epoch {
    store_epoch: StoreEpoch,
    /// Whether refunds that rest on the store alone go out by themselves.
    self_mending: bool,
    journals: BTreeMap<TerminalName, Known>,
}

pub(super) async fn show(State(api): State<Api>) -> Result<Json<Epoch>, Refusal> {
    let row = api.read(|reader| reader.epoch_row()).await?;
    Ok(Json(told(&api.registry, &row)))
}

fn told(registry: &Registry, row: &EpochRow) -> Epoch {
    let registered = registry.terminals().map(|terminal| terminal.name.clone());
    let journals = row.standings(registered);
    let holds_back = |known: &Known| matches!(known, Known::Unread | Known::Strange(_));
    Epoch {
        store_epoch: row.store_epoch,
        self_mending: !journals.values().any(holds_back),
        journals,
    }
}
