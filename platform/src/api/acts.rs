//! `/acts` and `/holds`: what people did by hand, and doing it.

use std::fmt::Display;
use std::str::FromStr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use protocol::id::ActId;
use serde::{Deserialize, Serialize};

use super::transactions::{before, limit};
use super::{Api, Refusal, bad_request, body, not_found};
use crate::act::{Act, ActRefusal, Deed, Done, HoldScope, PersonName, Reason};
use crate::sale;
use crate::store::books::{Resolution, TaskId};
use crate::store::reader::{ActPage, HoldRow};

type Body = Result<Bytes, BytesRejection>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    limit: Option<String>,
    before: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Holds {
    holds: Vec<HoldRow>,
}

/// A hold and its end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scoped {
    id: ActId,
    name: PersonName,
    reason: Reason,
    scope: HoldScope,
}

pub(super) async fn list(
    State(api): State<Api>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<ActPage>, Refusal> {
    let Query(parameters) = parameters.map_err(|error| {
        bad_request(format!(
            "{}: use limit and before, once each",
            error.body_text()
        ))
    })?;
    let limit = limit(parameters.limit.as_deref()).map_err(bad_request)?;
    let before = before(parameters.before.as_deref()).map_err(bad_request)?;
    let found = api.read(move |reader| reader.acts(before, limit)).await?;
    Ok(Json(found))
}

pub(super) async fn holds(State(api): State<Api>) -> Result<Json<Holds>, Refusal> {
    let holds = api.read(|reader| reader.holds()).await?;
    Ok(Json(Holds { holds }))
}

pub(super) async fn hold(State(api): State<Api>, body: Body) -> Result<Json<Done>, Refusal> {
    let (asked, scope) = body::read::<Scoped>(body)?.split();
    api.act(asked.into_act(Deed::Hold { scope })).await
}

pub(super) async fn release(State(api): State<Api>, body: Body) -> Result<Json<Done>, Refusal> {
    let (asked, scope) = body::read::<Scoped>(body)?.split();
    api.act(asked.into_act(Deed::Release { scope })).await
}

/// How a sale under review ends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    id: ActId,
    name: PersonName,
    reason: Reason,
    resolution: sale::Resolution,
}

impl Scoped {
    fn split(self) -> (Plain, HoldScope) {
        let (id, name, reason) = (self.id, self.name, self.reason);
        (Plain { id, name, reason }, self.scope)
    }
}

impl Decided {
    fn split(self) -> (Plain, sale::Resolution) {
        let (id, name, reason) = (self.id, self.name, self.reason);
        (Plain { id, name, reason }, self.resolution)
    }
}

/// Who and why, where the path says what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    id: ActId,
    name: PersonName,
    reason: Reason,
}

impl Plain {
    fn into_act(self, deed: Deed) -> Act {
        Act {
            id: self.id,
            name: self.name,
            reason: self.reason,
            deed,
        }
    }
}

pub(super) async fn refund(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let transaction = parsed(&id)?;
    let asked: Plain = body::read(body)?;
    api.act(asked.into_act(Deed::Refund { transaction })).await
}

pub(super) async fn resolve(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let transaction = parsed(&id)?;
    let (asked, resolution) = body::read::<Decided>(body)?.split();
    let deed = Deed::Resolve {
        transaction,
        resolution,
    };
    api.act(asked.into_act(deed)).await
}

pub(super) async fn open(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let transaction = parsed(&id)?;
    let asked: Plain = body::read(body)?;
    api.act(asked.into_act(Deed::Open { transaction })).await
}

pub(super) async fn open_at(
    State(api): State<Api>,
    Path((site, terminal)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let terminal = parsed(&format!("{site}/{terminal}"))?;
    let asked: Plain = body::read(body)?;
    api.act(asked.into_act(Deed::OpenAt { terminal })).await
}

pub(super) async fn vouch(
    State(api): State<Api>,
    Path((site, terminal)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let terminal = parsed(&format!("{site}/{terminal}"))?;
    let asked: Plain = body::read(body)?;
    api.act(asked.into_act(Deed::Vouch { terminal })).await
}

pub(super) async fn resolve_task(
    State(api): State<Api>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let task: TaskId = parsed(&id)?;
    let asked: Plain = body::read(body)?;
    let wanted = task.clone();
    let found = api.read(move |reader| reader.task(&wanted)).await?;
    let found = found.ok_or_else(|| {
        not_found(&format!(
            "there is no task {task}; a sale under review takes a resolution (--as)"
        ))
    })?;
    // The same act again is answered by the engine.
    let name = String::from(asked.name.clone());
    let note = String::from(asked.reason.clone());
    let is_same = |resolution: &Resolution| resolution.by == name && resolution.note == note;
    if let Some(resolution) = found.resolved.filter(|by| !is_same(by)) {
        let line = format!("task {task} was resolved by {}", resolution.by);
        return Err(Refusal::new(StatusCode::CONFLICT, line));
    }
    api.act(asked.into_act(Deed::ResolveTask { task })).await
}

pub(super) async fn reconcile(State(api): State<Api>, body: Body) -> Result<Json<Done>, Refusal> {
    let asked: Plain = body::read(body)?;
    api.act(asked.into_act(Deed::Reconcile)).await
}

pub(super) async fn revoke_key(
    State(api): State<Api>,
    Path(key): Path<String>,
    body: Body,
) -> Result<Json<Done>, Refusal> {
    let key = parsed(&key)?;
    let asked: Plain = body::read(body)?;
    api.act(asked.into_act(Deed::RevokeKey { key })).await
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Refusal> {
    text.parse()
        .map_err(|error: T::Err| bad_request(error.to_string()))
}

impl Api {
    /// Answers once the act is on the disk.
    pub(super) async fn act(&self, act: Act) -> Result<Json<Done>, Refusal> {
        let done = self.acts.act(act).await;
        done.map(Json).map_err(|refusal| {
            let status = status(&refusal);
            Refusal::new(status, refusal.to_string())
        })
    }
}

const fn status(refusal: &ActRefusal) -> StatusCode {
    match refusal {
        ActRefusal::UnknownTransaction(_)
        | ActRefusal::UnknownScope(_)
        | ActRefusal::UnknownKey(_) => StatusCode::NOT_FOUND,
        ActRefusal::IdTaken(_)
        | ActRefusal::NotHeld(_)
        | ActRefusal::AlreadyHeld(_)
        | ActRefusal::NoBillYet(_)
        | ActRefusal::NobodyThere(_)
        | ActRefusal::Sale(_)
        | ActRefusal::OwnKey(_)
        | ActRefusal::NothingToVouch(_) => StatusCode::CONFLICT,
        ActRefusal::Busy | ActRefusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}
