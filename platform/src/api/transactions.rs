//! `/transactions`: pages of them, and one with all that happened.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use protocol::id::TransactionId;
use protocol::topic::TerminalName;
use serde::Deserialize;

use super::{Api, Refusal, bad_request, not_found};
use crate::store::reader::{Detail, Page, PageQuery};

/// Largest page: about 60 KB, read within a few milliseconds.
const LIMIT_MAX: u32 = 200;

const LIMIT_DEFAULT: u32 = 50;

/// Longest state name that is looked for; ours are far shorter.
const STATE_LENGTH_MAX: usize = 64;

/// All texts, so that each is refused by its own name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    state: Option<String>,
    terminal: Option<String>,
    limit: Option<String>,
    before: Option<String>,
}

pub(super) async fn list(
    State(api): State<Api>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Page>, Refusal> {
    let Query(parameters) = parameters.map_err(|error| {
        bad_request(format!(
            "{}: use state, terminal, limit and before, once each",
            error.body_text()
        ))
    })?;
    let query = parameters.query().map_err(bad_request)?;
    api.read(move |reader| reader.page(&query)).await.map(Json)
}

pub(super) async fn one(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Detail>, Refusal> {
    let id: TransactionId = id
        .parse()
        .map_err(|error| bad_request(format!("{error}")))?;
    let found = api.read(move |reader| reader.transaction(id)).await?;
    found
        .map(Json)
        .ok_or_else(|| not_found(&format!("there is no transaction {id}")))
}

/// Rows of a page.
pub(super) fn limit(text: Option<&str>) -> Result<u32, String> {
    match text.map(str::parse) {
        None => Ok(LIMIT_DEFAULT),
        Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(format!("limit: write a number from 1 to {LIMIT_MAX}")),
    }
}

/// The cursor of the page before.
pub(super) fn before(text: Option<&str>) -> Result<Option<i64>, String> {
    let before = text.map(str::parse).transpose();
    before.map_err(|_| "before: write the `next` of the page before".to_owned())
}

impl Parameters {
    fn query(self) -> Result<PageQuery, String> {
        let limit = limit(self.limit.as_deref())?;
        let before = before(self.before.as_deref())?;
        let terminal = self
            .terminal
            .as_deref()
            .map(str::parse::<TerminalName>)
            .transpose();
        if self
            .state
            .as_ref()
            .is_some_and(|state| state.len() > STATE_LENGTH_MAX)
        {
            return Err(format!(
                "state: write at most {STATE_LENGTH_MAX} characters"
            ));
        }
        Ok(PageQuery {
            state: self.state,
            terminal: terminal
                .map_err(|error| format!("terminal: write SITE/TERMINAL: {error}"))?,
            before,
            limit,
        })
    }
}
