//! `/terminals`: what is registered, and what is known of it.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use protocol::id::DeviceId;
use protocol::message::Place;
use protocol::topic::TerminalName;
use serde::Serialize;

use super::{Api, Refusal};
use crate::registry::{Registry, Terminal};
use crate::store::TerminalRow;

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Terminals {
    terminals: Vec<Listed>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Listed {
    terminal: TerminalName,
    /// Whether a site file names it; without, its messages are refused.
    registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    devices: Vec<DeviceId>,
    online: bool,
    /// Absent until it was heard of for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<TerminalRow>,
}

pub(super) async fn list(State(api): State<Api>) -> Result<Json<Terminals>, Refusal> {
    let rows = api.read(|reader| reader.terminals()).await?;
    Ok(Json(Terminals {
        terminals: merge(&api.registry, rows),
    }))
}

/// All registered terminals and all that were heard of, in the order of their names.
fn merge(registry: &Registry, rows: Vec<TerminalRow>) -> Vec<Listed> {
    let registered = registry
        .terminals()
        .map(|terminal| (terminal.name.clone(), listed(terminal)));
    let mut all: BTreeMap<TerminalName, Listed> = registered.collect();
    for row in rows {
        let name = row.terminal.clone();
        let entry = all.entry(name.clone()).or_insert_with(|| stranger(name));
        entry.online = row.online;
        entry.known = Some(row);
    }
    all.into_values().collect()
}

fn listed(terminal: &Terminal) -> Listed {
    Listed {
        terminal: terminal.name.clone(),
        registered: true,
        place: Some(terminal.place.clone()),
        devices: terminal.devices.clone(),
        online: false,
        known: None,
    }
}

fn stranger(terminal: TerminalName) -> Listed {
    Listed {
        terminal,
        registered: false,
        place: None,
        devices: Vec::new(),
        online: false,
        known: None,
    }
}
