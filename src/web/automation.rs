//! Known automation: who comes by the clock, when and how far it reaches. What was learnt while
//! baselines were is marked, since an attacker may be in it.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::api::{List, json};
use super::filters;
use super::frame::{Frame, show};
use super::routes::Shared;
use super::who::Who;
use crate::detect::{Automation, Principal};
use crate::time::Timestamp;

/// One that is known, with its endpoint's name where it is kept by endpoint.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
#[schemars(rename = "KnownAutomation")]
pub struct Known {
    #[serde(flatten)]
    pub automation: Automation,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// `/api/v1/automation`. Its number is bounded.
pub(super) async fn list(State(app): Shared) -> Response {
    let items = app.views.automation.load();
    json(&List::whole(items.iter().collect()))
}

struct Row {
    who: String,
    endpoint: Option<String>,
    kinds: String,
    hours: String,
    reach: u64,
    days: u32,
    since: Timestamp,
    last: Timestamp,
    unreviewed: bool,
}

impl Row {
    fn of(known: &Known) -> Self {
        let a = &known.automation;
        let kind = |k| serde_json::to_value(k).ok()?.as_str().map(str::to_owned);
        let kinds: Vec<String> = a.kinds.iter().filter_map(kind).collect();
        let hours: Vec<String> = a.hours.iter().map(|h| format!("{h:02}")).collect();
        Self {
            who: who(&a.who),
            endpoint: known.endpoint.clone(),
            kinds: kinds.join(", "),
            hours: match hours.is_empty() {
                true => "around the clock".to_owned(),
                false => format!("{} h UTC", hours.join(", ")),
            },
            reach: a.reach.round() as u64,
            days: a.days,
            since: a.since,
            last: a.last,
            unreviewed: a.learnt_unreviewed,
        }
    }
}

fn who(p: &Principal) -> String {
    let text = p.identity.as_deref().or(p.client.as_deref());
    text.unwrap_or_default().to_owned()
}

#[derive(Template)]
#[template(path = "automation.html")]
struct Page {
    page: Frame,
    rows: Vec<Row>,
    unreviewed: usize,
}

/// `/automation`.
pub(super) async fn page(State(app): Shared, who: Who) -> Response {
    let known = app.views.automation.load();
    let rows: Vec<Row> = known.iter().map(Row::of).collect();
    show(&Page {
        unreviewed: rows.iter().filter(|r| r.unreviewed).count(),
        rows,
        page: Frame::new(&app, &who, "automation"),
    })
}
