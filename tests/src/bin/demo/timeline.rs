//! What happened when, as phone, platform and device saw it.

use anyhow::Context as _;
use protocol::time::Utc;
use serde_json::Value;
use tests::api;
use tests::system::System;
use tests::visit::Mark;

/// What fits beside the rest of a line.
const DETAIL_LENGTH_MAX: usize = 90;

pub(crate) struct Timeline {
    steps: Vec<Step>,
}

struct Step {
    at: Utc,
    /// Orders what happened within one millisecond: a device moves before its result arrives.
    rank: u8,
    who: &'static str,
    what: String,
}

impl Timeline {
    pub(crate) async fn read(system: &System, marks: &[Mark]) -> anyhow::Result<Self> {
        let mut steps: Vec<Step> = marks
            .iter()
            .map(|mark| Step {
                at: mark.at.utc,
                rank: 0,
                who: "phone",
                what: mark.step.to_owned(),
            })
            .collect();
        steps.extend(platform_steps(system).await?);
        for terminal in system.terminals() {
            for switch in terminal.handle.device_log() {
                let what = format!("{} {}", switch.device, if switch.on { "ON" } else { "OFF" });
                steps.push(Step {
                    at: switch.at.utc,
                    rank: 1,
                    who: "device",
                    what,
                });
            }
        }
        steps.sort_by_key(|step| (step.at, step.rank));
        Ok(Self { steps })
    }

    pub(crate) fn print(&self) {
        let Some(first) = self.steps.first() else {
            return;
        };
        println!("{:>9} {:>8}  {:<9} step", "ms", "+ms", "who");
        let mut before = first.at;
        for step in &self.steps {
            let since_start = step.at.as_millis() - first.at.as_millis();
            let since_last = step.at.as_millis() - before.as_millis();
            println!(
                "{since_start:>9} {since_last:>+8}  {:<9} {}",
                step.who, step.what
            );
            before = step.at;
        }
    }
}

async fn platform_steps(system: &System) -> anyhow::Result<Vec<Step>> {
    let platform = system.platform()?;
    let list = api::fetch(platform.api, &platform.token, "/api/v1/transactions").await?;
    let id = list["transactions"][0]["transaction"]
        .as_str()
        .context("no transaction")?;
    let path = format!("/api/v1/transactions/{id}");
    let detail = api::fetch(platform.api, &platform.token, &path).await?;
    let events = detail["events"].as_array().context("no timeline")?;
    let is_result = |event: &Value| event["kind"] == "result";
    let result = events.iter().position(is_result).unwrap_or(events.len());
    let rank = |index: usize| if index < result { 0 } else { 2 };
    let steps = events.iter().enumerate();
    steps
        .map(|(index, event)| platform_step(event, rank(index)))
        .collect()
}

fn platform_step(event: &Value, rank: u8) -> anyhow::Result<Step> {
    let at = serde_json::from_value(event["at"].clone())?;
    let kind = event["kind"].as_str().context("an event has a kind")?;
    let detail = match event["detail"].as_object() {
        Some(fields) if !fields.is_empty() => short(&event["detail"]),
        _ => String::new(),
    };
    Ok(Step {
        at,
        rank,
        who: "platform",
        what: format!("{kind} {detail}"),
    })
}

/// One line of it; the API has the rest.
fn short(detail: &Value) -> String {
    let text = detail.to_string();
    match text.char_indices().nth(DETAIL_LENGTH_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
