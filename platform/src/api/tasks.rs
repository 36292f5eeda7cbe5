//! `/tasks`: what waits for a person.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use super::{Api, Refusal, bad_request};
use crate::store::books::{TaskQuery, TaskRow};

/// Longest list: about 100 KB.
const LIMIT_MAX: u32 = 200;

/// All texts, so that each is refused by its own name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    open: Option<String>,
    limit: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tasks {
    tasks: Vec<TaskRow>,
}

pub(super) async fn list(
    State(api): State<Api>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Tasks>, Refusal> {
    let Query(parameters) = parameters.map_err(|error| {
        let text = error.body_text();
        bad_request(format!("{text}: use open and limit, once each"))
    })?;
    let query = parameters.query().map_err(bad_request)?;
    let tasks = api.read(move |reader| reader.tasks(query)).await?;
    Ok(Json(Tasks { tasks }))
}

impl Parameters {
    fn query(&self) -> Result<TaskQuery, String> {
        let open = match self.open.as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err("open: write true or false".to_owned()),
        };
        let limit = match self.limit.as_deref().map(str::parse) {
            None => LIMIT_MAX,
            Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => limit,
            Some(_) => return Err(format!("limit: write a number from 1 to {LIMIT_MAX}")),
        };
        Ok(TaskQuery { open, limit })
    }
}
